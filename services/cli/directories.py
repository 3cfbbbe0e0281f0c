"""`batchmill directories`: folders and buckets whose files are read where they are, without upload."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer

from services.cli.operators import BaseUrl, DataDir, Json, OperatorKey

app = typer.Typer(help="Folders and buckets that are read in place.", no_args_is_help=True)

COLUMNS = ("id", "name", "source_url", "source_read_at", "project_id")
PATIENCE_S: Final = 3_600.0
SAY_EVERY_S: Final = 5.0


@app.command("add")
def add(
    name: Annotated[str | None, typer.Argument(help="Its name; default: that of the folder.")] = None,
    *,
    path: Annotated[str, typer.Option("--path", help="A folder of the server, or s3://bucket/prefix.")],
    project: Annotated[str | None, typer.Option(help="Project id; default: the default project.")] = None,
    base_url: BaseUrl = None,
    operator_key: OperatorKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Register every file below a folder or bucket: names, sizes and times, no bytes. The server must be
    allowed to read there (BATCHMILL_STORAGE__ROOTS). Broken off, the same command goes on with it."""
    from services.cli.operators import find_desk

    url = path if "://" in path else _absolute(path)
    asked = {"project_id": project, "name": name or url.rstrip("/").rsplit("/", 1)[-1] or url, "url": url}
    desk = find_desk(base_url, operator_key, data_dir)
    with _told(f"reading {url}"):
        found = desk.ask("POST", "/directories", json=asked, patience_s=PATIENCE_S)
    _print(found, as_json=as_json)


@app.command("sync")
def sync(
    directory_id: Annotated[str, typer.Argument(help="The id, dir-...")],
    *,
    base_url: BaseUrl = None,
    operator_key: OperatorKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Find new, changed and removed files. Batches that were opened before keep their list."""
    from services.cli.operators import find_desk

    desk = find_desk(base_url, operator_key, data_dir)
    with _told(f"reading the place of {directory_id}"):
        found = desk.ask("POST", f"/directories/{directory_id}/sync", patience_s=PATIENCE_S)
    _print(found, as_json=as_json)


@app.command("list")
def list_directories(
    *,
    project: Annotated[str | None, typer.Option(help="Only this project (prj-...).")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 50,
    base_url: BaseUrl = None,
    operator_key: OperatorKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List the directories that are read in place."""
    from services.cli.operators import find_desk
    from services.cli.tables import print_records

    desk = find_desk(base_url, operator_key, data_dir)
    found = desk.pages("/directories", most=limit, project_id=project)
    print_records(found, COLUMNS, as_json=as_json)


def _absolute(path: str) -> str:
    from pathlib import Path

    return str(Path(path).expanduser().absolute())


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Says on stderr every five seconds that the server is still at it: a million files take minutes."""
    import sys
    import threading
    import time

    over, started = threading.Event(), time.monotonic()

    def say() -> None:
        while not over.wait(SAY_EVERY_S):
            print(f"{what} ... {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)

    teller = threading.Thread(target=say, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _print(found: dict[str, Any], *, as_json: bool) -> None:
    from services.cli.tables import print_record

    if not as_json:
        left_out = found.pop("left_out")
        found["left out"] = ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or None
    print_record(found, as_json=as_json)
