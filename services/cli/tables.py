"""Records for people (a table, or lines where no table fits) or for programs (`--json`)."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import typer
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

WHOLE: Final = 44
"""Cells up to this width are never broken: every id is shorter."""
BETWEEN: Final = 3
"""Taken by what stands between two columns."""
PIPE: Final = 10_000
"""Where no terminal has a width, a record is one line."""


def print_records(
    records: Sequence[Mapping[str, object]], columns: Sequence[str], *, as_json: bool = False
) -> None:
    """One row a record, of `columns` only and without those that are empty in every record. A terminal that
    is too narrow for it gets each record as lines of `name: value`. No id is cut or broken."""
    if as_json:
        typer.echo(json.dumps(list(records), indent=2, default=str))
        return
    if not records:
        typer.echo("none")
        return
    shown = [name for name in columns if any(record.get(name) not in (None, "") for record in records)]
    rows = [[cell(record.get(name)) for name in shown] for record in records]
    console = _console()
    widest = [max(map(cell_len, (name, *column))) for name, *column in zip(shown, *rows, strict=True)]
    if sum(min(width, WHOLE) for width in widest) + BETWEEN * len(shown) > console.width + 1:
        blocks = [_lines(dict(zip(shown, row, strict=True))) for row in rows]
        typer.echo("\n\n".join("\n".join(block) for block in blocks))
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, width in zip(shown, widest, strict=True):
        table.add_column(_heading(name), min_width=min(width, WHOLE), no_wrap=width <= WHOLE)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def print_record(record: Mapping[str, object], *, as_json: bool = False) -> None:
    """One record: a line for each of its values that there is, or one JSON object."""
    if as_json:
        typer.echo(json.dumps(dict(record), indent=2, default=str))
        return
    for line in _lines({name: cell(value) for name, value in record.items() if value is not None}):
        typer.echo(line)


def cell(value: object) -> str:
    """A value in words: lists with commas, yes and no for what is true or not, `-` for an empty list."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value)) or "-"
    return str(value)


def moment(text: str | None) -> str | None:
    """A moment of the server to the second, and how far away it is: `2026-08-01T12:00:07Z (in 7 s)`."""
    if text is None:
        return None
    then = datetime.fromisoformat(text).astimezone(UTC)
    away = round((then - datetime.now(UTC)).total_seconds())
    return f"{then:%Y-%m-%dT%H:%M:%SZ} ({f'in {away} s' if away >= 0 else f'{-away} s ago'})"


def _lines(record: Mapping[str, str]) -> list[str]:
    width = max((len(name) for name in record), default=0) + 1
    return [f"{_heading(name) + ':':<{width}} {value}".rstrip() for name, value in record.items()]


def _heading(name: str) -> str:
    return name.replace("_", " ")


def _console() -> Console:
    console = Console(highlight=False)
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Console(highlight=False, width=PIPE)
