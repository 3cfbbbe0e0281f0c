"""Procrastinate: the queue is a table of the same PostgreSQL. Deferred a thousand at a time; each process
works on eight at once, as what waits for a database may."""

import asyncio
import os

import procrastinate
from counting import ran

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=os.environ["BENCH_DATABASE"]),
    import_paths=["with_procrastinate"],
)
AT_ONCE = 1_000


@app.task(name="bench.nothing", queue="bench")  # type: ignore[untyped-decorator, unused-ignore]
async def nothing(_number: int) -> None:
    ran()


def prepare(_kind: str) -> None:
    """Its tables, afresh."""
    asyncio.run(_prepare())


async def _prepare() -> None:
    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        await app.connector.execute_query_async("TRUNCATE procrastinate_jobs CASCADE")


def enqueue(_kind: str, first: int, count: int) -> None:
    """So many jobs."""
    asyncio.run(_enqueue(first, count))


async def _enqueue(first: int, count: int) -> None:
    async with app.open_async():
        for low in range(first, first + count, AT_ONCE):
            some = range(low, min(low + AT_ONCE, first + count))
            await nothing.batch_defer_async(*({"_number": number} for number in some))


def workers(processes: int) -> list[list[str]]:
    """Their command lines."""
    one = ["-m", "procrastinate", "--app", "with_procrastinate.app", "worker", "--concurrency", "8"]
    return [[*one, "--queues", "bench"] for _ in range(processes)]
