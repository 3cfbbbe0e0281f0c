"""One export of one batch, from any byte to any other."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Protocol

from services.api.export.known import Known, KnownExports
from services.api.export.reading import ExportChanged


class Form(Protocol):
    """A row of parts."""

    @property
    def parts(self) -> int:
        """How many there are."""

    def nothing(self) -> Known:
        """What is known before the first was made."""

    def part(self, number: int, known: Known) -> AsyncGenerator[bytes]:
        """The bytes of one; those of all parts before it are known."""


class Delivery:
    """What is sent of an export. With a `tag` what it learns is kept for others who ask for the same.

    What others learned is used for a part alone. The whole is made without it, and tells no length before: a
    result that the storage has lost since then is an error of its file, and not of the answer.
    """

    def __init__(self, form: Form, kept: KnownExports, tag: str | None) -> None:
        self._form = form
        self._kept = kept
        self._tag = tag
        self._known = form.nothing()

    @property
    def length(self) -> int | None:
        """Bytes of the whole; None as long as that is not known."""
        known = len(self._known.lengths)
        return self._known.start_of(known) if known == self._form.parts else None

    async def measure(self, enough: Callable[[], Awaitable[bool]]) -> bool:
        """Learn how long the whole is by making what was not made yet, and throwing it away; False when it
        was `enough` before. What was learned is kept: the next one goes on there."""
        if self._tag is not None:
            self._known = self._kept.find(self._tag) or self._known
        try:
            while self.length is None:
                if await enough():
                    return False
                async for _ in self._part(len(self._known.lengths)):
                    pass
        except ExportChanged:
            self._forget()
            raise
        finally:
            self._keep()
        return True

    async def pieces(self, first: int = 0, last: int | None = None) -> AsyncGenerator[bytes]:
        """The bytes from `first` to `last`, both included, or to the end. Beginning elsewhere than at the
        first byte needs a known length. `ExportChanged` when they are not those that were told of before."""
        part, at = (0, 0) if first == 0 else self._known.part_at(first)
        try:
            while part < self._form.parts and (last is None or at <= last):
                async with aclosing(self._part(part)) as pieces:
                    async for piece in pieces:
                        wanted = piece[max(first - at, 0) : None if last is None else max(last + 1 - at, 0)]
                        at += len(piece)
                        if wanted:
                            yield wanted
                part += 1
        except ExportChanged:
            self._forget()
            raise
        finally:
            self._keep()

    async def _part(self, number: int) -> AsyncGenerator[bytes]:
        known = self._known
        told = known.lengths[number] if number < len(known.lengths) else None
        length = 0
        async with aclosing(self._form.part(number, known)) as pieces:
            async for piece in pieces:
                length += len(piece)
                if told is not None and length > told:
                    raise ExportChanged(f"part {number} is longer than it was")
                yield piece
        if told is None:
            known.settle(length)
        elif told != length:
            raise ExportChanged(f"part {number} is shorter than it was")

    def _forget(self) -> None:
        if self._tag is not None:
            self._kept.forget(self._tag)
        self._tag = None

    def _keep(self) -> None:
        self._known.undo()
        if self._tag is not None:
            self._kept.keep(self._tag, self._known)
