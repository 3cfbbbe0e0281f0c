"""The parameters of each product: what we run is checked, what the contract names besides is kept.

Source: contract.md 2.4 and 2.5. A key that the contract does not know is refused for `parse_v2`, so a
misspelled option is an error and not a silent nothing.
"""

import itertools
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.configurations.schema import why_not_kept
from shared.webhooks.options import MOST_INLINE, Ids, InlineWebhook, ParseWebhook

INLINE: Final = "webhook_configurations"
NAMED: Final = "webhook_configuration_ids"
LATEST: Final = "latest"
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


Tier = Literal["fast", "cost_effective", "agentic", "agentic_plus"]


def check_pages(text: str) -> str:
    """`1,3,5-8`: pages from 1, ranges rising, none named twice."""
    spans: list[tuple[int, int]] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,7})\s*(?:-\s*(\d{1,7})\s*)?", part, re.ASCII)
        if found is None:
            raise ValueError("target_pages is a comma list of pages and ranges, such as 1,3,5-8")
        first, last = int(found[1]), int(found[2] or found[1])
        if first < 1 or last < first:
            raise ValueError("target_pages counts from 1 and ranges rise")
        spans.append((first, last))
    spans.sort()
    if any(left[1] >= right[0] for left, right in itertools.pairwise(spans)):
        raise ValueError("target_pages names a page twice")
    return text


def check_version(text: str) -> str:
    """`latest` or a date."""
    if text != LATEST and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        raise ValueError("version is 'latest' or a date such as 2026-06-15")
    return text


Pages = Annotated[str, AfterValidator(check_pages)]
Version = Annotated[str, AfterValidator(check_version)]


class _Kept(BaseModel):
    """What is stored as it came, so it must be such that it can be."""

    @model_validator(mode="before")
    @classmethod
    def _can_be_kept(cls, raw: Any) -> Any:
        if (reason := why_not_kept(raw)) is not None:
            raise ValueError(reason)
        return raw


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PageRanges(_Strict):
    """Which pages; `target_pages` wins over `max_pages`."""

    max_pages: int | None = Field(default=None, ge=1)
    target_pages: Pages | None = None


class Timeouts(_Strict):
    """In seconds; the worker's own caps stay above them."""

    base_in_seconds: int | None = Field(default=None, gt=0, le=7_200)
    extra_time_per_page_in_seconds: int | None = Field(default=None, gt=0, le=300)


class FailureConditions(_Strict):
    """When a job with bad pages fails as a whole."""

    allowed_page_failure_ratio: float | None = Field(default=None, ge=0, le=1)
    fail_on_image_extraction_error: bool | None = None
    fail_on_image_ocr_error: bool | None = None
    fail_on_markdown_reconstruction_error: bool | None = None
    fail_on_buggy_font: bool | None = None


class ProcessingControl(_Strict):
    """Time and failure thresholds."""

    timeouts: Timeouts | None = None
    job_failure_conditions: FailureConditions | None = None


class OcrParameters(_Strict):
    """Languages of the text in images, as the contract's codes."""

    languages: list[Annotated[str, Field(min_length=2, max_length=20)]] | None = None


class ProcessingOptions(_Strict):
    """Only `ocr_parameters` changes what our engines do; the rest is kept."""

    ocr_parameters: OcrParameters | None = None
    ignore: dict[str, Any] | None = None
    aggressive_table_extraction: bool | None = None
    confidence_score_effort: Literal["high"] | None = None
    disable_heuristics: bool | None = None
    specialized_chart_parsing: Literal["agentic_plus", "agentic", "efficient"] | None = None
    cost_optimizer: dict[str, Any] | None = None
    auto_mode_configuration: list[dict[str, Any]] | None = None
    forms: Literal["default", "enrich"] | None = None


Ratio = Annotated[float, Field(ge=0, le=1)]


class CropBox(_Strict):
    """Ratios of the page, from its edges."""

    bottom: Ratio | None = None
    left: Ratio | None = None
    right: Ratio | None = None
    top: Ratio | None = None


MetadataKey = Annotated[str, Field(min_length=1, max_length=128)]
MetadataValue = Annotated[str, Field(max_length=1_024)]


class ParseChoices(_Kept, _Strict):
    """The options that a saved configuration and a parse request share."""

    processing_options: ProcessingOptions | None = None
    page_ranges: PageRanges | None = None
    processing_control: ProcessingControl | None = None
    crop_box: CropBox | None = None
    disable_cache: bool | None = None
    client_name: str | None = Field(default=None, max_length=255)
    fast_options: dict[str, Any] | None = None
    agentic_options: dict[str, Any] | None = None
    input_options: dict[str, Any] | None = None
    output_options: dict[str, Any] | None = None
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
