"""A shelf: a project with files, jobs, batches and real blobs, as old as a test wants them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.files import service as file_service
from shared.pausing import Point, listening
from shared.retention import collecting, emptying, purging, repository, sweeping
from shared.retention.terms import Terms
from shared.tables import metadata
from shared.wiring import Resources
from tests.shared.conftest import Mill, make_mill

TABLES = emptying.tables_of_a_project(metadata)


class KilledError(BaseException):
    """The process died here; nothing of the product may catch it."""


def dying_at(point: Point, *, after: int = 0) -> Any:
    """Ends whoever comes by the point, the first `after` times excepted."""
    seen = 0

    async def listener(reached: Point) -> None:
        nonlocal seen
        if reached is point:
            seen += 1
            if seen > after:
                raise KilledError(point)

    return listening(listener)


@dataclass
class Shelf:
    """One project's things. `days` is how long ago something was made and ended."""

    resources: Resources
    mill: Mill
    folder: Path

    @property
    def project(self) -> UUID:
        return self.mill.project_id

    async def keep(self, **days: int) -> None:
        async with self.resources.unit_of_work() as uow:
            await repository.set_terms(uow.session, self.project, Terms(**days))
            await uow.commit()

    async def file(self, *, days: int = 0, purpose: str | None = "parse", hidden: bool = False) -> UUID:
        """A stored file with its blob."""

        async def words() -> AsyncIterator[bytes]:
            yield b"words"

        async with self.resources.unit_of_work() as uow:
            made = await file_service.store_file(
                uow, self.resources.storage, self.project, "f.txt", words(), purpose=purpose
            )
            await uow.commit()
        if not days and not hidden:
            return made.id
        old: UUID = await self.mill.one("SELECT uuidv7(CAST(:d AS int) * interval '-1 day')", d=days)
        key = f"p/{self.project}/f/{old}"
        await self.resources.storage.put(key, b"words")
        await self.resources.storage.delete(made.storage_key)
        await self.mill.sql(
            "UPDATE files SET id = :new, storage_key = :k, created_at = now() - :d * interval '1 day',"
            " deleted_at = CASE WHEN :h THEN now() - :d * interval '1 day' END WHERE id = :old",
            new=old,
            k=key,
            d=days,
            h=hidden,
            old=made.id,
        )
        return old

    async def place(self, file: UUID, directory: UUID | None = None) -> UUID:
        found: UUID = await self.mill.one(
            "INSERT INTO directory_files (project_id, directory_id, file_id, display_name, unique_id,"
            " size_bytes, sha256) VALUES (:p, :d, :f, 'f', :u, 5, '') RETURNING id",
            p=self.project,
            d=directory or self.mill.directory_id,
            f=file,
            u=str(uuid4()),
        )
        return found

    async def directory(self, *, expired_days: int | None = None) -> UUID:
        found: UUID = await self.mill.one(
            "INSERT INTO directories (project_id, name, type, expires_at) VALUES (:p, 'd', 'ephemeral',"
            " now() - :d * interval '1 day') RETURNING id",
            p=self.project,
            d=expired_days,
        )
        return found

    async def job(
        self,
        *,
        days: int = 0,
        status: str = "COMPLETED",
        batch: UUID | None = None,
        seq: int | None = None,
        shares: UUID | None = None,
        file: UUID | None = None,
    ) -> UUID:
        """A job; a COMPLETED one with its result in the storage, or that of the job that it shares."""
        job: UUID = await self.mill.one("SELECT uuidv7(CAST(:d AS int) * interval '-1 day')", d=days)
        key = None
        if status == "COMPLETED":
            key = f"p/{self.project}/r/{job}/{uuid4()}.json.zst"
            if shares is not None:
                key = await self.mill.one("SELECT result_key FROM jobs WHERE id = :j", j=shares)
            else:
                await self.resources.storage.put(key, b"result")
        await self.mill.sql(
            "INSERT INTO jobs (id, project_id, job_type, batch_id, seq, file_id, name, size_bytes, sha256,"
            " status, error_code, result_key, parse_job_id, created_at, finished_at) VALUES (:id, :p,"
            " 'parse_v2', :b, :s, :f, 'f', 5, '', CAST(:status AS text),"
            " CASE WHEN CAST(:status AS text) = 'FAILED' THEN 'TIMEOUT' END, :key, :shares,"
            " now() - :d * interval '1 day',"
            " CASE WHEN CAST(:status AS text) <> 'PENDING' THEN now() - :d * interval '1 day' END)",
            id=job,
            p=self.project,
            b=batch,
            s=seq,
            f=file or self.mill.file_id,
            status=status,
            key=key,
            shares=shares,
            d=days,
        )
        return job

    async def batch(self, *, days: int = 0, jobs: int = 0, directory: UUID | None = None) -> UUID:
        """A COMPLETED batch with so many results."""
        batch: UUID = await self.mill.one(
            "INSERT INTO batches (project_id, job_type, source_directory_id, configuration_id, config,"
            " last_pos, status, spread_done, total, ok, wake_at, created_at, finished_at) VALUES (:p,"
            " 'parse_v2', :dir, 'cfg', '{}', 0, 'COMPLETED', true, :n, :n, NULL,"
            " now() - :d * interval '1 day', now() - :d * interval '1 day') RETURNING id",
            p=self.project,
            dir=directory or self.mill.directory_id,
            n=jobs,
            d=days,
        )
        await self.mill.sql(
            "INSERT INTO batch_events (batch_id, n, kind, data, at) VALUES (:b, 1, 'x', '{}', now())", b=batch
        )
        for seq in range(1, jobs + 1):
            await self.job(days=days, batch=batch, seq=seq)
        return batch

    async def live_batch(self, directory: UUID | None = None, redrive_of: UUID | None = None) -> UUID:
        found: UUID = await self.mill.one(
            "INSERT INTO batches (project_id, job_type, source_directory_id, configuration_id, config,"
            " last_pos, redrive_of, redrive_kind)"
            " VALUES (:p, 'parse_v2', :d, 'cfg', '{\"parameters\": {}}', 0, :r, :k) RETURNING id",
            p=self.project,
            d=directory or self.mill.directory_id,
            r=redrive_of,
            k=None if redrive_of is None else "FAILED",
        )
        return found

    async def end(self, batch: UUID) -> None:
        await self.mill.sql(
            "UPDATE batches SET status = 'CANCELLED', finished_at = now(), wake_at = NULL, stop_at = now(),"
            " stop_as = 'CANCELLED' WHERE id = :b",
            b=batch,
        )

    async def sweep(self) -> dict[str, int]:
        async with self.resources.unit_of_work() as uow:
            return dict(await sweeping.sweep(uow, sweeping.Walk(), within_s=60))

    async def let_time_pass(self) -> None:
        """More than an hour: what is hidden was hidden before it, what is doomed is due."""
        for table in ("files", "batches", "directories"):
            await self.mill.sql(
                f"UPDATE {table} SET deleted_at = deleted_at - interval '61 minutes'"  # noqa: S608
                " WHERE deleted_at IS NOT NULL"
            )
        await self.mill.sql("UPDATE doomed_blobs SET due_at = due_at - interval '61 minutes'")

    async def clean(self) -> None:
        """Sweep until everything that is over is gone, bytes too."""
        for _ in range(3):
            await self.sweep()
            await self.let_time_pass()
        while await collecting.remove_doomed(self.resources.unit_of_work, self.resources.storage):
            pass

    async def collect(self, *, remove: bool = True) -> collecting.Findings:
        storage = self.resources.storage
        return await collecting.collect(self.resources.unit_of_work, storage, storage, remove=remove)

    async def purge_step(self) -> bool:
        storage = self.resources.storage
        await self.mill.sql("UPDATE purges SET due_at = now()")
        return await purging.go_on(self.resources.unit_of_work, storage, storage, TABLES, within_s=60)

    async def has(self, table: str, row: UUID) -> bool:
        found = await self.mill.one(f"SELECT count(*) FROM {table} WHERE id = :i", i=row)  # noqa: S608
        return bool(found)

    async def key(self, job: UUID) -> str:
        found: str = await self.mill.one("SELECT result_key FROM jobs WHERE id = :j", j=job)
        return found

    def blobs(self) -> set[str]:
        """The keys of everything in the storage."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}

    async def now(self) -> datetime:
        found: datetime = await self.mill.one("SELECT now()")
        return found


async def make_shelf(resources: Resources, tmp_path: Path) -> Shelf:
    mill = await make_mill(resources)
    # It has no bytes, and what it stands for is not needed here.
    await mill.sql("DELETE FROM files WHERE id = :f", f=mill.file_id)
    return Shelf(resources, mill, tmp_path / "blobs")


@pytest.fixture
async def shelf(resources: Resources, tmp_path: Path) -> Shelf:
    """A project with an empty directory."""
    return await make_shelf(resources, tmp_path)
