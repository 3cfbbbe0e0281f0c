"""The order in which the files of a test run are handed out."""

import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from tests.files_at_once import LONG, LongOnesAside, place_of

ROOT = Path(__file__).parents[1]
STARTS_A_STACK = re.compile(r"\b(start_live_stack|start_stack|theatre)\(")


@pytest.mark.parametrize("long", LONG)
def test_what_is_called_long_is_there(long: str) -> None:
    assert (ROOT / long).exists()
    assert (ROOT / long).is_dir() == long.endswith("/")


def test_whoever_starts_a_whole_stack_is_called_long() -> None:
    starting = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("*.py")
        if STARTS_A_STACK.search(path.read_text(encoding="utf-8"))
    ]
    ours = [file for file in starting if Path(file).name.startswith("test_")]
    assert len(ours) > 5
    assert [file for file in ours if place_of(file) is None] == []


def handed_out(files: list[str], asking: list[str]) -> list[str]:
    """What the processes get that ask in this order."""
    scheduler: Any = LongOnesAside.__new__(LongOnesAside)
    scheduler.assigned_work = OrderedDict((node, {}) for node in ("first", "second", "third"))
    scheduler.workqueue = OrderedDict((file, {}) for file in files)
    found = []
    for node in asking:
        found.append(scheduler._next_for(node))
        del scheduler.workqueue[found[-1]]
    return found


def test_one_process_takes_the_long_ones_until_there_are_none() -> None:
    files = ["tests/test_a.py", "tests/flows/test_b.py", LONG[0], "tests/test_c.py", "tests/test_d.py"]
    found = handed_out(files, ["first", "second", "third", "first", "first"])
    assert found == [
        LONG[0],
        "tests/test_a.py",
        "tests/test_c.py",
        "tests/flows/test_b.py",
        "tests/test_d.py",
    ]


def test_all_take_the_long_ones_when_nothing_else_is_left() -> None:
    files = ["tests/chaos/test_a.py", "tests/test_b.py", "tests/flows/test_c.py"]
    assert handed_out(files, ["second", "third", "second"]) == [files[1], files[0], files[2]]
