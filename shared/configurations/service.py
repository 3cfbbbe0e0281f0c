"""Saving, finding and resolving configurations."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from shared.configurations import options, repository
from shared.configurations.model import Configuration
from shared.configurations.options import ExtractRequest, Parameters, ParseRequest, Product
from shared.configurations.parse_options import LATEST
from shared.configurations.presets import PRESETS, Preset
from shared.configurations.schema import SchemaRefused, check_schema, why_not_kept
from shared.db.repository import Page
from shared.db.unit_of_work import UnitOfWork
from shared.errors import Conflict, InvalidInput, NotFound
from shared.ids import Kind, parse

__all__ = [
    "PARSE_PARAMETERS",
    "change_configuration",
    "check_data_schema",
    "delete_configuration",
    "get_configuration",
    "list_configurations",
    "refuse_webhooks",
    "resolve",
    "resolve_extract_request",
    "resolve_request",
    "save_configuration",
]

PARSE_PARAMETERS: Final = "parse_parameters"
"""Where the snapshot of an extraction holds the parameters that its documents are parsed with."""


async def save_configuration(
    uow: UnitOfWork, *, project_id: UUID, name: str, parameters: Parameters
) -> Configuration:
    """Create, or replace the one of the same name and product in the project (contract 2.4).

    Webhooks in the parameters are refused: they are not delivered yet. So is a schema that no extraction
    can work with, and a parse configuration that is not there.
    """
    _check_name(name)
    kept = options.dump(parameters)
    await _check(uow, project_id, kept)
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
        _check_name(name)
        if await repository.named(uow.session, project_id, found.product_type, name):
            raise Conflict(f"Another {found.product_type} configuration has the name {name!r}.")
        values["name"] = name
    if parameters is not None:
        if parameters.product_type != found.product_type:
            raise InvalidInput(f"This configuration is for {found.product_type}; its product cannot change.")
        values["parameters"] = options.dump(parameters)
        await _check(uow, project_id, values["parameters"])
    return await repository.change(uow.session, found, values) if values else found


async def delete_configuration(uow: UnitOfWork, project_id: UUID, configuration_id: str) -> None:
    """Hide it. Batches that were opened with it keep their snapshot."""
    await repository.hide(uow.session, await _own(uow, project_id, configuration_id))


async def resolve(
    uow: UnitOfWork, project_id: UUID, configuration_id: str, product_type: str
) -> dict[str, Any]:
    """The parameters to run with, `latest` made a date; of an extraction, with those it parses by. Unknown:
    `NotFound`; another product's, or of no use any more: `InvalidInput`."""
    found = await get_configuration(uow, project_id, configuration_id)
    own = "parse_v2" if isinstance(found, Preset) else found.product_type
    if own != product_type:
        raise InvalidInput(f"{configuration_id} is a configuration for {own}, and the job is {product_type}.")
    if own == Product.EXTRACT:
        return await _snapshot(uow, project_id, found.parameters)
    return options.settle_version(own, found.parameters)


async def resolve_extract_request(uow: UnitOfWork, project_id: UUID, asked: ExtractRequest) -> dict[str, Any]:
    """The parameters of one extract job: those of the configuration it names, or its own."""
    refuse_webhooks(options.dump(asked))
    if asked.configuration_id is not None:
        return await resolve(uow, project_id, asked.configuration_id, Product.EXTRACT)
    assert asked.configuration is not None
    own = {**options.dump(asked.configuration), "product_type": Product.EXTRACT.value}
    refuse_webhooks(own)
    return await _snapshot(uow, project_id, own)


async def check_data_schema(schema: Mapping[str, Any]) -> None:
    """`InvalidInput` with the place and the reason unless an extraction can work with the schema."""
    try:
        # The largest takes a second or two.
        await asyncio.to_thread(check_schema, schema)
    except SchemaRefused as refused:
        raise InvalidInput(f"schema_validation: {refused}") from None


async def resolve_request(uow: UnitOfWork, project_id: UUID, asked: ParseRequest) -> dict[str, Any]:
    """The parameters of one parse job: the configuration it names, overlaid by what it chooses itself."""
    refuse_webhooks(options.dump(asked))
    base: dict[str, Any] = {"product_type": Product.PARSE.value}
    if asked.configuration_id is not None:
        base = await resolve(uow, project_id, asked.configuration_id, Product.PARSE)
    chosen = asked.choices()
    if "tier" in chosen and "version" not in chosen:
        # Versions belong to tiers: another tier does not keep the date of the one it replaces.
        chosen["version"] = LATEST
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


def _check_name(name: str) -> None:
    if (reason := why_not_kept(name)) is not None:
        raise InvalidInput(f"name: {reason}.")


async def _check(uow: UnitOfWork, project_id: UUID, parameters: Mapping[str, Any]) -> None:
    refuse_webhooks(dict(parameters))
    if parameters["product_type"] == Product.EXTRACT:
        await check_data_schema(parameters["data_schema"])
        await _parse_parameters(uow, project_id, parameters)


async def _snapshot(uow: UnitOfWork, project_id: UUID, parameters: dict[str, Any]) -> dict[str, Any]:
    """What an extraction runs with. Checked again: it may have been saved before this check was made."""
    await check_data_schema(parameters["data_schema"])
    parse = await _parse_parameters(uow, project_id, parameters)
    return {**options.settle_version(Product.EXTRACT, parameters), PARSE_PARAMETERS: parse}


async def _parse_parameters(
    uow: UnitOfWork, project_id: UUID, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """How the documents of an extraction are parsed: by the configuration it names, else by a tier. The
    pages that the extraction asks for win."""
    named, tier = parameters.get("parse_config_id"), parameters.get("parse_tier")
    if named is not None and tier is not None:
        raise InvalidInput("inputs_invalid: send parse_tier or parse_config_id; both contradict each other.")
    if named is not None:
        parse = await resolve(uow, project_id, named, Product.PARSE)
    else:
        parse = options.settle_version(
            Product.PARSE,
            {
                "product_type": Product.PARSE.value,
                "tier": tier or options.PARSE_TIER_OF[parameters["tier"]],
                "version": LATEST,
            },
        )
    pages = {name: parameters[name] for name in ("target_pages", "max_pages") if parameters.get(name)}
    return {**parse, "page_ranges": pages} if pages else parse


async def _own(uow: UnitOfWork, project_id: UUID, configuration_id: str) -> Configuration:
    found = await get_configuration(uow, project_id, configuration_id)
    if isinstance(found, Preset):
        raise InvalidInput(f"{configuration_id} is built in: save a configuration of your own instead.")
    return found
