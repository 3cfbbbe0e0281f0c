"""The official client, pointed at a Batchmill server, and what its errors mean in words."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from llama_cloud import APIConnectionError, APIStatusError, AsyncLlamaCloud, LlamaCloudError

from services.cli.exits import ExitCode, Stop, one_line
from services.cli.settings import load_settings
from services.local.stack import attach


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is, the key that opens a project of it, and the operator's where we have it."""

    base_url: str
    api_key: str
    operator_key: str = ""

    def client(self) -> AsyncLlamaCloud:
        """A client of this server; close it after use."""
        return AsyncLlamaCloud(base_url=self.base_url, api_key=self.api_key)


async def find_server(base_url: str | None, api_key: str | None, data_dir: Path | None) -> Server:
    """The server that was named, else the live stack of the data folder."""
    if base_url is not None:
        if not api_key:
            raise Stop("A base URL needs a key: set LLAMA_CLOUD_API_KEY or give --api-key.", ExitCode.USAGE)
        return Server(base_url, api_key)
    settings = load_settings(data_dir)
    live = await attach(settings.data_dir)
    if live is None:
        raise Stop(
            f"No stack lives on {settings.data_dir}. Start one with 'batchmill up', or name a server with "
            "--base-url.",
            ExitCode.STACK,
        )
    return Server(live.base_url, api_key or live.project_key)


@contextmanager
def api_errors(server: str = "The server") -> Iterator[None]:
    """Turns what the client raises into `Stop`: exit 4 when nobody answers, else 1 with its words."""
    try:
        yield
    except APIConnectionError as error:
        raise Stop(
            f"{server} does not answer: {one_line(error.__cause__ or error)}.", ExitCode.STACK
        ) from error
    except APIStatusError as error:
        code = ExitCode.STACK if error.status_code >= httpx.codes.INTERNAL_SERVER_ERROR else ExitCode.FAILED
        raise Stop(
            f"{server} refused ({error.status_code}): {detail_of(error)}{_whose_key(error)}", code
        ) from error
    except LlamaCloudError as error:
        raise Stop(one_line(error)) from error


def _whose_key(error: APIStatusError) -> str:
    """Where a key that opens nothing came from: the environment's goes before the one of the data folder."""
    if error.status_code != httpx.codes.UNAUTHORIZED:
        return ""
    given = os.environ.get("LLAMA_CLOUD_API_KEY")
    if given and error.request.headers.get("authorization") == f"Bearer {given}":
        return " It is the one in LLAMA_CLOUD_API_KEY."
    return " If it is that of a stack's data folder, write one that works into its file project-key."


def detail_of(error: APIStatusError) -> str:
    """The text of the error body, `{"detail": ...}`."""
    detail = error.body.get("detail") if isinstance(error.body, dict) else None
    if isinstance(detail, list):
        return "; ".join(f"{'.'.join(map(str, item.get('loc', ())))}: {item.get('msg')}" for item in detail)
    return str(detail or one_line(error))
