"""What a worker lets be found again."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from services.worker import chunk as worker_chunk
from shared.jobs.recipe import recipe_of
from shared.jobs.running import Assignment, TakenChunk

PARAMETERS = {"tier": "fast"}
PARSE = TakenChunk(
    id=1,
    token=uuid4(),
    project_id=uuid4(),
    job_type="parse_v2",
    queue="parse",
    batch_id=None,
    lo=None,
    hi=None,
    job_id=uuid4(),
    size=1,
    losses=0,
    stop=False,
)


def recipe(engine: str | None, chunk: TakenChunk = PARSE) -> bytes | None:
    runtime: Any = SimpleNamespace(engine=engine)
    return worker_chunk._recipe(runtime, Assignment(chunk, [], PARAMETERS))


def test_a_parse_is_found_by_the_engines_of_this_worker() -> None:
    assert recipe("these") == recipe_of(PARAMETERS, "these") != recipe("those")


def test_an_extraction_is_not_found_again_nor_what_nobody_knows_the_engines_of() -> None:
    assert recipe("these", replace(PARSE, job_type="extract_v2", queue="extract")) is None
    assert recipe(None) is None


@pytest.mark.parametrize(
    ("parameters", "same"),
    [
        ({"tier": "fast", "crop_box": None}, True),
        ({"tier": "fast", "disable_cache": True, "user_metadata": {"a": "b"}}, True),
        ({"tier": "fast", "crop_box": {"top": 0.5}}, False),
        ({"tier": "fast", "whatever": 0}, False),
    ],
)
def test_what_decides_nothing_is_not_in_the_recipe(parameters: dict[str, Any], same: bool) -> None:
    assert (recipe_of(parameters, "these") == recipe_of(PARAMETERS, "these")) == same
