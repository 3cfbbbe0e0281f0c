"""The nested options of `parse_v2`, each key of the contract with its type (contract 2.5).

What our engines honour is said where it is; the rest is checked and kept, so that a misspelled key is an
error and a configuration that was saved elsewhere can be saved here.
"""

import itertools
import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LATEST: Final = "latest"

Tier = Literal["fast", "cost_effective", "agentic", "agentic_plus"]
ChartParsing = Literal["agentic_plus", "agentic", "efficient"]


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
Ratio = Annotated[float, Field(ge=0, le=1)]


class Strict(BaseModel):
    """Options of which each key is known."""

    model_config = ConfigDict(extra="forbid")


class PageRanges(Strict):
    """Which pages, honoured; `target_pages` wins over `max_pages`."""

    max_pages: int | None = Field(default=None, ge=1)
    target_pages: Pages | None = None


class Timeouts(Strict):
    """In seconds, honoured; the worker's own caps stay above them."""

    base_in_seconds: int | None = Field(default=None, gt=0, le=7_200)
    extra_time_per_page_in_seconds: int | None = Field(default=None, gt=0, le=300)


class FailureConditions(Strict):
    """When a job with bad pages fails as a whole."""

    allowed_page_failure_ratio: float | None = Field(default=None, ge=0, le=1)
    fail_on_image_extraction_error: bool | None = None
    fail_on_image_ocr_error: bool | None = None
    fail_on_markdown_reconstruction_error: bool | None = None
    fail_on_buggy_font: bool | None = None


class ProcessingControl(Strict):
    """Time and failure thresholds."""

    timeouts: Timeouts | None = None
    job_failure_conditions: FailureConditions | None = None


class OcrParameters(Strict):
    """Languages of the text in images, as the contract's codes."""

    languages: list[Annotated[str, Field(min_length=2, max_length=20)]] | None = None


class IgnoredText(Strict):
    """Text that is left out."""

    ignore_diagonal_text: bool | None = None
    ignore_text_in_image: bool | None = None
    ignore_hidden_text: bool | None = None


class CostOptimizer(Strict):
    """Whether pages may be given to a cheaper tier."""

    enable: bool | None = None


class CropBox(Strict):
    """Ratios of the page, from its edges."""

    bottom: Ratio | None = None
    left: Ratio | None = None
    right: Ratio | None = None
    top: Ratio | None = None


class SpatialText(Strict):
    """How text keeps its place on the page."""

    preserve_layout_alignment_across_pages: bool | None = None
    preserve_very_small_text: bool | None = None
    do_not_unroll_columns: bool | None = None


class Presentation(Strict):
    """Options of slides."""

    out_of_bounds_content: bool | None = None
    skip_embedded_data: bool | None = None
    include_hidden_slides: bool | None = None


class AutoModeIgnored(Strict):
    """Text that is left out of pages that auto mode chose."""

    ignore_diagonal_text: bool | None = None
    ignore_hidden_text: bool | None = None


class AutoModeParsing(Strict):
    """How pages are parsed that auto mode chose."""

    tier: Tier | None = None
    version: Version | None = None
    custom_prompt: str | None = None
    ignore: AutoModeIgnored | None = None
    aggressive_table_extraction: bool | None = None
    outlined_table_extraction: bool | None = None
    adaptive_long_table: bool | None = None
    extract_layout: bool | None = None
    specialized_chart_parsing: ChartParsing | None = None
    high_res_ocr: bool | None = None
    language: str | None = None
    crop_box: CropBox | None = None
    spatial_text: SpatialText | None = None
    presentation: Presentation | None = None


Count = int | str | None
Share = float | str | None


