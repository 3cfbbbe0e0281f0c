"""`batchmill keys`: works on the database itself, so it opens a server that nobody can enter yet.

Each write leaves an audit event without a key: whoever reaches the database needs none.
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from uuid import UUID

    from shared.db.unit_of_work import UnitOfWork
    from shared.projects.model import ApiKey

app = typer.Typer(help="Make, list, rotate and revoke API keys.", no_args_is_help=True)

T = TypeVar("T")

EVER = "ever"

COLUMNS = ("role", "project_id", "name", "starts_with", "expires_at", "revoked_at")

KeyId = Annotated[
    str, typer.Argument(help="Its first characters as 'keys list' shows them, or its id, key-...")
]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
Length = Annotated[
    str | None, typer.Option("--for", help="How long the key works, such as 90d; default: for ever.")
]


class KeyRole(StrEnum):
    """A project key works inside one project; an operator key runs the server."""

    PROJECT = "project"
    OPERATOR = "operator"


@app.command("create")
def create(
    role: Annotated[KeyRole, typer.Option(help="What the key may do.")] = KeyRole.PROJECT,
    name: Annotated[str, typer.Option(help="What you will know it by.")] = "made by batchmill keys",
    project: Annotated[
        str | None, typer.Option(help="Project id (prj-...); default: the default project, made if need be.")
    ] = None,
    length: Length = None,
    *,
    as_json: Json = False,
) -> None:
    """Make a key. Its text is shown once and cannot be had again."""
    from services.cli.default_project import default_project, existing_project
    from shared.ids import Kind, show
    from shared.projects import operating as project_operating

    if role is KeyRole.OPERATOR and project is not None:
        raise typer.BadParameter("an operator key opens every project.", param_hint="--project")
    expires_at = _end(length)

    async def make(uow: "UnitOfWork") -> dict[str, object]:
        wanted = None
        if role is KeyRole.PROJECT:
            found = default_project(uow) if project is None else existing_project(uow, project)
            wanted = await found
        token, row = await project_operating.create_key(
            uow, project_id=wanted, name=name, expires_at=expires_at
        )
        detail = {"role": row.role, "name": name, "expires_at": row.expires_at and str(row.expires_at)}
        await _record(uow, "key.create", show(Kind.API_KEY, row.id), wanted, detail)
        return _shown(row) | {"token": token}

    _print_new(_on_the_database(make), as_json=as_json)


@app.command("list")
def list_keys(*, as_json: Json = False) -> None:
    """List keys: role, project, first characters, when they end. Never their text."""
    from services.cli.tables import print_records
    from shared.projects import service as project_service

    async def fetch(uow: "UnitOfWork") -> list[dict[str, object]]:
        return [_shown(key) for key in await project_service.list_keys(uow)]

    print_records(_on_the_database(fetch), COLUMNS, as_json=as_json)


@app.command("rotate")
def rotate(
    key_id: KeyId,
    *,
    overlap: Annotated[str, typer.Option(help="How long the old key goes on working, such as 1h.")] = "24h",
    length: Annotated[
        str | None,
        typer.Option(
            "--for", help="How long the new one works, or 'ever'; needed if the old one has an end."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a key's successor and show its text, once. The old one works until the overlap is over."""
    from services.cli.operators import span
    from shared.ids import Kind, show
    from shared.projects import operating as project_operating

    overlap_s = span(overlap, "--overlap").total_seconds()
    for_ever = length == EVER
    expires_at = None if for_ever else _end(length)

    async def replace(uow: "UnitOfWork") -> dict[str, object]:
        token, new, old = await project_operating.rotate_key(
            uow,
            await _key(uow, key_id),
            overlap_s=overlap_s,
            expires_at=expires_at,
            for_ever=for_ever,
        )
        detail = {"overlap_seconds": overlap_s, "successor": show(Kind.API_KEY, new.id)}
        await _record(uow, "key.rotate", show(Kind.API_KEY, old.id), old.project_id, detail)
        return _shown(new) | {"token": token, "replaces": _shown(old)}

    _print_new(_on_the_database(replace), as_json=as_json)


