"""Configurations of another server, taken over under the ids that they have there."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.api.dependencies import Moment, TheCaller, Uow
from services.api.operators import ADMIN, TheOperator
from shared import ids
from shared.configurations import importing
from shared.configurations.importing import Foreign, Outcome
from shared.configurations.options import Parameters
from shared.errors import InvalidInput, NotFound
from shared.projects import service as project_service

router = APIRouter()


class ForeignIn(BaseModel):
    """A configuration as another server has it, for the default project unless one is named."""

    project_id: str | None = None
    name: Annotated[str, Field(min_length=1, max_length=255)]
    parameters: Parameters
    version: Moment
    created_at: Moment | None = None
    superseded: bool = False
    dry_run: bool = False
    together_with: Annotated[list[str], Field(max_length=10_000)] = []


class ImportedOut(BaseModel):
    """What became of it; of one that was kept as it is here, the reason."""

    id: str
    outcome: Outcome
    reason: str | None


@router.put(ADMIN + "/configurations/{config_id}")
async def take_over(
    uow: Uow, who: TheOperator, caller: TheCaller, config_id: str, asked: ForeignIn
) -> ImportedOut:
    """Save it under its id and version. Again: nothing is doubled. An id of another project, or a name that
    another configuration has: 409. With `dry_run` nothing is written."""
    try:
        wanted = ids.parse(ids.Kind.CONFIGURATION, config_id)
    except NotFound:
        raise InvalidInput(f"config_id: {config_id[:80]!r} is not cfg- and a UUID.") from None
    if asked.project_id is None:
        tenant = (await project_service.default_project(uow)).id
    else:
        named = ids.parse(ids.Kind.PROJECT, asked.project_id)
        tenant = (await project_service.get_project(uow, caller, named)).id
    foreign = Foreign(wanted, asked.name, asked.parameters, asked.version, asked.created_at, asked.superseded)
    done = await importing.import_configuration(
        uow, tenant, foreign, dry_run=asked.dry_run, together_with=frozenset(asked.together_with)
    )
    shown = ids.show(ids.Kind.CONFIGURATION, wanted)
    if not asked.dry_run and done.outcome in (Outcome.IMPORTED, Outcome.UPDATED):
        detail = {"name": asked.name, "outcome": done.outcome.value}
        await who.note("configuration.import", shown, project_id=tenant, detail=detail)
    return ImportedOut(id=shown, outcome=done.outcome, reason=done.reason)
