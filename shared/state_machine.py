"""A table of moves: which state may follow which. Nothing else decides."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, TypeVar

S = TypeVar("S", bound=StrEnum)


class StateMachine(Generic[S]):
    """Answers questions about a fixed table of moves. A state without moves is final."""

    def __init__(self, moves: Mapping[S, frozenset[S]]) -> None:
        targets = frozenset().union(*moves.values())
        if unknown := targets - moves.keys():
            raise ValueError(f"moves lead to states the table does not list: {sorted(unknown)}")
        self._moves = dict(moves)

    def may(self, source: S, target: S) -> bool:
        """Is `source -> target` a move of the table?"""
        return target in self._moves[source]

    def sources(self, target: S) -> frozenset[S]:
        """The states from which `target` may be entered."""
        return frozenset(s for s, targets in self._moves.items() if target in targets)

    def is_final(self, state: S) -> bool:
        """Does no move lead out of `state`?"""
        return not self._moves[state]

    @property
    def final(self) -> frozenset[S]:
        """The states that nothing leaves."""
        return frozenset(s for s, targets in self._moves.items() if not targets)
