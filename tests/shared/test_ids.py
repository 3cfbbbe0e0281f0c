"""Ids on the wire: one prefix a kind, one spelling an id."""

from uuid import UUID

import pytest

from shared import ids
from shared.errors import NotFound

ONE = UUID("018f2f3a-7b5c-7d11-8a2b-0123456789ab")


def test_what_is_shown_is_read_back() -> None:
    assert ids.parse(ids.Kind.BATCH, ids.show(ids.Kind.BATCH, ONE)) == ONE
    assert ids.parse(ids.Kind.BATCH, str(ONE)) == ONE
    assert ids.parse(ids.Kind.BATCH, str(ONE).upper()) == ONE


@pytest.mark.parametrize(
    "text",
    ["", "bat-", "bat-x", f"dir-{ONE}", f"bat-bat-{ONE}", ONE.hex, f"{{{ONE}}}", f"urn:uuid:{ONE}", "\0"],
)
def test_anything_else_is_the_id_of_nothing(text: str) -> None:
    with pytest.raises(NotFound):
        ids.parse(ids.Kind.BATCH, text)
