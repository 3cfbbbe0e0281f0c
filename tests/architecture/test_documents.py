"""The documents say what the code does: settings, operations, and the numbers that comments cite."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from shared.config import Settings
from tests.architecture.sources import ROOT, python_files, relative, tracked

DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def headings(document: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, (DOCS / document).read_text(encoding="utf-8"), re.MULTILINE))


# What a comment says -> the numbers that exist.
CITED = {
    r"(?:protocol )?rules? (\d+)": headings("protocol.md", r"^\*\*(\d+)\."),
    r"contract(?:\.md)?(?: section)? (\d+(?:\.\d+)?)": headings("contract.md", r"^#+ (\d+(?:\.\d+)?)\.? "),
    r"design(?:\.md)?(?: section)? (\d+)": headings("how-it-works.md", r"^## (\d+)\."),
    r"decision(?: record)? (\d+)": {
        str(int(path.name[:4])) for path in (DOCS / "decisions").glob("[0-9]*.md")
    },
}


@pytest.mark.parametrize("pattern", CITED)
def test_what_is_cited_exists(pattern: str) -> None:
    assert CITED[pattern], "no numbers found: has the document changed its form?"
    lost = [
        f"{relative(path)}: {match.group()}"
        for path in python_files("services", "shared", "tests", "alembic", "deploy")
        for match in re.finditer(pattern, re.sub(r"\n\s*(#\s*)?", " ", path.read_text(encoding="utf-8")))
        if match.group(1) not in CITED[pattern]
    ]
    assert not lost


def settings_of(model: type[BaseModel], prefix: str = "BATCHMILL_") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings_of(field.annotation, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}", field


def test_the_readme_lists_every_setting() -> None:
    section = README.split("## Settings")[1].split("\n## ")[0]
    told = set(re.findall(r"^\| `(BATCHMILL_\w+)`", section, re.MULTILINE))
    of_commands = {"BATCHMILL_TRACE", "BATCHMILL_OPERATOR_KEY", "BATCHMILL_IMPORT_KEY"}
    assert told == {name for name, _ in settings_of(Settings)} | of_commands


def operations() -> dict[str, str]:
    rows = re.findall(
        r"^\| `((?:GET|POST|PUT|PATCH|DELETE) /\S+)` \| (\w+) \|",
        (DOCS / "compatibility.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert len(rows) == len(dict(rows))
    return dict(rows)


def without_names(operation: str) -> str:
    return re.sub(r"\{\w+\}", "{}", operation)


def test_every_operation_upstream_is_judged() -> None:
    concerned = 49
    assert len(operations()) == concerned
    assert set(operations().values()) <= {"done", "later"}


def test_operations_are_what_the_matrix_says() -> None:
    from services.api.app import create_app

    served = {
        without_names(f"{method} {path}".upper().replace(path.upper(), path))
        for path, item in create_app().openapi()["paths"].items()
        for method in item
    }
    said = {without_names(name): state for name, state in operations().items()}
    assert {name for name, state in said.items() if state == "done"} - served == set(), "promised, not served"
    assert {name for name, state in said.items() if state == "later"} & served == set(), "served, not told"


def test_every_decision_is_listed() -> None:
    index = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    records = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert f"]({path.name})" in index
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], (
            path.name
        )
        assert len(text.splitlines()) < 50, f"{path.name} is longer than a screen"


def test_the_license_is_apache() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_documents_fit_their_lines() -> None:
    """Prose is wrapped, so a change of a sentence is a change of a line; tables and code are not prose."""
    width = 118
    long = [
        f"{relative(path)}:{number}"
        for path in tracked()
        if path.suffix == ".md"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > width and not line.startswith("|")
    ]
    assert not long
