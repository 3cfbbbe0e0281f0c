"""One stack for the stories of this folder."""

from collections.abc import Iterator

import pytest

from tests.chaos.story import Theatre, theatre


@pytest.fixture(scope="module")
def scene() -> Iterator[Theatre]:
    """A stack with a directory of some hundred files; it is hurt."""
    with theatre(60, lines=2_000) as opened:
        yield opened
