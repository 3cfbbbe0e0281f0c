"""Turns a file that has ended into its result in OUT and its row."""

import asyncio
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from llama_cloud import AsyncLlamaCloud, NotFoundError

from services.cli.run.configuration import Configuration
from services.cli.run.ended import Ended
from services.cli.run.output import NameRefused, output_name, remove_result, write_result
from services.cli.run.results import CANCELLED, COMPLETED, FAILED, NO_TEXT, Row

RESULT_GONE = "the result is no longer on the server"


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
        text = None
        if ended.status == COMPLETED and ended.job_id is not None:
            text = await self._result(ended.job_id)
        if text is None:
            await asyncio.to_thread(remove_result, self.out, name)
            gone = RESULT_GONE if ended.status == COMPLETED else None
            return _row(path, ended, message=gone or ended.message)
        try:
            await asyncio.to_thread(write_result, self.out, name, text.encode("utf-8", "replace"))
        except NameRefused as error:
            return _row(path, ended, message=str(error))
        return _row(path, ended, message=None if text.strip() else NO_TEXT, output=name)

    async def _result(self, job_id: str) -> str | None:
        try:
            if self.configuration.job_type == "extract_v2":
                job = await self.client.extract.get(job_id)
                found = job.model_dump(mode="json").get("extract_result")
                return None if found is None else json.dumps(found, indent=2, ensure_ascii=False) + "\n"
            # The fast tier has no markdown, and asking for it may be refused (contract 2.5).
            wanted = ["text_full"] if self.configuration.tier == "fast" else ["markdown_full", "text_full"]
            parsed = await self.client.parsing.get(job_id, expand=wanted)
        except NotFoundError:
            return None
        return parsed.text_full if parsed.markdown_full is None else parsed.markdown_full


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
