"""`batchmill batches export`: a whole batch as one file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from services.cli.batches import ApiKey
from services.cli.exits import ExitCode, Stop
from services.cli.operators import BaseUrl, DataDir


class Form(StrEnum):
    """Lines of JSON, or an archive."""

    JSONL = "jsonl"
    ZIP = "zip"


def export_batch(
    batch_id: Annotated[str, typer.Argument(help="The id, bat-...")],
    *,
    form: Annotated[
        Form, typer.Option("--format", help="Lines of JSON, or a file for each file.")
    ] = Form.JSONL,
    out: Annotated[Path | None, typer.Option(help="The file; default: the id, here.")] = None,
    expand: Annotated[
        str | None,
        typer.Option(help="text_full, markdown_full or extract_result; jsonl takes several, by commas."),
    ] = None,
    unfinished: Annotated[
        bool, typer.Option("--partial", help="Also of a batch that is not final: what there is so far.")
    ] = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Save every file of a batch with its result. What breaks off goes on where it was: run it again."""
    import asyncio
    from urllib.parse import quote

    import httpx

    from services.cli.client import find_server
    from services.cli.download import TIMEOUT, Download

    server = asyncio.run(find_server(base_url, api_key, data_dir))
    target = out or Path(f"{batch_id}.{form}")
    if target.is_dir() or not target.absolute().parent.is_dir():
        raise Stop(f"{target} cannot be a file: name one in a folder that is there.", ExitCode.USAGE)
    params = {"format": form.value, **({"partial": "true"} if unfinished else {})}
    if expand is not None:
        params["expand"] = expand
    headers = {"authorization": f"Bearer {server.api_key}"}
    path = f"/api/v2/batches/{quote(batch_id, safe='')}/export"
    with httpx.Client(base_url=server.base_url, headers=headers, timeout=TIMEOUT) as client, _shown() as told:
        download = Download(client, path, params, target.absolute(), told, partial(is_sound, form))
        size = download.run()
    typer.echo(f"{target}: {size:,} bytes")


def is_sound(form: Form, target: Path) -> bool:
    """Whether a file that was put together can be read to its end."""
    import json
    import zipfile

    try:
        if form is Form.ZIP:
            with zipfile.ZipFile(target) as archive:
                return archive.testzip() is None
        with target.open("rb") as lines:
            for line in lines:
                json.loads(line)
    except (zipfile.BadZipFile, ValueError):
        return False
    return True


@contextmanager
def _shown() -> Iterator[Callable[[int, int | None], None]]:
    """A bar on a terminal, nothing elsewhere."""
    import sys

    if not sys.stderr.isatty():
        yield lambda _there, _length: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=None)
        yield lambda there, length: progress.update(bar, completed=there, total=length)
