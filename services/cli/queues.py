"""The queues that a command line may name."""

from typing import Final

import typer

KNOWN_QUEUES: Final = ("orchestrate", "parse", "extract")


def known_queues(text: str, *, option: str) -> list[str]:
    """The queues of `parse,extract`, each once. Refuses one that there is not, and none at all."""
    wanted = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if unknown := [name for name in wanted if name not in KNOWN_QUEUES]:
        raise typer.BadParameter(
            f"there is no queue {unknown[0]!r}; choose from {', '.join(KNOWN_QUEUES)}.", param_hint=option
        )
    if not wanted:
        raise typer.BadParameter("name at least one queue.", param_hint=option)
    return wanted
