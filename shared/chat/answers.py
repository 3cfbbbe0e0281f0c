"""What an answer of the endpoint means: words of a model, or one of the ways in which there are none."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

_LONGEST_MESSAGE: Final = 200
_LONGEST_WAIT_S: Final = 3_600.0
_CONTEXT_WORDS: Final = re.compile(
    r"exceed_context_size|context_length_exceeded|context (size|length|window)|maximum context"
    r"|too many tokens|prompt is too long|max_model_len",
    re.IGNORECASE,
)
_FORMAT_WORDS: Final = re.compile(r"response_format|json_schema|structured output|schema", re.IGNORECASE)
_WHOLE_FEATURE: Final = re.compile(r"response_format|json_schema", re.IGNORECASE)
_KEY_REFUSED: Final = frozenset({401, 403})
_BUSY: Final = frozenset({408, 425, 500, 502, 503, 504, 529})


@dataclass(frozen=True, slots=True)
class Words:
    """What the model said. `cut`: its room ended before it did."""

    text: str
    cut: bool


@dataclass(frozen=True, slots=True)
class Rated:
    """Too many requests. `after` is the wait in seconds that the endpoint asks for, if it does."""

    after: float | None
    detail: str


@dataclass(frozen=True, slots=True)
class Busy:
    """The endpoint is there and cannot answer now: overload, a gateway's error, a broken answer."""

    after: float | None
    detail: str


@dataclass(frozen=True, slots=True)
class Slow:
    """There was no answer in time. The endpoint may be well, and this document too much for it."""

    detail: str


@dataclass(frozen=True, slots=True)
class Down:
    """Nobody is there, or whoever is there does not know us: no document is to blame."""

    detail: str


@dataclass(frozen=True, slots=True)
class TooLong:
    """The request has more tokens than the model's context; how many of how many, where it was said."""

    asked: int | None
    room: int | None


@dataclass(frozen=True, slots=True)
class FormatRefused:
    """The endpoint does not take this JSON schema. `always`: nor any other."""

    always: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The endpoint or the model will not answer this request, however often it is asked."""

    detail: str


Answer = Words | Rated | Busy | Slow | Down | TooLong | FormatRefused | Refused


def of_failure(error: httpx.HTTPError) -> Answer:
    """The meaning of a request that got no answer."""
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.UnsupportedProtocol() | httpx.ProxyError():
            return Down(f"it cannot be reached ({type(error).__name__})")
        case httpx.TimeoutException():
            return Slow("no answer in time")
        case _:
            return Busy(None, f"the connection broke ({type(error).__name__})")


def of_response(response: httpx.Response) -> Answer:
    """The meaning of an answer with any status."""
    status = response.status_code
    if status == httpx.codes.OK:
        return _of_choice(response)
    body = _body(response)
    detail = f"HTTP {status}: {_message(body)}"
    after = wait_asked_for(response.headers)
    if status in _KEY_REFUSED:
        return Down(f"it refuses the key (HTTP {status}); look at BATCHMILL_EXTRACT__API_KEY")
    if status == httpx.codes.NOT_FOUND:
        return Down(f"{detail}; look at BATCHMILL_EXTRACT__BASE_URL and BATCHMILL_EXTRACT__MODEL")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return Rated(after, detail)
    if status in _BUSY or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return Busy(after, detail)
    return _of_refusal(status, body, detail)


def wait_asked_for(headers: httpx.Headers) -> float | None:
    """Seconds of a Retry-After header, as a number or as a date; an hour at most."""
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), _LONGEST_WAIT_S) if seconds == seconds else None  # noqa: PLR0124 - a nan


def _of_choice(response: httpx.Response) -> Answer:
    body = _body(response)
    try:
        choice = body["choices"][0]
        message = choice["message"]
        text, ended = message.get("content"), choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError):
        return Busy(None, "its answer is not that of a chat completion")
    if ended == "content_filter" or message.get("refusal"):
        return Refused("The model refused to read this document.")
    return Words(text if isinstance(text, str) else "", cut=ended == "length")


def _of_refusal(status: int, body: Any, detail: str) -> Answer:
    told = json.dumps(body)[:2_000] if body is not None else ""
    if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE or _CONTEXT_WORDS.search(told):
        error = body.get("error") if isinstance(body, dict) else None
        error = error if isinstance(error, dict) else {}
        return TooLong(_count(error.get("n_prompt_tokens")), _count(error.get("n_ctx")))
    if _FORMAT_WORDS.search(told):
        return FormatRefused(bool(_WHOLE_FEATURE.search(told)), detail)
    return Refused(f"The model's endpoint refuses the request ({detail}).")


def _body(response: httpx.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _message(body: Any) -> str:
    """The words of an error, shortened and in one line: it may be shown to the owner of the document."""
    error = body.get("error", body) if isinstance(body, dict) else None
    message = error.get("message", error.get("detail")) if isinstance(error, dict) else error
    if not isinstance(message, str):
        return "no reason given"
    return " ".join("".join(c if c.isprintable() else " " for c in message).split())[:_LONGEST_MESSAGE]


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
