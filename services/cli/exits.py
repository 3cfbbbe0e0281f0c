"""How a command ends: its exit code, and one clear line on stderr when it is not 0."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Any

import typer

TRACE = "BATCHMILL_TRACE"


class ExitCode(IntEnum):
    """An interface: scripts read these."""

    OK = 0
    FAILED = 1
    USAGE = 2
    ALL_FILES_FAILED = 3
    STACK = 4
    INTERRUPTED = 130


class Stop(Exception):
    """Ends the command with `message` on stderr. The message says what is wrong and what to do."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


def _command_of(error: typer.TyperException) -> str:
    """What was misused, as it is typed."""
    context = getattr(error, "ctx", None)
    return "batchmill" if context is None else context.command_path


def guarded(command: Callable[[], Any]) -> int:
    """The exit code of `command`, which answers None or a code, or raises."""
    try:
        answer = command()
        return answer if isinstance(answer, int) else ExitCode.OK
    except Stop as stop:
        complain(stop.message)
        return stop.code
    except typer.TyperException as error:
        complain(f"{error.format_message().rstrip('.')}. See '{_command_of(error)} --help'.")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        complain("Stopped.")
        return ExitCode.INTERRUPTED
    except ModuleNotFoundError as error:
        complain(
            f"This command is not installed here: {error.name} is missing. The extras of the package "
            "(api, worker, local) bring what each part needs."
        )
        return ExitCode.STACK
    except Exception as error:
        if os.environ.get(TRACE):
            raise
        complain(f"Unexpected {type(error).__name__}: {one_line(error)} (set {TRACE}=1 to see where)")
        return ExitCode.FAILED


def complain(message: str) -> None:
    """One message on stderr, after our name. A closed terminal is no error: nobody is left to read it."""
    with suppress(OSError):
        print(f"batchmill: {message}", file=sys.stderr, flush=True)


def one_line(error: BaseException, limit: int = 300) -> str:
    """The first line of what an error says, or its name when it says nothing."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:limit]
