"""Good requests to our pages, in which one id is then exchanged for another."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Final

from tests.services.api.tenancy.owned import SCHEMA, TIER, Owned
from tests.services.api.tenancy.pages import OPERATIONS, Page, Place

DIRECTORIES: Final = "/api/v1/beta/directories"
CONFIGURATIONS: Final = "/api/v1/beta/configurations"
ENTRIES: Final = DIRECTORIES + "/{directory_id}/files"
Ids = Mapping[str, str]
Sent = dict[str, Any]
EXTRACTION: Final = {"product_type": "extract_v2", **SCHEMA}


def _batch(ids: Ids) -> Sent:
    job = {"type": "parse_v2", "configuration_id": ids["config_id"]}
    return {"json": {"source_directory_id": ids["directory_id"], "config": {"job": job}}}


def _extraction(ids: Ids) -> Sent:
    return {"json": {"file_input": ids["file_id"], "configuration": SCHEMA}}


# A page that reads a body and is not here fails `test_every_body_has_a_request`.
GOOD: Final[Mapping[tuple[str, str], Callable[[Ids], Sent]]] = {
    ("POST", "/api/v1/beta/files"): lambda _: {"files": {"file": ("f", b"x")}, "data": {"purpose": "parse"}},
    ("POST", "/api/v1/beta/files/query"): lambda _: {"json": {}},
    ("POST", "/api/v1/beta/webhook-configs"): lambda _: {"json": {"webhook_url": "https://a.test/"}},
    ("PUT", "/api/v1/beta/webhook-configs/{config_id}"): lambda _: {
        "json": {"webhook_url": "https://b.test/"}
    },
    ("POST", DIRECTORIES): lambda _: {"json": {"name": "n"}},
    ("PATCH", DIRECTORIES + "/{directory_id}"): lambda _: {"json": {"name": "n"}},
    ("POST", ENTRIES): lambda ids: {"json": {"file_id": ids["file_id"]}},
    ("POST", ENTRIES + "/upload"): lambda _: {"files": {"upload_file": ("a", b"x")}},
    ("POST", ENTRIES + "/bulk-delete"): lambda ids: {
        "json": {"directory_file_ids": [ids["directory_file_id"]]}
    },
    ("PATCH", ENTRIES + "/{directory_file_id}"): lambda _: {"json": {"display_name": "n"}},
    ("POST", CONFIGURATIONS): lambda _: {"json": {"name": "n", "parameters": EXTRACTION}},
    ("PUT", CONFIGURATIONS + "/{config_id}"): lambda _: {"json": {"parameters": EXTRACTION}},
    ("POST", "/api/v2/batches"): _batch,
    ("PATCH", "/api/v2/batches/{batch_id}"): lambda _: {"json": {"failure_threshold": None}},
    ("POST", "/api/v2/batches/{batch_id}/redrive"): lambda _: {"json": {"files": "failed"}},
    ("POST", "/api/v2/parse"): lambda ids: {"json": {**TIER, "file_id": ids["file_id"]}},
    ("POST", "/api/v2/parse/upload"): lambda _: {
        "files": {"file": ("f", b"x")},
        "data": {"configuration": '{"tier": "fast", "version": "latest"}'},
    },
    ("POST", "/api/v2/extract"): _extraction,
    ("POST", "/api/v2/extract/schema/validation"): lambda _: {"json": SCHEMA},
    ("POST", "/api/v2/extract/schema/generate"): lambda _: {"json": {"prompt": "n"}},
}
IN_ANOTHERS_STEAD: Final[Mapping[tuple[str, str], str]] = {
    ("POST /api/v2/extract", "configuration_id"): "configuration",
}
"""Fields that exclude each other."""


def good(owned: Owned, page: Page) -> tuple[str, Sent]:
    """The path and what is sent, all of it the owner's."""
    ids = dict(owned.ids(page.path))
    if page == Page("PUT", CONFIGURATIONS + "/{config_id}"):
        ids["config_id"] = ids["extract_config_id"]
    make = GOOD.get((page.method, page.path))
    # A stream of events has no end before its batch has.
    query = "?wait=false" if page.path.endswith("/events") else ""
    return page.path.format_map(ids) + query, deepcopy(make(ids)) if make else {}


def with_another(owned: Owned, place: Place, value: str) -> tuple[str, Sent]:
    """The same with `value` at the place."""
    page = place.page
    path, sent = good(owned, page)
    if place.where == "path":
        ids = {**owned.ids(page.path), place.name: value}
        return page.path.format_map(ids), sent
    if place.where == "query":
        return path, {**sent, "params": {place.name: value}}
    *above, last = place.name.split(".")
    inside = sent["json"]
    for name in above:
        inside = inside.setdefault(name, {})
    inside.pop(IN_ANOTHERS_STEAD.get((str(page), place.name)), None)
    inside[last] = [value] if last.endswith("ids") else value
    return path, sent


def reads_a_body(page: Page) -> bool:
    """Does the document say that it does?"""
    return "requestBody" in OPERATIONS[page]
