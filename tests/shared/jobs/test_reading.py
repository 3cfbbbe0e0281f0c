"""What a reader is told of jobs that no row says."""

from sqlalchemy import select

from shared.jobs import repository
from shared.jobs.model import Job
from tests.shared.conftest import Mill


async def test_jobs_of_a_throttled_batch_are_held_and_those_of_others_are_not(mill: Mill) -> None:
    batch_id, other = await mill.open_batch(2), await mill.open_batch(1)
    for each in (batch_id, other):
        await mill.advance(each)

    async def held() -> set[object]:
        async with mill.resources.unit_of_work() as uow:
            jobs = (await uow.session.scalars(select(Job))).all()
            found = await repository.throttled(uow.session, jobs)
        return {(job.batch_id, job.seq) for job in jobs if job.id in found}

    assert await held() == set()
    await mill.sql("UPDATE batches SET status = 'THROTTLED' WHERE id = :b", b=batch_id)
    assert await held() == {(batch_id, 1), (batch_id, 2)}
