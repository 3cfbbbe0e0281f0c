"""The parameters of a `parse_v2` configuration that the local engines honour (contract 2.5).

A configuration is checked when it is saved, but a document must get a clear end also when it was not: what
cannot be understood is a `Refused`, never a guess.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.worker.engines.port import Refused
from shared.jobs.codes import FailureCode

FAST: Final = "fast"
_SAME: Final = (
    "No model looked at this document: the local engine did the same as for cost_effective, and made items of"
    " the markdown."
)
_NOTES: Final = {
    FAST: "Text layer only: no markdown, no OCR.",
    "cost_effective": "Text and markdown; OCR only on pages with fewer than 20 characters.",
    "agentic": _SAME,
    "agentic_plus": _SAME,
}
_DEFAULT_TIER: Final = "cost_effective"
_RANGE: Final = re.compile(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", re.ASCII)
_MOST_RANGES: Final = 10_000
_ALLOWED_PAGE_FAILURES: Final = 0.05
_LONGEST_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Tier:
    """What the tier of a configuration means on the local engine."""

    name: str

    @property
    def markdown(self) -> bool:
        """Whether markdown is made, and OCR run where text is missing."""
        return self.name != FAST

    @property
    def items(self) -> bool:
        """Whether items are made of the markdown of a format that tells no structure itself."""
        return self.name not in (FAST, _DEFAULT_TIER)

    def describe(self, engine: str, *, pages: int, ocr_pages: int, seconds: float) -> dict[str, Any]:
        """The `job_metadata` of a result; `seconds` is the engine's own time."""
        modest = self.name in (FAST, _DEFAULT_TIER)
        return {
            "engine": engine if modest else f"{engine} (no model looked at it)",
            "tier": self.name,
            "note": _NOTES[self.name],
            "pages": pages,
            "ocr_pages": ocr_pages,
            "seconds": round(seconds, 4),
        }


def tier_of(options: Mapping[str, Any]) -> Tier:
    """The tier asked for; `cost_effective` when none is. Refuses a word that is no tier."""
    name = options.get("tier") or _DEFAULT_TIER
    if name not in _NOTES:
        raise _refuse(f"tier {_shown(name)} is not known; known are {', '.join(_NOTES)}")
    return Tier(str(name))


def chooses_pages(options: Mapping[str, Any]) -> bool:
    """Whether the configuration asks for some pages; without it, all are wanted."""
    ranges = _section(options, "page_ranges")
    return ranges.get("target_pages") not in (None, "") or ranges.get("max_pages") is not None


def select_pages(options: Mapping[str, Any], *, total: int, limit: int) -> list[int]:
    """The page numbers to read, counted from 1, in order, without doubles.

    `target_pages` wins over `max_pages` (SDK 2.19). Pages beyond the end are left out; none left is
    NO_DATA_FOUND_IN_FILE, more than `limit` is TOO_MANY_PAGES.
    """
    ranges = _section(options, "page_ranges")
    target, most = ranges.get("target_pages"), ranges.get("max_pages")
    if target not in (None, ""):
        pages = _targets(target, total)
    elif most is not None:
        if not isinstance(most, int) or isinstance(most, bool) or most < 1:
            raise _refuse(f"page_ranges.max_pages must be a whole number of 1 or more, not {_shown(most)}")
        pages = list(range(1, min(most, total) + 1))
    else:
        pages = list(range(1, min(total, limit + 1) + 1))
    if len(pages) > limit:
        raise Refused(
            FailureCode.TOO_MANY_PAGES,
            f"The document has {total} pages; one job reads at most {limit}. Set page_ranges to read a part.",
        )
    return pages


def _targets(target: Any, total: int) -> list[int]:
    if not isinstance(target, str):
        raise _refuse(f"page_ranges.target_pages must be text such as '1,3,5-8', not {_shown(target)}")
    wanted: set[int] = set()
    for part in target.split(",", _MOST_RANGES):
        match = _RANGE.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if first < 1 or last < first:
            raise _refuse(
                f"page_ranges.target_pages: {_shown(part)} is not a page or a range of pages counted from 1,"
                " such as '1,3,5-8'"
            )
        wanted.update(range(first, min(last, total) + 1))
    if not wanted:
        raise Refused(
            FailureCode.NO_DATA_FOUND_IN_FILE,
            f"None of the pages asked for ({_shown(target)}) is in this document of {total} pages.",
        )
    return sorted(wanted)


def allowed_page_failures(options: Mapping[str, Any]) -> float:
    """The share of pages, 0 to 1, that may fail before the job does; 0.05 unless the configuration says
    otherwise."""
    conditions = _section(_section(options, "processing_control"), "job_failure_conditions")
    ratio = conditions.get("allowed_page_failure_ratio")
    if ratio is None:
        return _ALLOWED_PAGE_FAILURES
    if not isinstance(ratio, int | float) or not 0 <= ratio <= 1:
        raise _refuse(f"allowed_page_failure_ratio must be a number from 0 to 1, not {_shown(ratio)}")
    return float(ratio)


def crop_of(options: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    """The shares to cut off at (top, right, bottom, left). The contract gives positions of the edges
    instead: 0 is the top or left edge of the page, 1 the bottom or right one."""
    box = _section(options, "crop_box")
    edges = {"top": 0.0, "left": 0.0, "bottom": 1.0, "right": 1.0}
    for name in edges:
        value = box.get(name)
        if value is None:
            continue
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise _refuse(f"crop_box.{name} must be a number from 0 to 1, not {_shown(value)}")
        edges[name] = float(value)
    if edges["top"] >= edges["bottom"] or edges["left"] >= edges["right"]:
        raise _refuse("crop_box leaves nothing of the page")
    crop = (edges["top"], 1 - edges["right"], 1 - edges["bottom"], edges["left"])
    return crop if any(crop) else None


def _section(options: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = options.get(name)
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise _refuse(f"{name} must be an object, not {_shown(section)}")
    return section


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def _refuse(message: str) -> Refused:
    return Refused(FailureCode.ENGINE_ERROR, f"The configuration cannot be used: {message}.")
