"""What is to be done, and how it ended; known without asking a server."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from services.cli.run.folder import SourceFile
from services.cli.run.planned import Planned
from services.cli.run.results import CANCELLED, COMPLETED, NOT_UPLOADED, ResultLog


class Wanted(Enum):
    """Which files of the folder a run takes on."""

    OPEN = "open"
    NEW = "new"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RoundEnd:
    """How a round's batch ended. `status` is None when no file of it could be uploaded."""

    status: str | None
    batch_id: str | None
    message: str | None = None


def files_to_do(
    files: Iterable[SourceFile], planned: Planned, log: ResultLog, wanted: Wanted = Wanted.OPEN
) -> list[SourceFile]:
    """OPEN: files without a settled row, or changed since it was made. NEW: files without any row. FAILED:
    files whose row is not COMPLETED, and those that lost theirs to a retry that was cut off."""

    def is_open(file: SourceFile) -> bool:
        return not _is_settled(file.path, log) or planned.mark_of(file.path) != file.mark

    def is_new(file: SourceFile) -> bool:
        return file.path not in log

    def is_failed(file: SourceFile) -> bool:
        end = log.end_of(file.path)
        return file.path in planned if end is None else end.status != COMPLETED

    chosen = {Wanted.OPEN: is_open, Wanted.NEW: is_new, Wanted.FAILED: is_failed}[wanted]
    return [file for file in files if chosen(file)]


def _is_settled(path: str, log: ResultLog) -> bool:
    # What stopped the others may be over by the next run: a file mode, a cancel.
    end = log.end_of(path)
    return end is not None and end.status != CANCELLED and end.code != NOT_UPLOADED
