"""An `Extractor` that asks a language model: a document goes out piece by piece, and what comes back is held
to the schema and to the document."""

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.worker.engines.port import Again, Done, Infra
from services.worker.llm import gathering
from services.worker.llm import schema as schemas
from services.worker.llm.gathering import Taken
from services.worker.llm.grounding import Ground
from services.worker.llm.patience import Patience
from services.worker.llm.pieces import SMALLEST, Piece, cut, messages
from services.worker.llm.schema import Asked, SchemaUnusable
from shared.chat.answers import Busy, Down, FormatRefused, Rated, Refused, Slow, TooLong, Words
from shared.chat.endpoint import Endpoint, Question
from shared.jobs.codes import FailureCode
from shared.jobs.result import Extraction, Page, ResultDocument

FIRST_PIECE: Final = 60_000
"""Characters of a piece until the endpoint says that they are too many: about 15,000 tokens."""
_SPLITS: Final = 2
_REMEMBERED: Final = 256
_BEGUN: Final = 64
_MOST_FIGURES: Final = 300


class _Ended(Exception):
    """The document has its end, and it is not a good one."""

    def __init__(self, code: FailureCode, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable


class _NotNow(Exception):
    """The endpoint did not answer; nothing is said about the document."""

    def __init__(self, answer: Rated | Busy | Slow | Down) -> None:
        super().__init__(answer.detail)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class _Task:
    """A document's wishes, the same for each of its pieces. `shape` is `data_schema`, or a list of it."""

    document: str
    shape: Mapping[str, Any]
    asked: Asked
    wishes: str | None
    repeats: bool

    @property
    def key(self) -> str:
        """Names the schema, for what is learnt about it."""
        return hashlib.sha256(json.dumps(self.asked.schema, sort_keys=True).encode()).hexdigest()


class LanguageModel:
    """Asks a model behind an OpenAI-compatible endpoint. `max_tokens` bounds one answer. Several documents
    may be given to it at once; each has one request under way at a time."""

    def __init__(
        self, base_url: str, *, api_key: str | None, model: str, timeout_s: float, max_tokens: int
    ) -> None:
        self._endpoint = Endpoint(base_url, api_key=api_key, model=model, timeout_s=timeout_s)
        self._max_tokens = max_tokens
        self._patience = Patience()
        self._room: OrderedDict[str, int] = OrderedDict()
        self._begun: OrderedDict[str, dict[str, Words]] = OrderedDict()
        self.engine = f"openai {model}"

    async def extract(
        self, document: ResultDocument, parameters: Mapping[str, Any]
    ) -> Extraction | Done | Again | Infra:
        """The values, or how the document ends instead, or when to ask again."""
        started = time.monotonic()
        if (closed := self.not_now()) is not None:
            return closed
        task = await asyncio.to_thread(_task_of, document, parameters)
        try:
            extraction = await self._extract(task, document, parameters)
        except _NotNow as reason:
            ended = await self._not_now(task.document, reason.answer)
            if not isinstance(ended, _Ended):
                return ended
        except SchemaUnusable as error:
            ended = _Ended(FailureCode.SCHEMA_INVALID, str(error))
        except _Ended as error:
            ended = error
        else:
            self._patience.answered(task.document)
            self._begun.pop(task.document, None)
            return extraction
        self._patience.forget(task.document)
        self._begun.pop(task.document, None)
        return Done(
            code=ended.code,
            message=ended.message,
            retryable=ended.retryable,
            pages=len(document.pages),
            engine=self.engine,
            result=None,
            seconds=time.monotonic() - started,
        )

    def not_now(self) -> Again | Infra | None:
        """Why no question would be sent now: the endpoint has just said so to another document."""
        return self._patience.closed()

    async def close(self) -> None:
        """Give connections back."""
        await self._endpoint.close()

    async def _extract(
        self, task: _Task, document: ResultDocument, parameters: Mapping[str, Any]
    ) -> Extraction:
        schema, target = parameters["data_schema"], parameters.get("extraction_target")
        pages = document.pages
        if target == "per_page":
            each = [_whole(schema, await self._take(task, [page])) for page in pages]
            taken = Taken([one.data for one in each], [one.fields for one in each])
            fields = {"page_metadata": taken.fields}
        elif target == "per_table_row":
            rows = await self._take(task, pages)
            taken = Taken(rows.data.get("rows") or [], (rows.fields or {}).get("rows") or [])
            taken = Taken(taken.data, gathering.annotate(taken.data, taken.fields))
            fields = {"row_metadata": taken.fields}
        else:
            taken = _whole(schema, await self._take(task, pages))
            fields = {"document_metadata": taken.fields}
        lists = {"type": "array", "items": schema} | {k: schema[k] for k in ("$defs",) if k in schema}
        missing = schemas.missing(lists if isinstance(taken.data, list) else schema, taken.data)
        return Extraction(taken.data, fields, tuple(missing), self.engine)

    async def _take(self, task: _Task, pages: Sequence[Page]) -> Taken:
        most = self._room.get(task.key, FIRST_PIECE)
        return await self._join(task, list(cut(pages, most)), splits=_SPLITS)

    async def _join(self, task: _Task, pieces: Sequence[Piece], *, splits: int) -> Taken:
        whole = Taken({}, {})
        for piece in pieces:
            whole = gathering.merge(whole, await self._take_piece(task, piece, splits), repeats=task.repeats)
            if whole.data and gathering.is_settled(whole.data):
                break
        return whole

    async def _take_piece(self, task: _Task, piece: Piece, splits: int) -> Taken:
        answer = await self._ask(task, piece, self._max_tokens)
        if isinstance(answer, Words) and answer.cut:
            answer = await self._ask(task, piece, self._max_tokens * 2)
        if isinstance(answer, TooLong):
            return await self._join(task, self._smaller(task, piece, answer), splits=splits)
        if answer.cut:
            halves = piece.halves() if splits else None
            if halves is None:
                room = f"{self._max_tokens * 2} tokens (twice BATCHMILL_EXTRACT__MAX_TOKENS)"
                message = f"The model's answer was cut off, at {room} or at the end of its context."
                raise _Ended(FailureCode.SCHEMA_INVALID, message)
            return await self._join(task, halves, splits=splits - 1)
        value = object_in(answer.text)
        return await asyncio.to_thread(_believe, task, value, piece)

    async def _ask(self, task: _Task, piece: Piece, max_tokens: int) -> Words | TooLong:
        key = hashlib.sha256(f"{max_tokens} {piece.text}".encode("utf-8", "replace")).hexdigest()
        begun = self._begun.get(task.document, {})
        if (known := begun.get(key)) is not None:
            return known
        chat = messages(piece, task.asked.schema, task.wishes)
        answer = await self._endpoint.ask(Question(chat, task.asked.schema, task.asked.strict, max_tokens))
        match answer:
            case Words():
                # A document that has to wait half-way goes on there, not from its first page.
                self._begun.setdefault(task.document, begun)[key] = answer
                _forget_oldest(self._begun, _BEGUN)
                return answer
            case TooLong():
                return answer
            case Refused(detail) | FormatRefused(_, detail):
                raise _Ended(FailureCode.ENGINE_ERROR, detail)
            case _:
                raise _NotNow(answer)

    def _smaller(self, task: _Task, piece: Piece, answer: TooLong) -> list[Piece]:
        length = len(piece.text)
        share = 0.5
        if answer.asked and answer.room:
            share = min((answer.room - min(self._max_tokens, answer.room / 4)) / answer.asked * 0.9, 0.9)
        most = max(int(length * share), SMALLEST)
        smaller = list(cut(piece.pages, most))
        if len(smaller) < 2:  # noqa: PLR2004 - no smaller than it was
            raise _Ended(
                FailureCode.ENGINE_ERROR,
                "The schema alone is too long for the model's context.",
            )
        self._room[task.key] = min(most, self._room.get(task.key, most))
        _forget_oldest(self._room, _REMEMBERED)
        return smaller

    async def _not_now(self, document: str, answer: Rated | Busy | Slow | Down) -> Again | Infra | _Ended:
        answers = isinstance(answer, Busy | Slow) and await self._endpoint.answers()
        outcome = self._patience.wait(document, answer, answers=answers)
        if not answers or not self._patience.is_the_document(document):
            return outcome
        tries = self._patience.tries(document)
        message = f"The model gave no answer for this document in {tries} tries: {answer.detail}."
        return _Ended(FailureCode.LLM_UNAVAILABLE, message, retryable=True)


def _task_of(document: ResultDocument, parameters: Mapping[str, Any]) -> _Task:
    schema = parameters["data_schema"]
    rows = parameters.get("extraction_target") == "per_table_row"
    shape = schemas.rows_of(schema) if rows else schema
    told = hashlib.sha256(json.dumps(dict(parameters), sort_keys=True, default=str).encode())
    for page in document.pages:
        told.update(page.text.encode("utf-8", "replace"))
    wishes = parameters.get("system_prompt")
    return _Task(told.hexdigest(), shape, schemas.to_ask(shape), wishes, repeats=rows)


def _believe(task: _Task, value: Any, piece: Piece) -> Taken:
    held = schemas.fill(task.shape, schemas.hold_to(task.shape, value))
    return gathering.believe(task.shape, task.shape, held, Ground(piece.pages))


def _whole(schema: Mapping[str, Any], taken: Taken) -> Taken:
    data = schemas.fill(schema, taken.data)
    return Taken(data, gathering.annotate(data, taken.fields))


def object_in(text: str) -> dict[str, Any]:
    """The one object of an answer, in a fence of markdown or not. Numbers too large for a float are null."""
    bare = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        value = json.loads(bare, parse_int=_whole_number)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _Ended(FailureCode.SCHEMA_INVALID, "The model's answer is not a JSON object.")
    return value


def _whole_number(figures: str) -> int | None:
    # One that is no float breaks whoever compares it with one.
    return int(figures) if len(figures) <= _MOST_FIGURES else None


def _forget_oldest(memory: OrderedDict[str, Any], most: int) -> None:
    while len(memory) > most:
        memory.popitem(last=False)
