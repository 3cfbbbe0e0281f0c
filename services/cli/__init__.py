"""The `batchmill` command. `main` is its entry point; everything else loads when a command needs it."""

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and answer its exit code (design: 0, 1, 2, 3, 4 or 130); never a traceback."""
    from services.cli.app import app
    from services.cli.exits import guarded

    return guarded(
        lambda: app(
            args=None if arguments is None else list(arguments), prog_name="batchmill", standalone_mode=False
        )
    )
