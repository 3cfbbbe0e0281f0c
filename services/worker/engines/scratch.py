"""Private folders for copies of documents, and the one of a sandbox: a work folder for each child, and one
for results that wait to be taken.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from itertools import count
from pathlib import Path
from typing import Final

_PREFIX: Final = "batchmill-sandbox-"
_LOCK: Final = "lock"
_MOST_ENTRIES: Final = 10_000


class PrivateFolder:
    """A new folder among the temporary ones, of this process alone; `path` is where. Raises `OSError`.

    A process that is killed cannot delete its folder. The next one that makes such a folder does, and knows
    by a file lock that nobody lives there (a process id would say nothing in another container).
    """

    def __init__(self, prefix: str, parent: Path | None = None) -> None:
        parent = parent or Path(tempfile.gettempdir())
        _sweep(parent, prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent)).resolve()
        # Locked before it gets its name: whoever sees a lock that is free knows that its owner is dead.
        unnamed = self.path / "lock.new"
        self._lock = _locked(unnamed)
        unnamed.rename(self.path / _LOCK)

    def close(self) -> None:
        """Delete everything."""
        remove(self.path)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class Scratch:
    """Raises `OSError` when the folder cannot be made or used."""

    def __init__(self, parent: Path | None = None) -> None:
        self._numbers = count(1)
        self._private = PrivateFolder(_PREFIX, parent)
        self.folder = self._private.path
        self._results = self.folder / "results"
        self._results.mkdir(0o700)

    def work_folder(self) -> Path:
        """A new, empty folder for one child."""
        folder = self.folder / f"child-{next(self._numbers)}"
        folder.mkdir(0o700)
        return folder

    def take_result(self, made: Path, *, most_bytes: int) -> Path | None:
        """Move a result out of the reach of the child that made it. None when there is none, or it is not
        a plain file of sensible size: a taken-over child may put a link there."""
        try:
            found = made.lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or not 0 < found.st_size <= most_bytes:
                return None
            taken = self._results / made.name
            made.rename(taken)
        except FileNotFoundError:
            return None
        return taken

    def close(self) -> None:
        """Delete everything. The sandbox must have ended its children before."""
        self._private.close()


def remove(folder: Path) -> None:
    """Delete a folder and all in it; what cannot be deleted is left for the next sweep."""
    shutil.rmtree(folder, ignore_errors=True)


def empty(folder: str) -> None:
    """Delete all in a folder, whatever the last document left there; most leave nothing."""
    for name in os.listdir(folder):  # noqa: PTH208 - a third of the time, and it is done for each document
        left = Path(folder, name)
        if left.is_dir() and not left.is_symlink():
            remove(left)
        else:
            left.unlink()


def size_of(folder: Path) -> int:
    """Bytes in a folder and below. A folder of very many files counts as endless."""
    total = seen = 0
    for where, _folders, names in os.walk(folder):
        for name in names:
            seen += 1
            try:
                total += Path(where, name).lstat().st_size
            except FileNotFoundError:
                continue
        if seen > _MOST_ENTRIES:
            return 2**63
    return total


def _locked(path: Path) -> int | None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _sweep(parent: Path, prefix: str) -> None:
    for folder in parent.glob(prefix + "*"):
        lock = folder / _LOCK
        try:
            if not lock.exists() or folder.lstat().st_uid != os.geteuid():
                continue
            handle = _locked(lock)
        except OSError:
            continue
        if handle is not None:
            remove(folder)
            os.close(handle)
