"""`batchmill limits`: what one project's jobs of one type may use, changed while everything runs."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.operators import BaseUrl, DataDir, Json, OperatorKey

if TYPE_CHECKING:
    from services.cli.operators import Desk

app = typer.Typer(help="Look at and change the limits of a project's jobs.", no_args_is_help=True)

OFF = "off"

Project = Annotated[str | None, typer.Option(help="Project id (prj-...); default: the default project.")]
JobType = Annotated[str, typer.Option("--type", help="parse_v2 or extract_v2.")]


@app.command("get")
def get_limits(
    *,
    project: Project = None,
    job_type: JobType = "parse_v2",
    base_url: BaseUrl = None,
    operator_key: OperatorKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show the limits in force."""
    desk, lane = _lane(project, job_type, base_url, operator_key, data_dir)
    _print(desk.get(lane), as_json=as_json)


@app.command("set")
def set_limits(  # noqa: PLR0913 - each is an option of the command line with its help
    *,
    project: Project = None,
    job_type: JobType = "parse_v2",
    jobs_per_minute: Annotated[str | None, typer.Option(help="Starts a minute, or off.")] = None,
    burst: Annotated[str | None, typer.Option(help="Starts at once after a pause; off is 1.")] = None,
    max_jobs: Annotated[str | None, typer.Option(help="Jobs at once, or off.")] = None,
    max_batches: Annotated[str | None, typer.Option(help="Batches worked on at once, or off.")] = None,
    max_files: Annotated[str | None, typer.Option(help="Files of one batch; off is the default.")] = None,
    weight: Annotated[float | None, typer.Option(help="Share of the slots when they are short.")] = None,
    base_url: BaseUrl = None,
    operator_key: OperatorKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Change the limits that are named; the others stay as they are."""
    named = {
        "jobs_per_minute": jobs_per_minute,
        "burst": burst,
        "max_jobs": max_jobs,
        "max_batches": max_batches,
        "max_files": max_files,
    }
    changes: dict[str, Any] = {k: _number(k, text) for k, text in named.items() if text is not None}
    if weight is not None:
        changes["weight"] = weight
    if not changes:
        raise typer.BadParameter("name at least one limit to change.", param_hint="limits set")
    desk, lane = _lane(project, job_type, base_url, operator_key, data_dir)
    _print(_change(desk, lane, changes), as_json=as_json)


@app.command("hold")
def hold(
    reason: Annotated[str, typer.Argument(help="Why; people whose batches wait will read it.")],
    *,
    length: Annotated[
        str | None, typer.Option("--for", help="Such as 30m or 2h; default: until it is released.")
    ] = None,
    project: Project = None,
    job_type: JobType = "parse_v2",
    base_url: BaseUrl = None,
    operator_key: OperatorKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Let nothing more of the project start; what runs goes on."""
    from services.cli.operators import span

    until = None if length is None else (datetime.now(UTC) + span(length, "--for")).isoformat()
    desk, lane = _lane(project, job_type, base_url, operator_key, data_dir)
    _print(_change(desk, lane, {"hold": {"reason": reason, "until": until}}), as_json=as_json)


@app.command("release")
def release(
    *,
    project: Project = None,
    job_type: JobType = "parse_v2",
    base_url: BaseUrl = None,
    operator_key: OperatorKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Lift a hold."""
    desk, lane = _lane(project, job_type, base_url, operator_key, data_dir)
    _print(_change(desk, lane, {"hold": None}), as_json=as_json)


def _lane(
    project: str | None, job_type: str, base_url: BaseUrl, operator_key: OperatorKey, data_dir: DataDir
) -> tuple["Desk", str]:
    from services.cli.operators import default_project, find_desk

    desk = find_desk(base_url, operator_key, data_dir)
    return desk, f"/projects/{project or default_project(desk)}/lanes/{job_type}"


def _change(desk: "Desk", lane: str, changes: dict[str, Any]) -> Any:
    # What is off is left out, so that the server's default counts for burst and max_files too.
    wanted = {k: v for k, v in {**desk.get(lane), **changes}.items() if v is not None}
    return desk.ask("PUT", lane, json=wanted)


def _number(name: str, text: str) -> int | None:
    if text == OFF:
        return None
    if not (text.isascii() and text.isdigit()):
        hint = f"--{name.replace('_', '-')}"
        raise typer.BadParameter(f"a whole number or {OFF!r} is wanted.", param_hint=hint)
    return int(text)


def _print(limits: dict[str, Any], *, as_json: bool) -> None:
    from services.cli.tables import print_record

    shown = dict(limits)
    if not as_json:
        shown = {k: OFF if v is None else v for k, v in limits.items() if k != "hold"}
        held = limits["hold"]
        shown["hold"] = OFF if held is None else f"{held['reason']} (until {held['until'] or 'released'})"
    print_record(shown, as_json=as_json)
