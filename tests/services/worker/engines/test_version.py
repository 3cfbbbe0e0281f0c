"""The version of the engines: it changes when what they do may have changed."""

import ast
import platform
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from services.worker.engines import version
from services.worker.engines.version import LANGUAGES, LIBRARIES, engine_version, libraries
from shared.jobs import items

FOLDER = Path(version.__file__).parent
# What takes values out of a parse that is done; the result of a parse does not know it.
NO_PARSE = FOLDER / "rules"


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    """The version is kept for the life of a process."""
    engine_version.cache_clear()
    yield
    engine_version.cache_clear()


def imported() -> set[str]:
    """The top modules that engines import, anywhere in their sources."""
    found: set[str] = set()
    for source in FOLDER.rglob("*.py"):
        if NO_PARSE in source.parents:
            continue
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found


def test_every_library_that_engines_import_is_part_of_the_version() -> None:
    owners = packages_distributions()
    foreign = {name for module in imported() for name in owners.get(module, ())} - {"batchmill"}
    known = {*LIBRARIES, *(line.partition("==")[0] for line in libraries())}
    assert {name.lower().replace("_", "-").replace(".", "-") for name in foreign} <= known


def test_the_languages_of_ocr_are_part_of_it() -> None:
    assert any(line.startswith(f"{LANGUAGES}-") for line in libraries())


def test_it_is_the_same_as_long_as_nothing_changes() -> None:
    first = engine_version()
    engine_version.cache_clear()
    assert engine_version() == first


@pytest.mark.parametrize("name", ["python_version", "libraries", "source"])
def test_it_changes_with_the_interpreter_a_library_and_a_source(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = engine_version()
    engine_version.cache_clear()
    if name == "python_version":
        monkeypatch.setattr(platform, "python_version", lambda: "3.99.0")
    elif name == "libraries":
        monkeypatch.setattr(version, "libraries", lambda: [*libraries(), "lxml==99"])
    else:
        copy = tmp_path / "items.py"
        copy.write_text(Path(str(items.__file__)).read_text(encoding="utf-8") + "# other\n")
        monkeypatch.setattr(items, "__file__", str(copy))
    assert engine_version() != first
