"""Records on terminals of every width."""

import pytest

from services.cli.tables import cell, moment, print_record, print_records

WORKER = "wrk-019e8a52-6a3e-7c62-9b1d-3a4a1f0f9e11"
LONG = "the directory is read and nothing waits for a grant, " * 3
ROWS = [
    {"id": WORKER, "state": "alive", "queues": ["parse", "extract"], "detail": LONG, "holds": 0},
    {"id": WORKER[:-1] + "2", "state": "dead", "queues": [], "detail": "well", "holds": 2},
]


@pytest.mark.parametrize("width", [40, 80, *range(96, 136), 200])
def test_no_id_and_no_short_cell_is_cut_or_broken(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    print_records(ROWS, ("id", "state", "queues", "detail", "holds"))
    lines = capsys.readouterr().out.splitlines()
    for whole in (WORKER, WORKER[:-1] + "2", "parse, extract", "alive", "dead"):
        assert sum(whole in line for line in lines) == 1, lines
    assert "…" not in "\n".join(lines)
    if f"id:     {WORKER}" not in lines:
        assert max(map(len, lines)) <= width
        assert lines[1].split() == ["id", "state", "queues", "detail", "holds"]


def test_a_narrow_terminal_gets_lines_and_a_wide_one_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_records(ROWS, ("id", "state", "queues"))
    assert capsys.readouterr().out.splitlines() == [
        f"id:     {WORKER}",
        "state:  alive",
        "queues: parse, extract",
        "",
        f"id:     {WORKER[:-1]}2",
        "state:  dead",
        "queues: -",
    ]
    monkeypatch.setenv("COLUMNS", "80")
    print_records(ROWS, ("id", "state", "queues"))
    table = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert table[0] == ["id", "state", "queues"]
    assert table[2] == [WORKER, "alive", "parse,", "extract"]


def test_what_goes_into_a_pipe_is_one_line_a_record(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    print_records(ROWS, ("id", "detail"))
    assert sum(LONG.strip() in line and WORKER in line for line in capsys.readouterr().out.splitlines()) == 1


def test_a_record_is_lines_that_no_width_breaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    print_record({"project_id": WORKER, "drain": True, "gone": None})
    assert capsys.readouterr().out == f"project id: {WORKER}\ndrain:      yes\n"


def test_values_are_words() -> None:
    assert [cell(v) for v in (None, True, False, [], ["a", "b"], 0)] == ["", "yes", "no", "-", "a, b", "0"]


def test_a_moment_is_told_to_the_second_and_from_now() -> None:
    assert moment(None) is None
    told = moment("2020-01-02T03:04:05.678901+00:00")
    assert told is not None
    assert told.startswith("2020-01-02T03:04:05Z (")
    assert told.endswith(" s ago)")
    assert ".678" not in told
