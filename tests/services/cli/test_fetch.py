"""What is said of an extraction's values."""

from typing import Any

import pytest

from services.cli.run.fetch import count_values


@pytest.mark.parametrize(
    ("found", "counted"),
    [
        ({"a": 1, "b": None}, (1, 2)),
        ({"a": 0, "b": "", "c": False}, (3, 3)),
        ({"a": {"b": None, "c": 1}, "d": [{"e": 1, "f": None}, {"e": 2, "f": 3}]}, (4, 6)),
        ({"a": [], "b": {}}, (0, 2)),
        ([{"a": 1}, {"a": None}], (1, 2)),
    ],
)
def test_leaves_are_counted(found: Any, counted: tuple[int, int]) -> None:
    assert count_values(found) == counted
