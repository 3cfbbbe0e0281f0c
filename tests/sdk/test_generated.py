"""The tests that were generated with the official Python client, against a running stack.

They ask for a good answer to every call, and check its types: loosely and strictly, synchronously, with
asyncio and with aiohttp, raw and streamed. `expected.txt` names the calls that must be refused, and the rule
for each.
"""

import json
import logging
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live_stack import LiveStack, start_live_stack
from tests.sdk.generated.gateway import Gateway
from tests.sdk.generated.source import RESOURCES, unpacked
from tests.sdk.generated.world import World

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
TESTS = 1110
WITHIN_S = 600  # it takes a minute; a busy machine may need many


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one test."""

    test: str
    outcome: str
    said: str

    @property
    def call(self) -> str:
        """Resource and call, without the ways to make it: `parsing create_with_all_params`."""
        found = re.search(
            r"api_resources/(?:beta/)?(\S+?)\.py::\w+::test_(?:(?:method|raw_response|streaming_response)_)?"
            r"(\w+)",
            self.test,
        )
        assert found, self.test
        return f"{found[1].replace('test_', '')} {found[2]}"

    @property
    def status(self) -> str:
        """The status that the client was refused with, if that is why the test failed."""
        found = re.search(r"Error code: (\d{3})", self.said)
        return found[1] if found else "?"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line of expected.txt."""

    call: str
    status: str
    rule: str


def refusals() -> dict[str, Refusal]:
    lines = (HERE / "expected.txt").read_text(encoding="utf-8").splitlines()
    parts = [line.split("|") for line in lines if line and not line.startswith("#")]
    found = [Refusal(*(part.strip() for part in line)) for line in parts]
    assert len({one.call for one in found}) == len(found), "a call stands there twice"
    return {one.call: one for one in found}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    live = start_live_stack(tmp_path_factory.mktemp("stack") / "data")
    yield live
    live.close()


@pytest.fixture(scope="module")
def outcomes(stack: LiveStack, tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """Each of their tests once."""
    source = unpacked()
    written = tmp_path_factory.mktemp("generated") / "outcomes.jsonl"
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "LLAMA_", "BATCHMILL_"))}
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line a request is 2,000 lines
    world = World(stack.base_url, stack.key("project"), stack.key("operator"))
    with Gateway(world) as gateway:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", "unskip", "-q", "-n", "2"),
                *("-p", "no:cacheprovider", "-p", "no:logging"),
                *(f"tests/api_resources/{name}" for name in RESOURCES),
            ],
            cwd=source,
            env={
                **outside,
                "PYTHONPATH": str(HERE / "generated"),
                "PYTHONDONTWRITEBYTECODE": "1",
                "TEST_API_BASE_URL": gateway.url,
                "OUTCOMES": str(written),
            },
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
    assert done.returncode in (0, 1), f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return [Outcome(**json.loads(line)) for line in written.read_text(encoding="utf-8").splitlines()]


@pytest.mark.timeout(WITHIN_S + 100)
def test_every_call_is_answered_or_refused_by_a_rule(outcomes: list[Outcome]) -> None:
    expected = refusals()
    count = Counter(one.outcome for one in outcomes)
    print(f"generated tests: {count['passed']} passed, {count['failed']} refused")  # noqa: T201 - the figure
    wrong = [
        f"{one.test}: {one.outcome}, {one.said}"
        for one in outcomes
        if one.call not in expected or (one.outcome, one.status) != ("failed", expected[one.call].status)
        if one.call in expected or one.outcome != "passed"
    ]
    assert not wrong, "\n".join(["not as expected.txt says:", *sorted(wrong)])
    assert len(outcomes) == len({one.test for one in outcomes}) == TESTS


def test_nothing_is_expected_that_nobody_calls(outcomes: list[Outcome]) -> None:
    assert refusals().keys() - {one.call for one in outcomes} == set()


@pytest.mark.parametrize("refusal", refusals().values(), ids=lambda one: one.call)
def test_every_refusal_names_a_rule_that_exists(refusal: Refusal) -> None:
    section = re.match(r"contract (\d(?:\.\d)?): \S", refusal.rule)
    assert section, refusal.rule
    assert re.search(
        rf"^#+ {section[1]}\.? ", (DOCS / "contract.md").read_text(encoding="utf-8"), re.MULTILINE
    )
