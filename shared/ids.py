"""Public ids: a prefix that names the kind, and a UUIDv7. Rows hold the bare UUID.

The contract shows prefixed ids but types some parameters as bare UUIDs (contract.md section 0),
so `parse` takes both.
"""

from enum import StrEnum
from uuid import UUID

from shared.errors import NotFound


class Kind(StrEnum):
    """The prefix of each kind of public id."""

    ORGANIZATION = "org"
    PROJECT = "prj"
    API_KEY = "key"
    FILE = "fil"
    DIRECTORY = "dir"
    DIRECTORY_FILE = "dfl"
    CONFIGURATION = "cfg"
    BATCH = "bat"
    PARSE_JOB = "pjb"
    EXTRACT_JOB = "ext"
    WORKER = "wrk"
    WEBHOOK = "whc"
    DELIVERY = "whd"


def show(kind: Kind, value: UUID) -> str:
    """The public form, `bat-018f...`."""
    return f"{kind}-{value}"


def parse(kind: Kind, text: str) -> UUID:
    """Read `prefix-uuid` or a bare UUID. Anything else is the id of nothing: `NotFound`."""
    bare = text.removeprefix(f"{kind}-")
    try:
        # UUID() also takes braces, URNs and odd hyphens; an id has one spelling.
        value = UUID(bare)
        if str(value) == bare.lower():
            return value
    except ValueError:
        pass
    raise NotFound(f"No {kind.name.lower().replace('_', ' ')} has the id {text[:80]!r}.")
