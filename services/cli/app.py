"""The table of commands. It imports the command files only; those load the rest when they are called."""

from typing import Annotated

import typer

import shared
from services.cli import (
    batch_export,
    batch_steering,
    batches,
    configurations,
    database,
    directories,
    doctor,
    gc,
    keys,
    limits,
    processes,
    projects,
    retention,
    storage,
    up,
    webhooks,
    workers,
)
from services.cli.run import command as run
from services.cli.watch import command as watch

app = typer.Typer(
    help="A self-hosted backend for the Batches API v2.",
    add_completion=False,
    # Plain help: drawing it with rich takes twice as long as all the rest of `batchmill --help`.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def batchmill(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """A self-hosted backend for the Batches API v2: one document job over every file of a directory."""
    if version:
        typer.echo(shared.__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command("run")(run.run)
app.command("up")(up.up)
app.add_typer(batches.app, name="batches")
batches.app.command("watch")(watch.watch_batch)
batches.app.command("pause")(batch_steering.pause_batch)
batches.app.command("resume")(batch_steering.resume_batch)
batches.app.command("redrive")(batch_steering.redrive_batch)
batches.app.command("threshold")(batch_steering.set_threshold)
batches.app.command("export")(batch_export.export_batch)
app.add_typer(directories.app, name="directories")
app.add_typer(configurations.app, name="configurations")
app.add_typer(limits.app, name="limits")
app.add_typer(workers.app, name="workers")
app.add_typer(projects.app, name="projects")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(retention.app, name="retention")
app.command("api")(processes.api)
app.command("worker")(processes.worker)
app.command("upkeep")(processes.upkeep)
app.command("migrate")(database.migrate)
app.add_typer(keys.app, name="keys")
app.add_typer(storage.app, name="storage")
app.command("gc")(gc.gc)
app.command("doctor")(doctor.doctor)
