"""What is known of the bytes of an export from having made some of them: where its parts begin, and of an
archive what its list will say of each file.

It is kept in the process for whoever asks for a part of the same export next: about eight bytes for a hundred
files of lines, and twenty for one file of an archive. Losing it costs time and nothing else.
"""

from array import array
from collections import OrderedDict
from typing import Final

from services.api.export.names import Taken

MOST_FILES: Final = 2_000_000
"""Of all exports that are kept together: about 40 MB of archives."""


class Known:
    """How long each finished part is; and of an archive, file by file, checksum, sizes, and what became of
    it.

    `crcs`, `packed`, `sizes`, `flags` and `names` (checksums of them) have one number for each file of the
    finished parts; `lines` has three for each part of the archive's own list of lines: its checksum, length
    and packed length so far.
    """

    def __init__(self, files: int, taken: Taken) -> None:
        self.files = files
        self.lengths: array[int] = array("Q")
        self.crcs: array[int] = array("I")
        self.packed: array[int] = array("I")
        self.sizes: array[int] = array("I")
        self.names: array[int] = array("I")
        self.flags = bytearray()
        self.lines: array[int] = array("Q")
        self.taken = taken
        self._settled = 0, 0

    def settle(self, length: int) -> None:
        """The next part is finished, and has so many bytes."""
        self.lengths.append(length)
        self.taken.settle()
        self._settled = len(self.flags), len(self.lines)

    def undo(self) -> None:
        """Forget what was noted of a part that was not finished."""
        files, lines = self._settled
        for column in (self.crcs, self.packed, self.sizes, self.names):
            del column[files:]
        del self.flags[files:]
        del self.lines[lines:]
        self.taken.undo()

    def copy(self) -> "Known":
        """One that goes on by itself."""
        made = Known(self.files, self.taken.copy())
        made.lengths, made.lines = self.lengths[:], self.lines[:]
        made.crcs, made.packed, made.sizes, made.names = (
            column[:] for column in (self.crcs, self.packed, self.sizes, self.names)
        )
        made.flags, made._settled = self.flags[:], self._settled
        return made

    def goes_on_from(self, other: "Known") -> bool:
        """Whether it says all that the other one says, and more."""
        parts, files, lines = len(other.lengths), len(other.flags), len(other.lines)
        return (
            len(self.lengths) > parts
            and self.lengths[:parts] == other.lengths
            and self.lines[:lines] == other.lines
            and self.flags[:files] == other.flags
            and self.crcs[:files] == other.crcs
            and self.names[:files] == other.names
        )

    def start_of(self, part: int) -> int:
        """Where a part begins whose predecessors are known."""
        return sum(self.lengths[:part])

    def part_at(self, position: int) -> tuple[int, int]:
        """The known part that has this byte, and where it begins."""
        begins = 0
        for part, length in enumerate(self.lengths):
            if position < begins + length:
                return part, begins
            begins += length
        raise IndexError(position)


class KnownExports:
    """The last exports of this process, by their tag: those asked for longest ago go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Known] = OrderedDict()

    def find(self, tag: str) -> Known | None:
        """What is known of this export, for the caller alone."""
        found = self._kept.get(tag)
        if found is None:
            return None
        self._kept.move_to_end(tag)
        return found.copy()

    def keep(self, tag: str, known: Known) -> None:
        """Keep it, unless the same and more is known already."""
        kept = self._kept.get(tag)
        if kept is None or not kept.goes_on_from(known):
            self._kept[tag] = known
        self._kept.move_to_end(tag)
        while len(self._kept) > 1 and sum(one.files for one in self._kept.values()) > MOST_FILES:
            self._kept.popitem(last=False)

    def forget(self, tag: str) -> None:
        """What was known has turned out to be wrong."""
        self._kept.pop(tag, None)
