"""`batchmill storage`: where originals and results lie, as the database has it. Works without the API."""

from typing import Annotated

import typer

app = typer.Typer(help="Say or change which storage is the database's.", no_args_is_help=True)


@app.command("show")
def show() -> int:
    """Where the database says its storage is, and whether ours is that one. Exit code 1 when it is not."""
    import asyncio

    from services.cli.access import refusals, without_bells
    from services.cli.exits import ExitCode
    from services.cli.settings import load_settings
    from shared.installation.service import Standing, look
    from shared.wiring import storage_place

    settings = load_settings()

    async def ask() -> Standing:
        resources = without_bells(settings, name="storage")
        try:
            return await look(resources.unit_of_work, resources.storage)
        finally:
            await resources.close()

    with refusals():
        standing = asyncio.run(ask())
    typer.echo(
        f"recorded  {standing.recorded or 'nothing yet: the first service that starts records its own'}"
    )
    typer.echo(f"ours      {storage_place(settings)}{', the same' if standing.here else ''}")
    return ExitCode.OK if standing.here or standing.recorded is None else ExitCode.FAILED


@app.command("adopt")
def adopt(
    *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask: the blobs were moved.")] = False
) -> None:
    """Make our storage the database's. Move all blobs there first: what stays behind is lost to it."""
    import asyncio

    import shared.tables  # noqa: F401 - an event of the audit refers to a table of another room
    from services.cli.access import refusals, without_bells
    from services.cli.settings import load_settings
    from shared.audit import service as audit_service
    from shared.audit.service import Author
    from shared.installation.service import adopt_storage
    from shared.wiring import storage_place

    settings = load_settings()
    place = storage_place(settings)
    if not yes:
        typer.confirm(f"Do all originals and results of this database lie in {place} now?", abort=True)

    async def record() -> str | None:
        resources = without_bells(settings, name="storage")
        try:
            async with resources.unit_of_work() as uow:
                before = await adopt_storage(uow, resources.storage, place)
                detail = {"place": place, "before": before}
                await audit_service.record(uow, Author(), "storage.adopt", "storage", detail=detail)
                await uow.commit()
            return before
        finally:
            await resources.close()

    with refusals():
        before = asyncio.run(record())
    typer.echo(f"The storage is {place} now{f'; it was {before}' if before else ''}.")
    typer.echo("Start the API and the workers again: those that run still use what they were started with.")
