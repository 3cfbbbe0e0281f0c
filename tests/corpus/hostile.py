"""What a hostile file is: a name, its bytes, and the ends that are right for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.jobs.codes import FailureCode

COMPLETED = None
"""The right end of a file that hurts nobody, or of which something can be read all the same."""
End = FailureCode | None


@dataclass(frozen=True, slots=True)
class Hostile:
    """`make` draws the bytes. `grown_to` is the size it is stretched to without taking room on a disk.
    `heavy`: for the table only, since it keeps a machine busy for long."""

    make: Callable[[], bytes]
    ends: frozenset[End]
    grown_to: int = 0
    heavy: bool = False


Corpus = Mapping[str, Hostile]


def ends_as(make: Callable[[], bytes], *ends: End, grown_to: int = 0, heavy: bool = False) -> Hostile:
    """A hostile file with the ends that are right for it."""
    return Hostile(make, frozenset(ends), grown_to, heavy)
