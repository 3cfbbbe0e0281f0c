"""`batchmill configurations import`: saved configurations of another server, under the ids they have there.

They are read through the official client, and written through the operator's API of ours.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from services.cli.operators import BaseUrl, DataDir, Json, OperatorKey

if TYPE_CHECKING:
    from services.cli.operators import Desk

app = typer.Typer(help="Saved configurations.", no_args_is_help=True)

COLUMNS: Final = ("id", "name", "product_type", "outcome", "reason")
PAGE: Final = 100
ORDER: Final = ("parse_v2", "extract_v2")
SOURCE_KEY: Final = "BATCHMILL_IMPORT_KEY"
REFUSED: Final = "refused"

Record = dict[str, Any]


@app.callback()
def configurations() -> None:
    """Saved configurations."""


@app.command("import")
def import_configurations(  # noqa: PLR0913 - each is an option of the command
    *,
    from_url: Annotated[str, typer.Option("--from-url", help="Base URL of the server that has them.")],
    key: Annotated[
        str,
        typer.Option("--key", envvar=SOURCE_KEY, help="Key of a project there; better by the environment."),
    ],
    from_project: Annotated[str | None, typer.Option(help="Project id there; default: the key's.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Only those of this name.")] = None,
    project: Annotated[str | None, typer.Option(help="Project id here; default: the default one.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    base_url: BaseUrl = None,
    operator_key: OperatorKey = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> int:
    """Take saved configurations over from a LlamaCloud-compatible server, with their ids, names, versions and
    older versions. Again: only what is new or newer there. One that is refused is told, and the others are
    taken over (exit 1)."""
    from services.cli.exits import ExitCode
    from services.cli.operators import find_desk
    from services.cli.tables import print_records

    desk = find_desk(base_url, operator_key, data_dir)
    found = _in_order(_read_all(from_url, key, from_project, name))
    ids = [str(one["id"]) for one in found if one.get("product_type") == "parse_v2"]
    more = {"project_id": project, "dry_run": dry_run, "together_with": ids if dry_run else []}
    rows = [_take_over(desk, one, more) for one in found]
    print_records(rows, COLUMNS, as_json=as_json)
    counts = {outcome: sum(row["outcome"] == outcome for row in rows) for outcome in _outcomes(rows)}
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "nothing is there"
    typer.echo(f"{told}{' (dry run)' if dry_run else ''}", err=True)
    return ExitCode.FAILED if counts.get(REFUSED) else ExitCode.OK


def _read_all(from_url: str, key: str, project: str | None, name: str | None) -> list[Record]:
    """Every saved configuration of the project there, older versions too."""
    from llama_cloud import LlamaCloud

    from services.cli.client import api_errors

    with api_errors("The server at --from-url"), LlamaCloud(base_url=from_url, api_key=key) as client:
        return list(_pages(client, project, name))


def _pages(client: Any, project: str | None, name: str | None) -> Iterator[Record]:
    from services.cli.exits import Stop

    asked = {key: value for key, value in (("project_id", project), ("name", name)) if value is not None}
    token: str | None = None
    seen: set[str] = set()
    while True:
        more = {} if token is None else {"page_token": token}
        # As it came: what a model of the client does not know must not be lost on the way.
        raw = client.configurations.with_raw_response.list(latest_only=False, page_size=PAGE, **asked, **more)
        page = raw.http_response.json()
        items = page.get("items") if isinstance(page, dict) else None
        if not isinstance(items, list) or not all(isinstance(one, dict) and "id" in one for one in items):
            raise Stop("The server at --from-url answered no list of configurations.")
        yield from items
        token = page.get("next_page_token")
        if not token or not items:
            return
        if token in seen:
            raise Stop("The server at --from-url repeats a page: its list has no end.")
        seen.add(token)


def _in_order(found: Sequence[Record]) -> list[Record]:
    """One of each id, its newest; of a name the oldest first, the others marked as superseded; parse
    configurations first, since extractions name them."""
    newest: dict[str, Record] = {}
    for one in sorted(found, key=_age):
        newest[str(one["id"])] = {**one, "superseded": False}
    last: dict[tuple[Any, Any], Record] = {}
    for one in newest.values():
        place = (one.get("product_type"), one.get("name"))
        if place in last:
            last[place]["superseded"] = True
        last[place] = one
    return sorted(newest.values(), key=lambda one: (_rank(one), _age(one)))


def _age(one: Mapping[str, Any]) -> tuple[float, str]:
    from datetime import UTC, datetime

    for name in ("version", "updated_at", "created_at"):
        try:
            moment = datetime.fromisoformat(str(one.get(name)))
        except ValueError:
            continue
        return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), str(one["id"]))
    return (0.0, str(one["id"]))


def _rank(one: Mapping[str, Any]) -> int:
    product = one.get("product_type")
    return ORDER.index(product) if product in ORDER else len(ORDER)


def _take_over(desk: "Desk", one: Record, more: Mapping[str, Any]) -> Record:
    from services.cli.exits import ExitCode, Stop
    from shared.errors import NotFound
    from shared.ids import Kind, parse, show

    told = {name: one.get(name) for name in ("id", "name", "product_type")}
    sent = {name: one.get(name) for name in ("name", "parameters", "version", "superseded")}
    if one.get("created_at"):
        sent["created_at"] = one["created_at"]
    try:
        place = f"/configurations/{show(Kind.CONFIGURATION, parse(Kind.CONFIGURATION, str(one['id'])))}"
        done = desk.ask("PUT", place, json={**sent, **more})
    except NotFound:
        return {**told, "outcome": REFUSED, "reason": "its id is not cfg- and a UUID: it cannot be kept here"}
    except Stop as stop:
        if stop.code is not ExitCode.FAILED:
            raise
        return {**told, "outcome": REFUSED, "reason": stop.message}
    return {**told, "outcome": done["outcome"], "reason": done["reason"]}


def _outcomes(rows: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(str(row["outcome"]) for row in rows))
