"""What decides the result of a parse besides the document: the options, and the engines that read it.

Two jobs of a project whose documents have the same bytes and the same kind of name, and whose recipes are the
same, have the same result (decision 22).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

RECIPE_BYTES: Final = 16
_DECIDES_NOTHING: Final = frozenset(
    (
        "disable_cache",
        "client_name",
        "http_proxy",
        "user_metadata",
        "webhook_configurations",
        "webhook_configuration_ids",
    )
)


@dataclass(frozen=True, slots=True)
class Reusable:
    """A result that may be used again, and the job that made it."""

    job_id: UUID
    result_key: str
    pages: int | None
    engine: str | None


def recipe_of(parameters: Mapping[str, Any], engine: str) -> bytes:
    """The recipe of resolved parse parameters on engines of this version. An option that nobody here knows
    makes another recipe: what is taken for the same must be the same."""
    decisive = {name: value for name, value in parameters.items() if name not in _DECIDES_NOTHING}
    text = json.dumps([_without_nothing(decisive), engine], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()[:RECIPE_BYTES]


def may_reuse(parameters: Mapping[str, Any]) -> bool:
    """Whether a job with these parameters takes a result that is there already."""
    return not parameters.get("disable_cache")


def _without_nothing(value: Any) -> Any:
    """The same without what is null, at any depth: left out and null mean the same."""
    if isinstance(value, Mapping):
        return {key: _without_nothing(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_nothing(one) for one in value]
    return value
