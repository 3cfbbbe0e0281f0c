"""Whatever the OpenAPI document allows or forbids is asked, and the answers are what it says."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import sessions
from tests.fuzz.stage import set_up
from tests.live_stack import LiveStack, start_live_stack

SEED = 1
EXAMPLES = 5


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LiveStack]:
    """A whole stack: what is asked for is also worked on."""
    started = start_live_stack(tmp_path / "data")
    yield started
    started.close()


def test_no_answer_is_a_failure_or_breaks_the_document(stack: LiveStack, tmp_path: Path) -> None:
    stage = set_up(stack.base_url, stack.key("operator"))
    found = sessions.run(stage, tmp_path / "fuzz", seed=SEED, examples=EXAMPLES)
    assert found.findings == [], "\n".join(found.findings)
    assert found.failures_of_the_server == 0
    assert found.calls > 2_000
    assert found.answers["200"] + found.answers["201"] > found.calls / 20, "it saw nothing but refusals"
    log = (stack.data_dir / "logs" / "api.log").read_text()
    assert "unexpected exception" not in log
