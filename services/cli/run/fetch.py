"""Turns a file that has ended into its result in OUT and its row."""

import asyncio
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llama_cloud import AsyncLlamaCloud, NotFoundError

from services.cli.run.configuration import Configuration
from services.cli.run.ended import Ended
from services.cli.run.output import NameRefused, output_name, remove_result, write_result
from services.cli.run.results import CANCELLED, COMPLETED, FAILED, NO_TEXT, NO_VALUES, Row

RESULT_GONE = "the result is no longer on the server"


@dataclass(frozen=True, slots=True)
class Made:
    """What a job made: the text of the output, and what is to be said of it."""

    text: str
    message: str | None


@dataclass(frozen=True, slots=True)
class Fetcher:
    """`folders` are those of the source folder: a result must not take the name of one."""

    client: AsyncLlamaCloud
    configuration: Configuration
    out: Path
    folders: Collection[str]

    async def row_of(self, path: str, ended: Ended) -> Row:
        """Write what the job gave, if it gave anything; answers the file's row."""
        name = output_name(path, self.configuration.suffix, self.folders)
        made = None
        if ended.status == COMPLETED and ended.job_id is not None:
            made = await self._result(ended.job_id)
        if made is None:
            await asyncio.to_thread(remove_result, self.out, name)
            gone = RESULT_GONE if ended.status == COMPLETED else None
            return _row(path, ended, message=gone or ended.message)
        try:
            await asyncio.to_thread(write_result, self.out, name, made.text.encode("utf-8", "replace"))
        except NameRefused as error:
            return _row(path, ended, message=str(error))
        return _row(path, ended, message=made.message, output=name)

    async def _result(self, job_id: str) -> Made | None:
        try:
            if self.configuration.job_type == "extract_v2":
                job = await self.client.extract.get(job_id)
                return _values(job.model_dump(mode="json").get("extract_result"))
            # The fast tier has no markdown, and asking for it may be refused (contract 2.5).
            wanted = ["text_full"] if self.configuration.tier == "fast" else ["markdown_full", "text_full"]
            parsed = await self.client.parsing.get(job_id, expand=wanted)
        except NotFoundError:
            return None
        text = parsed.text_full if parsed.markdown_full is None else parsed.markdown_full
        return None if text is None else Made(text, None if text.strip() else NO_TEXT)


def _values(found: Any) -> Made | None:
    if found is None:
        return None
    given, wanted = count_values(found)
    message = f"{given} of {wanted} values" if given else NO_VALUES
    return Made(json.dumps(found, indent=2, ensure_ascii=False) + "\n", message)


def count_values(found: Any) -> tuple[int, int]:
    """How many values an extraction gave, of how many; an empty list is one that was not given."""
    if isinstance(found, dict | list) and found:
        parts = [count_values(each) for each in (found.values() if isinstance(found, dict) else found)]
        return sum(given for given, _ in parts), sum(wanted for _, wanted in parts)
    return int(found is not None and found not in ([], {})), 1


def _row(path: str, ended: Ended, *, message: str | None, output: str | None = None) -> Row:
    # A file that no job could be made for has a status of its own on the server; here it failed.
    status = ended.status if ended.status in (COMPLETED, CANCELLED) else FAILED
    return Row(
        path=path,
        directory_file_id=ended.directory_file_id,
        job_id=ended.job_id,
        status=status,
        code=ended.code,
        message=message,
        pages=ended.pages,
        seconds=ended.seconds,
        output=output,
    )
