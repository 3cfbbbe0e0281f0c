"""The table of commands. It imports the command files only; those load the rest when they are called."""

from typing import Annotated

import typer

import shared
from services.cli import batches, database, doctor, keys, processes, up
from services.cli.run import command as run

app = typer.Typer(
    help="A self-hosted backend for the Batches API v2.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def batchmill(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """A self-hosted backend for the Batches API v2: one document job over every file of a directory."""
    if version:
        typer.echo(shared.__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


EVERYDAY, SERVICES, OPERATION = "Every day", "Services", "Operation"

app.command("run", rich_help_panel=EVERYDAY)(run.run)
app.command("up", rich_help_panel=EVERYDAY)(up.up)
app.add_typer(batches.app, name="batches", rich_help_panel=EVERYDAY)
app.command("api", rich_help_panel=SERVICES)(processes.api)
app.command("worker", rich_help_panel=SERVICES)(processes.worker)
app.command("upkeep", rich_help_panel=SERVICES)(processes.upkeep)
app.command("migrate", rich_help_panel=OPERATION)(database.migrate)
app.add_typer(keys.app, name="keys", rich_help_panel=OPERATION)
app.command("doctor", rich_help_panel=OPERATION)(doctor.doctor)
