"""The folder that holds all that the embedded stack writes, and the lock that makes it hold one stack."""

import fcntl
import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from services.local.errors import DataFolderRefused, StackAlreadyRunning

LOCK_PATIENCE_S = 0.5
"""Longer than a look at the lock by `attach` lasts, so that a look never refuses a start."""


@dataclass(frozen=True)
class PartRecord:
    """A started part: `started` is the process's creation time in seconds since 1970, `pid` also its group,
    `stop_signal` the name of the signal that ends it gently.
    """

    name: str
    pid: int
    started: float
    command: str
    stop_signal: str = "SIGTERM"


@dataclass(frozen=True)
class StackRecord:
    """What `stack.json` says. `ready` turns true when every part serves."""

    base_url: str
    started_at: str
    ready: bool
    manager: PartRecord
    parts: tuple[PartRecord, ...]


class FolderLock:
    """An exclusive lock on a file. The kernel lets go of it when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def take(self, patience_s: float = LOCK_PATIENCE_S) -> bool:
        """Whether the lock is ours now; tries for `patience_s` seconds. Never inherited by a child."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + patience_s
        while not _try_lock(fd, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                os.close(fd)
                return False
            time.sleep(0.05)
        os.ftruncate(fd, 0)
        os.write(fd, str(os.getpid()).encode())
        self._fd = fd
        return True

    def release(self) -> None:
        """Lets go; does nothing if the lock is not ours."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def is_taken(self) -> bool:
        """Whether anybody holds the lock now, this process included.

        False too where this user may not look.
        """
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return not _try_lock(fd, fcntl.LOCK_SH)
        finally:
            os.close(fd)

    def holder(self) -> int | None:
        """The pid that the last holder wrote."""
        try:
            return int(self._path.read_text())
        except (OSError, ValueError):
            return None


def _try_lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class DataDir:
    """`BATCHMILL_DATA_DIR`. Every file in it is written whole or not at all, mode 0600."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).expanduser().absolute()
        self.lock = FolderLock(self.path / "lock")

    def make(self) -> None:
        """Makes the folder (0700) if it is not there. Raises DataFolderRefused."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise DataFolderRefused(
                f"The data folder {self.path} cannot be made: {error.strerror}."
            ) from error
        if not os.access(self.path, os.R_OK | os.W_OK | os.X_OK):
            raise DataFolderRefused(f"The data folder {self.path} may not be written by this user.")

    @contextmanager
    def held(self) -> Iterator[None]:
        """The folder is this process's for the length of the block. Raises StackAlreadyRunning."""
        if not self.lock.take():
            record = self.record()
            base_url = record.base_url if record is not None and record.ready else None
            raise StackAlreadyRunning(str(self.path), base_url, self.lock.holder())
        try:
            yield
        finally:
            self.lock.release()

    @property
    def logs(self) -> Path:
        """One file for each part."""
        return self.path / "logs"

    def log_file(self, part: str) -> Path:
        """Where the output of a part goes."""
        return self.logs / f"{part}.log"

    def read(self, name: str) -> str | None:
        """The text of a file without the spaces around it.

        None if there is no such file, or nothing in it.
        """
        try:
            return (self.path / name).read_text().strip() or None
        except FileNotFoundError:
            return None

    def write(self, name: str, text: str) -> None:
        """Replaces a file at once, mode 0600; after a crash either the old or the new text is there."""
        fd, made = tempfile.mkstemp(prefix=f".{name}-", dir=self.path)  # 0600 from the start
        try:
            with os.fdopen(fd, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(made).replace(self.path / name)
        except BaseException:
            Path(made).unlink(missing_ok=True)
            raise

    def remove(self, *names: str) -> None:
        """Removes files; those that are not there are no error."""
        for name in names:
            (self.path / name).unlink(missing_ok=True)

    def secret_key(self) -> str:
        """The key that signs tokens and URLs: made once, kept in `secret-key`."""
        if (kept := self.read("secret-key")) is not None:
            return kept
        made = secrets.token_urlsafe(32)
        self.write("secret-key", made)
        return made

    def record(self) -> StackRecord | None:
        """What the last manager wrote to `stack.json`; None if there is none, or none that can be read."""
        try:
            text = self.read("stack.json")
            return None if text is None else _record_of(json.loads(text))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write_record(self, record: StackRecord) -> None:
        """Replaces `stack.json`."""
        self.write("stack.json", json.dumps(asdict(record), indent=2) + "\n")


def _record_of(raw: dict[str, Any]) -> StackRecord:
    return StackRecord(
        base_url=str(raw["base_url"]),
        started_at=str(raw["started_at"]),
        ready=bool(raw["ready"]),
        manager=PartRecord(**raw["manager"]),
        parts=tuple(PartRecord(**part) for part in raw["parts"]),
    )
