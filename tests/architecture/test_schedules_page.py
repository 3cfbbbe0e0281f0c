"""The page of schedules speaks of every rule, and of tests that exist."""

import re

from tests.architecture.sources import ROOT

PAGE = (ROOT / "docs" / "schedules.md").read_text(encoding="utf-8")
RULES = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`([\w/]+\.py)::(test_\w+)`", PAGE)


def test_each_rule_has_its_line() -> None:
    told = re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)
    assert told == re.findall(r"^\*\*(\d+)\.", RULES, re.MULTILINE)


def test_each_named_test_exists() -> None:
    assert NAMED
    lost = [
        f"{path}::{name}"
        for path, name in NAMED
        if f"def {name}("
        not in (ROOT / re.sub("^S/", "tests/shared/schedules/", path)).read_text(encoding="utf-8")
    ]
    assert not lost


def test_each_control_is_told() -> None:
    controls = (ROOT / "tests" / "shared" / "schedules" / "test_controls.py").read_text(encoding="utf-8")
    assert set(re.findall(r"^async def (test_\w+)", controls, re.MULTILINE)) <= {name for _, name in NAMED}
