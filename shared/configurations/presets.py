"""The built-in configurations: one for each tier, the same in every project, never stored."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

SINCE: Final = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Preset:
    """A configuration whose id names its tier; the description says what that tier does here."""

    id: str
    name: str
    tier: str
    description: str

    @property
    def parameters(self) -> dict[str, Any]:
        """What a batch over this preset runs with."""
        return {"product_type": "parse_v2", "tier": self.tier, "version": "latest"}


_OCR = (
    "Text and markdown. Pages with fewer than 20 characters in their text layer (scans) are read by OCR; "
    "all other pages are taken from the text layer."
)
_NO_MODEL = (
    f"{_OCR} The same work as cost_effective, and items (headings, lists, tables) made of the markdown: no"
    " model looks at the document, as job_metadata.engine says."
)

PRESETS: Final = {
    preset.id: preset
    for preset in (
        Preset(
            "cfg-PARSE_FAST",
            "PARSE_FAST",
            "fast",
            "The text layer only, no OCR and no markdown: a scanned page comes out empty.",
        ),
        Preset("cfg-PARSE_COST_EFFECTIVE", "PARSE_COST_EFFECTIVE", "cost_effective", _OCR),
        Preset("cfg-PARSE_AGENTIC", "PARSE_AGENTIC", "agentic", _NO_MODEL),
        Preset("cfg-PARSE_AGENTIC_PLUS", "PARSE_AGENTIC_PLUS", "agentic_plus", _NO_MODEL),
    )
}
