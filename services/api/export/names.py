"""Names in an archive: where the file lay at its source, made safe to unpack anywhere.

What a client called its files is not to be trusted: no name leads out of the folder that the archive is
unpacked in, none stands for a device, and no two are the same one on a file system that does not tell large
letters from small.
"""

import hashlib
import re
import unicodedata
from typing import Final

MOST_OF_A_PART: Final = 180
"""Bytes of one part of a path: 255 are allowed everywhere, and a suffix is yet to come."""
MOST_OF_A_PATH: Final = 2_000
VARIANTS: Final = 31
_DRIVE: Final = re.compile(r"[A-Za-z]:")
# Reserved by Windows, controls, and marks that turn the order in which a name is shown.
_UNSAFE: Final = re.compile('[<>:"|?*\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
_DEVICE: Final = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")
_BITS_A_FILE: Final = 32
_PROBES: Final = 8


def source_path(name: str, unique_id: str | None, external_file_id: str | None) -> str:
    """Where the file lay at its source: its id in the directory, or the client's own, where that is a path to
    it; else its name."""
    for one in (unique_id, external_file_id):
        if one is not None and one.replace("\\", "/").rpartition("/")[2] == name:
            return one
    return name


def safe_path(path: str) -> str:
    """The same as a relative path that may be unpacked; `file` when nothing is left of it."""
    parts = [_safe_part(part) for part in path.replace("\\", "/").split("/") if not _leads_away(part)]
    safe = "/".join(parts) or "file"
    return safe if len(safe.encode()) <= MOST_OF_A_PATH else parts[-1]


def variant(path: str, suffix: str, seq: int, number: int) -> str:
    """The name of the output of the file `seq`: its path, and where that is taken its path with its place in
    the batch, or its place alone at the top of the archive."""
    if number == 0:
        return path + suffix
    if number == 1:
        return f"{path}~{seq}{suffix}"
    return "~" * (number - 1) + f"{seq}{suffix}"


def _leads_away(part: str) -> bool:
    return part.strip() in ("", ".", "..") or _DRIVE.fullmatch(part) is not None


def _safe_part(part: str) -> str:
    kept = _UNSAFE.sub("_", unicodedata.normalize("NFC", part)).strip()
    # Windows drops dots and spaces at the end: two names would be one.
    kept = kept[: len(kept.rstrip(". "))] + "_" * (len(kept) - len(kept.rstrip(". ")))
    if _DEVICE.fullmatch(kept):
        kept = "_" + kept
    raw = kept.encode()
    if len(raw) <= MOST_OF_A_PART:
        return kept
    digest = hashlib.sha256(raw).hexdigest()[:16]
    return raw[: MOST_OF_A_PART - 17].decode("utf-8", "ignore").rstrip(". ") + "~" + digest


class Taken:
    """Which names an archive has, in four bytes a file: it may take a free name for a taken one (once in some
    thousands), and never a taken one for a free one. The same names in the same order have the same
    answers."""

    def __init__(self, files: int) -> None:
        self._bits = bytearray(max(256, files * _BITS_A_FILE // 8))
        self._lately: list[int] = []

    def copy(self) -> "Taken":
        """One that goes on by itself."""
        made = Taken(0)
        made._bits = self._bits[:]
        return made

    def settle(self) -> None:
        """What was taken so far stays taken."""
        self._lately.clear()

    def undo(self) -> None:
        """Give back what was taken since the last `settle`."""
        for at in self._lately:
            self._bits[at >> 3] &= ~(1 << (at & 7))
        self._lately.clear()

    def take(self, name: str) -> bool:
        """Take the name for a file; False when it is taken, or is a folder, or lies below a file."""
        key = unicodedata.normalize("NFC", name.casefold())
        folders = [key[:at] for at, letter in enumerate(key) if letter == "/"]
        if self._has(f"f{key}") or self._has(f"d{key}") or any(self._has(f"f{one}") for one in folders):
            return False
        self._add(f"f{key}")
        for one in folders:
            self._add(f"d{one}")
        return True

    def _has(self, key: str) -> bool:
        bits = self._bits
        return all(bits[at >> 3] & (1 << (at & 7)) for at in self._places(key))

    def _add(self, key: str) -> None:
        for at in self._places(key):
            if not self._bits[at >> 3] & (1 << (at & 7)):
                self._bits[at >> 3] |= 1 << (at & 7)
                self._lately.append(at)

    def _places(self, key: str) -> list[int]:
        digest = hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=16).digest()
        first, step = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little") | 1
        size = len(self._bits) * 8
        return [(first + probe * step) % size for probe in range(_PROBES)]
