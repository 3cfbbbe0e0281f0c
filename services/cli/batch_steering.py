"""`batchmill batches pause|resume|redrive|threshold`: what the official client has no method for, sent with
it."""

from typing import Annotated, Any

import typer

from services.cli.batches import ApiKey, record_of
from services.cli.operators import BaseUrl, DataDir, Json

BatchId = Annotated[str, typer.Argument(help="The id, bat-...")]


def pause_batch(
    batch_id: BatchId,
    *,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Start nothing more of a batch until it is resumed. What workers hold runs to its end."""
    record = _post(f"/{batch_id}/pause", None, base_url, api_key, data_dir)
    _say(record, "is paused", as_json=as_json)


def resume_batch(
    batch_id: BatchId,
    *,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Let a paused batch go on."""
    record = _post(f"/{batch_id}/resume", None, base_url, api_key, data_dir)
    _say(record, "goes on", as_json=as_json)


def redrive_batch(
    batch_id: BatchId,
    *,
    changed: Annotated[
        bool, typer.Option("--changed", help="Files that came, or were replaced, since; not the failed ones.")
    ] = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Open a new batch over the files of a final one that failed, were cancelled or got no job."""
    body = {"files": "changed" if changed else "failed"}
    record = _post(f"/{batch_id}/redrive", body, base_url, api_key, data_dir)
    _say(record, f"is open, a redrive of {batch_id}", as_json=as_json)


def set_threshold(  # noqa: PLR0913 - each is an option
    batch_id: BatchId,
    *,
    count: Annotated[int | None, typer.Option(min=1, help="Stop once so many files failed.")] = None,
    percent: Annotated[
        float | None, typer.Option(max=100, help="Stop once so many in a hundred failed.")
    ] = None,
    after: Annotated[
        int | None, typer.Option(min=1, help="Files before --percent counts; default: 100.")
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Let it run, however many fail.")] = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Say how many failed files stop a batch, while it runs. It ends FAILED; results are kept."""
    if off == (count is not None or percent is not None or after is not None):
        raise typer.BadParameter("give --count, --percent (with --after) or both, or --off alone")
    wanted = None if off else {"count": count, "percent": percent, "after": after}
    record = _send("PATCH", f"/{batch_id}", {"failure_threshold": wanted}, base_url, api_key, data_dir)
    _say(record, f"has the threshold {_in_words(record['failure_threshold'])}", as_json=as_json)


def _in_words(threshold: Any) -> str:
    if not isinstance(threshold, dict):
        return "none"
    parts = []
    if threshold["count"] is not None:
        parts.append(f"{threshold['count']} failed")
    if threshold["percent"] is not None:
        parts.append(f"{threshold['percent']:g} % failed of {threshold['after']} or more")
    return " or ".join(parts)


def _say(record: dict[str, object], what: str, *, as_json: bool) -> None:
    from services.cli.tables import print_record

    if as_json:
        print_record(record, as_json=True)
    else:
        typer.echo(f"{record['id']} {what}")


def _post(path: str, body: object, *where: Any) -> dict[str, object]:
    return _send("POST", path, body, *where)


def _send(method: str, path: str, body: object, *where: Any) -> dict[str, object]:
    import asyncio

    from llama_cloud.types import BatchGetResponse

    from services.cli.client import api_errors, find_server

    async def send() -> dict[str, object]:
        server = await find_server(*where)
        async with server.client() as client:
            ask = client.post if method == "POST" else client.patch
            return record_of(await ask(f"/api/v2/batches{path}", cast_to=BatchGetResponse, body=body))

    with api_errors():
        return asyncio.run(send())
