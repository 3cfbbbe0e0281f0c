"""Brings files into a directory, some side by side. A file that cannot be brought is a row, not the end."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import httpx
from llama_cloud import APIConnectionError, APIStatusError, AsyncLlamaCloud, NotFoundError

from services.cli.client import detail_of
from services.cli.exits import one_line
from services.cli.run.folder import SourceFile
from services.cli.run.results import FAILED, NOT_UPLOADED, Row
from services.cli.run.together import together

SIDE_BY_SIDE: Final = 8
OF_THE_FILE: Final = frozenset({400, 409, 413, 415, 422})
"""Refusals that speak of this file only."""

PAGE: Final = 1_000


async def uploaded_files(client: AsyncLlamaCloud, directory_id: str) -> dict[str, str]:
    """What the directory holds: `unique_id` to directory file id. Empty when it is gone."""
    path = f"/api/v1/beta/directories/{directory_id}/files"
    query: dict[str, Any] = {"page_size": PAGE}
    found: dict[str, str] = {}
    try:
        while True:
            # Plain objects: models of 200,000 files take longer than all else of this.
            page: Any = await client.get(path, cast_to=object, options={"params": query})
            found.update((file["unique_id"], file["id"]) for file in page["items"])
            if not page["next_page_token"]:
                return found
            query["page_token"] = page["next_page_token"]
    except NotFoundError:
        return {}


async def upload(
    client: AsyncLlamaCloud,
    directory_id: str,
    files: Iterable[SourceFile],
    *,
    taken: Callable[[SourceFile, str], None],
    refused: Callable[[Row], None],
) -> None:
    """Upload `files`. `taken` hears of each with its new id, `refused` of those that could not be brought."""
    waiting = iter(files)
    await together(*(_carry(client, directory_id, waiting, taken, refused) for _ in range(SIDE_BY_SIDE)))


async def _carry(
    client: AsyncLlamaCloud,
    directory_id: str,
    waiting: Iterator[SourceFile],
    taken: Callable[[SourceFile, str], None],
    refused: Callable[[Row], None],
) -> None:
    for file in waiting:
        try:
            # An open file is streamed; a path would be read into memory as a whole.
            with file.place.open("rb") as content:
                made = await client.beta.directories.files.upload(
                    directory_id,
                    upload_file=(file.path.rsplit("/", 1)[-1], content),
                    unique_id=file.path,
                    external_file_id=file.path,
                )
        except OSError as error:
            refused(_not_uploaded(file, error.strerror or one_line(error)))
        except APIStatusError as error:
            if error.status_code not in OF_THE_FILE:
                raise
            refused(_not_uploaded(file, detail_of(error)))
        except APIConnectionError as error:
            # Not the network: the disk could not be read, or the file grew or shrank while it was sent.
            if not isinstance(error.__cause__, OSError | httpx.LocalProtocolError):
                raise
            refused(_not_uploaded(file, f"it could not be read: {one_line(error.__cause__)}"))
        else:
            taken(file, made.id)


def _not_uploaded(file: SourceFile, why: str) -> Row:
    return Row(file.path, None, None, FAILED, NOT_UPLOADED, why[:500])
