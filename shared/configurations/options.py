"""The parameters of each product: what we run is checked, what the contract names besides is kept.

Source: contract.md 2.4 and 2.5. A key that the contract does not know is refused for `parse_v2`, so a
misspelled option is an error and not a silent nothing.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.configurations.parse_options import (
    LATEST,
    AgenticOptions,
    CropBox,
    FastOptions,
    InputOptions,
    OutputOptions,
    PageRanges,
    Pages,
    ProcessingControl,
    ProcessingOptions,
    Strict,
    Tier,
    Version,
)
from shared.configurations.schema import why_not_kept
from shared.webhooks.options import MOST_INLINE, Ids, InlineWebhook, ParseWebhook

INLINE: Final = "webhook_configurations"
NAMED: Final = "webhook_configuration_ids"
LATEST_VERSIONS: Final = {
    "fast": "2026-06-15",
    "cost_effective": "2026-09-28",
    "agentic": "2026-10-16",
    "agentic_plus": "2026-09-28",
}
EXTRACT_VERSION: Final = "2026-06-15"
PARSE_TIER_OF: Final = {
    "cost_effective": "cost_effective",
    "agentic": "agentic",
    "agentic_plus": "agentic_plus",
    "turbo": "cost_effective",
}
"""How an extraction parses its documents unless it says so itself."""


class Product(StrEnum):
    """What a configuration is for. We run the first two; the others are kept for their owners."""

    PARSE = "parse_v2"
    EXTRACT = "extract_v2"
    CLASSIFY = "classify_v2"
    SPLIT = "split_v1"
    SPREADSHEET = "spreadsheet_v1"
    UNKNOWN = "unknown"


class _Kept(BaseModel):
    """What is stored as it came, so it must be such that it can be."""

    @model_validator(mode="before")
    @classmethod
    def _can_be_kept(cls, raw: Any) -> Any:
        if (reason := why_not_kept(raw)) is not None:
            raise ValueError(reason)
        return raw


MetadataKey = Annotated[str, Field(min_length=1, max_length=128)]
MetadataValue = Annotated[str, Field(max_length=1_024)]


class ParseChoices(_Kept, Strict):
    """The options that a saved configuration and a parse request share."""

    processing_options: ProcessingOptions | None = None
    page_ranges: PageRanges | None = None
    processing_control: ProcessingControl | None = None
    crop_box: CropBox | None = None
    disable_cache: bool | None = None
    client_name: str | None = Field(default=None, max_length=255)
    fast_options: FastOptions | None = None
    agentic_options: AgenticOptions | None = None
    input_options: InputOptions | None = None
    output_options: OutputOptions | None = None
    webhook_configurations: list[ParseWebhook] | None = Field(default=None, max_length=MOST_INLINE)
    webhook_configuration_ids: Ids | None = None


class ParseParameters(ParseChoices):
    """`parse_v2` as saved."""

    product_type: Literal[Product.PARSE]
    tier: Tier
    version: Version


class ExtractChoices(_Kept):
    """What may be chosen for an extraction. Keys that we do not know are kept: later engines may.

    `schema.check_schema` looks into `data_schema`; it takes time that a validator must not.
    """

    model_config = ConfigDict(extra="allow")

    data_schema: dict[str, Any] = Field(min_length=1)
    tier: Literal["cost_effective", "agentic", "agentic_plus", "turbo"] = "cost_effective"
    version: str = LATEST
    extraction_target: Literal["per_doc", "per_page", "per_table_row"] = "per_doc"
    target_pages: Pages | None = None
    max_pages: int | None = Field(default=None, ge=1)
    system_prompt: str | None = None
    cite_sources: bool = False
    confidence_scores: bool = False
    advanced_citations: bool | None = None
    spreadsheet_mode: bool | None = None
    sheet_names: list[str] | None = None
    disable_cache: bool = False
    parse_tier: Tier | None = None
    parse_config_id: str | None = None
    webhook_configurations: list[InlineWebhook] | None = Field(default=None, max_length=MOST_INLINE)
    webhook_configuration_ids: Ids | None = None


class ExtractParameters(ExtractChoices):
    """`extract_v2` as saved."""

    product_type: Literal[Product.EXTRACT]


class FreeParameters(_Kept):
    """The parameters of a product that we do not run: kept as they are."""

    model_config = ConfigDict(extra="allow")

    product_type: Literal[Product.CLASSIFY, Product.SPLIT, Product.SPREADSHEET, Product.UNKNOWN]


Parameters = Annotated[
    ParseParameters | ExtractParameters | FreeParameters, Field(discriminator="product_type")
]


class ParseRequest(ParseChoices):
    """A parse job as it is asked for. With `configuration_id`, tier and version may be left to it."""

    file_id: str | None = None
    source_url: str | None = Field(default=None, pattern="^https?:")
    configuration_id: str | None = None
    tier: Tier | Literal["configured"] | None = None
    version: Version | Literal["configured"] | None = None
    http_proxy: str | None = None
    user_metadata: dict[MetadataKey, MetadataValue] | None = Field(default=None, max_length=64)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.configuration_id is None:
            for name in ("tier", "version"):
                if getattr(self, name) in (None, "configured"):
                    raise ValueError(f"{name} is required, unless configuration_id names a configuration")
        return self

    def choices(self) -> dict[str, Any]:
        """What the request itself chooses; what it leaves to the configuration is left out."""
        chosen = dump(self)
        for name in ("file_id", "source_url", "configuration_id", "http_proxy", "user_metadata", NAMED):
            chosen.pop(name, None)
        return {name: value for name, value in chosen.items() if value != "configured"}


class ExtractRequest(_Kept):
    """An extract job as it is asked for: over one file or parse job, with one of two ways to say how."""

    file_input: str = Field(min_length=1, max_length=200)
    configuration: ExtractChoices | None = None
    configuration_id: str | None = None
    webhook_configurations: list[InlineWebhook] | None = Field(default=None, max_length=MOST_INLINE)
    webhook_configuration_ids: Ids | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.configuration is None) == (self.configuration_id is None):
            raise ValueError("exactly one of configuration and configuration_id is needed")
        return self


Hooked = ParseChoices | ExtractChoices | ExtractRequest
"""What may say who is to be told."""


def dump(parameters: BaseModel) -> dict[str, Any]:
    """As plain JSON, without options that were left out or null, and without inline webhooks, whose secrets
    no dump may show."""
    hidden = {INLINE} if isinstance(parameters, Hooked) else None
    return parameters.model_dump(mode="json", exclude_none=True, exclude=hidden)


def settle_version(product: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """The same with `latest` made a date, so that a snapshot means the same tomorrow."""
    if parameters.get("version", LATEST) != LATEST:
        return parameters
    if product == Product.PARSE:
        return {**parameters, "version": LATEST_VERSIONS[parameters["tier"]]}
    if product == Product.EXTRACT:
        return {**parameters, "version": EXTRACT_VERSION}
    return parameters


def webhooks_of(asked: ParseRequest | ExtractRequest) -> tuple[Sequence[InlineWebhook], Sequence[str]]:
    """The webhooks that a request brings, and the ids of those that it names."""
    if isinstance(asked, ExtractRequest) and asked.configuration is not None and not brings_webhooks(asked):
        own = asked.configuration
        return own.webhook_configurations or (), own.webhook_configuration_ids or ()
    return asked.webhook_configurations or (), asked.webhook_configuration_ids or ()


def brings_webhooks(asked: Hooked) -> bool:
    """Does it say itself who is to be told? Then what its configuration says of that does not count."""
    return bool(asked.webhook_configurations or asked.webhook_configuration_ids)
