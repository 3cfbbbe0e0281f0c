"""A folder that the stack can see is read where it lies: nothing of it is uploaded."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from llama_cloud import APIStatusError, AsyncLlamaCloud, NotFoundError

from services.cli.client import detail_of
from services.cli.run.display import Display
from services.cli.run.together import together

DIRECTORIES: Final = "/api/v1/admin/directories"
PATIENCE_S: Final = 900.0
"""Registering a folder of 1,000,000 files on a slow disk."""


SIDE_BY_SIDE: Final = 8
NO_SUCH_DOOR: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})


@dataclass(frozen=True, slots=True)
class Referrer:
    """Asks the stack to take a folder by reference. `operator` has the operator's key; without one, never."""

    operator: AsyncLlamaCloud | None
    folder: Path
    display: Display

    async def refer(self, wanted: int, of: int) -> str | None:
        """The id of a directory over all `of` files of the folder, of which `wanted` are to be done.

        None when they are better uploaded: most of the folder is done, or the stack does not see the folder.
        """
        if self.operator is None or wanted * 2 < of:
            return None
        body = {"project_id": None, "name": self.folder.name or "root", "url": str(self.folder)}
        options: Any = {"timeout": PATIENCE_S, "max_retries": 0}
        try:
            made = await self.operator.post(DIRECTORIES, body=body, cast_to=object, options=options)
        except APIStatusError as error:
            if error.status_code == HTTPStatus.BAD_REQUEST:
                self.display.say(f"the files are uploaded: {detail_of(error)}")
            elif error.status_code not in NO_SUCH_DOOR:
                raise
            return None
        if not isinstance(made, dict):
            return None
        self.display.say(f"the stack reads {self.folder} where it lies; nothing is uploaded")
        return str(made["id"])


async def leave_out(client: AsyncLlamaCloud, directory_id: str, entries: Collection[str]) -> None:
    """Take these files out of a directory; of one that is gone already nothing is said."""
    waiting = iter(entries)
    await together(*(_leave_out(client, directory_id, waiting) for _ in range(SIDE_BY_SIDE)))


async def _leave_out(client: AsyncLlamaCloud, directory_id: str, waiting: Iterator[str]) -> None:
    for entry_id in waiting:
        try:
            await client.beta.directories.files.delete(entry_id, directory_id=directory_id)
        except NotFoundError:
            continue
