"""Whole stacks for stories."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.flows.person import Person
from tests.live_stack import LiveStack, start_live_stack


@contextmanager
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], LiveStack]]:
    """Starts stacks; all are stopped at the end, and each must leave nothing behind."""
    started: list[LiveStack] = []

    def start() -> LiveStack:
        stack = start_live_stack(tmp_path_factory.mktemp("stack") / "data")
        started.append(stack)
        return stack

    yield start
    for stack in started:
        stack.close()


@pytest.fixture(scope="module")
def start_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], LiveStack]]:
    """Starts stacks for the stories of one file: an idle one beside the next file's is not for nothing."""
    with stacks(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    """One stack for the stories that leave it as they found it."""
    with stacks(tmp_path_factory) as start:
        yield start()


@pytest.fixture
def person(tmp_path: Path, stack: LiveStack) -> Iterator[Person]:
    """Someone whose stack runs already."""
    someone = Person(tmp_path, stack.data_dir)
    yield someone
    for process in someone.running:
        if process.poll() is None:
            process.kill()
        process.communicate()
