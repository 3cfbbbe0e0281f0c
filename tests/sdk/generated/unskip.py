"""A plugin for the client's own tests: takes the skip marks away that say there is no server, and writes
what became of each test to the file named by OUTCOMES, one JSON object a line.

It is loaded by its bare name in a process where `tests` is the client's package, so it imports nothing of
ours.
"""

import json
import os
from pathlib import Path

import pytest

NO_SERVER = "Mock server tests are disabled"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves other skip marks as they are."""
    for item in items:
        item.own_markers = [
            mark
            for mark in item.own_markers
            if not (mark.name == "skip" and mark.kwargs.get("reason") == NO_SERVER)
        ]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Only the process that collects from all others writes; a set-up that breaks is told as well."""
    if os.environ.get("PYTEST_XDIST_WORKER") or (report.when != "call" and report.passed):
        return
    said = report.longreprtext.strip().splitlines()
    line = {"test": report.nodeid, "outcome": report.outcome, "said": said[-1] if said else ""}
    with Path(os.environ["OUTCOMES"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
