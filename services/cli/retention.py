"""`batchmill retention`: for how many days a project keeps what."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.operators import BaseUrl, DataDir, Json, OperatorKey

if TYPE_CHECKING:
    from services.cli.operators import Desk

app = typer.Typer(help="Look at and change how long a project keeps what.", no_args_is_help=True)

EVER = "ever"
KINDS = ("results", "jobs", "batches", "files")

Project = Annotated[str | None, typer.Option(help="Project id (prj-...); default: the default project.")]


@app.command("get")
def get_retention(
    *,
    project: Project = None,
    base_url: BaseUrl = None,
    operator_key: OperatorKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show what is in force."""
    desk, path = _place(project, base_url, operator_key, data_dir)
    _print(desk.get(path), as_json=as_json)


@app.command("set")
def set_retention(  # noqa: PLR0913 - each is an option of the command line with its help
    *,
    project: Project = None,
    results: Annotated[str | None, typer.Option(help="Days after the end of job or batch, or ever.")] = None,
    jobs: Annotated[str | None, typer.Option(help="The same for jobs without a batch.")] = None,
    batches: Annotated[str | None, typer.Option(help="The same for batches with their jobs.")] = None,
    files: Annotated[str | None, typer.Option(help="Days after the upload, or ever.")] = None,
    base_url: BaseUrl = None,
    operator_key: OperatorKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Change what is named; the rest stays as it is. What is over by it goes within seconds."""
    named = dict(zip(KINDS, (results, jobs, batches, files), strict=True))
    changes = {f"{kind}_days": _days(kind, text) for kind, text in named.items() if text is not None}
    if not changes:
        raise typer.BadParameter("name at least one of --results, --jobs, --batches, --files.")
    desk, path = _place(project, base_url, operator_key, data_dir)
    _print(desk.ask("PUT", path, json={**desk.get(path), **changes}), as_json=as_json)


def _place(
    project: str | None, base_url: BaseUrl, operator_key: OperatorKey, data_dir: DataDir
) -> tuple["Desk", str]:
    from services.cli.operators import default_project, find_desk

    desk = find_desk(base_url, operator_key, data_dir)
    return desk, f"/projects/{project or default_project(desk)}/retention"


def _days(kind: str, text: str) -> int | None:
    if text == EVER:
        return None
    number = text.removesuffix("d")
    if not (number.isascii() and number.isdigit()):
        raise typer.BadParameter(f"a number of days or {EVER!r} is wanted.", param_hint=f"--{kind}")
    return int(number)


def _print(terms: dict[str, Any], *, as_json: bool) -> None:
    from services.cli.tables import print_record

    shown: dict[str, object] = dict(terms)
    if not as_json:
        shown = {
            name.removesuffix("_days"): "for ever" if days is None else f"{days} d"
            for name, days in terms.items()
        }
    print_record(shown, as_json=as_json)
