"""How long a project keeps what, and the removal of a whole project."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from services.api.dependencies import TheCaller, Uow
from services.api.operators import ADMIN, TheOperator
from shared import ids
from shared.projects import service as project_service
from shared.retention import service as retention_service
from shared.retention.model import Purge
from shared.retention.service import MOST_DAYS, Terms

router = APIRouter()
ONE: Final = ADMIN + "/projects/{project_id}"
Days = Annotated[int, Field(ge=1, le=MOST_DAYS)]


class RetentionBody(BaseModel):
    """Days for which a project keeps what, whole: what is left out is kept for ever."""

    # A misspelt name would silently keep everything.
    model_config = ConfigDict(extra="forbid")

    results_days: Days | None = None
    jobs_days: Days | None = None
    batches_days: Days | None = None
    files_days: Days | None = None


class PurgeOut(BaseModel):
    """How far the removal of a project is."""

    project_id: str
    name: str
    state: Literal["ROWS", "BLOBS", "DONE"]
    rows_gone: int
    blobs_gone: int
    bytes_gone: int
    asked_at: datetime
    finished_at: datetime | None


def show(row: Purge) -> PurgeOut:
    """The row for an operator."""
    return PurgeOut.model_validate(
        {
            "project_id": ids.show(ids.Kind.PROJECT, row.project_id),
            "name": row.name,
            "state": row.state,
            "rows_gone": row.rows_gone,
            "blobs_gone": row.blobs_gone,
            "bytes_gone": row.bytes_gone,
            "asked_at": row.asked_at,
            "finished_at": row.finished_at,
        }
    )


@router.get(ONE + "/retention")
async def get(uow: Uow, who: TheCaller, project_id: str) -> RetentionBody:
    """What is in force; null is for ever."""
    project = await project_service.get_project(uow, who, ids.parse(ids.Kind.PROJECT, project_id))
    return RetentionBody(**asdict(await retention_service.get_terms(uow, project.id)))


@router.put(ONE + "/retention")
async def put(
    uow: Uow, who: TheOperator, caller: TheCaller, project_id: str, asked: RetentionBody
) -> RetentionBody:
    """Replace it; upkeep removes what is over from its next sweep on."""
    project = await project_service.get_project(uow, caller, ids.parse(ids.Kind.PROJECT, project_id))
    before = await retention_service.get_terms(uow, project.id)
    after = await retention_service.set_terms(uow, project.id, Terms(**asked.model_dump()))
    await who.note(
        "retention.set",
        ids.show(ids.Kind.PROJECT, project.id),
        project_id=project.id,
        detail={**asdict(after), "before": asdict(before)},
    )
    return RetentionBody(**asdict(after))


@router.post(
    ONE + "/purge",
    status_code=202,
    responses={200: {"model": PurgeOut, "description": "It was asked for before; how far it is."}},
)
async def purge(
    uow: Uow, who: TheOperator, caller: TheCaller, project_id: str, response: Response
) -> PurgeOut:
    """Remove a project with all it has: hidden and without keys at once, its rows and bytes by upkeep. Asked
    again, it says how far that is (200). The default project: 409."""
    wanted = ids.parse(ids.Kind.PROJECT, project_id)
    row, asked_now = await retention_service.ask_purge(uow, caller, wanted)
    answer = show(row)
    if asked_now:
        await who.note("project.purge", answer.project_id, project_id=wanted, detail={"name": answer.name})
    else:
        response.status_code = 200
    return answer


@router.get(ONE + "/purge")
async def get_purge(uow: Uow, project_id: str) -> PurgeOut:
    """How far it is, also after the project is gone. 404 when nobody asked for it."""
    return show(await retention_service.get_purge(uow, ids.parse(ids.Kind.PROJECT, project_id)))
