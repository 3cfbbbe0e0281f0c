"""`batchmill run`: the command line, and what is refused before anything starts."""

from pathlib import Path
from typing import Annotated, Final

import typer

from services.cli.exits import ExitCode, Stop

SAMPLES: Final = Path(__file__).resolve().parents[3] / "deploy" / "samples" / "documents"
SAMPLES_NAME: Final = "samples"


def run(  # noqa: PLR0913 - each argument is an option of the command line with its help
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
    only_new: Annotated[
        bool,
        typer.Option(
            "--only-new", help="Only files that have no line yet; changed ones keep what they have."
        ),
    ] = False,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Only files that failed or were cancelled; nothing new."),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print one JSON summary on stdout instead of a table; progress is on stderr."
        ),
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
    to go on where it stopped; what is finished is not done twice. It takes on files that are new, have
    changed (size or time of change), were cancelled or could not be uploaded; a file that failed is left
    until it changes. A run that was cut off is always finished first.
    """
    if sum((only_new, retry_failed, fresh)) > 1:
        raise Stop("--only-new, --retry-failed and --fresh exclude each other.", ExitCode.USAGE)
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

    from services.cli.run.plan import Wanted
    from services.cli.run.request import Request
    from services.cli.run.session import process

    return process(
        Request(
            source=source,
            out=target,
            config=config,
            fresh=fresh,
            wanted=Wanted.NEW if only_new else Wanted.FAILED if retry_failed else Wanted.OPEN,
            as_json=as_json,
            concurrency=concurrency,
            data_dir=data_dir,
        )
    )
