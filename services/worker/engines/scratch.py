"""The private folder of a sandbox: one work folder for each child, one for results that wait to be taken.

A worker that is killed cannot delete its folder; the next one does, and knows by a file lock that nobody
lives there (a process id would say nothing in another container).
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


class Scratch:
    """Raises `OSError` when the folder cannot be made or used."""

    def __init__(self, parent: Path | None = None) -> None:
        self._parent = parent or Path(tempfile.gettempdir())
        self._numbers = count(1)
        _sweep(self._parent)
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent)).resolve()
        # Locked before it gets its name: whoever sees a lock that is free knows that its owner is dead.
        unnamed = self.folder / "lock.new"
        self._lock = _locked(unnamed)
        unnamed.rename(self.folder / _LOCK)
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
        remove(self.folder)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def remove(folder: Path) -> None:
    """Delete a folder and all in it; what cannot be deleted is left for the next sweep."""
    shutil.rmtree(folder, ignore_errors=True)


def empty(folder: Path) -> None:
    """Delete all in a folder, whatever the last document left there."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                remove(Path(entry.path))
            else:
                Path(entry.path).unlink()


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


def _sweep(parent: Path) -> None:
    for folder in parent.glob(_PREFIX + "*"):
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
