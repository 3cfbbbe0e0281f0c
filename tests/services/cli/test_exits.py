"""Every end of a command has its code, and one line when it is not well."""

from collections.abc import Callable
from typing import Any

import pytest
import typer

from services.cli.exits import ExitCode, Stop, guarded


def raising(error: BaseException) -> Callable[[], Any]:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (Stop("the stack is gone", ExitCode.STACK), 4, "batchmill: the stack is gone\n"),
        (Stop("no"), 1, "batchmill: no\n"),
        (typer.BadParameter("too large"), 2, "too large"),
        (KeyboardInterrupt(), 130, "batchmill: Stopped.\n"),
        (
            RuntimeError("first\nsecond"),
            1,
            "batchmill: Unexpected RuntimeError: first (set BATCHMILL_TRACE=1",
        ),
        (RuntimeError(), 1, "Unexpected RuntimeError: RuntimeError"),
    ],
)
def test_an_error_is_a_code_and_one_line(
    error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(raising(error)) == code
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


@pytest.mark.parametrize(("answer", "code"), [(None, 0), (0, 0), (3, 3), (ExitCode.INTERRUPTED, 130)])
def test_an_answer_is_the_code(answer: int | None, code: int) -> None:
    assert guarded(lambda: answer) == code


def test_the_trace_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHMILL_TRACE", "1")
    with pytest.raises(RuntimeError):
        guarded(raising(RuntimeError("here")))
