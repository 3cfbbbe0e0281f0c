"""`batchmill batches`: looks at batches through the official client."""

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="Look at batches.", no_args_is_help=True)

BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url", envvar="LLAMA_CLOUD_BASE_URL", help="Server; default: the data folder's stack."
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option("--api-key", envvar="LLAMA_CLOUD_API_KEY", help="Key; default: the stack's project key."),
]
DataDir = Annotated[Path | None, typer.Option(help="Data folder of the stack.", show_default=".batchmill")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]

COLUMNS = ("id", "status", "created_at")


@app.command("list")
def list_batches(
    *,
    status: Annotated[str | None, typer.Option(help="Only this status, such as RUNNING.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 20,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List the newest batches."""
    import asyncio

    from services.cli.client import api_errors, find_server
    from services.cli.tables import print_records

    async def fetch() -> list[dict[str, object]]:
        server = await find_server(base_url, api_key, data_dir)
        found: list[dict[str, object]] = []
        wanted: Any = {} if status is None else {"status": status.upper()}
        async with server.client() as client:
            async for batch in client.batches.list(page_size=min(limit, 1_000), **wanted):
                found.append(_record(batch))
                if len(found) == limit:
                    break
        return found

    with api_errors():
        print_records(asyncio.run(fetch()), COLUMNS, as_json=as_json)


@app.command("get")
def get_batch(
    batch_id: Annotated[str, typer.Argument(help="The id, bat-...")],
    *,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show one batch and how far it is."""
    import asyncio

    from services.cli.client import api_errors, find_server
    from services.cli.tables import print_records

    async def fetch() -> dict[str, object]:
        server = await find_server(base_url, api_key, data_dir)
        async with server.client() as client:
            batch = await client.batches.get(batch_id, expand=["progress"])
            return {**_record(batch), "progress": getattr(batch, "progress", None)}

    with api_errors():
        record = asyncio.run(fetch())
    if as_json:
        import json

        typer.echo(json.dumps(record, indent=2, default=str))
        return
    progress = record.pop("progress")
    rows = {**record, **(progress if isinstance(progress, dict) else {})}
    waiting = rows.get("waiting")
    rows["waiting"] = waiting.get("message") if isinstance(waiting, dict) else None
    print_records([{"what": k, "value": v} for k, v in rows.items() if v is not None], ("what", "value"))


def _record(batch: Any) -> dict[str, object]:
    return {
        "id": batch.id,
        "status": batch.status,
        "created_at": batch.created_at and f"{batch.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "job": batch.config.job.type,
        "configuration": batch.config.job.configuration_id,
        "source_directory_id": batch.source_directory_id,
        "failure_message": getattr(batch, "failure_message", None),
    }
