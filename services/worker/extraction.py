"""What an extraction adds to the running of a file: the request to the sandbox, and a model's answer.

Rules run in the sandbox, beside the reading. A model is asked by the worker, which has the network, about
what the sandbox read.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from services.worker.engines.port import Again, Done, Extractor, Infra, Outcome, ParseRequest, Sandboxed
from shared.configurations.schema import SchemaRefused, check_schema
from shared.configurations.service import PARSE_PARAMETERS
from shared.jobs.codes import FailureCode
from shared.jobs.result import (
    Extraction,
    ResultDocument,
    ResultTooLarge,
    ResultUnreadable,
    decode,
    encode,
)
from shared.jobs.running import FileToRun

BY_MODEL: Final = "Values were given by a model that read the text of the document."


class Extracting:
    """How the files of one chunk are extracted: by rules, or by `extractor` where there is one."""

    def __init__(self, parameters: Mapping[str, Any], extractor: Extractor | None) -> None:
        self._parameters = parameters
        self._extractor = extractor
        self._refusal: str | None = None
        self._looked = False

    async def outcome(self, sandbox: Sandboxed, file: FileToRun, path: Path, *, project_id: str) -> Outcome:
        """Read one file (or what was read of it before), and take the values out."""
        if (refusal := await self._why_not()) is not None:
            return Done(FailureCode.SCHEMA_INVALID, refusal, False, 0, "", None, 0.0)
        # While nobody can be asked, reading would be for nothing: the document is read again later.
        if self._extractor is not None and (wait := self._extractor.not_now()) is not None:
            return wait
        request = ParseRequest(
            path=path,
            name=file.name,
            options=self._parameters.get(PARSE_PARAMETERS) or {},
            parsed=file.parsed,
            extract=self._parameters if self._extractor is None else None,
        )
        outcome = await sandbox.run(request, project_id=project_id)
        if self._extractor is None or not isinstance(outcome, Done) or outcome.result is None:
            return outcome
        return await self._complete(self._extractor, outcome, outcome.result)

    async def _why_not(self) -> str | None:
        # A schema is checked when it is saved; a document must get a clear end also when it was not.
        if not self._looked:
            self._refusal = await asyncio.to_thread(_refusal, self._parameters)
            self._looked = True
        return self._refusal

    async def _complete(self, extractor: Extractor, outcome: Done, result: Path | bytes) -> Outcome:
        """What the sandbox read, with what the model said of it; a file of it does not stay."""
        try:
            return await self._ask(extractor, outcome, result)
        finally:
            if isinstance(result, Path):
                result.unlink(missing_ok=True)

    async def _ask(self, extractor: Extractor, outcome: Done, result: Path | bytes) -> Outcome:
        try:
            document = await asyncio.to_thread(_read, result)
        except ResultUnreadable:
            return _failed(outcome, FailureCode.ENGINE_ERROR, "The engine gave a result that cannot be read.")
        answer = await extractor.extract(document, self._parameters)
        if isinstance(answer, Again | Infra):
            return answer
        if isinstance(answer, Done):
            return replace(answer, pages=outcome.pages, seconds=outcome.seconds + answer.seconds)
        try:
            whole = await asyncio.to_thread(_with, document, answer)
        except ResultTooLarge:
            return _failed(outcome, FailureCode.DOCUMENT_TOO_LARGE, "The result is over its limit.")
        return replace(outcome, engine=answer.engine, result=whole)


def _refusal(parameters: Mapping[str, Any]) -> str | None:
    schema = parameters.get("data_schema")
    if not isinstance(schema, dict):
        return "The configuration has no data_schema."
    try:
        check_schema(schema)
    except SchemaRefused as refused:
        return f"The data_schema cannot be used: {refused}."
    return None


def _read(result: Path | bytes) -> ResultDocument:
    return decode(result if isinstance(result, bytes) else result.read_bytes())


def _with(document: ResultDocument, extraction: Extraction) -> bytes:
    said = {"extract_engine": extraction.engine, "extract_note": BY_MODEL}
    whole = replace(document, extraction=extraction, job_metadata={**document.job_metadata, **said})
    return encode(whole)


def _failed(outcome: Done, code: FailureCode, message: str) -> Done:
    return replace(outcome, code=code, message=message, retryable=False, result=None)
