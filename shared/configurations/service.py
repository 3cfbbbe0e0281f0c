"""Saving, finding and resolving configurations."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from shared.configurations import options, repository
from shared.configurations.model import Configuration
from shared.configurations.options import Parameters, ParseRequest, Product
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
    "refuse_webhooks",
    "resolve",
    "resolve_request",
    "save_configuration",
]


async def save_configuration(
    uow: UnitOfWork, *, project_id: UUID, name: str, parameters: Parameters
) -> Configuration:
    """Create, or replace the one of the same name and product in the project (contract 2.4).

    Webhooks in the parameters are refused: they are not delivered yet.
    """
    kept = options.dump(parameters)
    refuse_webhooks(kept)
    return await repository.save(
        uow.session,
        project_id=project_id,
        name=name,
        product_type=parameters.product_type,
        parameters=kept,
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
    parameters: Parameters | None = None,
) -> Configuration:
    """Give it another name, other parameters, or both. The product stays; a name in use is a `Conflict`."""
    found = await _own(uow, project_id, configuration_id)
    values: dict[str, Any] = {}
    if name is not None and name != found.name:
        if await repository.named(uow.session, project_id, found.product_type, name):
            raise Conflict(f"Another {found.product_type} configuration has the name {name!r}.")
        values["name"] = name
    if parameters is not None:
        if parameters.product_type != found.product_type:
            raise InvalidInput(f"This is a {found.product_type} configuration; its product cannot change.")
        values["parameters"] = options.dump(parameters)
        refuse_webhooks(values["parameters"])
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


async def resolve_request(uow: UnitOfWork, project_id: UUID, asked: ParseRequest) -> dict[str, Any]:
    """The parameters of one parse job: the configuration it names, overlaid by what it chooses itself."""
    refuse_webhooks(options.dump(asked))
    base: dict[str, Any] = {"product_type": Product.PARSE.value}
    if asked.configuration_id is not None:
        base = await resolve(uow, project_id, asked.configuration_id, Product.PARSE)
    chosen = asked.choices()
    if "tier" in chosen and "version" not in chosen:
        # Versions belong to tiers: another tier does not keep the date of the one it replaces.
        chosen["version"] = options.LATEST
    parameters = options.settle_version(Product.PARSE, {**base, **chosen})
    if asked.user_metadata:
        parameters["user_metadata"] = asked.user_metadata
    return parameters


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
