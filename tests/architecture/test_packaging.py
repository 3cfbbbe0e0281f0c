"""What a stranger clones: pinned, complete, and without a trace of the machine it was written on."""

import importlib.metadata
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.sources import ROOT, relative, tracked

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = tuple(PROJECT["optional-dependencies"])

# Assembled, so that this file does not name what it looks for.
TRACES = {
    "home of a person": rf"(?<![\w.])/{'home'}/(?!app\b)[\w.-]+",
    "home on a Mac": rf"(?<![\w.])/{'Users'}/[\w.-]+",
    "home of root": rf"(?<![\w.]){'/ro' + 'ot'}/",
    "workplace folder": rf"(?<![\w.}}]){'/wo' + 'rk'}/",
    "drive letter": rf"\b[A-Z]:\\{'Users'}\\",
    "development server": rf"{'/t' + 'mp'}/dev\b",
    "package index": rf"{'index' + '-url'}|{'find' + '-links'}|{'trusted' + '-host'}|{'python' + 'hosted'}",
    "registry mirror": rf"\b[\w.-]*({'arti' + 'factory'}|{'ne' + 'xus'}|{'dev' + 'pi'})[\w-]*\.[a-z]+\b",
    "private host": rf"https?://[\w.-]+\.({'inter' + 'nal'}|{'co' + 'rp'}|{'l' + 'an'})\b",
    "a secret": rf"\b({'AK' + 'IA'}[0-9A-Z]{{16}}|{'gh' + 'p_'}\w{{36}}|-----BEGIN [A-Z ]*PRIVATE KEY)",
}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line.split("==") for line in lines if line.strip() and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pinned}


def declared() -> set[str]:
    """Every distribution that the project with all its extras needs on this platform."""
    wanted = [(PROJECT["name"], extra) for extra in ("", *EXTRAS)]
    seen = set(wanted)
    while wanted:
        name, extra = wanted.pop()
        for text in importlib.metadata.requires(name) or []:
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                new = {(need.name, option) for option in ("", *need.extras)} - seen
                seen |= new
                wanted += new
    return {str(canonicalize_name(name)) for name, _ in seen} - {PROJECT["name"]}


def test_constraints_are_names_and_versions_only() -> None:
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9][\w.-]*==[\w.+!]+", line), line


def test_constraints_pin_all_that_the_extras_need() -> None:
    assert declared() - pins().keys() == set()


def test_constraints_pin_nothing_else() -> None:
    """A pin that nobody needs is one that nobody tests; make it again with 'make constraints'."""
    other_platforms = {"colorama", "pywin32", "tzdata", "exceptiongroup", "async-timeout"}
    assert pins().keys() - declared() - other_platforms == set()


def test_the_pinned_versions_are_the_tested_ones() -> None:
    here = {name: importlib.metadata.version(name) for name in declared()}
    pinned = pins()
    assert {name: version for name, version in here.items() if pinned.get(name) != version} == {}


@pytest.mark.parametrize("trace", TRACES)
def test_no_tracked_file_tells_where_it_was_written(trace: str) -> None:
    pattern = re.compile(TRACES[trace])
    told = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        told += [f"{relative(path)}: {match.group()}" for match in pattern.finditer(text)]
    assert not told


def test_what_is_no_code_is_packaged_with_it() -> None:
    """Templates, scripts and styles: a wheel has of them what the patterns name, and nothing else."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packaged = {
        relative(path)
        for package, patterns in setuptools["package-data"].items()
        for pattern in patterns
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    other = {
        relative(path)
        for path in tracked()
        if relative(path).startswith(("services/", "shared/")) and path.suffix != ".py"
    }
    assert other
    assert other - packaged == set()


def test_no_tracked_file_is_large() -> None:
    """A clone is source and a few samples."""
    mebibyte = 1 << 20
    assert not [relative(path) for path in tracked() if path.stat().st_size > mebibyte]


def test_the_top_level_is_the_plan() -> None:
    """The first folders say what the product does; a new one is a decision."""
    plan = {"services", "shared", "alembic", "deploy", "tests", "docs", ".ci"}
    tops = {relative(path).split("/")[0] for path in tracked() if "/" in relative(path)}
    assert tops <= plan


def test_some_folders_are_no_packages() -> None:
    """With an __init__.py the folders alembic/ and tests/shared/ would shadow the packages of that name."""
    folders = ("alembic/", "tests/", "docs/", "deploy/")
    inits = [relative(path) for path in tracked() if path.name == "__init__.py"]
    assert not [name for name in inits if name.startswith(folders)]


def test_links_of_the_documents_lead_somewhere() -> None:
    broken = []
    for path in tracked():
        if path.suffix != ".md":
            continue
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            if re.match(r"[a-z]+:|#", target):
                continue
            if not (path.parent / target.split("#")[0]).exists():
                broken.append(f"{relative(path)} -> {target}")
    assert not broken
