"""HTML with its loose ends tied up.

What has no end is looked for by `html.parser` to the last letter of the text, once for each beginning: with
100,000 tags that nothing closes that took more than five minutes, and comments and sections are no better.
All that it makes of them is text, so they are made text at once. And `markdownify` goes over a run of blanks
once for each of them.
"""

import re
from typing import Final

_MOST_BLANKS: Final = 256
_BLANKS: Final = re.compile(rf"(?<![ \t\n])[ \t\n]{{{_MOST_BLANKS + 1},}}")
_UNKNOWN: Final = re.compile(r"<(?=!\[(?!(?:temp|r?cdata|ignore|include|if|else|endif)\b))", re.IGNORECASE)
"""A section of another name, which `html.parser` fails on."""
_BEGIN_AND_END: Final = (
    (re.compile(r"<(?=!--)"), re.compile(r"--\s*>")),
    (re.compile(r"<(?=!\[(?:temp|r?cdata|ignore|include)\b)", re.IGNORECASE), re.compile(r"\]\s*\]\s*>")),
    (re.compile(r"<(?=!\[)"), re.compile(r"\]\s*>")),
    (re.compile(r"<"), re.compile(r">")),
)


def tied(raw: str) -> str:
    """The same HTML; what nothing closes is text, and of more than 256 blanks in a row the rest is gone."""
    raw = _UNKNOWN.sub("&lt;", _BLANKS.sub(_shorter, raw))
    for begin, end in _BEGIN_AND_END:
        last = 0
        for found in end.finditer(raw):
            last = found.end()
        raw = raw[:last] + begin.sub("&lt;", raw[last:])
    return raw


def _shorter(blanks: re.Match[str]) -> str:
    return "\n\n" if "\n" in blanks[0] else blanks[0][:_MOST_BLANKS]
