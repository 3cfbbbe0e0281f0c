"""What a run must know to go on after it was cut off: `run.json` in OUT, replaced as a whole each time.

It is small whatever the folder is: what is known of each file is in `planned.jsonl` and `results.jsonl`.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from services.cli.exits import ExitCode, Stop
from services.cli.run.output import disk_errors, replace_whole

FILE: Final = "run.json"
LOCK: Final = ".lock"
VERSION: Final = 2
ALL_IN_ONE: Final = 1
"""The version that kept the mark of every file here, and wrote them all each time."""


@dataclass(slots=True)
class Round:
    """One directory and one batch over it, of `count` planned files. `by_reference`: the directory was made
    over the folder itself, and nothing was uploaded."""

    directory_id: str
    count: int
    batch_id: str | None = None
    by_reference: bool = False


@dataclass(slots=True)
class RunState:
    """What does not grow with the folder. `former` are the marks that an earlier version kept here; they
    belong to `planned.jsonl` now. `is_new`: nothing was done yet."""

    folder: str
    config: str
    base_url: str = ""
    round: Round | None = None
    former: dict[str, str] = field(default_factory=dict)
    is_new: bool = True

    def save(self, out: Path) -> None:
        """Replace the file at once."""
        kept = None if self.round is None else asdict(self.round)
        record = {"folder": self.folder, "config": self.config, "base_url": self.base_url, "round": kept}
        content = json.dumps({"version": VERSION, **record}, indent=1).encode()
        with disk_errors(out):
            replace_whole(out, out / FILE, [content])
        self.is_new = False


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
    version, kept = raw.pop("version"), raw.pop("round")
    former: dict[str, str] = {}
    if version == ALL_IN_ONE:
        former = raw.pop("finished")
        if kept is not None:
            files = kept.pop("files")
            former |= files
            kept["count"] = len(files)
    elif version != VERSION:
        raise ValueError("written by another version")
    opened = None if kept is None else Round(**kept)
    return RunState(round=opened, former=former, is_new=False, **raw)


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
