"""Documents that a reader has before their turn: each has its own end, whatever its neighbours do."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from services.worker.engines import ahead, process
from services.worker.engines.port import Again, Done, Outcome, ParseRequest
from shared.jobs.codes import FailureCode
from shared.jobs.result import decode
from tests.services.worker.engines.conftest import Reader, eventually, is_gone, pdf, pid_in

Bad = Callable[..., Reader]
AROUND = 6


def small(reader: Reader, words: str, do: str = "echo", **options: Any) -> ParseRequest:
    """A request that may be sent before its turn."""
    return ParseRequest(reader.put(f"%PDF-{words}".encode(), "a.pdf"), "a.pdf", {"do": do, **options})


def several(reader: Reader, count: int, begin: str = "document") -> list[ParseRequest]:
    return [small(reader, f"{begin} {number}") for number in range(count)]


async def run_all(reader: Reader, requests: list[ParseRequest]) -> list[Outcome]:
    """As a chunk does: one after the other, and what follows is said."""
    return [
        await reader.sandbox.run(request, project_id="p", ahead=iter(requests[number + 1 :]))
        for number, request in enumerate(requests)
    ]


def text(outcome: Outcome) -> str:
    assert isinstance(outcome, Done), outcome
    assert outcome.code is None, outcome
    assert outcome.result is not None
    if isinstance(outcome.result, bytes):
        return decode(outcome.result).pages[0].text
    found = decode(outcome.result.read_bytes()).pages[0].text
    outcome.result.unlink()
    return found


def words_of(request: ParseRequest) -> str:
    return request.path.read_text()


async def test_each_has_its_own_result_and_most_were_ahead(bad: Bad, asked: list[int]) -> None:
    reader = bad()
    requests = several(reader, 200)
    outcomes = await run_all(reader, requests)
    assert [text(outcome) for outcome in outcomes] == [words_of(request) for request in requests]
    # One of each 64: the reader's folder is emptied then.
    assert len(asked) == 4
    assert len(set(asked)) == 1


async def test_real_pages_are_read_ahead(reader: Reader) -> None:
    requests = [
        ParseRequest(reader.put(pdf(1 + number % 3), "a.pdf"), "a.pdf", {"tier": "fast"})
        for number in range(20)
    ]
    outcomes = await run_all(reader, requests)
    assert [outcome.pages for outcome in outcomes if isinstance(outcome, Done)] == [
        1 + number % 3 for number in range(20)
    ]
    assert all("Heading of page 1" in text(outcome) for outcome in outcomes)


async def test_another_than_the_announced_has_its_own_result(bad: Bad) -> None:
    reader = bad()
    one, two, three, four = several(reader, 4)
    assert text(await reader.sandbox.run(one, project_id="p", ahead=[two, three, four])) == words_of(one)
    assert text(await reader.sandbox.run(three, project_id="p", ahead=[four])) == words_of(three)
    assert text(await reader.sandbox.run(two, project_id="p")) == words_of(two)
    assert text(await reader.sandbox.run(four, project_id="p")) == words_of(four)


@pytest.mark.parametrize("at", [0, AROUND, 2 * AROUND])
@pytest.mark.parametrize(
    ("deed", "limits", "code", "words"),
    [
        ({"do": "hang"}, {"wall_s": 0.6}, FailureCode.TIMEOUT, "within 0.6 s"),
        ({"do": "swell"}, {"memory_bytes": 150 * 2**20}, FailureCode.OUT_OF_MEMORY, "150 MB"),
        ({"do": "leap"}, {"memory_bytes": 2**30}, FailureCode.OUT_OF_MEMORY, "1024 MB"),
        (
            {"do": "write_many", "bytes": 2**19},
            {"written_bytes": 2**20},
            FailureCode.DOCUMENT_TOO_LARGE,
            "wrote",
        ),
        ({"do": "leave"}, {}, FailureCode.ENGINE_ERROR, "exit code 7"),
        ({"do": "crash"}, {}, FailureCode.ENGINE_ERROR, "signal 11"),
        ({"do": "abort_for_memory"}, {}, FailureCode.OUT_OF_MEMORY, "memory"),
        ({"do": "panic"}, {}, FailureCode.ENGINE_ERROR, "PanicException"),
        ({"do": "forge", "line": "not json"}, {}, FailureCode.ENGINE_ERROR, "protocol"),
        ({"do": "forge", "line": "65537 {}"}, {}, FailureCode.ENGINE_ERROR, "protocol"),
        ({"do": "forge", "line": "x" * 70_000}, {}, FailureCode.ENGINE_ERROR, "protocol"),
    ],
)
async def test_one_bad_document_among_good_ones_fails_alone(
    bad: Bad, deed: dict[str, Any], limits: dict[str, Any], code: FailureCode, words: str, at: int
) -> None:
    reader = bad(**limits)
    requests = several(reader, 2 * AROUND)
    requests.insert(at, small(reader, "bad", **deed))
    outcomes = await run_all(reader, requests)
    guilty = outcomes.pop(at)
    requests.pop(at)
    assert isinstance(guilty, Done)
    assert (guilty.code, guilty.result) == (code, None)
    assert words in str(guilty.message)
    assert [text(outcome) for outcome in outcomes] == [words_of(request) for request in requests]


async def test_what_the_neighbours_wrote_is_counted_against_nobody(bad: Bad) -> None:
    """Each leaves what one may leave; together they leave too much, and one of them is still at work then."""
    reader = bad(written_bytes=2**20)
    requests = [small(reader, str(number), "leave_a_file", bytes=2**19) for number in range(4)]
    requests.append(small(reader, "slow", "sleep", seconds=0.6))
    outcomes = await run_all(reader, requests)
    assert [isinstance(outcome, Done) and outcome.code for outcome in outcomes] == [None] * 5


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV])
async def test_a_kill_from_outside_fails_nobody(bad: Bad, tmp_path: Path, how: signal.Signals) -> None:
    reader = bad()
    requests = several(reader, 10)
    requests[5] = small(reader, "hang", "hang_if_told", where="pid")
    run = asyncio.create_task(run_all(reader, requests))
    killed = await pid_in(tmp_path, "pid")
    requests[5].path.write_bytes(b"%PDF-read me")
    os.kill(killed, how)
    said = [text(outcome) for outcome in await asyncio.wait_for(run, 20)]
    assert said.pop(5) == "read me"
    assert said == [words_of(request) for number, request in enumerate(requests) if number != 5]


async def test_after_a_death_as_many_as_were_ahead_are_read_alone(bad: Bad, asked: list[int]) -> None:
    reader = bad()
    requests = [small(reader, "bad", "leave"), *several(reader, 40)]
    await run_all(reader, requests)
    # The bad one twice, those that were with it, and the first of the rest.
    assert len(asked) == 2 + ahead.MOST_AHEAD + 1


async def test_each_dies_of_its_own_deed_and_no_other(bad: Bad) -> None:
    reader = bad()
    requests = several(reader, 30)
    for number in (3, 4, 11, 29):
        requests[number] = small(reader, "bad", "leave")
    outcomes = await run_all(reader, requests)
    failed = [number for number, end in enumerate(outcomes) if isinstance(end, Done) and end.code is not None]
    assert failed == [3, 4, 11, 29]


@pytest.mark.parametrize("how", ["cancel", "kill", "close"])
async def test_when_a_run_is_ended_what_is_ahead_goes_with_it(bad: Bad, tmp_path: Path, how: str) -> None:
    reader = bad()
    good, last = several(reader, 2)
    hangs = small(reader, "bad", "hang", where="pid")
    assert text(await reader.sandbox.run(good, project_id="p", ahead=[hangs, last])) == words_of(good)
    run = asyncio.create_task(reader.sandbox.run(hangs, project_id="p", ahead=[last]))
    pid = await pid_in(tmp_path, "pid")
    await asyncio.sleep(0.05)
    if how == "cancel":
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    else:
        await (reader.sandbox.kill() if how == "kill" else reader.sandbox.close())
        assert isinstance(await asyncio.wait_for(run, 5), Again)
    await eventually(lambda: is_gone(pid))
    if how != "close":
        assert text(await reader.sandbox.run(last, project_id="p")) == words_of(last)


async def test_a_cancel_while_answers_gather(bad: Bad, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = bad()
    requests = several(reader, 12)
    with monkeypatch.context() as patch:
        patch.setattr(ahead.Ahead, "gather_s", 20.0)
        run = asyncio.create_task(run_all(reader, requests))
        await asyncio.sleep(0.5)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    assert [text(end) for end in await run_all(reader, requests)] == [words_of(each) for each in requests]


async def test_another_project_has_another_reader(bad: Bad) -> None:
    reader = bad()
    requests = [small(reader, str(number), "pid") for number in range(4)]
    first = text(await reader.sandbox.run(requests[0], project_id="a", ahead=requests[1:]))
    second = text(await reader.sandbox.run(requests[1], project_id="b", ahead=requests[2:]))
    assert first != second
    assert is_gone(int(first))
    assert text(await reader.sandbox.run(requests[2], project_id="b", ahead=requests[3:])) != first


async def test_what_is_large_or_no_pdf_waits_for_its_turn(bad: Bad, asked: list[int]) -> None:
    reader = bad()
    requests = several(reader, 12)
    large = reader.put(b"%PDF-" + b"many words " * 40_000, "large.pdf")
    requests[3] = ParseRequest(large, "large.pdf", {"do": "sleep", "seconds": 0})
    requests[7] = ParseRequest(reader.put(b"plain words", "a.txt"), "a.txt", {"do": "echo"})
    requests[8] = ParseRequest(reader.folder / "gone.pdf", "gone.pdf", {"do": "echo"})
    outcomes = await run_all(reader, requests)
    gone = outcomes.pop(8)
    requests.pop(8)
    assert isinstance(gone, Done)
    assert gone.code is FailureCode.ENGINE_ERROR
    outcomes.pop(3)
    requests.pop(3)
    assert [text(outcome) for outcome in outcomes] == [words_of(request) for request in requests]
    # A document that may not be opened where it lies is asked about once more, so there may be one more each.
    assert len(asked) >= 4


async def test_large_results_of_documents_ahead_are_their_own(bad: Bad) -> None:
    reader = bad()
    requests = [small(reader, Random(number).randbytes(70_000).hex()) for number in range(6)]
    outcomes = await run_all(reader, requests)
    assert all(isinstance(outcome, Done) and isinstance(outcome.result, Path) for outcome in outcomes)
    assert [text(outcome) for outcome in outcomes] == [words_of(request) for request in requests]


async def test_many_answers_in_the_pipe_stop_nobody(bad: Bad) -> None:
    """More than a pipe holds, in both directions, while nobody reads."""
    reader = bad()
    requests = [small(reader, Random(number).randbytes(8_000).hex()) for number in range(64)]
    said: list[str] = []
    for number, request in enumerate(requests):
        run = reader.sandbox.run(request, project_id="p", ahead=requests[number + 1 :])
        said.append(text(await asyncio.wait_for(run, 10)))
        await asyncio.sleep(0.05 if number % 16 == 0 else 0)
    assert said == [words_of(request) for request in requests]


async def test_a_reader_with_many_answers_that_nobody_wants_ends_at_once(bad: Bad) -> None:
    """More than is taken out of its pipe unasked: whoever breaks off must not wait for that."""
    reader = bad()
    # Nearly as much each as comes through the pipe: the first turn may take some of it away together.
    requests = [small(reader, str(number), "tell_much", bytes=58_000) for number in range(17)]
    first = await reader.sandbox.run(requests[0], project_id="p", ahead=requests[1:])
    assert isinstance(first, Done)
    assert len(cast(bytes, first.result)) > 58_000
    child = reader.sandbox._child
    assert child is not None
    await eventually(lambda: child._out._paused)  # type: ignore[attr-defined]
    await asyncio.wait_for(reader.sandbox.close(), 5)
    assert is_gone(child._process.pid)


async def test_the_folder_is_emptied_every_64_documents(bad: Bad) -> None:
    reader = bad()
    requests = [small(reader, str(number), "leave_a_file") for number in range(130)]
    found = [int(text(outcome)) for outcome in await run_all(reader, requests)]
    assert max(found) == ahead.MOST_UNSWEPT - 1
    assert [number for number, count in enumerate(found) if count == 0] == [0, 64, 128]


async def test_a_reader_that_nobody_comes_back_to_ends(
    bad: Bad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_UNASKED_S", 0.4)
    reader = bad()
    good, last = several(reader, 2)
    hangs = small(reader, "bad", "hang", where="pid")
    assert text(await reader.sandbox.run(good, project_id="p", ahead=[hangs, last])) == words_of(good)
    pid = await pid_in(tmp_path, "pid")
    await eventually(lambda: is_gone(pid))
    assert text(await reader.sandbox.run(last, project_id="p")) == words_of(last)


async def test_a_bomb_bursts_also_between_two_turns(bad: Bad) -> None:
    reader = bad(memory_bytes=150 * 2**20)
    good, last = several(reader, 2)
    bomb = small(reader, "bad", "swell")
    assert text(await reader.sandbox.run(good, project_id="p", ahead=[bomb, last])) == words_of(good)
    child = reader.sandbox._child
    assert child is not None
    await eventually(lambda: not child.alive)
    outcome = await reader.sandbox.run(bomb, project_id="p", ahead=[last])
    assert isinstance(outcome, Done)
    assert outcome.code is FailureCode.OUT_OF_MEMORY
    assert text(await reader.sandbox.run(last, project_id="p")) == words_of(last)


async def test_the_seconds_are_those_of_the_document(bad: Bad) -> None:
    reader = bad()
    requests = [small(reader, str(number), "sleep", seconds=0.05) for number in range(6)]
    began = time.monotonic()
    outcomes = [await reader.sandbox.run(requests[0], project_id="p", ahead=requests[1:])]
    await asyncio.sleep(0.5)
    outcomes += [await reader.sandbox.run(each, project_id="p", ahead=[]) for each in requests[1:]]
    took = [outcome.seconds for outcome in outcomes if isinstance(outcome, Done)]
    assert len(took) == len(requests)
    assert min(took) >= 0.05
    assert sum(took) < time.monotonic() - began, "read one after the other, and no wait is counted"


async def test_true_and_false_announcements_in_any_order(bad: Bad) -> None:
    reader = bad()
    chance = Random(42)
    requests = several(reader, 60)
    for _ in range(25):
        order = chance.sample(requests, chance.randint(1, 24))
        said = order if chance.random() < 0.8 else chance.sample(requests, 10)
        number = chance.randint(0, len(order))
        for turn, request in enumerate(order):
            if turn == number:
                said = order
            behind = said[turn + 1 :]
            outcome = await reader.sandbox.run(request, project_id="p", ahead=behind)
            assert text(outcome) == words_of(request)
