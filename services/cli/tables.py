"""Records for people (a table that fits the terminal) or for programs (`--json`)."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

NEVER_CUT: Final = frozenset({"id", "status", "starts_with"})


def print_records(
    records: Sequence[Mapping[str, object]], columns: Sequence[str], *, as_json: bool = False
) -> None:
    """One row a record. A table shows `columns` only, and leaves out those that are empty in every record."""
    if as_json:
        typer.echo(json.dumps(list(records), indent=2, default=str))
        return
    if not records:
        typer.echo("none")
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    shown = [name for name in columns if any(record.get(name) not in (None, "") for record in records)]
    for name in shown:
        table.add_column(name.replace("_", " "), overflow="fold", no_wrap=name in NEVER_CUT)
    for record in records:
        table.add_row(*(Text(_cell(record.get(name))) for name in shown))
    Console(highlight=False).print(table)


def print_record(record: Mapping[str, object], *, as_json: bool = False) -> None:
    """One record: a line for each of its values that there is, or one JSON object."""
    if as_json:
        typer.echo(json.dumps(dict(record), indent=2, default=str))
        return
    print_records([{"what": k, "value": v} for k, v in record.items() if v is not None], ("what", "value"))


def _cell(value: object) -> str:
    return "" if value is None else str(value)
