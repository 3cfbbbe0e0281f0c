"""Which leaves a printed label may mean."""

from collections.abc import Iterable
from typing import Final

from rapidfuzz import fuzz, process

from services.worker.engines.rules.schema import Leaf
from services.worker.engines.rules.words import GENERIC, KNOWN, normal

_CLOSE: Final = 88
_MOST_WORDS: Final = 6
_MOST_LOOKS: Final = 5_000
"""Labels of one document that are compared letter by letter; beyond that only equal ones count."""


class Phrasebook:
    """The labels of all leaves."""

    def __init__(self, leaves: Iterable[Leaf]) -> None:
        self._exact: dict[str, list[tuple[Leaf, float]]] = {}
        self._scoped: dict[str, list[tuple[Leaf, float]]] = {}
        self.headings: set[str] = set()
        for leaf in leaves:
            for phrase, weight in leaf.phrases.items():
                self._exact.setdefault(phrase, []).append((leaf, weight))
            for phrase, weight in leaf.scoped.items():
                self._scoped.setdefault(phrase, []).append((leaf, weight))
            self.headings |= leaf.headings
        self._phrases = sorted(phrase for phrase in self._exact if phrase)
        self._near: dict[str, str | None] = {}

    def match(self, label: str) -> list[tuple[Leaf, float]]:
        """The leaves that a label in its normal form may mean, with weights from 0 to 1."""
        if label in self._exact:
            return self._exact[label]
        if label in KNOWN or not label or len(label.split()) > _MOST_WORDS:
            return []
        if label not in self._near:
            if len(self._near) >= _MOST_LOOKS:
                return []
            found = process.extractOne(
                label, self._phrases, scorer=fuzz.token_sort_ratio, score_cutoff=_CLOSE
            )
            self._near[label] = found[0] if found else None
        near = self._near[label]
        return [(leaf, weight * 0.85) for leaf, weight in self._exact[near]] if near else []

    def is_generic(self, label: str, leaf: Leaf) -> bool:
        """Whether the label says less than the name of the leaf, and stands on documents of all kinds."""
        own = " ".join(word for word in leaf.words if word != "full")
        return (self._near.get(label) or label) in GENERIC and label != own

    def match_scoped(self, label: str) -> list[tuple[Leaf, float]]:
        """The leaves that it may mean below a heading of their group."""
        return self._scoped.get(label, [])

    def knows(self, words: str) -> bool:
        """Whether these words are a label, printed or asked for."""
        label = normal(words)
        return label in KNOWN or label in self._exact

    def is_label(self, text: str) -> bool:
        """Whether a cell is a label, or begins with one that has a colon: neither is a value."""
        head, colon, _ = text.partition(": ")
        return text.endswith(":") or self.knows(text) or (bool(colon) and self.knows(head))
