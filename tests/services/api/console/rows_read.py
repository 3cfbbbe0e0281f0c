"""How much of the table of jobs the statements of a page read: what a clock would say, but the same on any
machine."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from shared.wiring import Resources

Statement = tuple[str, tuple[Any, ...]]
"""What went to the database, with its values."""


async def rows_of_jobs(resources: Resources, statements: Sequence[Statement]) -> int:
    """Asks each of them once more, and has the database tell how many rows, or entries of an index, it looked
    at."""
    rows = 0
    async with resources.engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        for query, values in statements:
            if "jobs" not in query:
                continue
            told = await driver.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *values)
            rows += sum(map(_looked_at, _scans_of_jobs(_plan(told))))
    return rows


def _plan(told: Any) -> dict[str, Any]:
    # A connection that decodes JSON has decoded it.
    plan: dict[str, Any] = (json.loads(told) if isinstance(told, str) else told)[0]["Plan"]
    return plan


def _scans_of_jobs(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if node.get("Relation Name") == "jobs":
        yield node
    for inner in node.get("Plans", ()):
        yield from _scans_of_jobs(inner)


def _looked_at(scan: dict[str, Any]) -> int:
    once = (
        scan["Actual Rows"]
        + scan.get("Rows Removed by Filter", 0)
        + scan.get("Rows Removed by Index Recheck", 0)
    )
    return int(once * scan["Actual Loops"])
