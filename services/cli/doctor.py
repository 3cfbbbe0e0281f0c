"""`batchmill doctor`: what is well, what is not, and what to do about it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.exits import ExitCode

if TYPE_CHECKING:
    from services.cli.checks import Finding


def doctor(
    *,
    data_dir: Annotated[
        Path | None, typer.Option(help="Data folder of the stack.", show_default=".batchmill")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False,
) -> int:
    """Check Python, database, broker, storage, disk, sweep, workers, connections and extract engine. Exit
    code 1 when something is to be done."""
    import asyncio

    from services.cli.checks import CHECKS
    from services.cli.server_checks import SERVER_CHECKS
    from services.cli.settings import load_settings

    settings = load_settings(data_dir)

    async def look() -> list["Finding"]:
        return [await check(settings) for check in (*CHECKS, *SERVER_CHECKS)]

    findings = asyncio.run(look())
    if as_json:
        rows = [{"name": f.name, "ok": f.ok, "detail": f.detail, "advice": f.advice} for f in findings]
        typer.echo(json.dumps(rows, indent=2))
    else:
        for finding in findings:
            typer.echo(f"{_word(finding)}  {finding.name:<11} {finding.detail}")
            if finding.advice:
                typer.echo(f"      {'':<11} {finding.advice}")
    return ExitCode.OK if all(finding.ok for finding in findings) else ExitCode.FAILED


def _word(finding: "Finding") -> str:
    if not finding.ok:
        return "FAIL"
    return "ok  " if finding.seen else "-   "