class AutoMode(Strict):
    """Which pages auto mode chooses: the conditions are joined by `trigger_mode`."""

    parsing_conf: AutoModeParsing
    trigger_mode: str | None = None
    page_md_error: bool | None = None
    text_in_page: str | None = None
    table_in_page: bool | None = None
    image_in_page: bool | None = None
    full_page_image_in_page: bool | None = None
    full_page_image_in_page_threshold: Share = None
    filename_regexp: str | None = None
    filename_regexp_mode: str | None = None
    filename_match_glob: str | None = None
    filename_match_glob_list: list[str] | None = None
    page_longer_than_n_chars: Count = None
    page_shorter_than_n_chars: Count = None
    page_contains_at_least_n_words: Count = None
    page_contains_at_most_n_words: Count = None
    page_contains_at_least_n_lines: Count = None
    page_contains_at_most_n_lines: Count = None
    page_contains_at_least_n_images: Count = None
    page_contains_at_most_n_images: Count = None
    page_contains_at_least_n_tables: Count = None
    page_contains_at_most_n_tables: Count = None
    page_contains_at_least_n_links: Count = None
    page_contains_at_most_n_links: Count = None
    page_contains_at_least_n_charts: Count = None
    page_contains_at_most_n_charts: Count = None
    page_contains_at_least_n_layout_elements: Count = None
    page_contains_at_most_n_layout_elements: Count = None
    page_contains_at_least_n_percent_numbers: Count = None
    page_contains_at_most_n_percent_numbers: Count = None
    page_contains_at_least_n_numbers: Count = None
    page_contains_at_most_n_numbers: Count = None
    regexp_in_page: str | None = None
    regexp_in_page_mode: str | None = None
    layout_element_in_page: str | None = None
    layout_element_in_page_confidence_threshold: Share = None


class ProcessingOptions(Strict):
    """Only `ocr_parameters` changes what our engines do; the rest is kept."""

    ocr_parameters: OcrParameters | None = None
    ignore: IgnoredText | None = None
    aggressive_table_extraction: bool | None = None
    confidence_score_effort: Literal["high"] | None = None
    disable_heuristics: bool | None = None
    specialized_chart_parsing: ChartParsing | None = None
    cost_optimizer: CostOptimizer | None = None
    auto_mode_configuration: list[AutoMode] | None = None
    forms: Literal["default", "enrich"] | None = None


class FastOptions(Strict):
    """The contract has no such option yet."""


class AgenticOptions(Strict):
    """What a model is told; kept, since no model parses here."""

    custom_prompt: str | None = None


class HtmlInput(Strict):
    """Options of web pages."""

    make_all_elements_visible: bool | None = None
    remove_fixed_elements: bool | None = None
    remove_navigation_elements: bool | None = None


class PdfInput(Strict):
    """The contract has no such option yet."""


class SpreadsheetInput(Strict):
    """Options of workbooks."""

    detect_sub_tables_in_sheets: bool | None = None
    force_formula_computation_in_sheets: bool | None = None
    include_hidden_sheets: bool | None = None


class ImageInput(Strict):
    """Options of pictures."""

    camera_photo_correction: bool | None = None


class InputOptions(Strict):
    """By the kind of the document; kept."""

    html: HtmlInput | None = None
    pdf: PdfInput | None = None
    spreadsheet: SpreadsheetInput | None = None
    presentation: Presentation | None = None
    image: ImageInput | None = None


class TableOutput(Strict):
    """Tables in markdown."""

    compact_markdown_tables: bool | None = None
    output_tables_as_markdown: bool | None = None
    markdown_table_multiline_separator: str | None = None
    merge_continued_tables: bool | None = None


class MarkdownOutput(Strict):
    """Markdown."""

    annotate_links: bool | None = None
    annotate_revisions: bool | None = None
    annotate_line_numbers: bool | None = None
    tables: TableOutput | None = None
    inline_images: bool | None = None


class SpreadsheetOutput(Strict):
    """Tables as a workbook."""

    enable: bool | None = None
    guess_sheet_name: bool | None = None


class OutputOptions(Strict):
    """What is written; kept."""

    markdown: MarkdownOutput | None = None
    spatial_text: SpatialText | None = None
    tables_as_spreadsheet: SpreadsheetOutput | None = None
    extract_printed_page_number: bool | None = None
    images_to_save: list[Literal["screenshot", "embedded", "layout"]] | None = None
    additional_outputs: list[str] | None = None
    granular_bboxes: list[Literal["cell", "line", "word"]] | None = None
    save_output_pdf: bool | None = None
    watermark_handling: Literal["move_to_end", "move_to_start", "remove"] | None = None
