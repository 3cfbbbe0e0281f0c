"""What a run must know to go on after it was cut off: `run.json` in OUT, replaced as a whole each time."""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from services.cli.exits import ExitCode, Stop
from services.cli.run.output import disk_errors, write_whole

FILE: Final = "run.json"
LOCK: Final = ".lock"
VERSION: Final = 1


@dataclass(slots=True)
class Round:
    """One directory and one batch over it. `files` maps each path to the mark it had when it was planned."""

    directory_id: str
    files: dict[str, str]
    batch_id: str | None = None


@dataclass(slots=True)
class RunState:
    """`finished` maps each path whose result is written to the mark of the file it was made from."""

    folder: str
    config: str
    base_url: str = ""
    finished: dict[str, str] = field(default_factory=dict)
    round: Round | None = None

    @property
    def is_new(self) -> bool:
        """Nothing was done yet."""
        return not self.finished and self.round is None

    def save(self, out: Path) -> None:
        """Replace the file at once."""
        content = json.dumps({"version": VERSION, **asdict(self)}, indent=1).encode()
        with disk_errors(out):
            write_whole(out, out / FILE, content)


def previous_state(out: Path, folder: str, config: str, *, fresh: bool) -> tuple[RunState, Round | None]:
    """The state to go on from, and the unfinished round of a run that nobody goes on with.

    Another CONFIG starts anew. Results of another DIR are refused: the two would be mixed in OUT.
    """
    new = RunState(folder, config)
    try:
        kept = load_state(out)
    except Stop:
        if not fresh:
            raise
        kept = None
    if kept is None:
        return new, None
    if fresh or (kept.folder == folder and kept.config != config):
        return new, kept.round
    if kept.folder != folder:
        raise Stop(
            f"OUT {out} holds the results of {kept.folder}. Choose another OUT, or replace "
            "them with --fresh.",
            ExitCode.USAGE,
        )
    return kept, None


def load_state(out: Path) -> RunState | None:
    """What the last run into `out` left; None if there was none. Refuses a file it cannot read."""
    try:
        raw = json.loads((out / FILE).read_bytes())
        return _state_of(raw)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OSError):
        raise Stop(
            f"{out / FILE} cannot be read, so this run cannot go on. Start anew with --fresh, or choose "
            "another OUT.",
            ExitCode.USAGE,
        ) from None


def _state_of(raw: dict[str, Any]) -> RunState:
    if raw.pop("version") != VERSION:
        raise ValueError("written by another version")
    kept = raw.pop("round")
    return RunState(round=None if kept is None else Round(**kept), **raw)


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Only one run writes to `out` at a time; the kernel lets go when the process ends. A run that is stopped
    before it wrote anything takes the folders away that it made."""
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = os.open(out / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Stop(f"OUT {out} cannot be written: {error.strerror}.", ExitCode.USAGE) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Stop(f"Another run writes to {out} now. Wait for it, or choose another OUT.") from None
        try:
            yield
        except Stop:
            _remove_unused(out, made)
            raise
    finally:
        os.close(lock)


def _remove_unused(out: Path, made: Sequence[Path]) -> None:
    # What is left behind if the disk refuses is an empty folder.
    with suppress(OSError):
        if made and [kept.name for kept in out.iterdir()] == [LOCK]:
            (out / LOCK).unlink()
            for folder in made:
                folder.rmdir()
