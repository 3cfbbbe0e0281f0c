"""A small mill: a project, a directory, batches, and the moves of orchestration made by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from sqlalchemy import CursorResult, text

from shared.batches import advance as batch_advance
from shared.batches import dispatch as lane_dispatch
from shared.batches import repository as batch_repository
from shared.jobs import running
from shared.jobs.running import Assignment, FileToRun, Hand, JobEnd, TakenChunk
from shared.lanes import service as lane_service
from shared.wiring import Resources
from shared.workers import service as worker_service

KIND = "parse_v2"
QUEUE = "parse"


@dataclass
class Mill:
    """Moves rows by hand, one move a call, so that a test can interleave them as it likes."""

    resources: Resources
    project_id: UUID
    directory_id: UUID
    file_id: UUID
    workers: list[UUID] = field(default_factory=list)
    engine: str | None = None

    async def sql(self, statement: str, **values: Any) -> Sequence[Any]:
        """Run one statement and commit; answers its rows."""
        async with self.resources.unit_of_work() as uow:
            found = await uow.session.execute(text(statement), values)
            rows = list(found.all()) if cast("CursorResult[Any]", found).returns_rows else []
            await uow.session.commit()
            return rows

    async def one(self, statement: str, **values: Any) -> Any:
        """The first value of the first row."""
        return (await self.sql(statement, **values))[0][0]

    async def add_files(self, count: int) -> None:
        await self.sql(
            "INSERT INTO directory_files (project_id, directory_id, file_id, display_name, unique_id,"
            " size_bytes, sha256) SELECT :p, :d, :f, 'n' || g, 'n' || g || '-' || gen_random_uuid(), 1, ''"
            " FROM generate_series(1, :n) g",
            p=self.project_id,
            d=self.directory_id,
            f=self.file_id,
            n=count,
        )

    async def open_batch(self, files: int = 0) -> UUID:
        """Add files to the directory, then open a batch over all of it."""
        await self.add_files(files)
        async with self.resources.unit_of_work() as uow:
            await lane_service.open_lane(uow, self.project_id, KIND)
            batch = await batch_repository.add(
                uow.session,
                project_id=self.project_id,
                directory_id=self.directory_id,
                job_type=KIND,
                configuration_id="cfg-PARSE_FAST",
                parameters={"tier": "fast"},
            )
            await uow.commit()
        return batch.id

    async def add_worker(self) -> UUID:
        worker_id = uuid4()
        async with self.resources.unit_of_work() as uow:
            await worker_service.enlist(uow, worker_id, queues=[QUEUE], slots=1, engine=self.engine)
        self.workers.append(worker_id)
        return worker_id

    async def advance(self, batch_id: UUID) -> batch_advance.Step:
        return await batch_advance.advance(self.resources.unit_of_work, batch_id, engine=self.engine)

    async def dispatch(self) -> int:
        return await lane_dispatch.dispatch(self.resources.unit_of_work, self.project_id, KIND)

    async def take(self, worker_id: UUID | None = None) -> Assignment | None:
        async with self.resources.unit_of_work() as uow:
            return await running.take(uow, QUEUE, worker_id or uuid4())

    async def taken(self) -> Assignment:
        """Take, where there must be something to take."""
        assignment = await self.take()
        assert assignment is not None
        return assignment

    async def flush(self, chunk: TakenChunk, ends: Sequence[JobEnd]) -> Hand:
        async with self.resources.unit_of_work() as uow:
            return await running.flush(uow, chunk, ends)

    async def close(self, chunk: TakenChunk, ends: Sequence[JobEnd], seconds: float = 0.1) -> Hand:
        async with self.resources.unit_of_work() as uow:
            return await running.close(uow, chunk, ends, seconds=seconds)

    async def run_all(self, batch_id: UUID) -> None:
        """Dispatch, take and close until the batch ends; fails when nothing moves any more."""
        for _ in range(1_000):
            if await self.advance(batch_id) is batch_advance.Step.ENDED:
                return
            await self.dispatch()
            while (assignment := await self.take()) is not None:
                await self.close(assignment.chunk, [done(assignment.chunk, f) for f in assignment.files])
        raise AssertionError("the batch did not end")

    async def batch(self, batch_id: UUID) -> Any:
        """The batch's row."""
        return (await self.sql("SELECT * FROM batches WHERE id = :b", b=batch_id))[0]

    async def assert_exact(self, batch_id: UUID, status: str = "COMPLETED") -> None:
        """Final, each file counted once, the sums equal to the rows, no chunk left."""
        row = await self.batch(batch_id)
        assert row.status == status
        counted = await self.sql(
            "SELECT status, count(*), min(seq), max(seq), count(DISTINCT directory_file_id) FROM jobs"
            " WHERE batch_id = :b GROUP BY status",
            b=batch_id,
        )
        sums = {status: count for status, count, *_ in counted}
        assert sums.get("PENDING", 0) == 0
        assert (row.ok, row.failed, row.cancelled, row.unmapped) == tuple(
            sums.get(s, 0) for s in ("COMPLETED", "FAILED", "CANCELLED", "UNMAPPED")
        )
        assert row.total == sum(sums.values())
        assert await self.one("SELECT count(*) FROM chunks WHERE batch_id = :b", b=batch_id) == 0
        assert (
            await self.one(
                "SELECT count(*) FROM batch_events WHERE batch_id = :b AND kind = :k",
                b=batch_id,
                k=f"batch.{status.lower()}",
            )
            == 1
        )


def done(chunk: TakenChunk, file: FileToRun, code: str | None = None) -> JobEnd:
    """An end of one file, as an engine would give it."""
    return JobEnd(
        job_id=file.job_id,
        status="COMPLETED" if code is None else "FAILED",
        code=code,
        message=None,
        retryable=None,
        result_key=f"r/{file.job_id}/{chunk.token}" if code is None else None,
        pages=1,
        seconds=0.01,
        engine="test",
    )


async def make_mill(resources: Resources) -> Mill:
    """An empty directory of a new project."""
    async with resources.unit_of_work() as uow:

        async def made(statement: str, **values: Any) -> UUID:
            found: UUID = (await uow.session.execute(text(statement), values)).scalar_one()
            return found

        organization = await made("INSERT INTO organizations (name) VALUES ('o') RETURNING id")
        project = await made(
            "INSERT INTO projects (organization_id, name, is_default) VALUES (:o, 'p', false) RETURNING id",
            o=organization,
        )
        directory = await made(
            "INSERT INTO directories (project_id, name) VALUES (:p, 'd') RETURNING id", p=project
        )
        file = await made(
            "INSERT INTO files (project_id, name, size_bytes, sha256, storage_key)"
            " VALUES (:p, 'f', 1, '', 'k') RETURNING id",
            p=project,
        )
        await uow.commit()
    return Mill(resources, project, directory, file)


@pytest.fixture
async def mill(resources: Resources) -> Mill:
    """An empty directory of a new project."""
    return await make_mill(resources)


@pytest.fixture
def an_end() -> Any:
    """Makes the end of a file."""
    return done
