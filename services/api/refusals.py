"""What the OpenAPI document says of the answers that are no success; `error_handlers` gives them."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel


class Refusal(BaseModel):
    """Why the request was not done."""

    detail: str


def _said(**reasons: str) -> dict[int | str, dict[str, Any]]:
    return {
        int(name.removeprefix("status_")): {"model": Refusal, "description": reason}
        for name, reason in reasons.items()
    }


OPEN: Final[Mapping[int | str, dict[str, Any]]] = _said(
    status_400="It is well-formed, and cannot be done as asked.",
    status_408="The body came too slowly.",
    status_413="Too large.",
)
"""Of pages that need no key."""

KEYED: Final[Mapping[int | str, dict[str, Any]]] = {
    **OPEN,
    **_said(
        status_401="No key, or one that does not count.",
        status_403="The key's role is not enough.",
        status_404="Unknown, deleted, or another project's.",
        status_409="The state forbids it.",
        status_429="Too many; `Retry-After` says when to come back.",
        status_503="The database or the store is out of reach; the same request may work later.",
        status_507="The disk is full; `Retry-After` says when to come back.",
    ),
}
"""Of pages that need one: any of these may come, so that a client that handles them is never surprised."""
