"""Taking configurations over from another server, under the ids that they have there."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid4

from shared.configurations import options, repository, service
from shared.configurations.model import Configuration
from shared.configurations.options import ExtractParameters, Parameters
from shared.configurations.schema import why_not_kept
from shared.db.savepoint import apart
from shared.db.unit_of_work import UnitOfWork
from shared.errors import Conflict, InvalidInput
from shared.ids import Kind, show

NONE: Final[frozenset[str]] = frozenset()


class Outcome(StrEnum):
    """What became of one."""

    IMPORTED = "imported"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Foreign:
    """A configuration as another server has it. `superseded`: that server has a newer one of this name."""

    id: UUID
    name: str
    parameters: Parameters
    version: datetime
    created_at: datetime | None = None
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class Imported:
    """The outcome, and a reason where it needs one."""

    outcome: Outcome
    reason: str | None = None


class _Undone(Exception):
    """It was a trial."""


async def import_configuration(
    uow: UnitOfWork,
    project_id: UUID,
    foreign: Foreign,
    *,
    dry_run: bool = False,
    together_with: frozenset[str] = NONE,
) -> Imported:
    """Save it in the project under its own id, name and version. Again: nothing is doubled. One that was
    changed or deleted here since stays as it is here; one that is newer there is updated.

    An id that another project has, or a name that another configuration has here, is a `Conflict`; parameters
    are refused as when they are saved. With `dry_run` nothing is written, and parse configurations among
    `together_with` are taken for being here.
    """
    if (reason := why_not_kept(foreign.name)) is not None:
        raise InvalidInput(f"name: {reason}.")
    if dry_run:
        foreign = _without(foreign, together_with)
    if not dry_run:
        return await _carry_out(uow, project_id, foreign)
    with suppress(_Undone):
        async with apart(uow.session):
            done = await _carry_out(uow, project_id, foreign)
            raise _Undone
    return done


async def _carry_out(uow: UnitOfWork, project_id: UUID, foreign: Foreign) -> Imported:
    found = await repository.anywhere(uow.session, foreign.id)
    if found is None:
        return await _add(uow, project_id, foreign)
    return await _bring_up(uow, project_id, foreign, found)


async def _add(uow: UnitOfWork, project_id: UUID, foreign: Foreign) -> Imported:
    if not foreign.superseded:
        await _insist_on_free_name(uow, project_id, foreign)
    # Saved like any other, under a name that nothing else has; then it takes its own.
    made = await service.save_configuration(
        uow, project_id=project_id, name=str(uuid4()), parameters=foreign.parameters
    )
    await repository.adopt(
        uow.session,
        made,
        configuration_id=foreign.id,
        name=foreign.name,
        created_at=foreign.created_at or foreign.version,
        updated_at=foreign.version,
        superseded=foreign.superseded,
    )
    return Imported(Outcome.IMPORTED)


async def _bring_up(uow: UnitOfWork, project_id: UUID, foreign: Foreign, found: Configuration) -> Imported:
    shown = show(Kind.CONFIGURATION, found.id)
    if found.project_id != project_id:
        raise Conflict(f"{shown} is a configuration of another project of this server.")
    if found.deleted_at is not None:
        return Imported(Outcome.KEPT, "it was deleted here")
    same = found.name == foreign.name and found.parameters == options.dump(foreign.parameters)
    superseded = found.superseded_at is not None
    if same and superseded == foreign.superseded:
        return Imported(Outcome.UNCHANGED)
    if not same and foreign.version <= found.updated_at:
        return Imported(Outcome.KEPT, f"it was changed here, at {found.updated_at:%Y-%m-%dT%H:%M:%SZ}")
    if superseded and not foreign.superseded:
        await _insist_on_free_name(uow, project_id, foreign)
    if not same:
        await service.change_configuration(
            uow, project_id, shown, name=foreign.name, parameters=foreign.parameters
        )
    await repository.adopt(
        uow.session,
        found,
        configuration_id=found.id,
        name=foreign.name,
        created_at=found.created_at,
        updated_at=foreign.version,
        superseded=foreign.superseded,
    )
    return Imported(Outcome.UPDATED)


async def _insist_on_free_name(uow: UnitOfWork, project_id: UUID, foreign: Foreign) -> None:
    product = foreign.parameters.product_type.value
    other = await repository.named(uow.session, project_id, product, foreign.name)
    if other is not None:
        raise Conflict(
            f"{show(Kind.CONFIGURATION, other.id)} has the name {foreign.name!r} for {product} here: rename"
            " or delete one of the two."
        )


def _without(foreign: Foreign, together_with: frozenset[str]) -> Foreign:
    parameters = foreign.parameters
    if isinstance(parameters, ExtractParameters) and parameters.parse_config_id in together_with:
        return replace(foreign, parameters=parameters.model_copy(update={"parse_config_id": None}))
    return foreign
