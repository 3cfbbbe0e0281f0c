"""Structured logs. `bind` puts ids (batch, job, request) on every line that follows in this context."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

bind = structlog.contextvars.bound_contextvars


def set_up(*, json: bool = False, level: int = logging.INFO) -> None:
    """Send all logging, ours and the libraries', to stderr as one line an event."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    console = [_escape, structlog.dev.ConsoleRenderer(colors=False)]
    rendering: list[Any] = [structlog.processors.JSONRenderer()] if json else console
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *rendering,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def _escape(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What a stranger sent may stand in a message or in an exception: it must not look like lines of ours.
    The renderer does the same for all other values."""
    event["event"] = _printable(str(event.get("event", "")))
    if isinstance(trace := event.get("exception"), str):
        event["exception"] = "\n".join("    " + _printable(line) for line in trace.split("\n"))
    return event


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module: `log = logger(__name__)`."""
    return structlog.stdlib.get_logger(name)
