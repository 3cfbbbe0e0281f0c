"""A text as the value of a leaf, or not: each kind has its reader, and the schema has the last word."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, UnknownType
from referencing import Registry
from referencing.exceptions import Unresolvable

from services.worker.engines.rules.amounts import Point, read_amount
from services.worker.engines.rules.choices import read_boolean, read_choice
from services.worker.engines.rules.contacts import find_email, find_phone, find_uri
from services.worker.engines.rules.dates import Order, find_date
from services.worker.engines.rules.schema import Leaf
from services.worker.engines.rules.words import PEOPLE, TITLES, TOTALS, is_label, is_sentence, normal

_LONGEST: Final = 300
_MOST_WORDS: Final = 40
_MOST_WORDS_OF_NAME: Final = 8
_MOST_WORDS_OF_ID: Final = 3
_PARTLY: Final = 0.8
_ID_WORDS: Final = frozenset(("number", "id", "code", "reference", "iban", "bic", "sku"))
_ID: Final = re.compile(r"[\w#][\w#./ -]{0,39}")
_PIECES: Final = re.compile(r"\d ?(?:pcs|pc|stk|x|kg|h|hrs?|ea)\b", re.IGNORECASE)
_NUMBER_SIGN: Final = re.compile(r"(?:no|nr|number)\b[.:]? +(?=\S*\d)", re.IGNORECASE)
_FORMATS: Final = FormatChecker()


@dataclass(frozen=True, slots=True)
class Habits:
    """How this document writes dates and figures."""

    order: Order
    point: Point


@dataclass(frozen=True, slots=True)
class Reading:
    """A value, how sure the reader is, and the words it was read from."""

    value: Any
    sure: float
    source: str


def read(leaf: Leaf, text: str, habits: Habits) -> Reading | None:
    """The value of the leaf that the text is; None when it is none, or the schema refuses it."""
    text = text.strip()
    if not text or len(text) > _LONGEST:
        return None
    found = _READERS[leaf.kind](leaf, text, habits)
    return found if found is not None and is_valid(leaf, found.value) else None


def is_valid(leaf: Leaf, value: Any) -> bool:
    """Whether the schema of the leaf takes this value, formats and patterns included."""
    try:
        return bool(_validator(leaf.schema).is_valid(value))
    except (
        SchemaError,
        UnknownType,
        Unresolvable,
        re.error,
        TypeError,
        ValueError,
        LookupError,
        RecursionError,
    ):
        # A schema that cannot be applied proves nothing: no value is given on its word.
        return False


def _validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    # With a registry of its own, a reference that leads out of the schema is never fetched.
    return Draft202012Validator(schema, format_checker=_FORMATS, registry=Registry())


def _number(leaf: Leaf, text: str, habits: Habits) -> Reading | None:
    found = read_amount(text, habits.point)
    if found is None or (" ".join(leaf.words) in TOTALS and _PIECES.search(text)):
        return None  # `Total: 3 h` is no sum of money
    value: float | int = found[0]
    return Reading(int(value) if value == int(value) else value, found[1], text)


def _integer(leaf: Leaf, text: str, habits: Habits) -> Reading | None:
    found = _number(leaf, text, habits)
    return found if found is not None and isinstance(found.value, int) else None


def _date(_leaf: Leaf, text: str, habits: Habits) -> Reading | None:
    found = find_date(text, habits.order)
    if found is None:
        return None
    return Reading(found[0], found[1] * (1.0 if len(found[2]) * 2 >= len(text) else _PARTLY), found[2])


def _found(find: Callable[[str], str | None]) -> Callable[[Leaf, str, Habits], Reading | None]:
    def reader(_leaf: Leaf, text: str, _habits: Habits) -> Reading | None:
        value = find(text)
        return None if value is None else Reading(value, 1.0, value)

    return reader


def _choice(leaf: Leaf, text: str, _habits: Habits) -> Reading | None:
    found = read_choice(text, leaf.options)
    return None if found is None else Reading(found[0], found[1], text)


def _boolean(_leaf: Leaf, text: str, _habits: Habits) -> Reading | None:
    found = read_boolean(text)
    return None if found is None else Reading(found[0], found[1], text)


def _text(leaf: Leaf, text: str, _habits: Habits) -> Reading | None:
    words = text.split()
    if is_label(text) or not any(sign.isalnum() for sign in text) or len(words) > _MOST_WORDS:
        return None
    if is_id(leaf):
        text = _NUMBER_SIGN.sub("", text, count=1) if _NUMBER_SIGN.match(text) else text
        words = text.split()
        good = (
            any(sign.isdigit() for sign in text) and len(words) <= _MOST_WORDS_OF_ID and _ID.fullmatch(text)
        )
        return Reading(text, 1.0, text) if good else None
    if is_sentence(text) and (leaf.words[-1:] == ("name",) or " ".join(leaf.words) in PEOPLE):
        return None
    if leaf.words[-1:] == ("name",):
        good_name = (
            len(words) <= _MOST_WORDS_OF_NAME
            and any(sign.isalpha() for sign in text)
            and normal(text) not in TITLES
            and "@" not in text
            and "://" not in text
        )
        return Reading(text, 1.0, text) if good_name else None
    return Reading(text, 1.0, text)


def is_id(leaf: Leaf) -> bool:
    """Whether the leaf is a number in the sense of a passport: it has a digit and few words."""
    return leaf.kind == "text" and (
        bool(_ID_WORDS & set(leaf.words)) or leaf.words in (("purchase", "order"), ("po",))
    )


def is_address(leaf: Leaf) -> bool:
    """Whether the leaf is a text that may take several lines."""
    return leaf.kind == "text" and "address" in leaf.words


def _none(_leaf: Leaf, _text: str, _habits: Habits) -> Reading | None:
    return None


_READERS: Final[dict[str, Callable[[Leaf, str, Habits], Reading | None]]] = {
    "text": _text,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "date": _date,
    "email": _found(find_email),
    "phone": _found(find_phone),
    "uri": _found(find_uri),
    "choice": _choice,
    "none": _none,
}
