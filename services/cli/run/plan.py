"""What is to be done, and how it ended; known without asking a server."""

from collections.abc import Iterable
from dataclasses import dataclass

from services.cli.run.folder import SourceFile
from services.cli.run.results import ResultLog
from services.cli.run.state import RunState


@dataclass(frozen=True, slots=True)
class RoundEnd:
    """How a round's batch ended. `status` is None when no file of it could be uploaded."""

    status: str | None
    batch_id: str | None
    message: str | None = None


def files_to_do(files: Iterable[SourceFile], state: RunState, log: ResultLog) -> list[SourceFile]:
    """Files without a row, or whose finished row belongs to an earlier version of the file."""
    return [file for file in files if state.finished.get(file.path) != file.mark or file.path not in log.rows]
