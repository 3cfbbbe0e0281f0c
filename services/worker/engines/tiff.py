"""The pages of a TIFF file. The parser reads the first image of a file only, so each one is moved to the
front."""

import struct
from pathlib import Path
from typing import BinaryIO, Final

_SUBFILE_TYPE: Final = 254
_REDUCED: Final = 1
_MOST_ENTRIES: Final = 4096
_SHORT: Final = 2
_LONG: Final = 4


def image_offsets(path: Path, *, limit: int) -> list[int]:
    """Where the directory of each full image is, at most `limit` of them; thumbnails are left out. Empty
    when the file is not a classic TIFF or is damaged at its very start: then it is for the parser to say."""
    with path.open("rb") as file:
        order = {b"II*\0": "<", b"MM\0*": ">"}.get(file.read(4), "")
        if not order:
            return []
        found: list[int] = []
        seen: set[int] = set()
        at = _unsigned(file, order)
        # A chain that comes back to itself is how such a file is made endless.
        while at and at not in seen and len(found) < limit:
            seen.add(at)
            full, following = _directory(file, order, at)
            if following is None:
                break
            if full:
                found.append(at)
            at = following
        return found


def move_to_front(path: Path, offset: int) -> None:
    """Make the image whose directory is at `offset` the first one of the file at `path`, in place."""
    with path.open("r+b") as file:
        order = "<" if file.read(2) == b"II" else ">"
        file.seek(4)
        file.write(struct.pack(order + "I", offset))


def _directory(file: BinaryIO, order: str, at: int) -> tuple[bool, int | None]:
    """Whether it is of a full image, and where the next one is: 0 at the end, None when this one is
    damaged."""
    file.seek(at)
    raw = file.read(_SHORT)
    count = struct.unpack(order + "H", raw)[0] if len(raw) == _SHORT else 0
    if not 0 < count <= _MOST_ENTRIES:
        return False, None
    entries = file.read(12 * count)
    if len(entries) < 12 * count:
        return False, None
    full = True
    for tag, _kind, _count, value in struct.iter_unpack(order + "HHI4s", entries):
        if tag == _SUBFILE_TYPE:
            full = not struct.unpack(order + "I", value)[0] & _REDUCED
    return full, _unsigned(file, order)


def _unsigned(file: BinaryIO, order: str) -> int:
    raw = file.read(_LONG)
    return int(struct.unpack(order + "I", raw)[0]) if len(raw) == _LONG else 0
