"""A small HTTP server for the metrics of an upkeep process, on a thread of its own."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, start_http_server

from shared.db.unit_of_work import UnitOfWorkFactory
from shared.metrics import READ_WITHIN_S, FromDatabase, Numbers, Snapshot
from shared.telemetry import logger

log = logger(__name__)

PATIENCE_S: Final = READ_WITHIN_S + 1


@contextmanager
def serve(unit_of_work: UnitOfWorkFactory, host: str, port: int) -> Iterator[int]:
    """Serve for the length of the block, inside a running loop; answers the port. A port that is taken raises
    OSError: better than metrics that silently are not there."""
    loop = asyncio.get_running_loop()
    numbers = Numbers(unit_of_work)

    def read() -> Snapshot | None:
        # The server's thread asks the loop, since the pool belongs to it.
        return asyncio.run_coroutine_threadsafe(numbers.read(), loop).result(PATIENCE_S)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(FromDatabase(read))
    server, thread = start_http_server(port, host, registry)
    log.info("metrics are served", host=host, port=server.server_port)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_S)
