"""Saved configurations and the built-in presets (contract 2.4)."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from services.api.dependencies import ProjectId, ProjectPage, Several, TheGate, Uow
from services.api.paging import PageOf
from services.api.repeats import Once
from services.api.shown_as import ShownAs
from shared import ids
from shared.configurations import service as configuration_service
from shared.configurations.model import Configuration
from shared.configurations.options import Parameters, Product
from shared.configurations.presets import SINCE, Preset
from shared.webhooks import service as webhook_service

router = APIRouter(tags=["configurations"])
BASE = "/api/v1/beta/configurations"
ONE = BASE + "/{config_id}"

Name = Annotated[str, Field(min_length=1, max_length=255)]


class ConfigurationIn(BaseModel):
    """A configuration to save."""

    name: Name
    parameters: Parameters


class ConfigurationChanges(BaseModel):
    """What is not sent stays."""

    name: Name | None = None
    parameters: Parameters | None = None


class ConfigurationQuery(BaseModel):
    """What a list is narrowed by. Saving keeps one version of a name; `latest_only` leaves out older ones
    that came from another server."""

    product_type: Annotated[list[Product] | None, Several] = None
    name: str | None = None
    latest_only: bool = False


def filters_of(asked: Annotated[ConfigurationQuery, Query()]) -> ConfigurationQuery:
    """A dependency of its own: FastAPI reads a model beside other parameters only so."""
    return asked


Asked = Annotated[ConfigurationQuery, Depends(filters_of)]


class ConfigurationOut(BaseModel):
    """A configuration on the wire. `version` is when its parameters were last saved."""

    id: str
    name: str
    product_type: Product
    version: str
    parameters: Annotated[dict[str, Any], ShownAs(Parameters)]
    created_at: datetime
    updated_at: datetime
    # Not of the contract: what a preset does here, in plain words.
    description: str | None = None


def show(found: Configuration | Preset) -> ConfigurationOut:
    """The row or the preset as the contract has it."""
    if isinstance(found, Preset):
        return ConfigurationOut(
            id=found.id,
            name=found.name,
            product_type=Product.PARSE,
            version=SINCE.isoformat(),
            parameters=found.parameters,
            created_at=SINCE,
            updated_at=SINCE,
            description=found.description,
        )
    return ConfigurationOut(
        id=ids.show(ids.Kind.CONFIGURATION, found.id),
        name=found.name,
        product_type=Product(found.product_type),
        version=found.updated_at.astimezone(UTC).isoformat(),
        parameters=webhook_service.shown(found.parameters),
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


@router.post(BASE, status_code=201)
async def save(
    uow: Uow, gate: TheGate, project_id: ProjectId, once: Once, asked: ConfigurationIn
) -> ConfigurationOut:
    """Save; the same name and product again replaces the parameters and moves the version."""
    saved = await configuration_service.save_configuration(
        uow, project_id=project_id, name=asked.name, parameters=asked.parameters, gate=gate
    )
    return await once.keep(show(saved))


@router.get(BASE)
async def list_pages(
    uow: Uow, project_id: ProjectId, page: ProjectPage, asked: Asked
) -> PageOf[ConfigurationOut]:
    """A page, newest first."""
    found = await configuration_service.list_configurations(
        uow,
        project_id,
        product_types=asked.product_type,
        name=asked.name,
        latest_only=asked.latest_only,
        size=page.size,
        after=page.after,
        count=page.count,
    )
    return page.answer(found, show)


@router.get(ONE)
async def get(uow: Uow, project_id: ProjectId, config_id: str) -> ConfigurationOut:
    """One saved configuration, or a preset such as `cfg-PARSE_FAST`."""
    return show(await configuration_service.get_configuration(uow, project_id, config_id))


@router.put(ONE)
async def change(
    uow: Uow, gate: TheGate, project_id: ProjectId, config_id: str, asked: ConfigurationChanges
) -> ConfigurationOut:
    """Another name, other parameters, or both."""
    return show(
        await configuration_service.change_configuration(
            uow, project_id, config_id, name=asked.name, parameters=asked.parameters, gate=gate
        )
    )


@router.delete(ONE, status_code=204)
async def delete(uow: Uow, project_id: ProjectId, config_id: str) -> None:
    """Hide it; batches that were opened with it keep their snapshot."""
    await configuration_service.delete_configuration(uow, project_id, config_id)
