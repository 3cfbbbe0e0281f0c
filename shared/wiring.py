"""Builds what a process stands on from its settings. The only place of `shared` that names adapters."""

import socket
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from sqlalchemy.ext.asyncio import AsyncEngine

from shared.config import MissingSetting, Settings
from shared.db.engine import arguments, open_engine, reader_of
from shared.db.reader import Reader
from shared.db.unit_of_work import UnitOfWork, UnitOfWorkFactory, session_maker
from shared.installation import service as installation_service
from shared.outbound.targets import Policy
from shared.queue.celery_queue import CeleryQueue
from shared.queue.messages import TaskQueue
from shared.storage.by_reference import Sources
from shared.storage.object_store import ObjectStore
from shared.storage.roots import as_folder, roots_of
from shared.webhooks.service import Gate
from shared.webhooks.vault import Vault


@dataclass(frozen=True, slots=True)
class Resources:
    """One process's pool, bells, storage, and the places that it may read in place.

    `reading` opens units of work that only read, without a transaction around their statements; `reader` is
    for single SELECTs that come very often.
    """

    settings: Settings
    engine: AsyncEngine
    queue: TaskQueue
    storage: ObjectStore
    sources: Sources
    unit_of_work: UnitOfWorkFactory
    reading: UnitOfWorkFactory
    reader: Reader

    async def hold_to_storage(self) -> str:
        """Check that our storage is the one of our database; the first who asks records it. Answers the key
        of its mark; from then on a place without that mark is a storage that is down.

        Raises `OtherStorage`, `StorageDown`, and what a database raises that is away or has no schema yet.
        """
        mark = await installation_service.hold_to_storage(
            self.unit_of_work, self.storage, storage_place(self.settings)
        )
        self.storage.hold_to(mark)
        return mark

    async def close(self) -> None:
        """Give everything back; what waits to be rung gets two seconds."""
        self.queue.close(2.0)
        await self.reader.close()
        await self.engine.dispose()


def open_resources(
    settings: Settings, *, name: str, pool_size: int | None = None, queue: TaskQueue | None = None
) -> Resources:
    """Connects to nothing yet: a service may start before its database."""
    size = pool_size or settings.database.pool_size
    engine = open_engine(
        settings.database_url(),
        name=name,
        pool_size=size,
        statement_timeout_s=settings.database.statement_timeout_s,
    )
    bells = queue or CeleryQueue(settings.broker_url())
    sessions = session_maker(engine)
    readers = session_maker(reader_of(engine))
    return Resources(
        settings=settings,
        engine=engine,
        queue=bells,
        storage=ObjectStore(settings.storage_url()),
        sources=open_sources(settings),
        unit_of_work=lambda: UnitOfWork(sessions, bells),
        reading=lambda: UnitOfWork(readers, bells),
        reader=Reader(
            engine,
            arguments(f"{name}-reads", settings.database.statement_timeout_s),
            size=max(1, size // 2),
        ),
    )


def open_sources(settings: Settings) -> Sources:
    """The places that may be read in place; never the ones where we keep our keys and everybody's bytes.
    `MissingSetting` when one of the roots names no place."""
    own = as_folder(settings.storage_url())
    closed = [settings.data_dir, *([] if own is None else [own])]
    try:
        roots = roots_of(settings.storage.roots, closed=closed)
    except ValueError as error:
        raise MissingSetting(f"BATCHMILL_STORAGE__ROOTS cannot be used: {error}.") from None
    return Sources(roots)


def open_gate(settings: Settings) -> Gate:
    """Where webhooks may go, and the vault of their secrets."""
    wanted = settings.webhooks
    ports = wanted.ports
    if ports is None:
        ports = None if wanted.allow_private else [80, 443, 8080, 8443]
    policy = Policy("BATCHMILL_WEBHOOKS", allow_private=wanted.allow_private, ports=ports)
    return Gate(policy, Vault.of(settings.signing_key()))


def storage_place(settings: Settings) -> str:
    """Where the storage is, in words that tell nobody a secret: a folder with its host, or a bucket."""
    parts = urlsplit(settings.storage_url())
    if parts.scheme == "file":
        return f"the folder {unquote(parts.path)} on {socket.gethostname()}"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
