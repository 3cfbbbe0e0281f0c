"""The end of a run, as a person and as a script read it."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from services.cli.exits import ExitCode
from services.cli.run.choice import ConfigChoice
from services.cli.run.folder import Listing, SourceFile
from services.cli.run.plan import RoundEnd
from services.cli.run.results import CANCELLED, COMPLETED, FAILED, NO_TEXT, NO_VALUES, Row
from services.cli.run.summary import Summary, as_record
from services.cli.run.table import print_table, print_totals, tail, tally


def good(path: str, message: str | None = None) -> Row:
    return Row(path, "dfl-1", "pjb-1", COMPLETED, None, message, 3, 1.234, f"{path}.md")


def bad(path: str, code: str = "PDF_IS_BROKEN") -> Row:
    return Row(path, "dfl-1", "pjb-1", FAILED, code, "It is broken.", None, 0.1, None)


def printed(rows: list[Row], width: int = 80) -> list[str]:
    out = StringIO()
    print_table(Console(file=out, width=width), tally(rows, len(rows)))
    return out.getvalue().splitlines()


def test_failures_come_first_then_cancelled_then_the_rest() -> None:
    rows = [good("a"), bad("z"), good("b"), Row("c", None, None, CANCELLED), bad("y")]
    names = [line.split()[0] for line in printed(rows) if line.strip()][2:]
    assert names == ["y", "z", "c", "a", "b"]


def test_fifty_rows_at_most() -> None:
    lines = printed([good(f"{i:03}") for i in range(120)])
    assert sum("COMPLETED" in line for line in lines) == 50
    assert lines[-1] == "70 more files: see results.jsonl."


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize(
    "rows",
    [
        [good("a.pdf")],
        [bad("a.pdf", "UNSUPPORTED_FILE_TYPE"), good("folder/" * 20 + "name.pdf")],
        [bad("folder/" * 20 + "name.pdf", "NO_DATA_FOUND_IN_FILE")],
    ],
)
def test_every_row_is_one_line_that_fits(rows: list[Row], width: int) -> None:
    lines = [line for line in printed(rows, width) if line.strip()]
    assert len(lines) == 2 + len(rows)
    assert all(len(line) <= width for line in lines)
    for line, row in zip(lines[2:], sorted(rows, key=lambda row: row.status != FAILED), strict=True):
        assert row.status in line
        assert "…" not in line or "me.pdf" in line
        assert row.code is None or row.code in line


def test_an_extraction_tells_of_its_values() -> None:
    rows = [good("a.pdf", "19 of 20 values"), good("b.pdf", NO_VALUES), bad("c.pdf", "SCHEMA_INVALID")]
    lines = [line.split() for line in printed(rows, 60) if line.strip()]
    assert lines[0] == ["file", "status", "pages", "values", "output", "or", "code"]
    assert lines[2:] == [
        ["c.pdf", "FAILED", "SCHEMA_INVALID"],
        ["a.pdf", "COMPLETED", "3", "19", "of", "20", "a.pdf.md"],
        ["b.pdf", "COMPLETED", "3", "none", "b.pdf.md"],
    ]
    assert "seconds" in "".join(printed([good("a", NO_TEXT)])), "a parse has no values"


def test_what_is_too_long_beside_a_short_name_is_cut_at_its_end() -> None:
    message = Row("a.pdf", None, None, CANCELLED, None, "x" * 10 + "y" * 50)
    (line,) = [line for line in printed([message], 60) if "CANCELLED" in line]
    assert "x" * 10 in line
    assert line.rstrip().endswith("y…")


def test_a_name_cannot_drive_the_terminal() -> None:
    text = "\n".join(printed([good("a\x1b[2J\nb[red].txt")]))
    assert "\x1b" not in text
    assert "a�[2J�b[red].txt" in text


def test_tail_keeps_the_end() -> None:
    assert tail("short", 5) == "short"
    assert tail("folder/name.pdf", 9) == "…name.pdf"


@pytest.mark.parametrize("reads_scans", [True, False])
def test_totals_and_the_hint_about_scans(reads_scans: bool) -> None:
    rows = [good("a"), good("scan.pdf", NO_TEXT), bad("c")]
    out = StringIO()
    print_totals(
        Console(file=out, width=80),
        tally(rows, 4).totals,
        out=Path("out/papers"),
        left_out={"hidden": 2},
        reads_scans=reads_scans,
        speed="12.0 files/s, 0.3 s in all",
    )
    text = out.getvalue()
    assert "4 files: 2 completed, 1 failed, 1 without a result; 6 pages" in text
    assert "12.0 files/s, 0.3 s in all" in text
    assert "output: out/papers" in text
    assert ("no text: 1 (scans? use cfg-PARSE_COST_EFFECTIVE)" in text) is not reads_scans
    assert "no text: 1" in text
    assert "left out: hidden 2" in text


def summary(rows: list[Row], end: RoundEnd | None, *, nothing_to_do: bool = False) -> Summary:
    files = tuple(SourceFile(row.path, row.path, 1, "1-1") for row in rows)
    return Summary(
        source=Path("papers"),
        out=Path("out/papers"),
        listing=Listing(files, {}),
        tally=tally(rows, len(rows)),
        left_for_later=0,
        choice=ConfigChoice("cfg-PARSE_FAST"),
        end=end,
        nothing_to_do=nothing_to_do,
        seconds=2.0,
        worked_s=1.0,
        done_now=len(rows),
    )


@pytest.mark.parametrize(
    ("rows", "status", "code"),
    [
        ([good("a"), bad("b")], "COMPLETED", ExitCode.OK),
        ([], None, ExitCode.OK),
        ([bad("a"), bad("b")], "COMPLETED", ExitCode.ALL_FILES_FAILED),
        ([bad("a", "NOT_UPLOADED")], None, ExitCode.ALL_FILES_FAILED),
        ([good("a")], "FAILED", ExitCode.FAILED),
        ([good("a")], "CANCELLED", ExitCode.FAILED),
    ],
)
def test_exit_codes(rows: list[Row], status: str | None, code: ExitCode) -> None:
    assert summary(rows, RoundEnd(status, "bat-1")).exit_code() is code


def test_nothing_to_do_has_the_code_of_the_results_that_are_there() -> None:
    assert summary([good("a")], None, nothing_to_do=True).exit_code() is ExitCode.OK
    assert summary([bad("a")], None, nothing_to_do=True).exit_code() is ExitCode.ALL_FILES_FAILED


def test_the_record_for_programs_is_json() -> None:
    record = json.loads(json.dumps(as_record(summary([good("a"), bad("b")], RoundEnd("COMPLETED", "bat-1")))))
    assert record["batch_id"] == "bat-1"
    assert (record["files"], record["completed"], record["failed"]) == (2, 1, 1)
    assert record["files_per_second"] == 2.0
