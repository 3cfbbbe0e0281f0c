"""Lanes: the limits of one project's jobs of one type."""

from dataclasses import asdict
from typing import Annotated, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from services.api.dependencies import Moment, TheCaller, Uow
from services.api.operators import ADMIN, TheOperator
from shared import ids
from shared.errors import InvalidInput, NotFound
from shared.jobs import limiting as job_limiting
from shared.jobs.lifecycle import JobType
from shared.lanes import service as lane_service
from shared.lanes.limits import HEAVIEST, LIGHTEST, Hold, LaneLimits
from shared.lanes.model import MAX_FILES
from shared.projects import service as project_service
from shared.projects.model import Project

router = APIRouter()
LANE: Final = ADMIN + "/projects/{project_id}/lanes/{job_type}"

# A misspelt name would silently take a limit away.
STRICT: Final = ConfigDict(extra="forbid")
Count = Annotated[int, Field(ge=1, lt=2**31)]


class HoldBody(BaseModel):
    """Nothing of the lane starts until then, or until the hold is lifted when `until` is null."""

    model_config = STRICT

    reason: Annotated[str, Field(min_length=1, max_length=500)]
    until: Moment | None = None


class LimitsBody(BaseModel):
    """The limits of a lane, whole: what is left out is off, or at its default."""

    model_config = STRICT

    jobs_per_minute: Count | None = None
    burst: Count = 1
    max_jobs: Count | None = None
    max_batches: Count | None = None
    max_files: Count = MAX_FILES
    weight: Annotated[float, Field(ge=LIGHTEST, le=HEAVIEST)] = 1.0
    hold: HoldBody | None = None


def show(limits: LaneLimits) -> LimitsBody:
    """The limits in the form in which they are set."""
    return LimitsBody.model_validate(asdict(limits))


@router.get(LANE)
async def get(uow: Uow, who: TheCaller, project_id: str, job_type: str) -> LimitsBody:
    """The limits in force; those of a new lane before it is used."""
    project = await _project(uow, who, project_id)
    return show(await lane_service.get_limits(uow, project.id, _kind(job_type)))


@router.put(LANE)
async def put(
    uow: Uow, who: TheOperator, caller: TheCaller, project_id: str, job_type: str, asked: LimitsBody
) -> LimitsBody:
    """Replace the limits; felt by every worker with its next take. What runs goes on."""
    kind = _kind(job_type)
    project = await _project(uow, caller, project_id)
    before = show(await lane_service.get_limits(uow, project.id, kind))
    hold = None if asked.hold is None else Hold(asked.hold.reason, asked.hold.until)
    limits = LaneLimits(**{**asked.model_dump(), "hold": hold})
    after = show(await job_limiting.set_limits(uow, project.id, kind, limits))
    if hold is not None and after.hold is None:
        raise InvalidInput("hold.until: this moment is over, so nothing would be held.")
    await who.note(
        "lane.set",
        f"{ids.show(ids.Kind.PROJECT, project.id)}/{kind}",
        project_id=project.id,
        detail={**asked.model_dump(mode="json"), "before": before.model_dump(mode="json")},
    )
    return after


async def _project(uow: Uow, who: TheCaller, text: str) -> Project:
    return await project_service.get_project(uow, who, ids.parse(ids.Kind.PROJECT, text))


def _kind(text: str) -> JobType:
    if text not in set(JobType):
        raise NotFound(f"No lane is of the type {text[:80]!r}; there are {', '.join(JobType)}.")
    return JobType(text)
