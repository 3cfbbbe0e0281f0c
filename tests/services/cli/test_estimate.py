"""What is said before anything starts, and after the first hundred files."""

from pathlib import Path

import pytest

from services.cli.run.display import Lines
from services.cli.run.estimate import FIRST, Forecast, estimate, in_words
from services.cli.run.folder import SourceFile


def files(*sizes: tuple[str, int]) -> list[SourceFile]:
    return [SourceFile(path, f"/{path}", size, "1-1") for path, size in sizes]


def test_types_bytes_and_room_are_told(tmp_path: Path) -> None:
    names = [f"a{i}.PDF" for i in range(3)] + ["b.txt", "no"] + [f"x.{i}" for i in range(6)]
    out, data = tmp_path / "out" / "not" / "there", tmp_path / "data"
    lines = estimate(files(*((name, 1_000) for name in names)), out=out, data_dir=data)
    assert lines[0].startswith("to do: 11 files, 11.0 KB (.pdf 3, ")
    assert lines[0].endswith(", others 3)")
    assert lines[1].startswith("free disk: ")
    assert lines[1].endswith(f" at {out}")
    assert len(lines) == 2, "one file system is told once"
    assert not out.exists()


def test_too_little_room_is_a_warning(tmp_path: Path) -> None:
    lines = estimate(files(("a.pdf", 10**18)), out=tmp_path, data_dir=tmp_path)
    assert f"the results may not fit: they may need 3,000.0 PB at {tmp_path}" in lines


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 bytes"), (999, "999 bytes"), (1_000, "1.0 KB"), (3_210_000_000, "3.2 GB")]
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert in_words(size) == words


def test_the_first_hundred_tell_of_the_rest_once(capsys: pytest.CaptureFixture[str]) -> None:
    forecast = Forecast(Lines(), FIRST + 50)
    for _ in range(FIRST + 50):
        forecast.advance()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("the first 100 took ")
    assert "at this pace 50 more: 0:00:0" in line
    short = Forecast(Lines(), FIRST)
    for _ in range(FIRST):
        short.advance()
    assert capsys.readouterr().err == "", "nothing is left to tell of"
