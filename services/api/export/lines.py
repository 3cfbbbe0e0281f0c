"""An export as lines: a JSON object for each file of the batch, in the order of the directory."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Final

from services.api.batch_contents import CONTENTS
from services.api.export.choice import Choice
from services.api.export.known import Known
from services.api.export.names import Taken, source_path
from services.api.export.reading import Found, Source, Trouble
from services.api.result_shape import show_file
from shared.batches.service import ExportedFile
from shared.jobs.lifecycle import JobType
from shared.jobs.result import ResultDocument

FILES_A_PART: Final = 128
_NOTHING: Final = dict.fromkeys(CONTENTS)


def parts_of(files: int) -> int:
    """How many ranges of files there are."""
    return max(1, -(-files // FILES_A_PART))


def range_of(part: int, files: int) -> tuple[int, int]:
    """The first and the last place of a range of files; the last is smaller in a batch without files."""
    return part * FILES_A_PART + 1, min((part + 1) * FILES_A_PART, files)


def path_of(row: ExportedFile) -> str:
    """Where the file lay at its source."""
    return source_path(row.name, row.unique_id, row.external_file_id)


def line_of(row: ExportedFile, kind: JobType, trouble: Trouble | None, **more: Any) -> bytes:
    """What is said of a file: a result of the batch with its path before it and `more` behind it. What is
    wrong with its result is its error."""
    said = show_file(row, kind).model_dump(mode="json", exclude=set(CONTENTS))
    shown = {"path": path_of(row), **said, **more}
    if trouble is not None:
        shown |= {"error_code": trouble.code, "error_message": trouble.message}
    text = json.dumps(shown, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace") + b"\n"


@dataclass(frozen=True, slots=True)
class Lines:
    """The parts are ranges of files."""

    source: Source
    choice: Choice

    @property
    def parts(self) -> int:
        """How many there are."""
        return parts_of(self.source.files)

    def nothing(self) -> Known:
        """What is known at the beginning."""
        return Known(self.source.files, Taken(0))

    async def part(self, number: int, known: Known) -> AsyncGenerator[bytes]:
        """The bytes of a part; nothing of other parts is needed to be known."""
        del known
        first, last = range_of(number, self.source.files)
        if first > last:
            return
        rows = await self.source.rows(first, last)
        async for line in self.source.made(rows, self._line):
            yield line

    def _line(self, row: ExportedFile, found: Found) -> bytes:
        kind = self.source.kind
        if isinstance(found, ResultDocument):
            return line_of(row, kind, None, **{**_NOTHING, **self.choice.contents(found)})
        return line_of(row, kind, found, **_NOTHING)
