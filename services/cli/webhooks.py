"""`batchmill webhooks`: what was told to whom, what was not and why, and the word to tell it again."""

from typing import Annotated

import typer

from services.cli.operators import BaseUrl, DataDir, Json, OperatorKey

app = typer.Typer(help="Look at deliveries of webhooks and send them again.", no_args_is_help=True)

COLUMNS = ("id", "event_type", "subject", "webhook_url", "status", "attempts", "due_at", "reason")
STATUSES = ("PENDING", "SENT", "DEAD")


@app.command("deliveries")
def deliveries(  # noqa: PLR0913 - each is an option of the command line with its help
    *,
    status: Annotated[str | None, typer.Option(help="Only PENDING, SENT or DEAD ones.")] = None,
    event: Annotated[str | None, typer.Option(help="Only of this event, such as batch.success.")] = None,
    batch: Annotated[str | None, typer.Option(help="Only those that tell of this batch.")] = None,
    job: Annotated[str | None, typer.Option(help="Only those that tell of this job.")] = None,
    project: Annotated[str | None, typer.Option(help="Only those of this project.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    base_url: BaseUrl = None,
    operator_key: OperatorKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List deliveries, newest first."""
    from services.cli.operators import find_desk
    from services.cli.tables import print_records

    if status is not None and status.upper() not in STATUSES:
        raise typer.BadParameter(f"choose from {', '.join(STATUSES)}.", param_hint="--status")
    found = find_desk(base_url, operator_key, data_dir).pages(
        "/webhook-deliveries",
        most=limit,
        status=status and status.upper(),
        event_type=event,
        batch_id=batch,
        job_id=job,
        project_id=project,
    )
    rows = found if as_json else [{**one, "reason": one["last_error"]} for one in found]
    print_records(rows, COLUMNS, as_json=as_json)


@app.command("replay")
def replay(
    delivery_id: Annotated[str, typer.Argument(help="The id, whd-...")],
    *,
    base_url: BaseUrl = None,
    operator_key: OperatorKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Send a delivery again, under the same event id."""
    from services.cli.operators import find_desk
    from services.cli.tables import print_record

    found = find_desk(base_url, operator_key, data_dir).ask(
        "POST", f"/webhook-deliveries/{delivery_id}/replay"
    )
    shown = found
    if not as_json:
        shown = {name: found[name] for name in ("id", "event_type", "subject", "webhook_url", "status")}
    print_record(shown, as_json=as_json)
