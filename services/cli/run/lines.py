"""Files of lines that only grow: a line is there whole or not at all, also after a crash."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

BLOCK: Final = 1 << 16


def whole_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each line with the byte it begins at, in order; what a crash left of a last line is cut off first.

    Nothing when there is no file.
    """
    try:
        _cut_torn_end(path)
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        begins = 0
        for line in file:
            yield begins, line
            begins += len(line)


def append_lines(path: Path, lines: Iterable[bytes]) -> int:
    """Add lines; they are on the disk when this returns. Answers the byte at which they begin."""
    with path.open("ab") as file:
        begins = file.seek(0, os.SEEK_END)
        file.write(b"".join(lines))
        file.flush()
        os.fsync(file.fileno())
    return begins


def _cut_torn_end(path: Path) -> None:
    with path.open("rb") as file:
        end = ends = file.seek(0, os.SEEK_END)
        while ends:
            begins = max(ends - BLOCK, 0)
            file.seek(begins)
            found = file.read(ends - begins).rfind(b"\n")
            if found >= 0:
                ends = begins + found + 1
                break
            ends = begins
    if ends < end:
        os.truncate(path, ends)
