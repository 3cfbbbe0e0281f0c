"""Which parameters are good, and what a batch runs with."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.configurations import options, service
from shared.configurations.options import Parameters, ParseRequest
from shared.configurations.presets import PRESETS
from shared.db.unit_of_work import UnitOfWork
from shared.errors import Conflict, InvalidInput, NotFound
from shared.ids import Kind, show
from tests.conftest import Tenant

FAST = {"product_type": "parse_v2", "tier": "fast", "version": "latest"}
SCHEMA = {"type": "object", "properties": {"total": {"type": "number", "default": None}}}
READER: TypeAdapter[Parameters] = TypeAdapter(Parameters)


def read(**parameters: Any) -> Parameters:
    return READER.validate_python(parameters)


def kept(**parameters: Any) -> dict[str, Any]:
    return options.dump(read(**parameters))


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"version": "2026-06-15"},
        {"page_ranges": {"max_pages": 3, "target_pages": "1,3,5-8,10"}},
        {"processing_options": {"ocr_parameters": {"languages": ["en", "de"]}}},
        {"processing_control": {"timeouts": {"base_in_seconds": 7200}}},
        {"processing_control": {"job_failure_conditions": {"allowed_page_failure_ratio": 0.05}}},
        {"crop_box": {"top": 0.1}},
        {"agentic_options": {"custom_prompt": "kept, not run"}},
        {"output_options": {"markdown": {"tables": {"compact_markdown_tables": True}}}},
        {"input_options": {"html": {}}, "fast_options": {}, "disable_cache": True, "client_name": "me"},
    ],
)
def test_what_the_contract_names_is_kept(extra: dict[str, Any]) -> None:
    assert kept(**{**FAST, **extra}) == {**FAST, **extra}


@pytest.mark.parametrize(
    "extra",
    [
        {"tier": "turbo"},
        {"tier": None},
        {"version": "newest"},
        {"version": "2026-6-1"},
        {"tiers": "fast"},
        {"page_ranges": {"max_pages": 0}},
        {"page_ranges": {"pages": "1"}},
        {"processing_options": {"ocr": {}}},
        {"processing_control": {"timeouts": {"base_in_seconds": 7201}}},
        {"processing_control": {"timeouts": {"base_in_seconds": 0}}},
        {"crop_box": {"top": 1.1}},
        {"webhook_configuration_ids": ["a", "b", "c", "d", "e"]},
        *(
            {"page_ranges": {"target_pages": pages}}
            for pages in ("", "0", "a", "1-", "3-1", "1,1", "1-5,3", "1;2", "٣", "-1", "1,,2")
        ),
    ],
)
def test_what_it_does_not_is_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(**{**FAST, **extra})


@pytest.mark.parametrize("given", [{}, {"product_type": "fun"}, {"product_type": "parse_v2"}])
def test_a_product_is_needed(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(**given)


def test_an_extract_schema_is_kept_to_the_last_null() -> None:
    found = kept(product_type="extract_v2", data_schema=SCHEMA, later_option=1)
    assert found["data_schema"] == SCHEMA
    assert found["later_option"] == 1
    assert (found["tier"], found["extraction_target"]) == ("cost_effective", "per_doc")


@pytest.mark.parametrize("data_schema", [None, {}, "x", [1]])
def test_an_extract_configuration_needs_a_schema(data_schema: Any) -> None:
    with pytest.raises(ValidationError):
        read(product_type="extract_v2", data_schema=data_schema)


@pytest.mark.parametrize("product", ["classify_v2", "split_v1", "spreadsheet_v1", "unknown"])
def test_other_products_are_free_form(product: str) -> None:
    assert kept(product_type=product, a={"b": None}) == {"product_type": product, "a": {"b": None}}


def test_every_tier_has_a_preset_that_tells_what_it_does() -> None:
    assert {preset.tier for preset in PRESETS.values()} == set(options.LATEST_VERSIONS)
    for preset in PRESETS.values():
        read(**preset.parameters)
        assert preset.id == f"cfg-PARSE_{preset.tier.upper()}"
    assert "no OCR" in PRESETS["cfg-PARSE_FAST"].description
    assert "fewer than 20 characters" in PRESETS["cfg-PARSE_COST_EFFECTIVE"].description
    for tier in ("AGENTIC", "AGENTIC_PLUS"):
        assert "no model looks at" in PRESETS[f"cfg-PARSE_{tier}"].description


class TestSaving:
    async def test_the_same_name_again_replaces(self, uow: UnitOfWork, tenant: Tenant) -> None:
        async def save(tier: str) -> tuple[Any, Any]:
            made = await service.save_configuration(
                uow, project_id=tenant.project_id, name="n", parameters=read(**{**FAST, "tier": tier})
            )
            return made.id, made.updated_at

        first, second = await save("fast"), await save("agentic")
        assert first[0] == second[0]
        assert second[1] > first[1]
        found = await service.get_configuration(uow, tenant.project_id, show(Kind.CONFIGURATION, first[0]))
        assert found.parameters["tier"] == "agentic"

    async def test_another_product_or_project_is_another_one(
        self, uow: UnitOfWork, tenant: Tenant, neighbour: Tenant
    ) -> None:
        made = {
            (await service.save_configuration(uow, project_id=who.project_id, name="n", parameters=what)).id
            for who in (tenant, neighbour)
            for what in (read(**FAST), read(product_type="extract_v2", data_schema=SCHEMA))
        }
        assert len(made) == 4

    @pytest.mark.parametrize(
        "hook",
        [{"webhook_configurations": [{"webhook_url": "https://x"}]}, {"webhook_configuration_ids": ["w"]}],
    )
    async def test_webhooks_are_refused_and_never_ignored(
        self, uow: UnitOfWork, tenant: Tenant, hook: dict[str, Any]
    ) -> None:
        """The room alone seals no secret; and a webhook that is not there is no webhook."""
        with pytest.raises((InvalidInput, NotFound)):
            await service.save_configuration(
                uow, project_id=tenant.project_id, name="n", parameters=read(**FAST, **hook)
            )

    async def test_a_name_in_use_cannot_be_taken(self, uow: UnitOfWork, tenant: Tenant) -> None:
        for name in "ab":
            made = await service.save_configuration(
                uow, project_id=tenant.project_id, name=name, parameters=read(**FAST)
            )
        config_id = show(Kind.CONFIGURATION, made.id)
        with pytest.raises(Conflict):
            await service.change_configuration(uow, tenant.project_id, config_id, name="a")
        changed = await service.change_configuration(uow, tenant.project_id, config_id, name="c")
        assert changed.name == "c"

    async def test_presets_cannot_be_changed(self, uow: UnitOfWork, tenant: Tenant) -> None:
        with pytest.raises(InvalidInput):
            await service.delete_configuration(uow, tenant.project_id, "cfg-PARSE_FAST")


class TestResolving:
    @pytest.mark.parametrize("preset", PRESETS)
    async def test_latest_becomes_a_date(self, uow: UnitOfWork, tenant: Tenant, preset: str) -> None:
        found = await service.resolve(uow, tenant.project_id, preset, "parse_v2")
        assert found["version"] == options.LATEST_VERSIONS[found["tier"]]

    async def test_a_dated_version_stays(self, uow: UnitOfWork, tenant: Tenant) -> None:
        made = await service.save_configuration(
            uow, project_id=tenant.project_id, name="n", parameters=read(**{**FAST, "version": "2026-01-01"})
        )
        found = await service.resolve(uow, tenant.project_id, show(Kind.CONFIGURATION, made.id), "parse_v2")
        assert found["version"] == "2026-01-01"

    async def test_the_product_must_fit(self, uow: UnitOfWork, tenant: Tenant) -> None:
        with pytest.raises(InvalidInput, match="parse_v2"):
            await service.resolve(uow, tenant.project_id, "cfg-PARSE_FAST", "extract_v2")

    @pytest.mark.parametrize(
        "unknown", ["cfg-PARSE_SLOW", "cfg-8752379a-65b5-4ad8-aeaa-8f43b28d6628", "", "x"]
    )
    async def test_unknown_ones_are_not_found(self, uow: UnitOfWork, tenant: Tenant, unknown: str) -> None:
        with pytest.raises(NotFound):
            await service.resolve(uow, tenant.project_id, unknown, "parse_v2")

    async def test_a_neighbours_is_not_found(
        self, uow: UnitOfWork, tenant: Tenant, neighbour: Tenant
    ) -> None:
        made = await service.save_configuration(
            uow, project_id=neighbour.project_id, name="n", parameters=read(**FAST)
        )
        with pytest.raises(NotFound):
            await service.resolve(uow, tenant.project_id, str(made.id), "parse_v2")

    async def test_a_request_overlays_its_configuration(self, uow: UnitOfWork, tenant: Tenant) -> None:
        asked = ParseRequest.model_validate(
            {
                "configuration_id": "cfg-PARSE_AGENTIC",
                "tier": "configured",
                "version": "configured",
                "page_ranges": {"max_pages": 2},
                "user_metadata": {"a": "b"},
            }
        )
        assert await service.resolve_request(uow, tenant.project_id, asked) == {
            "product_type": "parse_v2",
            "tier": "agentic",
            "version": options.LATEST_VERSIONS["agentic"],
            "page_ranges": {"max_pages": 2},
            "user_metadata": {"a": "b"},
        }

    async def test_another_tier_takes_its_own_version(self, uow: UnitOfWork, tenant: Tenant) -> None:
        asked = ParseRequest.model_validate({"configuration_id": "cfg-PARSE_AGENTIC", "tier": "fast"})
        found = await service.resolve_request(uow, tenant.project_id, asked)
        assert (found["tier"], found["version"]) == ("fast", options.LATEST_VERSIONS["fast"])

    @pytest.mark.parametrize(
        "asked",
        [{}, {"tier": "fast"}, {"tier": "configured", "version": "latest"}, {"tier": "x", "version": "y"}],
    )
    def test_a_request_without_configuration_names_tier_and_version(self, asked: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            ParseRequest.model_validate(asked)
