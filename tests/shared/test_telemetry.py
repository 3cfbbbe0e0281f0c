"""What is logged stays on lines of ours, whatever a stranger sent."""

import logging
from collections.abc import Iterator

import pytest

from shared import telemetry

FORGED = "a\n2026-01-01T00:00:00Z [error    ] forged\r\x1b[31m\u2028"


@pytest.fixture
def own_logging() -> Iterator[None]:
    """What this test sets up ends with it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def log_all() -> None:
    log = telemetry.logger("tests")
    log.warning(FORGED)
    log.warning("said", by=FORGED)
    logging.getLogger("library").warning("a stranger said %s", FORGED)
    try:
        b"x".decode(FORGED)
    except LookupError:
        log.exception("it failed")


@pytest.mark.usefixtures("own_logging")
@pytest.mark.parametrize("json", [False, True])
def test_no_line_is_forged(capsys: pytest.CaptureFixture[str], *, json: bool) -> None:
    telemetry.set_up(json=json)
    log_all()
    lines = capsys.readouterr().err.split("\n")
    assert sum("forged" in line for line in lines) >= 4
    assert not any(line.startswith("2026-01-01") for line in lines)
    assert sum(line[:1] not in ("", " ") for line in lines) == 4
    assert all(line.isprintable() for line in lines)
