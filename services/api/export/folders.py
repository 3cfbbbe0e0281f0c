"""An export as an archive: a file for each file that has a result, in folders as at the source, and
`results.jsonl` with a line for each file of the batch, which says where its output is.

First come the parts with the files, then those with the lines, then those with the archive's list: what the
latter say of the files is known when those were made. Files are packed one by one, and the lines range by
range, so each part is made by itself.
"""

import zlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from services.api.export.archive import DEFLATED, STORED, Entry, end
from services.api.export.choice import Choice
from services.api.export.known import Known
from services.api.export.lines import line_of, parts_of, path_of, range_of
from services.api.export.names import VARIANTS, Taken, safe_path, variant
from services.api.export.reading import GONE, UNREADABLE, ExportChanged, Found, Source, Trouble
from shared.batches.service import ExportedFile
from shared.jobs.result import ResultDocument

LIST: Final = "results.jsonl"
_LEVEL: Final = 1
_RAW: Final = -zlib.MAX_WBITS
_LAST_BLOCK: Final = b"\x03\x00"
_MOST: Final = 0xFFFFFFFF
_THERE: Final = 1
_TROUBLES: Final = {None: 0, GONE: 2, UNREADABLE: 4}
_TROUBLE_OF: Final = {bits: None if code is None else Trouble(code) for code, bits in _TROUBLES.items()}
_TROUBLE_BITS: Final = 6
_VARIANT_SHIFT: Final = 3


class Packed(NamedTuple):
    """A file's output as it stands in the archive, or what is wrong with it."""

    row: ExportedFile
    trouble: Trouble | None
    data: bytes | None = None
    crc: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Folders:
    """`at` is the time of every file in it."""

    source: Source
    choice: Choice
    at: datetime

    @property
    def parts(self) -> int:
        """How many there are."""
        return 3 * parts_of(self.source.files)

    def nothing(self) -> Known:
        """What is known at the beginning."""
        taken = Taken(self.source.files)
        taken.take(LIST)
        taken.settle()
        return Known(self.source.files, taken)

    async def part(self, number: int, known: Known) -> AsyncGenerator[bytes]:
        """The bytes of a part. All parts before it must be known, and what is known of this one must be true:
        `ExportChanged`."""
        stage, at = divmod(number, parts_of(self.source.files))
        pieces = (self._files, self._lines, self._list)[stage](at, known)
        async for piece in pieces:
            yield piece

    async def _files(self, number: int, known: Known) -> AsyncGenerator[bytes]:
        fresh = number == len(known.lengths)
        async for one in self.source.made(await self._rows(number), self._pack):
            if fresh:
                self._note(known, one)
            entry = self._entry(known, one.row)
            if (one.data is None) != (entry is None):
                raise ExportChanged(one.row.name)
            if entry is None or one.data is None:
                continue
            if (one.crc, one.size, len(one.data)) != (entry.crc, entry.size, entry.packed):
                raise ExportChanged(one.row.name)
            yield entry.local() + one.data

    async def _lines(self, number: int, known: Known) -> AsyncGenerator[bytes]:
        text = b"".join(self._line(known, row) for row in await self._rows(number))
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
        # Such a flush ends at a byte and forgets what was: the next part goes on from anywhere.
        data = packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH)
        crc, size, packed = known.lines[3 * number - 3 : 3 * number] if number else (0, 0, 0)
        last = number + 1 == parts_of(self.source.files)
        if last:
            data += _LAST_BLOCK
        so_far = (zlib.crc32(text, crc), size + len(text), packed + len(data))
        if len(known.lines) == 3 * number:
            known.lines.extend(so_far)
        elif tuple(known.lines[3 * number : 3 * number + 3]) != so_far:
            raise ExportChanged(LIST)
        entry = self._list_entry(known)
        yield (b"" if number else entry.local()) + data + (entry.descriptor() if last else b"")

    async def _list(self, number: int, known: Known) -> AsyncGenerator[bytes]:
        files = parts_of(self.source.files)
        offset = known.start_of(number)
        found = b""
        for row in await self._rows(number):
            if (entry := self._entry(known, row)) is not None:
                found += entry.central(offset)
                offset += len(entry.local()) + entry.packed
        if number + 1 == files:
            found += self._list_entry(known).central(known.start_of(files))
            begins = known.start_of(2 * files)
            size = known.start_of(2 * files + number) - begins + len(found)
            there = sum(flags & _THERE for flags in known.flags)
            found += end(there + 1, list_at=begins, list_size=size)
        yield found

    async def _rows(self, number: int) -> list[ExportedFile]:
        first, last = range_of(number, self.source.files)
        return [] if first > last else list(await self.source.rows(first, last))

    def _pack(self, row: ExportedFile, found: Found) -> Packed:
        if not isinstance(found, ResultDocument):
            return Packed(row, found)
        raw = self.choice.file(found)
        if raw is None:
            return Packed(row, None)
        if len(raw) >= _MOST:
            return Packed(row, Trouble(UNREADABLE))
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
        data = packer.compress(raw) + packer.flush()
        # As long as the plain bytes means plain (`_entry`).
        return Packed(row, None, data if len(data) < len(raw) else raw, zlib.crc32(raw), len(raw))

    def _note(self, known: Known, one: Packed) -> None:
        number = 0
        name = b""
        if one.data is not None:
            while not known.taken.take(self._name(one.row, number)) and number < VARIANTS:
                number += 1
            name = self._name(one.row, number).encode()
        known.crcs.append(one.crc)
        known.packed.append(len(one.data or b""))
        known.sizes.append(one.size)
        known.names.append(zlib.crc32(name))
        trouble = _TROUBLES[one.trouble.code if one.trouble else None]
        known.flags.append((one.data is not None) | trouble | number << _VARIANT_SHIFT)

    def _name(self, row: ExportedFile, number: int) -> str:
        return variant(safe_path(path_of(row)), self.choice.suffix, row.seq, number)

    def _entry(self, known: Known, row: ExportedFile) -> Entry | None:
        at = row.seq - 1
        if not known.flags[at] & _THERE:
            return None
        name = self._name(row, known.flags[at] >> _VARIANT_SHIFT).encode()
        if zlib.crc32(name) != known.names[at]:
            raise ExportChanged(row.name)
        packed, size = known.packed[at], known.sizes[at]
        return Entry(name, known.crcs[at], packed, size, DEFLATED if packed < size else STORED, self.at)

    def _line(self, known: Known, row: ExportedFile) -> bytes:
        entry = self._entry(known, row)
        trouble = _TROUBLE_OF[known.flags[row.seq - 1] & _TROUBLE_BITS]
        output = None if entry is None else entry.name.decode()
        return line_of(row, self.source.kind, trouble, output=output)

    def _list_entry(self, known: Known) -> Entry:
        crc, size, packed = known.lines[-3:]
        return Entry(LIST.encode(), crc, packed, size, DEFLATED, self.at, streamed=True)
