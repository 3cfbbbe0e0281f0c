"""Private folders for copies of documents, and the one of a sandbox: a work folder for each child, and one
for results that wait to be taken.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from itertools import count
from pathlib import Path
from typing import Final

_PREFIX: Final = "batchmill-sandbox-"
_LOCK: Final = "lock"
_MOST_ENTRIES: Final = 10_000
_DEEPEST: Final = 100
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


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
    """Delete a folder and all in it, in which nobody works any more; what cannot be deleted is left for the
    next sweep."""
    if not _removed(folder):
        with contextlib.suppress(OSError):
            _flatten(folder)
        _removed(folder)


def empty(folder: str) -> None:
    """Delete all in a folder, whatever the last document left there; most leave nothing. Raises `OSError`
    when something stays."""
    for name in os.listdir(folder):  # noqa: PTH208 - a third of the time, and it is done for each document
        left = Path(folder, name)
        if left.is_symlink() or not left.is_dir():
            left.unlink()
        elif not _removed(left):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(left))


def _removed(folder: Path) -> bool:
    # The library goes down by calling itself: a thousand folders in each other are too many for it.
    with contextlib.suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    return not os.path.lexists(folder)


def _flatten(top: Path) -> None:
    """Put every folder below right into the top one. No link is followed."""
    new = (f"{secrets.token_hex(8)}-{number}" for number in count())
    with contextlib.ExitStack() as opened:
        above = os.open(top, _FOLDER)
        opened.callback(os.close, above)
        waiting = _folders_in(above)
        while waiting:
            here = os.open(waiting.pop(), _FOLDER, dir_fd=above)
            try:
                for name in _folders_in(here):
                    brought = next(new)
                    os.rename(name, brought, src_dir_fd=here, dst_dir_fd=above)
                    waiting.append(brought)
            finally:
                os.close(here)


def _folders_in(handle: int) -> list[str]:
    with os.scandir(handle) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


def size_of(folder: Path) -> int:
    """Bytes in a folder and below. A folder of very many files or folders, or with very many folders in each
    other, counts as endless."""
    total = seen = 0
    above = str(folder).count(os.sep)
    for where, folders, names in os.walk(folder):
        # Folders too, and before any is looked at: they have no bytes, but whoever looks stands still for it.
        seen += len(folders) + len(names)
        if seen > _MOST_ENTRIES or where.count(os.sep) - above > _DEEPEST:
            return 2**63
        for name in names:
            try:
                total += Path(where, name).lstat().st_size
            except FileNotFoundError:
                continue
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