@app.command("limit")
def limit(
    key_id: KeyId,
    *,
    per_minute: Annotated[
        int | None,
        typer.Option("--requests-per-minute", min=0, max=1_000_000, help="0: as many as it likes."),
    ] = None,
    burst: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="So many of them at once; default: all.")
    ] = None,
    default: Annotated[
        bool, typer.Option("--default", help="No limit of its own: what the settings say.")
    ] = False,
) -> None:
    """Say how many requests a key may send a minute. In force with its next request."""
    from shared.ids import Kind, show
    from shared.projects import operating as project_operating

    if default == (per_minute is not None):
        raise typer.BadParameter("give --requests-per-minute N, or --default.")

    async def change(uow: "UnitOfWork") -> str:
        row = await project_operating.limit_key(
            uow, await _key(uow, key_id), per_minute=per_minute, burst=burst
        )
        shown = show(Kind.API_KEY, row.id)
        detail = {"requests_per_minute": per_minute, "burst": burst}
        await _record(uow, "key.limit", shown, row.project_id, detail)
        told = {None: "what the settings say", 0: "as many requests as it likes"}
        return f"{shown} ({row.prefix}...) may send {told.get(per_minute, f'{per_minute} requests a minute')}"

    typer.echo(_on_the_database(change))


@app.command("revoke")
def revoke(key_id: KeyId) -> None:
    """End a key at once, and for good."""
    from shared.ids import Kind, show
    from shared.projects import operating as project_operating

    async def end(uow: "UnitOfWork") -> str:
        row = await project_operating.revoke_key(uow, await _key(uow, key_id))
        shown = show(Kind.API_KEY, row.id)
        await _record(uow, "key.revoke", shown, row.project_id, {})
        return f"{shown} ({row.prefix}...) opens nothing any more"

    typer.echo(_on_the_database(end))


async def _key(uow: "UnitOfWork", text: str) -> "UUID":
    from services.cli.exits import Stop
    from shared.ids import Kind, parse
    from shared.projects import service as project_service

    if not text.startswith(tuple(project_service.MARKS.values())):
        return parse(Kind.API_KEY, text)
    # More than the first characters would be the key itself, which belongs into no command line.
    start = text[: project_service.SHOWN]
    found = [key.id for key in await project_service.list_keys(uow) if key.prefix.startswith(start)]
    if not found:
        raise Stop(f"No key starts with {start}.")
    if len(start) < project_service.SHOWN:
        # A key ends for good: a guess, even one that fits a single key, is not enough.
        raise Stop(
            f"{len(found)} of the keys start with {start}: give more of it, the first"
            f" {project_service.SHOWN} characters as 'keys list' shows them."
        )
    if len(found) > 1:
        raise Stop(f"Several keys start with {start}. Give the id: 'keys list --json' shows it.")
    return found[0]


def _shown(key: "ApiKey") -> dict[str, object]:
    """A key as the operator's API shows it, without its text."""
    from shared.ids import Kind, show

    return {
        "id": show(Kind.API_KEY, key.id),
        "role": key.role,
        "project_id": key.project_id and show(Kind.PROJECT, key.project_id),
        "name": key.name,
        "starts_with": key.prefix,
        "created_at": key.created_at.isoformat(timespec="seconds"),
        "expires_at": key.expires_at and key.expires_at.isoformat(timespec="seconds"),
        "revoked_at": key.revoked_at and key.revoked_at.isoformat(timespec="seconds"),
        "requests_per_minute": key.requests_per_minute,
        "burst": key.request_burst,
    }


def _print_new(made: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        from services.cli.tables import print_record

        print_record(made, as_json=True)
    else:
        typer.echo(made["token"])


def _on_the_database(work: Callable[["UnitOfWork"], Awaitable[T]]) -> T:
    """Do it in one transaction, which ends with the work."""
    import asyncio

    from services.cli.access import refusals, without_bells
    from services.cli.settings import load_settings

    async def whole() -> T:
        resources = without_bells(load_settings(), name="keys")
        try:
            async with resources.unit_of_work() as uow:
                answer = await work(uow)
                await uow.commit()
                return answer
        finally:
            await resources.close()

    with refusals():
        return asyncio.run(whole())


async def _record(uow: "UnitOfWork", action: str, target: str, project: Any, detail: dict[str, Any]) -> None:
    from shared.audit import service as audit_service
    from shared.audit.service import Author

    await audit_service.record(uow, Author(), action, target, project_id=project, detail=detail)


def _end(length: str | None) -> Any:
    if length is None:
        return None
    from datetime import UTC, datetime

    from services.cli.operators import span

    return datetime.now(UTC) + span(length, "--for")
