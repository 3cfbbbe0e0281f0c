"""The answers of a child, taken apart as they come out of its pipe."""

from dataclasses import dataclass
from typing import Final

from services.worker.engines.port import MOST_BEHIND_AN_ANSWER

LONGEST_LINE: Final = 64 * 1024
_LONGEST_SIZE: Final = 9


class Babble(Exception):
    """What comes can be no answer, however much more of it comes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A line, and what came behind it: a packed result, or nothing."""

    line: bytes
    packed: bytes


class Answers:
    """What came and was not taken yet. Nothing of it is believed: a child may have been taken over."""

    def __init__(self) -> None:
        self._came = bytearray()

    def feed(self, piece: bytes) -> None:
        """More of it."""
        self._came += piece

    def take(self) -> Answer | None:
        """The next one, when it is whole. What is no answer is handed on as it is: whoever judges it finds no
        sense in it. Raises `Babble`."""
        end = self._came.find(b"\n", 0, LONGEST_LINE)
        if end < 0:
            if len(self._came) >= LONGEST_LINE:
                raise Babble
            return None
        size, space, line = bytes(self._came[:end]).partition(b" ")
        if not space or not size.isdigit() or len(size) > _LONGEST_SIZE:
            whole = bytes(self._came[: end + 1])
            del self._came[: end + 1]
            return Answer(whole, b"")
        if int(size) > MOST_BEHIND_AN_ANSWER:
            raise Babble
        last = end + 1 + int(size)
        if len(self._came) < last:
            return None
        packed = bytes(self._came[end + 1 : last])
        del self._came[:last]
        return Answer(line, packed)
