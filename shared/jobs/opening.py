"""Opening jobs that come alone, and what they read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared.db.unit_of_work import UnitOfWork
from shared.errors import InvalidInput
from shared.jobs import repository, reuse, service
from shared.jobs.lifecycle import JobStatus, JobType
from shared.jobs.model import Job
from shared.jobs.recipe import Reusable, may_reuse, recipe_of
from shared.webhooks import announcing
from shared.webhooks import service as webhook_service
from shared.webhooks.service import Endpoint
from shared.workers import service as worker_service


@dataclass(frozen=True, slots=True)
class JobInput:
    """What a job that comes alone reads: a file, or with `parse_job_id` what a parse job made of it.
    `named` is how the caller named it."""

    project_id: UUID
    file_id: UUID
    name: str
    size_bytes: int
    sha256: bytes | None
    named: str
    parse_job_id: UUID | None = None


async def open_parse_job(
    uow: UnitOfWork,
    *,
    project_id: UUID,
    file_id: UUID,
    name: str,
    size_bytes: int,
    sha256: bytes | None,
    parameters: dict[str, Any],
    webhooks: Sequence[Endpoint] = (),
) -> service.JobView:
    """A job for one file, without a batch: a chunk of one in the project's lane, due at once. COMPLETED at
    once when the result is there already, and `disable_cache` does not ask for another. `webhooks` are told
    of it, and those of its configuration."""
    parameters, own = await webhook_service.take_out(uow, project_id, parameters)
    known = await _known(uow, project_id, sha256=sha256, name=name, parameters=parameters)
    job = Job(
        project_id=project_id,
        job_type=JobType.PARSE,
        file_id=file_id,
        name=name,
        size_bytes=size_bytes,
        sha256=sha256,
        config=parameters,
    )
    if known is not None:
        await repository.add_reused(uow.session, job, known)
    else:
        await _open_alone(uow, job)
    await _tell(uow, job, [*webhooks, *own])
    return await service.view_of(uow, job)


async def _tell(uow: UnitOfWork, job: Job, webhooks: Sequence[Endpoint]) -> None:
    """These are told of the job from now on, and first that it is there."""
    if webhooks:
        await announcing.attach(uow, job.project_id, job.id, about=announcing.JOBS, endpoints=webhooks)
        await announcing.jobs_moved(uow, [job.id])


async def _known(
    uow: UnitOfWork, project_id: UUID, *, sha256: bytes | None, name: str, parameters: dict[str, Any]
) -> Reusable | None:
    recipe = await _recipe(uow, parameters)
    if recipe is None or sha256 is None:
        return None
    return await reuse.find(uow.session, project_id, sha256=sha256, name=name, recipe=recipe)


async def recipe_of_batch(
    uow: UnitOfWork, batch_id: UUID, job_type: str, *, engine: str | None
) -> bytes | None:
    """What results must have been made by, for the batch to reuse them; None when it shall reuse none, or
    nobody can tell. While no worker is there, `engine` is the version of those that will come."""
    if job_type != JobType.PARSE:
        return None
    parameters = await repository.config_of_batch(uow.session, batch_id)
    return await _recipe(uow, parameters, if_nobody=engine)


async def _recipe(
    uow: UnitOfWork, parameters: dict[str, Any], *, if_nobody: str | None = None
) -> bytes | None:
    if not may_reuse(parameters):
        return None
    engine = await worker_service.engine_of(uow, JobType.PARSE.queue, if_nobody=if_nobody)
    return None if engine is None else recipe_of(parameters, engine)


async def open_extract_job(
    uow: UnitOfWork,
    source: JobInput,
    *,
    parameters: dict[str, Any],
    configuration_id: str | None,
    webhooks: Sequence[Endpoint] = (),
) -> service.JobView:
    """An extraction from one file or parse job, without a batch. `webhooks` are told of it, and those of its
    configuration."""
    parameters, own = await webhook_service.take_out(uow, source.project_id, parameters)
    job = Job(
        project_id=source.project_id,
        job_type=JobType.EXTRACT,
        file_id=source.file_id,
        name=source.name,
        size_bytes=source.size_bytes,
        sha256=source.sha256,
        config=parameters,
        configuration_id=configuration_id,
        file_input=source.named,
        parse_job_id=source.parse_job_id,
    )
    await _open_alone(uow, job)
    await _tell(uow, job, [*webhooks, *own])
    return await service.view_of(uow, job)


async def input_of_parse_job(uow: UnitOfWork, project_id: UUID, job_id: UUID, *, named: str) -> JobInput:
    """A parse job as the input of another. `NotFound`; `InvalidInput` unless it is COMPLETED."""
    job = await repository.get(uow.session, project_id, JobType.PARSE, job_id)
    if job is None:
        raise service.unknown(JobType.PARSE, job_id)
    if job.status != JobStatus.COMPLETED:
        raise InvalidInput(
            f"inputs_invalid: the parse job {named} is not COMPLETED; extract from it when it is."
        )
    if job.purged_at is not None:
        raise InvalidInput(
            f"inputs_invalid: the result of the parse job {named} was removed by the project's retention."
        )
    return JobInput(project_id, job.file_id, job.name, job.size_bytes, job.sha256, named, job.id)


async def _open_alone(uow: UnitOfWork, job: Job) -> None:
    place = await service.charge_alone(uow, job.project_id, JobType(job.job_type))
    await repository.add_alone(uow.session, job)
    await service.grant_alone(uow, place, job.id)
