"""`batchmill workers`: who takes chunks, and the word to take no more."""

from typing import Annotated

import typer

from services.cli.operators import BaseUrl, DataDir, Json, OperatorKey
from services.cli.queues import KNOWN_QUEUES

app = typer.Typer(help="Look at workers and let them drain.", no_args_is_help=True)

COLUMNS = ("id", "state", "process", "queues", "holds")


@app.command("list")
def list_workers(
    *,
    queue: Annotated[str | None, typer.Option(help="Only those of this queue.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 200,
    base_url: BaseUrl = None,
    operator_key: OperatorKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List worker processes; one that died is shown for an hour."""
    from services.cli.operators import find_desk
    from services.cli.tables import print_records

    if queue is not None and queue not in KNOWN_QUEUES:
        raise typer.BadParameter(
            f"there is no queue {queue!r}; choose from {', '.join(KNOWN_QUEUES)}.", param_hint="--queue"
        )
    found = find_desk(base_url, operator_key, data_dir).pages("/workers", most=limit, queue=queue)
    if as_json:
        print_records(found, (), as_json=True)
        return
    rows = [
        {
            "id": one["id"],
            "state": "dead" if not one["alive"] else "draining" if one["drain"] else "alive",
            "process": f"{one['host']}:{one['pid']}",
            "queues": one["queues"],
            "holds": len(one["chunks"]),
        }
        for one in found
    ]
    print_records(rows, COLUMNS)


@app.command("drain")
def drain(
    worker_id: Annotated[str, typer.Argument(help="The id, wrk-...")],
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Let it take chunks again.")] = False,
    base_url: BaseUrl = None,
    operator_key: OperatorKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Let a worker finish what it holds and take nothing more; it hears it within five seconds."""
    from services.cli.operators import find_desk
    from services.cli.tables import print_record

    desk = find_desk(base_url, operator_key, data_dir)
    found = desk.ask("POST", f"/workers/{worker_id}/drain", json={"drain": not undo})
    shown = found
    if not as_json:
        shown = {k: found[k] for k in ("id", "alive", "drain", "queues")} | {"holds": len(found["chunks"])}
    print_record(shown, as_json=as_json)
