"""What CONFIG means: the id of a preset or saved configuration, or a JSON file of parameters."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.cli.exits import ExitCode, Stop

DEFAULT: Final = "cfg-PARSE_COST_EFFECTIVE"


@dataclass(frozen=True, slots=True)
class ConfigChoice:
    """`key` tells two choices apart across runs: the id itself, or a digest of the parameters."""

    key: str
    parameters: dict[str, Any] | None = None

    @property
    def reads_scans(self) -> bool:
        """Does it look at pictures of pages? Only the fast tier does not."""
        chosen = self.parameters or {}
        return self.key != "cfg-PARSE_FAST" and "fast" not in (chosen.get("tier"), chosen.get("parse_tier"))

    @property
    def unknown(self) -> list[str]:
        """Names in an extract configuration that nobody reads. The server keeps them without a word; of a
        parse configuration it refuses them itself."""
        chosen = self.parameters or {}
        if chosen.get("product_type") != "extract_v2":
            return []
        from shared.configurations.options import ExtractParameters

        return sorted(chosen.keys() - ExtractParameters.model_fields.keys())


def read_choice(text: str | None) -> ConfigChoice:
    """Understand CONFIG without a server; `Stop` (exit 2) when it is neither an id nor a readable file."""
    chosen = text or DEFAULT
    path = Path(chosen)
    if chosen.startswith("cfg-") and not path.exists():
        return ConfigChoice(chosen)
    try:
        parameters = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Stop(
            f"CONFIG {chosen}: it is no configuration id (cfg-...), and as a file it cannot be read:"
            f" {error.strerror}.",
            ExitCode.USAGE,
        ) from None
    except (ValueError, RecursionError) as error:
        raise Stop(f"CONFIG {chosen} is no JSON: {error}.", ExitCode.USAGE) from None
    if not isinstance(parameters, dict):
        raise Stop(f"CONFIG {chosen} must hold a JSON object of parameters.", ExitCode.USAGE)
    # A schema says what to take out: nothing else has one.
    parameters.setdefault("product_type", "extract_v2" if "data_schema" in parameters else "parse_v2")
    if parameters["product_type"] == "parse_v2":
        parameters.setdefault("version", "latest")
    canonical = json.dumps(parameters, sort_keys=True).encode()
    return ConfigChoice("sha256:" + hashlib.sha256(canonical).hexdigest(), parameters)
