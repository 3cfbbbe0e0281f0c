"""E-mail addresses, telephone numbers, web addresses."""

import re
from typing import Final

from phonenumbers import PhoneNumberMatcher

_LONGEST: Final = 200
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15
_EMAIL: Final = re.compile(
    r"(?<![\w.+%-])[\w.+%-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}(?![\w@-])", re.ASCII
)
_PHONE: Final = re.compile(r"\+?[\d(][\d ()./-]{5,24}\d")
_URI: Final = re.compile(r"(?<!\w)(?:https?|ftp)://[^\s<>\"']{3,180}")
_DATE_LIKE: Final = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}")


def find_email(text: str) -> str | None:
    """The first e-mail address of a short text."""
    found = _EMAIL.search(text[:_LONGEST]) if "@" in text else None
    return found[0] if found else None


def find_phone(text: str) -> str | None:
    """The telephone number that stands first in a short text, as it is written."""
    bounded = text[:_LONGEST]
    if sum(sign.isdigit() for sign in bounded) < _FEWEST_DIGITS:
        return None
    found = next(iter(PhoneNumberMatcher(bounded, None)), None)
    if found is not None:
        return str(found.raw_string)
    written = _PHONE.fullmatch(bounded.strip())
    if written is None or _DATE_LIKE.fullmatch(written[0]):
        return None
    digits = sum(sign.isdigit() for sign in written[0])
    return written[0] if _FEWEST_DIGITS <= digits <= _MOST_DIGITS else None


def find_uri(text: str) -> str | None:
    """The first absolute web address; one without its scheme is not made up."""
    found = _URI.search(text[:_LONGEST])
    return found[0].rstrip(".,;)") if found else None
