"""The records of a ZIP archive, byte by byte: the parts of an export are made apart from each other, and
writers of archives want to write one from its beginning to its end.

Sizes and offsets that do not fit into 32 bits are told in the fields of Zip64. Names are UTF-8 (flag bit 11).
"""

import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Final

STORED: Final = 0
DEFLATED: Final = 8
_UTF8: Final = 1 << 11
_SIZES_FOLLOW: Final = 1 << 3
_MOST: Final = 0xFFFFFFFF
_MOST_ENTRIES: Final = 0xFFFF
_V20: Final = 20
_V45: Final = 45
_UNIX: Final = 3 << 8
_PLAIN_FILE: Final = 0o100644 << 16
_FIRST_YEAR: Final = 1980
_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_DESCRIPTOR_64: Final = struct.Struct("<4sI2Q")
_END_64: Final = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64: Final = struct.Struct("<4sIQI")
_END: Final = struct.Struct("<4s4H2IH")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in an archive: how large it is, packed and plain, and how it is packed. `streamed`: its sizes
    stand behind its bytes, in 64 bits."""

    name: bytes
    crc: int
    packed: int
    size: int
    method: int
    at: datetime
    streamed: bool = False

    @property
    def _flags(self) -> int:
        return _UTF8 | (_SIZES_FOLLOW if self.streamed else 0)

    def local(self) -> bytes:
        """What stands before its bytes."""
        crc, packed, size, extra = self.crc, self.packed, self.size, b""
        version = _V20
        if self.streamed:
            crc, packed, size, version = 0, _MOST, _MOST, _V45
            extra = struct.pack("<2H2Q", 1, 16, 0, 0)
        head = _LOCAL.pack(
            *(b"PK\x03\x04", version, self._flags, self.method, *_dos(self.at)),
            *(crc, packed, size, len(self.name), len(extra)),
        )
        return head + self.name + extra

    def descriptor(self) -> bytes:
        """What stands behind its bytes when it is streamed."""
        return _DESCRIPTOR_64.pack(b"PK\x07\x08", self.crc, self.packed, self.size)

    def central(self, offset: int) -> bytes:
        """Its line in the archive's list; `offset` is where `local` stands."""
        large = [value for value in (self.size, self.packed, offset) if value >= _MOST]
        extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
        version = _V45 if large or self.streamed else _V20
        head = _CENTRAL.pack(
            *(b"PK\x01\x02", _UNIX | _V45, version, self._flags, self.method, *_dos(self.at)),
            *(self.crc, min(self.packed, _MOST), min(self.size, _MOST), len(self.name), len(extra)),
            *(0, 0, 0, _PLAIN_FILE, min(offset, _MOST)),
        )
        return head + self.name + extra


def end(entries: int, *, list_at: int, list_size: int) -> bytes:
    """The end of an archive whose list of so many entries stands at `list_at`."""
    found = b""
    if entries >= _MOST_ENTRIES or list_at >= _MOST or list_size >= _MOST:
        sizes = (entries, entries, list_size, list_at)
        found = _END_64.pack(b"PK\x06\x06", _END_64.size - 12, _UNIX | _V45, _V45, 0, 0, *sizes)
        found += _LOCATOR_64.pack(b"PK\x06\x07", 0, list_at + list_size, 1)
    count = min(entries, _MOST_ENTRIES)
    return found + _END.pack(b"PK\x05\x06", 0, 0, count, count, min(list_size, _MOST), min(list_at, _MOST), 0)


def _dos(at: datetime) -> tuple[int, int]:
    """Time and date, to two seconds."""
    year = max(at.year - _FIRST_YEAR, 0)
    return at.hour << 11 | at.minute << 5 | at.second // 2, year << 9 | at.month << 5 | at.day
