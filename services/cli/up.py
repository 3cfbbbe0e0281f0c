"""`batchmill up`: the embedded stack in the foreground."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from services.cli.exits import complain


def up(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the API; 0 takes any free one.")
    ] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Jobs at once; default: the number of cores.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where everything is kept.", show_default=".batchmill")
    ] = None,
) -> int:
    """Run the whole stack in the foreground until Ctrl-C."""
    import asyncio

    from services.cli.settings import load_settings
    from services.cli.stack import Signalled, make_stack, stack_errors

    async def serve() -> None:
        settings = load_settings(data_dir)
        workers = concurrency or settings.worker.concurrency
        async with make_stack(settings, host=host, port=port, concurrency=workers, log=complain) as stack:
            console = f"{stack.base_url}/console" if settings.console.enabled else None
            _tell(welcome(stack.base_url, stack.project_key, stack.operator_key, console=console))
            await stack.wait()

    complain("starting; the first time takes some seconds longer")
    try:
        with stack_errors():
            asyncio.run(serve())
    except Signalled as end:
        complain("stopped; everything is kept in the data folder")
        return end.code
    return 0


def _tell(text: str) -> None:
    """A reader that went away (`| true`) is no reason to end a stack that serves."""
    try:
        typer.echo(text)
    except OSError:
        # Else Python would try once more at its end, and spoil the exit code.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def welcome(base_url: str, project_key: str, operator_key: str, *, console: str | None) -> str:
    """What a person needs to use the stack, with a snippet to paste."""
    pages = "" if console is None else f"\n  console       {console} (sign in with the project key)"
    return f"""
Batchmill is up. Ctrl-C stops it.

  base URL      {base_url}
  project key   {project_key}
  operator key  {operator_key}{pages}

  from llama_cloud import LlamaCloud
  client = LlamaCloud(base_url="{base_url}", api_key="{project_key}")
"""
