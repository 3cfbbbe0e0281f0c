"""Deliveries of webhooks: what was told to whom, what was not and why, and the word to tell it again."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from services.api.dependencies import Uow
from services.api.operators import ADMIN, NOTHING, OperatorPage, ProjectFilter, TheOperator, one_id
from services.api.paging import PageOf
from shared import ids
from shared.webhooks import operating as webhook_operating
from shared.webhooks.operating import DeliveryFilters, DeliveryView

router = APIRouter()
Status = Literal["PENDING", "SENT", "DEAD"]


class DeliveryQuery(BaseModel):
    """What a list is narrowed by. `job_id`: of a parse or an extract job."""

    status: Status | None = None
    event_type: str | None = None
    batch_id: str | None = None
    job_id: str | None = None


class DeliveryOut(BaseModel):
    """An event for one endpoint. `due_at` is of one that is PENDING: its next try, or, while it is `sending`,
    when another may try. `last_answer` is the beginning of what the receiver said."""

    id: str
    project_id: str
    event_id: str
    event_type: str
    subject: str
    webhook_url: str
    status: Status
    sending: bool
    attempts: int
    due_at: datetime | None
    last_code: int | None
    last_error: str | None
    last_answer: str | None
    last_seconds: float | None
    created_at: datetime
    finished_at: datetime | None


async def filters_of(asked: Annotated[DeliveryQuery, Query()], project: ProjectFilter) -> DeliveryFilters:
    """The same for the room; what is no id matches nothing."""
    subjects = [
        one for one in (one_id(ids.Kind.BATCH, asked.batch_id), _job(asked.job_id)) if one is not None
    ]
    return DeliveryFilters(
        project_id=project,
        status=asked.status,
        event_type=asked.event_type,
        # Nothing is a batch and a job.
        subject_id=None if not subjects else subjects[0] if len(subjects) == 1 else NOTHING,
    )


def show(view: DeliveryView) -> DeliveryOut:
    """The row for an operator; neither headers nor secrets."""
    row = view.row
    return DeliveryOut.model_validate(
        {
            "id": ids.show(ids.Kind.DELIVERY, row.id),
            "project_id": ids.show(ids.Kind.PROJECT, row.project_id),
            "event_id": str(row.event_id),
            "event_type": row.event_type,
            "subject": row.data["id"],
            "webhook_url": view.url,
            "status": row.status,
            "sending": row.token is not None,
            "attempts": row.attempts,
            "due_at": row.due_at,
            "last_code": row.last_code,
            "last_error": row.last_error,
            "last_answer": row.last_answer,
            "last_seconds": row.last_seconds,
            "created_at": row.created_at,
            "finished_at": row.finished_at,
        }
    )


@router.get(ADMIN + "/webhook-deliveries")
async def list_pages(
    uow: Uow, page: OperatorPage, filters: Annotated[DeliveryFilters, Depends(filters_of)]
) -> PageOf[DeliveryOut]:
    """A page, newest first."""
    found = await webhook_operating.list_deliveries(
        uow, filters, size=page.size, after=page.after, count=page.count
    )
    return page.answer(found, show)


@router.post(ADMIN + "/webhook-deliveries/{delivery_id}/replay")
async def replay(uow: Uow, who: TheOperator, delivery_id: str) -> DeliveryOut:
    """Send it again, under the same event id. One that is due or being sent now: 409."""
    view = await webhook_operating.replay(uow, ids.parse(ids.Kind.DELIVERY, delivery_id))
    answer = show(view)
    await who.note("webhook.replay", answer.id, project_id=view.row.project_id)
    return answer


def _job(text: str | None) -> UUID | None:
    if text is None:
        return None
    kind = ids.Kind.EXTRACT_JOB if text.startswith(f"{ids.Kind.EXTRACT_JOB}-") else ids.Kind.PARSE_JOB
    return one_id(kind, text)
