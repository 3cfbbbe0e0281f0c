"""One stack, with a temporary folder of its own, for the batches of this folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live_stack import LiveStack, start_live_stack


@dataclass(frozen=True, slots=True)
class Mill:
    """A stack and the folder in which its workers put down what they read."""

    stack: LiveStack
    scratch: Path


@pytest.fixture(scope="module")
def mill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mill]:
    """A stack that is closed at the end."""
    folder = tmp_path_factory.mktemp("corpus")
    scratch = folder / "scratch"
    scratch.mkdir(mode=0o700)
    stack = start_live_stack(folder / "data", env={"TMPDIR": str(scratch)})
    yield Mill(stack, scratch)
    stack.close()
    assert [found.name for found in scratch.rglob("*")] == []
