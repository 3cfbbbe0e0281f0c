"""`make` explains itself and hands its words on unharmed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.patience import GIVES_UP_S

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    outer = ("MAKE", "MFLAGS", "DIR", "CONFIG", "OUT", "PORT", "PYTHON")
    env = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=env | more,
        capture_output=True,
        text=True,
        timeout=GIVES_UP_S,
        check=False,
    )


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A checkout in which everything is installed, with a `batchmill` that tells how it was called."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    tool = tmp_path / ".venv" / "bin" / "batchmill"
    tool.parent.mkdir(parents=True)
    tool.write_text('#!/bin/sh\nfor word in "$@"; do echo "<$word>"; done\nexit 3\n')
    tool.chmod(0o755)
    for stamp in (".made", ".with-runtime", ".with-dev"):
        (tmp_path / ".venv" / stamp).touch()
    return tmp_path


def test_help_is_the_default_and_names_every_target() -> None:
    text = make(ROOT).stdout
    assert text == make(ROOT, "help").stdout
    for target in ("run", "up", "test", "lint", "constraints", "clean"):
        assert f"make {target} " in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run",), ["run"]),
        (("run", "DIR=my papers"), ["run", "--", "my papers"]),
        (
            ("run", "DIR=-x", "CONFIG=a b.json", "OUT=o"),
            ["run", "--config", "a b.json", "--out", "o", "--", "-x"],
        ),
        (("up",), ["up"]),
        (("up", "PORT=8123"), ["up", "--port", "8123"]),
    ],
)
def test_words_reach_the_program_and_its_code_comes_back(
    installed: Path, arguments: tuple[str, ...], words: list[str]
) -> None:
    done = make(installed, *arguments)
    assert done.stdout.split("\n")[:-1] == [f"<{word}>" for word in words]
    assert "Error 3" in done.stderr


def test_a_python_that_is_too_old_is_named(installed: Path) -> None:
    shutil.rmtree(installed / ".venv")
    old = installed / "python-old"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = make(installed, "run", f"PYTHON={old}")
    assert done.returncode != 0
    assert f"PYTHON={old} is not Python 3.11 or newer" in done.stderr
