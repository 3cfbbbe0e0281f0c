"""One question to an OpenAI-compatible endpoint, and the one quick second try that it may get."""

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from shared.chat.answers import (
    Answer,
    Busy,
    FormatRefused,
    Refused,
    of_failure,
    of_response,
)

CONNECT_S: Final = 5.0
QUICK_RETRY_S: Final = 0.5
SEED: Final = 1
_REMEMBERED: Final = 256
_LONGEST_ANSWER: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Question:
    """`messages` of a chat; `schema` the shape of the answer, `strict` where it may be asked for strictly."""

    messages: Sequence[Mapping[str, str]]
    schema: Mapping[str, Any]
    strict: bool
    max_tokens: int


class Endpoint:
    """A base URL such as `http://gpu-host:8080/v1`, its key and a model there. Many questions may be asked
    at once. Nothing of it is written to a log but the host: not the key, not a document."""

    def __init__(self, base_url: str, *, api_key: str | None, model: str, timeout_s: float) -> None:
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._http = httpx.AsyncClient(
            base_url=base_url.rstrip("/") + "/",
            headers={**headers, "User-Agent": "batchmill"},
            timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s), pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=4.0),
            follow_redirects=False,
        )
        self._timeout_s = timeout_s
        self.model = model
        self._no_schemas = False
        self._refused_schemas: OrderedDict[str, None] = OrderedDict()

    async def ask(self, question: Question) -> Answer:
        """What the model says. Raises nothing for what an endpoint can do.

        A schema that the endpoint does not take is asked for in words instead, and that is remembered.
        """
        key = hashlib.sha256(json.dumps(question.schema, sort_keys=True).encode()).hexdigest()
        if self._no_schemas or key in self._refused_schemas:
            return _without_way_out(await self._ask_twice(question, by_schema=False))
        answer = await self._ask_twice(question, by_schema=True)
        if not isinstance(answer, FormatRefused):
            return answer
        second = await self._ask_twice(question, by_schema=False)
        if not isinstance(second, FormatRefused | Refused):
            if answer.always:
                self._no_schemas = True
            self._refused_schemas[key] = None
            while len(self._refused_schemas) > _REMEMBERED:
                self._refused_schemas.popitem(last=False)
        return _without_way_out(second)

    async def models(self) -> Answer | list[str]:
        """The names of the models there, or why they cannot be told."""
        try:
            response = await self._http.get("models", timeout=CONNECT_S)
        except httpx.HTTPError as error:
            return of_failure(error)
        if response.status_code != httpx.codes.OK:
            return of_response(response)
        try:
            return [str(each["id"]) for each in response.json()["data"]]
        except (ValueError, KeyError, TypeError):
            return Busy(None, "its list of models is not one")

    async def answers(self) -> bool:
        """Does it answer something light, be it with a refusal? Then it is there, and has time."""
        try:
            response = await self._http.get("models", timeout=CONNECT_S)
        except httpx.HTTPError:
            return False
        return response.status_code < httpx.codes.INTERNAL_SERVER_ERROR

    async def close(self) -> None:
        """Give connections back."""
        await self._http.aclose()

    async def _ask_twice(self, question: Question, *, by_schema: bool) -> Answer:
        answer = await self._send(question, by_schema=by_schema)
        # A gateway between two servers, a connection that idled away: those pass at once or not soon.
        if isinstance(answer, Busy) and answer.after is None:
            await asyncio.sleep(QUICK_RETRY_S)
            answer = await self._send(question, by_schema=by_schema)
        return answer

    async def _send(self, question: Question, *, by_schema: bool) -> Answer:
        shape = {"name": "extraction", "strict": question.strict, "schema": question.schema}
        asked = {
            "model": self.model,
            "messages": list(question.messages),
            "temperature": 0,
            "seed": SEED,
            "max_tokens": question.max_tokens,
            "response_format": (
                {"type": "json_schema", "json_schema": shape} if by_schema else {"type": "json_object"}
            ),
        }
        try:
            # The client's own time-out counts silence, and a server that sends a byte now and then has none.
            async with asyncio.timeout(self._timeout_s):
                return await self._read(asked)
        except TimeoutError:
            return of_failure(httpx.ReadTimeout("no answer in time"))
        except httpx.HTTPError as error:
            return of_failure(error)

    async def _read(self, asked: Mapping[str, Any]) -> Answer:
        async with self._http.stream("POST", "chat/completions", json=asked) as response:
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > _LONGEST_ANSWER:
                    return Busy(None, "its answer has no end")
            whole = httpx.Response(
                response.status_code, headers=_plain(response.headers), content=bytes(body)
            )
            return of_response(whole)


def _plain(headers: httpx.Headers) -> dict[str, str]:
    """The one header that is read later; the body is unpacked already."""
    return {name: value for name, value in headers.items() if name.lower() == "retry-after"}


def _without_way_out(answer: Answer) -> Answer:
    if isinstance(answer, FormatRefused):
        return Refused(f"The model's endpoint refuses the request ({answer.detail}).")
    return answer
