"""`batchmill keys`: works on the database itself, so it opens a server that nobody can enter yet."""

from enum import StrEnum
from typing import Annotated

import typer

app = typer.Typer(help="Make and list API keys.", no_args_is_help=True)


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
) -> None:
    """Make a key. Its text is shown once and cannot be had again."""
    import asyncio

    from services.cli.access import refusals, without_bells
    from services.cli.default_project import default_project, existing_project
    from services.cli.settings import load_settings
    from shared.projects import service as project_service

    if role is KeyRole.OPERATOR and project is not None:
        raise typer.BadParameter("an operator key opens every project.", param_hint="--project")

    async def make() -> str:
        resources = without_bells(load_settings(), name="keys")
        try:
            async with resources.unit_of_work() as uow:
                wanted = None
                if role is KeyRole.PROJECT:
                    wanted = (
                        await default_project(uow)
                        if project is None
                        else await existing_project(uow, project)
                    )
                token, _ = await project_service.create_key(uow, project_id=wanted, name=name)
                await uow.commit()
                return token
        finally:
            await resources.close()

    with refusals():
        typer.echo(asyncio.run(make()))


@app.command("list")
def list_keys(*, as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False) -> None:
    """List keys: role, project, first characters, when they end. Never their text."""
    import asyncio

    from services.cli.access import refusals, without_bells
    from services.cli.settings import load_settings
    from services.cli.tables import print_records
    from shared.ids import Kind, show
    from shared.projects import service as project_service

    async def fetch() -> list[dict[str, object]]:
        resources = without_bells(load_settings(), name="keys")
        try:
            async with resources.unit_of_work() as uow:
                return [
                    {
                        "id": show(Kind.API_KEY, key.id),
                        "role": key.role,
                        "project_id": key.project_id and show(Kind.PROJECT, key.project_id),
                        "name": key.name,
                        "starts_with": key.prefix,
                        "created_at": key.created_at.isoformat(timespec="seconds"),
                        "expires_at": key.expires_at and key.expires_at.isoformat(timespec="seconds"),
                        "revoked_at": key.revoked_at and key.revoked_at.isoformat(timespec="seconds"),
                    }
                    for key in await project_service.list_keys(uow)
                ]
        finally:
            await resources.close()

    with refusals():
        print_records(
            asyncio.run(fetch()),
            ("role", "project_id", "name", "starts_with", "expires_at", "revoked_at"),
            as_json=as_json,
        )
