"""What only a local folder needs: to be walked whole, and to lose folders that are empty.

The library's own list leaves out the files in which an upload is collected (`key#1`). One of a process that
was killed would lie there for ever, seen by nobody.
"""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from shared.storage.port import Listed

COLLECTED = "#"
"""Stands in the name of a file that is not a blob yet, and in no key."""


def walk(root: Path, prefix: str, *, page: int) -> Iterator[list[Listed]]:
    """Every file under a prefix in pages, in no order; one that vanishes meanwhile is left out."""
    found: list[Listed] = []
    for folder, _, names in os.walk(root / prefix):
        for name in names:
            path = Path(folder, name)
            try:
                seen = path.lstat()
            except FileNotFoundError:
                continue
            key = str(path.relative_to(root))
            found.append(Listed(key, seen.st_size, datetime.fromtimestamp(seen.st_mtime, UTC)))
            if len(found) == page:
                yield found
                found = []
    if found:
        yield found


def prune(root: Path, prefix: str, *, older_than_s: float) -> None:
    """Remove empty folders under a prefix that nobody touched for so long (0: all), the deepest first."""
    # Removing a folder touches the one around it: with no age asked for, that must not save it.
    before = time.time() - older_than_s if older_than_s else float("inf")
    for folder, _, _ in os.walk(root / prefix, topdown=False):
        path = Path(folder)
        try:
            if path.stat().st_mtime <= before:
                path.rmdir()
        except OSError:
            # It has something in it, or is gone.
            continue
