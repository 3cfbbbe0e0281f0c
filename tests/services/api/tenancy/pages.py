"""The places of our pages at which an id may stand, read from their OpenAPI document.

A page that comes is in it by itself. What a parameter or a field with the name of an id speaks of is said
here, else `test_every_id_is_known` fails.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.api.app import create_app
from shared.config import Settings

ADMIN: Final = "/api/v1/admin/"
LIKE_AN_ID: Final = re.compile(r"(^|_)ids?$|_(input|value|token)$")
ANY_PROJECT: Final = frozenset({"project_id", "organization_id"})
"""Of every page: tests of their own ask for another tenant by them."""

SPEAKS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "project_id": ("project_id",),
    "directory_id": ("directory_id",),
    "source_directory_id": ("directory_id",),
    "target_directory_id": ("directory_id",),
    "directory_file_id": ("directory_file_id",),
    "directory_file_ids": ("directory_file_id",),
    "file_id": ("file_id",),
    "file_ids": ("file_id",),
    "file_input": ("file_id", "directory_file_id", "parse_job_id"),
    "document_input_value": ("file_id", "directory_file_id", "parse_job_id"),
    "config_id": ("config_id", "extract_config_id", "webhook_id"),
    "configuration_id": ("config_id", "extract_config_id"),
    "parse_config_id": ("config_id",),
    "batch_id": ("batch_id",),
    "job_id": ("parse_job_id", "extract_job_id"),
    "job_ids": ("parse_job_id", "extract_job_id"),
    "webhook_configuration_ids": ("webhook_id",),
}
"""Names of parameters and fields, and what their ids may be ids of."""

LABELS: Final[Mapping[str, str]] = {
    "external_file_id": "the client's own name of a file",
    "unique_id": "the client's own name of a file inside a directory",
    "connector_subscription_id": "kept for the client and read by nobody",
    "data_source_id": "no file has a data source here",
    "last_event_id": "the number of an event of the batch in the path",
    "page_token": "a test of its own turns the pages of another tenant",
}
"""Look like ids of ours, and are none."""


@dataclass(frozen=True)
class Page:
    """A method of a path."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Place:
    """Where an id stands: `where` is path, query or body, and `name` dotted for fields inside others."""

    page: Page
    where: str
    name: str

    @property
    def leaf(self) -> str:
        return self.name.rpartition(".")[2]

    def __str__(self) -> str:
        return f"{self.page} {self.where}:{self.name}"


DOCUMENT: Final = create_app(Settings(secret_key="x")).openapi()  # type: ignore[arg-type]
OPERATIONS: Final = {
    Page(method.upper(), path): operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if not path.startswith(ADMIN)
}
PAGES: Final = tuple(OPERATIONS)
OPEN: Final = frozenset({Page("GET", path) for path in ("/health", "/ready", "/metrics")})
LINKED: Final = (
    Page("GET", "/api/v1/beta/files/{file_id}/download"),
    Page("GET", "/api/v2/parse/{job_id}/content/{part}"),
)
"""The link is the permission; tests of their own change it."""
KEYED: Final = tuple(page for page in PAGES if page not in {*OPEN, *LINKED})


def _names(schema: Any, above: str, seen: frozenset[str]) -> Iterator[str]:
    """Dotted names of all fields inside a schema."""
    reference = schema.get("$ref", "").rpartition("/")[2]
    if reference:
        if reference not in seen:
            yield from _names(DOCUMENT["components"]["schemas"][reference], above, seen | {reference})
        return
    inner = [one for word in ("anyOf", "oneOf", "allOf") for one in schema.get(word, ())]
    for one in [*inner, *([schema["items"]] if "items" in schema else [])]:
        yield from _names(one, above, seen)
    for name, one in schema.get("properties", {}).items():
        yield f"{above}{name}"
        yield from _names(one, f"{above}{name}.", seen)


def _places() -> Iterator[Place]:
    for page, operation in OPERATIONS.items():
        for one in operation.get("parameters", ()):
            yield Place(page, one["in"], one["name"])
        for content in operation.get("requestBody", {}).get("content", {}).values():
            for name in dict.fromkeys(_names(content["schema"], "", frozenset())):
                yield Place(page, "body", name)


PLACES: Final = tuple(
    place
    for place in _places()
    if LIKE_AN_ID.search(place.leaf) and not (place.where == "query" and place.name in ANY_PROJECT)
)
"""All that look like ids."""
OURS: Final = tuple(place for place in PLACES if place.leaf in SPEAKS_OF and place.page in KEYED)
TENANTS_LISTS: Final = tuple(
    page
    for page in KEYED
    if any(one["name"] == "page_token" for one in OPERATIONS[page].get("parameters", ()))
)
