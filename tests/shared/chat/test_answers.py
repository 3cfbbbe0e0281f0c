"""What an endpoint's answers mean, for those that the server of these tests never gives."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from shared.chat.answers import (
    Busy,
    Down,
    FormatRefused,
    Rated,
    Refused,
    TooLong,
    of_response,
    wait_asked_for,
)


def answer(status: int, message: str = "", **headers: str) -> Any:
    return of_response(httpx.Response(status, headers=headers, json={"error": {"message": message}}))


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "This model's maximum context length is 8192 tokens", TooLong),
        (413, "", TooLong),
        (400, "Invalid schema for response_format 'extraction'", FormatRefused),
        (400, "temperature is not supported", Refused),
        (403, "", Down),
        (404, "The model `m` does not exist", Down),
        (429, "", Rated),
        (500, "", Busy),
        (529, "overloaded", Busy),
    ],
)
def test_each_trouble_has_its_name(status: int, message: str, kind: type) -> None:
    assert isinstance(answer(status, message), kind)


def test_a_page_of_a_gateway_and_a_body_of_another_kind_are_no_answer() -> None:
    assert isinstance(of_response(httpx.Response(502, text="<html>bad gateway</html>")), Busy)
    assert isinstance(of_response(httpx.Response(200, text="<html>log in</html>")), Busy)
    assert isinstance(of_response(httpx.Response(200, json={"choices": []})), Busy)
    refusal = {"choices": [{"finish_reason": "stop", "message": {"content": None, "refusal": "no"}}]}
    assert isinstance(of_response(httpx.Response(200, json=refusal)), Refused)


def test_what_an_endpoint_says_is_shown_in_one_short_line() -> None:
    told = answer(500, "a\nb\x1b[31m" + "x" * 1_000)
    assert isinstance(told, Busy)
    assert "\n" not in told.detail
    assert "\x1b" not in told.detail
    assert len(told.detail) < 250


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), ("0.5", 0.5), ("-3", 0), ("86400", 3_600), ("nan", None), ("soon", None), ("", None)],
)
def test_the_wait_asked_for_is_obeyed_within_reason(text: str, seconds: float | None) -> None:
    assert wait_asked_for(httpx.Headers({"Retry-After": text})) == seconds


def test_the_wait_may_be_a_date() -> None:
    text = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    found = wait_asked_for(httpx.Headers({"Retry-After": text}))
    assert found is not None
    assert 55 < found <= 60
