"""The tree as git sees it, for tests that read sources instead of running them."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("services", "shared")


@cache
def tracked() -> tuple[Path, ...]:
    """Files that are in the repository or about to be, without what .gitignore leaves out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = (ROOT / name for name in listed.split("\0") if name)
    return tuple(path for path in found if path.is_file())


def python_files(*tops: str) -> list[Path]:
    """The tracked Python files under these top folders."""
    return [path for path in tracked() if path.suffix == ".py" and relative(path).split("/")[0] in tops]


def relative(path: Path) -> str:
    """The path as a person of the project would say it."""
    return path.relative_to(ROOT).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=relative(path))


def imports_of(path: Path) -> Iterator[str]:
    """The dotted names a file imports, wherever in it."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def calls_of(path: Path) -> Iterator[tuple[str, int]]:
    """Each call of a file as (the text of what is called, its line)."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno
