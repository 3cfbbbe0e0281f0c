from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.worker.engines.options import allowed_page_failures, crop_of, select_pages, tier_of
from services.worker.engines.port import Refused
from shared.jobs.codes import FailureCode


def pages(total: int = 10, limit: int = 100, **ranges: Any) -> list[int]:
    return select_pages({"page_ranges": ranges}, total=total, limit=limit)


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ({}, list(range(1, 11))),
        ({"max_pages": 3}, [1, 2, 3]),
        ({"max_pages": 99}, list(range(1, 11))),
        ({"target_pages": "2"}, [2]),
        ({"target_pages": " 9 - 12 , 1,1, 2-3"}, [1, 2, 3, 9, 10]),
        ({"target_pages": "1-999999999"}, list(range(1, 11))),
        ({"target_pages": "4", "max_pages": 2}, [4]),
        ({"target_pages": None, "max_pages": None}, list(range(1, 11))),
        ({"target_pages": ""}, list(range(1, 11))),
    ],
)
def test_pages_are_counted_from_one(ranges: dict[str, Any], expected: list[int]) -> None:
    assert pages(**ranges) == expected


@pytest.mark.parametrize("target", ["x", "0", "3-1", "1,,2", "-3", "1-", "1;2", "1" * 10, "²", 5, ["1"]])
def test_a_target_that_is_none_is_refused_in_words(target: object) -> None:
    with pytest.raises(Refused, match="target_pages") as refused:
        pages(target_pages=target)
    assert refused.value.code is FailureCode.ENGINE_ERROR
    assert not refused.value.retryable


@pytest.mark.parametrize("most", [0, -1, "3", 2.5, True])
def test_a_maximum_that_is_none_is_refused(most: object) -> None:
    with pytest.raises(Refused, match="max_pages"):
        pages(max_pages=most)


def test_pages_beyond_the_end_are_no_data() -> None:
    with pytest.raises(Refused, match="10 pages") as refused:
        pages(target_pages="11-20")
    assert refused.value.code is FailureCode.NO_DATA_FOUND_IN_FILE


def test_the_limit_counts_the_pages_asked_for() -> None:
    assert pages(total=100, limit=100) == list(range(1, 101))
    assert pages(total=101, limit=100, target_pages="101") == [101]
    for ranges in ({}, {"max_pages": 101}, {"target_pages": "1-101"}):
        with pytest.raises(Refused, match="101 pages") as refused:
            pages(total=101, limit=100, **ranges)
        assert refused.value.code is FailureCode.TOO_MANY_PAGES


@given(st.sets(st.integers(1, 40), min_size=1), st.integers(1, 40))
def test_any_list_of_pages_gives_just_these(wanted: set[int], total: int) -> None:
    inside = sorted(page for page in wanted if page <= total)
    target = ",".join(map(str, sorted(wanted, reverse=True)))
    if inside:
        assert pages(total=total, target_pages=target) == inside
    else:
        with pytest.raises(Refused):
            pages(total=total, target_pages=target)


def test_the_tier_is_said_as_it_is() -> None:
    assert tier_of({}).name == "cost_effective"
    assert not tier_of({"tier": "fast"}).markdown
    told = tier_of({"tier": "agentic"}).describe("e 1", pages=2, ocr_pages=1, seconds=0.5)
    assert told["engine"] == "e 1 (no model looked at it)"
    assert "No model" in told["note"]
    assert (told["tier"], told["pages"], told["ocr_pages"], told["seconds"]) == ("agentic", 2, 1, 0.5)
    assert tier_of({"tier": "fast"}).describe("e 1", pages=1, ocr_pages=0, seconds=0)["engine"] == "e 1"
    with pytest.raises(Refused, match="'best'"):
        tier_of({"tier": "best"})


def test_a_crop_box_of_edges_becomes_shares_cut_off() -> None:
    assert crop_of({}) is None
    assert crop_of({"crop_box": {"top": 0, "bottom": 1}}) is None
    assert crop_of({"crop_box": {"top": 0.25, "bottom": 0.5, "left": 0.125}}) == (0.25, 0.0, 0.5, 0.125)
    for box in ({"top": 0.5, "bottom": 0.5}, {"left": 2}, {"top": "a"}, "all"):
        with pytest.raises(Refused, match="crop_box"):
            crop_of({"crop_box": box})


def test_the_share_of_pages_that_may_fail() -> None:
    def options(ratio: object) -> dict[str, Any]:
        return {"processing_control": {"job_failure_conditions": {"allowed_page_failure_ratio": ratio}}}

    assert allowed_page_failures({}) == 0.05
    assert allowed_page_failures(options(1)) == 1
    with pytest.raises(Refused, match="ratio"):
        allowed_page_failures(options(1.5))
