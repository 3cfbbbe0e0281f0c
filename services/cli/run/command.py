"""`batchmill run`: the command line, and what is refused before anything starts."""

from pathlib import Path
from typing import Annotated, Final

import typer

from services.cli.exits import ExitCode, Stop

SAMPLES: Final = Path(__file__).resolve().parents[3] / "deploy" / "samples" / "documents"
SAMPLES_NAME: Final = "samples"


def run(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Folder to take in; default: the bundled samples.")
    ] = None,
    *,
    config: Annotated[
        str | None,
        typer.Option(
            help="A preset (cfg-PARSE_FAST, cfg-PARSE_COST_EFFECTIVE, ...), a saved configuration's id, or a "
            "JSON file of parameters.",
            show_default="cfg-PARSE_COST_EFFECTIVE",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where results go.", show_default="out/<name of DIR>")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew instead of going on.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON summary instead of a table.")
    ] = False,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Jobs at once in a stack that this starts; default: cores.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Data folder of the stack.", show_default=".batchmill")
    ] = None,
) -> int:
    """Process every file of a folder and save the results as they come.

    Uses the live stack of the data folder, or starts one and stops it at the end. Run the same command again
    to go on where it stopped; what is finished is not done twice.
    """
    source = folder or SAMPLES
    if not source.exists():
        raise Stop(f"DIR {source}: there is no such folder.", ExitCode.USAGE)
    if not source.is_dir():
        raise Stop(f"DIR {source} is not a folder.", ExitCode.USAGE)
    # The name of the folder itself, also for '.' and '..'.
    name = SAMPLES_NAME if folder is None else source.resolve().name or "root"
    target = out or Path("out") / name
    if source.resolve().is_relative_to(target.resolve()):
        raise Stop(f"OUT {target} must not be DIR, nor a folder that holds it.", ExitCode.USAGE)

    from services.cli.run.request import Request
    from services.cli.run.session import process

    return process(
        Request(
            source=source,
            out=target,
            config=config,
            fresh=fresh,
            as_json=as_json,
            concurrency=concurrency,
            data_dir=data_dir,
        )
    )
