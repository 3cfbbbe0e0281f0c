import json
import signal
from dataclasses import fields
from typing import Any

import pytest

from services.worker.engines.limits import SandboxLimits
from services.worker.engines.process import Cause, Ended
from services.worker.engines.verdicts import Verdict, of_answer, of_death
from shared.jobs.codes import FailureCode

GOOD = {"id": "t", "code": None, "message": None, "retryable": False, "pages": 2, "engine": "e 1"}
MIB = 2**20


def line(**change: object) -> bytes:
    return json.dumps(GOOD | change).encode() + b"\n"


def test_a_good_answer() -> None:
    assert of_answer(line(), expected_id="t") == Verdict(pages=2, engine="e 1")
    failed = of_answer(line(code="PDF_IS_BROKEN", message="why"), expected_id="t")
    assert (failed.code, failed.message, failed.child_is_lost) == (FailureCode.PDF_IS_BROKEN, "why", False)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "other"},
        {"id": None},
        {"code": "FINE"},
        {"code": 5},
        {"code": ["TIMEOUT"]},
        {"message": 5},
        {"retryable": 1},
        {"pages": -1},
        {"pages": "2"},
        {"pages": 10**9},
        {"pages": True},
        {"engine": None},
        {"seconds": -0.1},
        {"seconds": "1"},
        {"seconds": 1e7},
        {"seconds": float("nan")},
        {"seconds": float("inf")},
    ],
)
def test_an_answer_of_the_wrong_shape_costs_the_child(change: dict[str, object]) -> None:
    verdict = of_answer(line(**change), expected_id="t")
    assert verdict.code is FailureCode.ENGINE_ERROR
    assert verdict.child_is_lost


@pytest.mark.parametrize("raw", [b"", b"\n", b"null\n", b"[]\n", b"\xff\n", b"[" * 50_000 + b"\n"])
def test_an_answer_that_is_none_costs_the_child(raw: bytes) -> None:
    assert of_answer(raw, expected_id="t").code is FailureCode.ENGINE_ERROR


def test_no_more_seconds_are_believed_than_went_by() -> None:
    assert of_answer(line(seconds=0.25), expected_id="t", most_seconds=0.5).seconds == 0.25
    assert of_answer(line(seconds=900.0), expected_id="t", most_seconds=0.5).seconds == 0.5


def test_out_of_memory_costs_the_child() -> None:
    verdict = of_answer(line(code="OUT_OF_MEMORY", message="m"), expected_id="t")
    assert (verdict.child_is_lost, verdict.suspect) == (True, True)


def test_long_words_are_cut() -> None:
    verdict = of_answer(line(code="ENGINE_ERROR", message="m" * 5000, engine="e" * 500), expected_id="t")
    assert len(verdict.message or "") == 1000
    assert len(verdict.engine) == 100


CRASH, KILL = -signal.SIGSEGV, -signal.SIGKILL


@pytest.mark.parametrize(
    ("ended", "code", "retryable", "suspect"),
    [
        (Ended(Cause.WALL, KILL, 0, ""), FailureCode.TIMEOUT, True, False),
        (Ended(Cause.MEMORY, KILL, 0, ""), FailureCode.OUT_OF_MEMORY, False, True),
        (Ended(Cause.WRITTEN, KILL, 0, ""), FailureCode.DOCUMENT_TOO_LARGE, False, False),
        (Ended(Cause.BABBLE, KILL, 0, ""), FailureCode.ENGINE_ERROR, False, True),
        (Ended(None, -signal.SIGXCPU, 0, ""), FailureCode.TIMEOUT, True, False),
        (Ended(None, -signal.SIGALRM, 0, ""), FailureCode.TIMEOUT, True, False),
        (Ended(None, -signal.SIGXFSZ, 0, ""), FailureCode.DOCUMENT_TOO_LARGE, False, True),
        (Ended(None, CRASH, 95 * MIB, ""), FailureCode.OUT_OF_MEMORY, False, True),
        (Ended(None, CRASH, 50 * MIB, ""), FailureCode.ENGINE_ERROR, False, True),
        (Ended(None, -signal.SIGABRT, 0, "bad_alloc"), FailureCode.OUT_OF_MEMORY, False, True),
        (Ended(None, KILL, 95 * MIB, ""), FailureCode.OUT_OF_MEMORY, False, True),
        (Ended(None, KILL, 0, ""), FailureCode.ENGINE_ERROR, True, True),
        (Ended(None, 3, 0, ""), FailureCode.ENGINE_ERROR, False, True),
        (Ended(None, None, 0, ""), FailureCode.ENGINE_ERROR, False, True),
    ],
)
def test_how_a_child_died_says_what_the_document_did(
    ended: Ended, code: FailureCode, retryable: bool, suspect: bool
) -> None:
    verdict = of_death(ended, SandboxLimits(memory_bytes=100 * MIB))
    assert (verdict.code, verdict.retryable, verdict.suspect) == (code, retryable, suspect)
    assert verdict.child_is_lost
    assert verdict.message


@pytest.mark.parametrize(
    ("ended", "unexplained"),
    [
        (Ended(None, KILL, 0, ""), True),
        (Ended(None, CRASH, 0, ""), True),
        (Ended(None, -signal.SIGTERM, 0, ""), True),
        (Ended(None, KILL, 95 * MIB, ""), False),
        (Ended(None, -signal.SIGABRT, 0, "bad_alloc"), False),
        (Ended(None, -signal.SIGXCPU, 0, ""), False),
        (Ended(None, -signal.SIGXFSZ, 0, ""), False),
        (Ended(Cause.WALL, KILL, 0, ""), False),
        (Ended(Cause.BABBLE, KILL, 0, ""), False),
        (Ended(None, 3, 0, ""), False),
        (Ended(None, None, 0, ""), False),
    ],
)
def test_a_death_by_a_signal_that_no_limit_sends_is_told_apart(ended: Ended, *, unexplained: bool) -> None:
    assert of_death(ended, SandboxLimits(memory_bytes=100 * MIB)).unexplained is unexplained


def test_a_child_that_was_stopped_says_nothing_of_its_document() -> None:
    verdict = of_death(Ended(Cause.STOPPED, -9, 0, ""), SandboxLimits())
    assert verdict.stopped
    assert verdict.code is None


REMARKS: dict[str, Any] = {
    "code": FailureCode.TIMEOUT,
    "message": "words",
    "infra": "no room",
    **dict.fromkeys(("retryable", "unreadable", "stopped", "child_is_lost", "suspect", "unexplained"), True),
}


def test_a_success_has_pages_and_an_engine_and_no_remark() -> None:
    assert Verdict(pages=3, engine="e", seconds=0.5).is_success
    assert {one.name for one in fields(Verdict)} == {"pages", "engine", "seconds", *REMARKS}


@pytest.mark.parametrize("name", REMARKS)
def test_whatever_else_is_said_is_no_success(name: str) -> None:
    assert not Verdict(pages=3, engine="e", **{name: REMARKS[name]}).is_success
