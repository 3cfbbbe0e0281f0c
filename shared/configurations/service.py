"""Saving, finding and resolving configurations."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from shared.configurations import options, repository
from shared.configurations.model import Configuration
from shared.configurations.options import (
    INLINE,
    NAMED,
    ExtractRequest,
    FreeParameters,
    Parameters,
    ParseRequest,
    Product,
)
from shared.configurations.parse_options import LATEST
from shared.configurations.presets import PRESETS, Preset
from shared.configurations.schema import SchemaRefused, check_schema, why_not_kept
from shared.db.repository import Page
from shared.db.unit_of_work import UnitOfWork
from shared.errors import Conflict, InvalidInput, NotFound
from shared.ids import Kind, parse
from shared.webhooks import service as webhook_service
from shared.webhooks.service import SECRET, Gate

__all__ = [
    "PARSE_PARAMETERS",
    "change_configuration",
    "check_data_schema",
    "delete_configuration",
    "get_configuration",
    "list_configurations",
    "names_of",
    "resolve",
    "resolve_extract_request",
    "resolve_request",
    "save_configuration",
]

PARSE_PARAMETERS: Final = "parse_parameters"
"""Where the snapshot of an extraction holds the parameters that its documents are parsed with."""


async def save_configuration(
    uow: UnitOfWork, *, project_id: UUID, name: str, parameters: Parameters, gate: Gate | None = None
) -> Configuration:
    """Create, or replace the one of the same name and product in the project (contract 2.4).

    A schema that no extraction can work with is refused, and so are a parse configuration and webhooks that
    are not there. Inline webhooks need the `gate`, which seals their secrets.
    """
    _check_name(name)
    before = await repository.named(uow.session, project_id, parameters.product_type, name)
    kept = _kept(parameters, gate, project_id, before)
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
    latest_only: bool = False,
    size: int,
    after: UUID | None = None,
    count: bool = False,
) -> Page[Configuration]:
    """A page of saved configurations, newest first; with `latest_only` without the older versions that came
    from another server. Presets are not listed: no project owns them."""
    return await repository.page(
        uow.session,
        project_id,
        product_types=product_types,
        name=name,
        latest_only=latest_only,
        size=size,
        after=after,
        count=count,
    )


async def names_of(uow: UnitOfWork, project_id: UUID, configuration_ids: Sequence[str]) -> Mapping[str, str]:
    """What these configurations are called, presets and deleted ones too, by the ids as they were given. One
    that is gone has no name."""
    found = {one: PRESETS[one].name for one in configuration_ids if one in PRESETS}
    saved: dict[str, UUID] = {}
    for one in configuration_ids:
        with suppress(NotFound):
            saved[one] = parse(Kind.CONFIGURATION, one)
    if saved:
        names = await repository.names(uow.session, project_id, list(saved.values()))
        found |= {one: names[of] for one, of in saved.items() if of in names}
    return found


async def change_configuration(
    uow: UnitOfWork,
    project_id: UUID,
    configuration_id: str,
    *,
    name: str | None = None,
    parameters: Parameters | None = None,
    gate: Gate | None = None,
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
        values["parameters"] = _kept(parameters, gate, project_id, found)
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
    """The parameters of one extract job: those of the configuration it names, or its own. Webhooks are in
    them only where they are the configuration's and count."""
    if asked.configuration_id is not None:
        found = await resolve(uow, project_id, asked.configuration_id, Product.EXTRACT)
        return _untold(found) if options.brings_webhooks(asked) else found
    assert asked.configuration is not None
    own = {**_untold(options.dump(asked.configuration)), "product_type": Product.EXTRACT.value}
    return await _snapshot(uow, project_id, own)


async def check_data_schema(schema: Mapping[str, Any]) -> None:
    """`InvalidInput` with the place and the reason unless an extraction can work with the schema."""
    try:
        # The largest takes a second or two.
        await asyncio.to_thread(check_schema, schema)
    except SchemaRefused as refused:
        raise InvalidInput(f"schema_validation: {refused}") from None


async def resolve_request(uow: UnitOfWork, project_id: UUID, asked: ParseRequest) -> dict[str, Any]:
    """The parameters of one parse job: the configuration it names, overlaid by what it chooses itself.
    Webhooks are in them only where they are the configuration's and count."""
    base: dict[str, Any] = {"product_type": Product.PARSE.value}
    if asked.configuration_id is not None:
        base = await resolve(uow, project_id, asked.configuration_id, Product.PARSE)
        if options.brings_webhooks(asked):
            base = _untold(base)
    chosen = asked.choices()
    if "tier" in chosen and "version" not in chosen:
        # Versions belong to tiers: another tier does not keep the date of the one it replaces.
        chosen["version"] = LATEST
    parameters = options.settle_version(Product.PARSE, {**base, **chosen})
    if asked.user_metadata:
        parameters["user_metadata"] = asked.user_metadata
    return parameters


def _kept(
    parameters: Parameters, gate: Gate | None, project_id: UUID, before: Configuration | None
) -> dict[str, Any]:
    """The parameters as they are stored. A webhook that comes without a secret keeps the one that it had here
    under the same URL: no answer tells it, so nobody could send it back."""
    kept = options.dump(parameters)
    if isinstance(parameters, FreeParameters):
        if kept.get(INLINE) or kept.get(NAMED):
            raise InvalidInput(f"Jobs of {parameters.product_type} do not run here: nobody would be told.")
        return kept
    if not parameters.webhook_configurations:
        return kept
    if gate is None:
        raise InvalidInput("Inline webhooks cannot be saved this way: send the configuration to the API.")
    old = [] if before is None else before.parameters.get(INLINE) or []
    secrets = {one["webhook_url"]: one[SECRET] for one in old if SECRET in one}
    webhooks = [webhook_service.stored(gate, project_id, one) for one in parameters.webhook_configurations]
    for one in webhooks:
        if SECRET not in one and one["webhook_url"] in secrets:
            one[SECRET] = secrets[one["webhook_url"]]
    return {**kept, INLINE: webhooks}


def _untold(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name not in (INLINE, NAMED)}


def _check_name(name: str) -> None:
    if (reason := why_not_kept(name)) is not None:
        raise InvalidInput(f"name: {reason}.")


async def _check(uow: UnitOfWork, project_id: UUID, parameters: Mapping[str, Any]) -> None:
    await webhook_service.take_out(uow, project_id, parameters)
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
        # Its webhooks are for parse jobs, and this is none.
        parse = _untold(await resolve(uow, project_id, named, Product.PARSE))
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
