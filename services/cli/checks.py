"""The checks of `batchmill doctor`: each looks at one thing and says what to do when it is not well."""

import asyncio
import os
import platform
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Final
from urllib.parse import urlsplit

from services.cli import extract_check
from services.cli.access import refusals, without_bells
from services.cli.exits import Stop, one_line
from services.cli.settings import place_of
from shared.config import MissingSetting, Settings
from shared.db import migrations
from shared.db.engine import open_engine
from shared.installation.service import look
from shared.storage.port import StorageDown
from shared.wiring import storage_place

LEAST_FREE: Final = 2 << 30
BROKER_PATIENCE_S: Final = 3
EMBEDDED: Final = "none set: 'batchmill up' brings its own"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw. `advice` is empty when all is well. Not `seen` is what could not be looked at: it is
    not set, or something before it failed."""

    name: str
    detail: str
    advice: str = ""
    seen: bool = True

    @property
    def ok(self) -> bool:
        """Is nothing to be done?"""
        return not self.advice


async def python(_: Settings) -> Finding:
    """The interpreter is new enough."""
    version = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    advice = "" if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed."
    return Finding("python", version, advice)


async def stack(settings: Settings) -> Finding:
    """Whether a stack lives on the data folder, or could start there; an installation without one is fine."""
    try:
        from services.local.data_dir import DataDir
        from services.local.errors import StackError
        from services.local.postgres_files import is_initialised
        from services.local.stack import attach
    except ModuleNotFoundError as missing:
        return Finding("stack", f"no embedded one is installed here ({missing.name} is missing)", seen=False)
    live = await attach(settings.data_dir)
    if live is not None:
        console = f", console at {live.base_url}/console" if settings.console.enabled else ""
        return Finding("stack", f"live at {live.base_url}{console}")
    data, detail = DataDir(settings.data_dir), f"none lives on {settings.data_dir}"
    if data.lock.is_taken():
        advice = f"It starts, stops, or does not answer; what its parts say is in {data.logs}."
        return Finding("stack", f"process {data.lock.holder()} holds {settings.data_dir}", advice)
    try:
        is_initialised(data.path / "postgres" / "data")
    except StackError as trouble:
        return Finding("stack", detail, trouble.message)
    except OSError as trouble:
        return Finding("stack", detail, f"This user may not use the folder: {one_line(trouble)}.")
    return Finding("stack", detail, seen=False)


async def database(settings: Settings) -> Finding:
    """It answers, is new enough, and has this version's schema."""
    try:
        url = settings.database_url()
    except MissingSetting:
        return Finding("database", EMBEDDED, seen=False)
    engine = open_engine(url, name="doctor", pooled=False)
    try:
        with refusals():
            async with engine.connect() as connection:
                answer = await connection.exec_driver_sql("SHOW server_version_num")
                version = int(answer.scalar_one())
            revision = await migrations.current(engine)
    except Stop as trouble:
        return Finding("database", place_of(url), trouble.message)
    finally:
        await engine.dispose()
    detail = (
        f"PostgreSQL {version // 10000}.{version % 10000} at {place_of(url)}, revision {revision or 'none'}"
    )
    if version < migrations.OLDEST_POSTGRES:
        return Finding("database", detail, "PostgreSQL 18 or newer is needed.")
    if revision != migrations.head():
        return Finding(
            "database", detail, f"This version wants {migrations.head()}: run 'batchmill migrate'."
        )
    return Finding("database", detail)


async def broker(settings: Settings) -> Finding:
    """It answers. While it does not, nothing is lost and everything is slower."""
    from kombu.connection import Connection

    try:
        url = settings.broker_url()
    except MissingSetting:
        return Finding("broker", EMBEDDED, seen=False)

    def knock() -> None:
        with Connection(url, connect_timeout=BROKER_PATIENCE_S) as connection:  # type: ignore[no-untyped-call]
            connection.ensure_connection(max_retries=1, timeout=BROKER_PATIENCE_S)

    try:
        await asyncio.to_thread(knock)
    # Each transport raises errors of its own, and all of them mean the same here.
    except Exception as error:  # noqa: BLE001
        return Finding(
            "broker",
            _shown(url),
            f"{one_line(error).rstrip('.')}. Is it up, and is BATCHMILL_BROKER__URL right?",
        )
    return Finding("broker", _shown(url))


async def storage(settings: Settings) -> Finding:
    """A blob can be written and deleted."""
    url = settings.storage_url()
    if settings.storage.url is None and not settings.data_dir.exists():
        return Finding("storage", f"{url}, made when it is needed", seen=False)
    # Building the store makes its folder, so even that may be refused.
    try:
        resources = without_bells(settings, name="doctor", needs_database=False)
        try:
            key = f"self-test/{token_hex(8)}"
            await resources.storage.put(key, b"batchmill")
            await resources.storage.delete(key)
        finally:
            await resources.close()
    except (StorageDown, OSError) as error:
        return Finding(
            "storage", url, f"{one_line(error)}. Is BATCHMILL_STORAGE__URL right, and may we write?"
        )
    return Finding("storage", f"{url} can be written")


async def mark(settings: Settings) -> Finding:
    """The storage is the one that the database's rows speak of."""
    resources = None
    try:
        resources = without_bells(settings, name="doctor")
        with refusals():
            standing = await look(resources.unit_of_work, resources.storage)
    except MissingSetting:
        return Finding("mark", EMBEDDED, seen=False)
    except (Stop, OSError):
        return Finding("mark", "not compared: see database and storage above", seen=False)
    finally:
        if resources is not None:
            await resources.close()
    if standing.recorded is None:
        return Finding("mark", "none yet: the first service that starts makes it")
    if standing.here:
        return Finding("mark", f"the storage is the database's: {standing.recorded}")
    return Finding(
        "mark",
        f"the database's storage is {standing.recorded}",
        f"{storage_place(settings)} is another: set BATCHMILL_STORAGE__URL, or see 'batchmill storage -h'.",
    )


async def disk(settings: Settings) -> Finding:
    """There is room where we write."""
    parts = urlsplit(settings.storage_url())
    place = _existing(Path(parts.path) if parts.scheme == "file" else settings.data_dir.resolve())
    free = shutil.disk_usage(place).free
    detail = f"{free / (1 << 30):.1f} GiB free at {place}"
    if not os.access(place, os.W_OK):
        return Finding("disk", detail, f"{place} may not be written by this user.")
    least = settings.storage.min_free_bytes
    if parts.scheme == "file" and free < least:
        return Finding(
            "disk",
            detail,
            f"Uploads are refused (507) until {least:,} bytes are free (BATCHMILL_STORAGE__MIN_FREE_BYTES):"
            " make room; 'batchmill gc --dry-run' says what could go.",
        )
    return Finding("disk", detail, "" if free >= LEAST_FREE else "Less than 2 GiB: make room.")


async def extract_engine(settings: Settings) -> Finding:
    """What takes values out of documents, and whether a model that is set answers."""
    return Finding("extract", *await extract_check.look(settings))


Check = Callable[[Settings], Awaitable[Finding]]
CHECKS: Final[tuple[Check, ...]] = (
    python,
    stack,
    database,
    broker,
    storage,
    mark,
    disk,
    extract_engine,
)


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _shown(url: str) -> str:
    return f"{urlsplit(url).scheme}://{place_of(url)}"
