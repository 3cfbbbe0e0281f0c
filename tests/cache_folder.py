"""Where tests keep what they fetch once, outside the clone."""

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache, or a temporary folder where that cannot be written."""
    wanted = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "batchmill-tests"
    try:
        wanted.mkdir(parents=True, exist_ok=True)
    except OSError:
        wanted = Path(tempfile.gettempdir()) / "batchmill-tests"
        wanted.mkdir(exist_ok=True)
    return wanted
