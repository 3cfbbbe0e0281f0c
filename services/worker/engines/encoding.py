"""From bytes to text: which encoding a file is in, and whether it is text at all."""

import codecs
import re
from typing import Final

_SAMPLE: Final = 64 * 1024
# UTF-32 first: its little-endian mark begins with the one of UTF-16.
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED: Final = re.compile(
    rb"""(?:<\?xml[^>]*?encoding|<meta[^>]*?charset)\s*=\s*["']?\s*([\w.:-]{2,40})""", re.IGNORECASE
)
_CONTROLS: Final = bytes(set(range(32)) - {0x07, 0x08, 0x09, 0x0A, 0x0C, 0x0D, 0x1A, 0x1B})
_MOST_CONTROLS: Final = 0.02
_FEWEST_UNITS: Final = 2
_WESTERN: Final = ("cp1252", "latin_1")


def looks_like_text(sample: bytes) -> bool:
    """Whether the first bytes of a file can be text of any encoding."""
    if _marked(sample) or _unmarked_utf16(sample):
        return True
    if b"\0" in sample:
        return False
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    return controls <= len(sample) * _MOST_CONTROLS


def decode(data: bytes) -> tuple[str, str]:
    """The text and the name of the encoding it was read as. Never fails: bytes that fit nothing become
    U+FFFD.

    A byte order mark wins, then strict UTF-8, then what the file says of itself, then the statistics of its
    start.
    """
    codec = _marked(data) or _unmarked_utf16(data[:_SAMPLE])
    if codec is None:
        try:
            return data.decode("utf-8"), "utf-8"
        except UnicodeDecodeError:
            codec = _declared(data) or _guessed(data)
    return data.decode(codec, "replace"), codec.removesuffix("-sig")


def _marked(data: bytes) -> str | None:
    return next((codec for mark, codec in _MARKS if data.startswith(mark)), None)


def _unmarked_utf16(sample: bytes) -> str | None:
    """UTF-16 without a mark: in text of any alphabet the line ends and blanks put zeros on one side only."""
    even, odd = sample[0::2], sample[1::2]
    if len(odd) < _FEWEST_UNITS:
        return None
    for zeros, others, codec in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if zeros.count(0) < len(zeros) * 0.4 or others.count(0):
            continue
        text = sample[: len(sample) // 2 * 2].decode(codec, "replace")
        if not any(char < " " and char not in "\t\n\r\f" for char in text):
            return codec
    return None


def _declared(data: bytes) -> str | None:
    match = _DECLARED.search(data[:2048])
    if match is None:
        return None
    try:
        name = codecs.lookup(match[1].decode("ascii")).name
        # A codec such as `hex` is no text encoding, and a declared UTF-16 is refuted by our having read the
        # words.
        data[:16].decode(name, "replace")
    except (LookupError, UnicodeError):
        return None
    return None if name.startswith(("utf-16", "utf-32", "utf-8")) else name


def _guessed(data: bytes) -> str:
    # Only now: nearly every text is UTF-8 and needs none of it.
    from charset_normalizer import from_bytes  # noqa: PLC0415

    matches = from_bytes(data[:_SAMPLE])
    best = matches.best()
    if best is None:
        return "cp1252"
    # Short western text fits a dozen code pages equally well; then the common one is the better guess.
    for match in matches:
        if match.encoding in _WESTERN and match.chaos <= best.chaos and match.coherence >= best.coherence:
            return "cp1252"
    return str(best.encoding)
