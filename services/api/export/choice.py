"""What is exported: in which form, and what of each result."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from services.api.batch_contents import CONTENTS
from shared.errors import InvalidInput
from shared.jobs.lifecycle import JobType
from shared.jobs.result import ResultDocument


class ExportFormat(StrEnum):
    """`jsonl`: a line of JSON for each file. `zip`: a file for each file, and a list of all of them."""

    JSONL = "jsonl"
    ZIP = "zip"


TEXT: Final = "text_full"
MARKDOWN: Final = "markdown_full"
VALUES: Final = "extract_result"
SUFFIXES: Final = {TEXT: ".txt", MARKDOWN: ".md", VALUES: ".json"}


@dataclass(frozen=True, slots=True)
class Choice:
    """`wanted` are names out of `CONTENTS`. `fallback`: a document that has no markdown gives its text
    instead."""

    form: ExportFormat
    wanted: tuple[str, ...]
    fallback: bool

    @property
    def suffix(self) -> str:
        """The end of the names of files in an archive."""
        return SUFFIXES[self.wanted[0]]

    def contents(self, document: ResultDocument) -> dict[str, Any]:
        """What is exported of a result; None for what it does not have."""
        found = {name: CONTENTS[name](document) for name in self.wanted}
        if self.fallback and found[MARKDOWN] is None:
            found[TEXT] = CONTENTS[TEXT](document)
        return found

    def file(self, document: ResultDocument) -> bytes | None:
        """The one file that an archive has of a result; None when the result has nothing of that kind."""
        for value in self.contents(document).values():
            if value is not None:
                text = value if isinstance(value, str) else _indented(value)
                # A lone surrogate out of a damaged document has no UTF-8 form.
                return text.encode("utf-8", "replace")
        return None


def _indented(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def choose(form: ExportFormat, kind: JobType, expand: frozenset[str]) -> Choice:
    """What `expand` names; when it names nothing that an export has, the values of an extraction, or the
    markdown of a document, and its text where there is no markdown. `InvalidInput` for two kinds of files in
    one archive."""
    wanted = tuple(name for name in CONTENTS if name in expand)
    if form is ExportFormat.ZIP and len(wanted) > 1:
        raise InvalidInput(
            f"expand: a zip has one file for each source file. Name one of {', '.join(wanted)}, or ask for "
            "format=jsonl."
        )
    if wanted:
        return Choice(form, wanted, fallback=False)
    if kind is JobType.EXTRACT:
        return Choice(form, (VALUES,), fallback=False)
    return Choice(form, (MARKDOWN,), fallback=True)
