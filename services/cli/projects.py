"""`batchmill projects`: the tenants, and the removal of one."""

import time
from typing import Annotated, Any

import typer

from services.cli.operators import BaseUrl, DataDir, Json, OperatorKey

app = typer.Typer(help="List projects, and remove one with all it has.", no_args_is_help=True)

MOST = 1_000
LOOK_EVERY_S = 1.0


@app.command("list")
def list_projects(
    *,
    base_url: BaseUrl = None,
    operator_key: OperatorKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """The newest 1,000 projects."""
    from services.cli.operators import find_desk
    from services.cli.tables import print_records

    desk = find_desk(base_url, operator_key, data_dir)
    found = desk.pages("/projects", most=MOST)
    print_records(found, ("id", "name", "organization_id", "is_default", "created_at"), as_json=as_json)


@app.command("purge")
def purge(
    project_id: Annotated[str, typer.Argument(help="The id, prj-...")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: nothing of it comes back.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until nothing of it is left.")] = False,
    base_url: BaseUrl = None,
    operator_key: OperatorKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Remove a project: its keys at once, then its batches, jobs, files and all bytes. Upkeep does it; asked
    again, this says how far it is."""
    from services.cli.operators import find_desk
    from services.cli.tables import print_record

    desk = find_desk(base_url, operator_key, data_dir)
    path = f"/projects/{project_id}/purge"
    if not yes:
        typer.confirm(f"Remove {project_id} with all its files, batches and results?", abort=True, err=True)
    found: dict[str, Any] = desk.ask("POST", path)
    while wait and found["state"] != "DONE":
        time.sleep(LOOK_EVERY_S)
        found = desk.get(path)
    print_record(found, as_json=as_json)
