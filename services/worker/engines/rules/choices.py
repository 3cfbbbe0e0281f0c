"""One of several words, yes or no, boxes that are ticked."""

import re
from collections.abc import Sequence
from typing import Any, Final

from rapidfuzz import fuzz

from services.worker.engines.rules.words import normal

_LONGEST: Final = 200
_CLOSE: Final = 90
_MARK: Final = re.compile(r"[\[(] ?([xX✓✔*]?) ?[\])]|([☐☑☒■□✓✔✗])")
_TICKED: Final = frozenset("xX✓✔*☑☒■")
_YES: Final = frozenset(("yes", "y", "true", "ja", "oui", "si", "on", "checked", "x"))
_NO: Final = frozenset(("no", "n", "false", "nein", "non", "off", "unchecked", "number", "none"))


def read_choice(text: str, options: Sequence[Any]) -> tuple[Any, float] | None:
    """The option that the text names, and how sure: equal words, or nearly and no other so near; of boxes
    the one that is ticked."""
    text = text[:_LONGEST]
    ticked = _ticked(text)
    if ticked is not None:
        return read_choice(ticked, options) if ticked and not _MARK.search(ticked) else None
    words = normal(text)
    if not words:
        return None
    by_word = {normal(str(option)): option for option in options if option is not None}
    if words in by_word:
        return by_word[words], 1.0
    close = sorted(((fuzz.ratio(words, word), word) for word in by_word), reverse=True)
    near = [word for score, word in close if score >= _CLOSE]
    return (by_word[near[0]], close[0][0] / 100 * 0.9) if len(near) == 1 else None


def read_boolean(text: str) -> tuple[bool, float] | None:
    """Yes or no, in words or as a box; of two boxes the ticked one."""
    text = text[:_LONGEST].strip()
    marks = marks_of(text)
    if marks:
        if len(marks) == 1 and marks[0][1] == "":
            return marks[0][0], 1.0
        ticked = _ticked(text)
        return read_boolean(ticked) if ticked and not _MARK.search(ticked) else None
    word = text.strip(" .!").casefold()
    if word in _YES:
        return True, 1.0
    return (False, 1.0) if word in _NO else None


def marks_of(text: str) -> list[tuple[bool, str]]:
    """Boxes in the text: whether ticked, and the words up to the next box."""
    found = list(_MARK.finditer(text[:_LONGEST]))
    ends = [*(mark.start() for mark in found[1:]), len(text)][: len(found)]
    return [
        ((mark[1] or mark[2] or "") in _TICKED and bool(mark[1] or mark[2]), text[mark.end() : end].strip())
        for mark, end in zip(found, ends, strict=True)
    ]


def _ticked(text: str) -> str | None:
    """The words of the only ticked box; empty when none or several are; None when there is no box."""
    marks = marks_of(text)
    if not marks:
        return None
    chosen = [words for ticked, words in marks if ticked]
    return chosen[0] if len(chosen) == 1 else ""
