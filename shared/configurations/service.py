"""Saving, finding and resolving configurations."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from shared.configurations import options, repository
from shared.configurations.model import Configuration
from shared.configurations.options import Product
from shared.configurations.presets import PRESETS, Preset
from shared.db.repository import Page
from shared.db.unit_of_work import UnitOfWork
from shared.errors import Conflict, InvalidInput, NotFound
from shared.ids import Kind, parse

__all__ = [
    "change_configuration",
    "delete_configuration",
    "get_configuration",
    "list_configurations",
    "resolve",
    "save_configuration",
]


async def save_configuration(
    uow: UnitOfWork, *, project_id: UUID, name: str, product_type: Product, parameters: dict[str, Any]
) -> Configuration:
    """Create, or replace the one of the same name and product in the project (contract 2.4).

    `parameters` were checked by `options.check`. Webhooks in them are refused: they are not delivered yet.
    """
    refuse_webhooks(parameters)
    return await repository.save(
        uow.session, project_id=project_id, name=name, product_type=product_type, parameters=parameters
    )


async def get_configuration(
    uow: UnitOfWork, project_id: UUID, configuration_id: str
) -> Configuration | Preset:
    """A live configuration of the project, or a built-in preset; else `NotFound`."""
    if preset := PRESETS.get(configuration_id):
        return preset
    found = await repository.get(uow.session, project_id, parse(Kind.CONFIGURATION, configuration_id))
    if found is None:
        raise NotFound(f"No configuration has the id {configuration_id[:80]!r}.")
    return found


async def list_configurations(
    uow: UnitOfWork,
    project_id: UUID,
    *,
    product_types: Sequence[str] | None,
    name: str | None,
    size: int,
    after: UUID | None = None,
    count: bool = False,
) -> Page[Configuration]:
    """A page of saved configurations, newest first. Presets are not listed: no project owns them."""
    return await repository.page(
        uow.session,
        project_id,
        product_types=product_types,
        name=name,
        size=size,
        after=after,
        count=count,
    )


async def change_configuration(
    uow: UnitOfWork,
    project_id: UUID,
    configuration_id: str,
    *,
    name: str | None = None,
    parameters: dict[str, Any] | None = None,
) -> Configuration:
    """Give it another name, other parameters, or both. The product stays; a name in use is a `Conflict`."""
    found = await _own(uow, project_id, configuration_id)
    values: dict[str, Any] = {}
    if name is not None and name != found.name:
        if await repository.named(uow.session, project_id, found.product_type, name):
            raise Conflict(f"Another {found.product_type} configuration has the name {name!r}.")
        values["name"] = name
    if parameters is not None:
        if parameters.get("product_type", found.product_type) != found.product_type:
            raise InvalidInput(f"This is a {found.product_type} configuration; its product cannot change.")
        refuse_webhooks(parameters)
        values["parameters"] = parameters
    return await repository.change(uow.session, found, values) if values else found


async def delete_configuration(uow: UnitOfWork, project_id: UUID, configuration_id: str) -> None:
    """Hide it. Batches that were opened with it keep their snapshot."""
    await repository.hide(uow.session, await _own(uow, project_id, configuration_id))


async def resolve(
    uow: UnitOfWork, project_id: UUID, configuration_id: str, product_type: str
) -> dict[str, Any]:
    """The parameters to run with, `latest` made a date. Unknown: `NotFound`; another product's:
    `InvalidInput`."""
    found = await get_configuration(uow, project_id, configuration_id)
    own = "parse_v2" if isinstance(found, Preset) else found.product_type
    if own != product_type:
        raise InvalidInput(f"{configuration_id} is a {own} configuration, and the job is {product_type}.")
    return options.settle_version(own, found.parameters)


def refuse_webhooks(parameters: dict[str, Any]) -> None:
    """`InvalidInput` when webhooks are asked for: none may be ignored in silence."""
    if options.wants_webhooks(parameters):
        raise InvalidInput(
            "Webhooks are not delivered by this version yet. Leave webhook_configurations and "
            "webhook_configuration_ids out, and poll instead."
        )


async def _own(uow: UnitOfWork, project_id: UUID, configuration_id: str) -> Configuration:
    found = await get_configuration(uow, project_id, configuration_id)
    if isinstance(found, Preset):
        raise InvalidInput(f"{configuration_id} is built in: save a configuration of your own instead.")
    return found
