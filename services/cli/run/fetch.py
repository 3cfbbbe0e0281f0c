"""Turns files that have ended into their results in OUT and their rows."""

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from llama_cloud import AsyncLlamaCloud

from services.cli.run.configuration import Configuration
from services.cli.run.ended import Ended
from services.cli.run.output import NameRefused, output_name, remove_result, write_result
from services.cli.run.results import CANCELLED, COMPLETED, FAILED, NO_TEXT, NO_VALUES, Row

RESULT_GONE = "the result is no longer on the server"
MOST_AT_ONCE: Final = 64
"""So many ids of jobs fit in the line of a request."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a job made: the text of the output, and what is to be said of it."""

    text: str
    message: str | None


@dataclass(frozen=True, slots=True)
class Fetcher:
    """`folders` are those of the source folder: a result must not take the name of one."""

    client: AsyncLlamaCloud
    batch_id: str
    configuration: Configuration
    out: Path
    folders: Collection[str]

    async def rows_of(self, group: Sequence[tuple[str, Ended]]) -> list[Row]:
        """Write what the jobs of at most `MOST_AT_ONCE` files gave, if they gave anything; answers the rows
        of the files."""
        made = await self._made_by(
            [ended.job_id for _, ended in group if ended.status == COMPLETED and ended.job_id is not None]
        )
        return await asyncio.gather(
            *(
                asyncio.to_thread(self._write, path, ended, made.get(ended.job_id or ""))
                for path, ended in group
            )
        )

    def _write(self, path: str, ended: Ended, made: Made | None) -> Row:
        name = output_name(path, self.configuration.suffix, self.folders)
        if made is None:
            remove_result(self.out, name)
            gone = RESULT_GONE if ended.status == COMPLETED else None
            return _row(path, ended, message=gone or ended.message)
        try:
            write_result(self.out, name, made.text.encode("utf-8", "replace"))
        except NameRefused as error:
            return _row(path, ended, message=str(error))
        return _row(path, ended, message=made.message, output=name)

    async def _made_by(self, job_ids: Sequence[str]) -> Mapping[str, Made]:
        """What the jobs made; one whose result is gone is left out."""
        found: dict[str, Made] = {}
        query: dict[str, Any] = {"job_ids": job_ids, "expand": self._wanted(), "page_size": MOST_AT_ONCE}
        while job_ids:
            # Large results come in several pages.
            page: Any = await self.client.get(
                f"/api/v2/batches/{self.batch_id}/results", cast_to=object, options={"params": query}
            )
            for item in page["items"]:
                if (made := self._made(item)) is not None:
                    found[item["job_reference"]["id"]] = made
            if not page["next_page_token"]:
                break
            query["page_token"] = page["next_page_token"]
        return found

    def _wanted(self) -> list[str]:
        if self.configuration.job_type == "extract_v2":
            return ["extract_result"]
        return ["text_full"] if self.configuration.tier == "fast" else ["markdown_full", "text_full"]

    def _made(self, item: Mapping[str, Any]) -> Made | None:
        if self.configuration.job_type == "extract_v2":
            return _values(item["extract_result"])
        text = item["text_full"] if item["markdown_full"] is None else item["markdown_full"]
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
