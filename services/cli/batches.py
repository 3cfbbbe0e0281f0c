"""`batchmill batches`: looks at batches, and cancels them, through the official client. Only `explain` asks
the operator's API. What the client has no method for is in `batch_steering`."""

from typing import Annotated, Any

import typer

from services.cli.operators import BaseUrl, DataDir, Json, OperatorKey

app = typer.Typer(help="Look at batches, steer them, and hear why they wait.", no_args_is_help=True)

ApiKey = Annotated[
    str | None,
    typer.Option("--api-key", envvar="LLAMA_CLOUD_API_KEY", help="Key; default: the stack's project key."),
]

COLUMNS = ("id", "status", "created_at")
CHECKS = ("name", "ok", "detail")


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
                found.append(record_of(batch))
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
    from services.cli.tables import print_record

    async def fetch() -> dict[str, object]:
        server = await find_server(base_url, api_key, data_dir)
        async with server.client() as client:
            batch = await client.batches.get(batch_id, expand=["progress"])
            return {**record_of(batch), "progress": getattr(batch, "progress", None)}

    with api_errors():
        record = asyncio.run(fetch())
    if as_json:
        print_record(record, as_json=True)
        return
    progress = record.pop("progress")
    rows = {**record, **(progress if isinstance(progress, dict) else {})}
    waiting = rows.get("waiting")
    rows["waiting"] = waiting.get("message") if isinstance(waiting, dict) else None
    print_record(rows)


@app.command("cancel")
def cancel_batch(
    batch_id: Annotated[str, typer.Argument(help="The id, bat-...")],
    *,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Ask a batch to end. Files that finished keep their results; one that is final already is refused."""
    import asyncio

    from services.cli.client import api_errors, find_server
    from services.cli.tables import print_record

    async def cancel() -> dict[str, object]:
        server = await find_server(base_url, api_key, data_dir)
        async with server.client() as client:
            return record_of(await client.batches.cancel(batch_id))

    with api_errors():
        record = asyncio.run(cancel())
    if as_json:
        print_record(record, as_json=True)
    else:
        over = record["status"] == "CANCELLED"
        typer.echo(f"{record['id']} is {'CANCELLED' if over else 'being cancelled'}")


@app.command("explain")
def explain_batch(
    batch_id: Annotated[str, typer.Argument(help="The id, bat-...")],
    *,
    base_url: BaseUrl = None,
    operator_key: OperatorKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Say why a batch moves or does not, check by check. Needs the operator's key."""
    from services.cli.operators import find_desk
    from services.cli.tables import moment, print_record, print_records

    found = find_desk(base_url, operator_key, data_dir).get(f"/batches/{batch_id}/explain")
    if as_json:
        print_record(found, as_json=True)
        return
    waiting = found["waiting"] or {}
    print_record(
        {
            "state": found["state"],
            "waits for": waiting.get("code"),
            "because": waiting.get("message"),
            "until": moment(waiting.get("until")),
            "next look at": moment(found["next_look_at"]),
        }
    )
    typer.echo()
    print_records([{**one, "ok": "yes" if one["ok"] else "NO"} for one in found["checks"]], CHECKS)


def record_of(batch: Any) -> dict[str, object]:
    """What is printed of a batch."""
    return {
        "id": batch.id,
        "status": batch.status,
        "created_at": batch.created_at and f"{batch.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "job": batch.config.job.type,
        "configuration": batch.config.job.configuration_id,
        "source_directory_id": batch.source_directory_id,
        "redrive_of": getattr(batch, "redrive_of", None),
        "paused_at": getattr(batch, "paused_at", None),
        "failure_threshold": getattr(batch, "failure_threshold", None),
        "failure_message": getattr(batch, "failure_message", None),
    }
