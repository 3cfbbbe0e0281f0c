"""What CONFIG means: the id of a preset or saved configuration, or a JSON file of parameters."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

from llama_cloud import AsyncLlamaCloud, BadRequestError, NotFoundError, UnprocessableEntityError

from services.cli.client import detail_of
from services.cli.exits import ExitCode, Stop

DEFAULT: Final = "cfg-PARSE_COST_EFFECTIVE"
JobType = Literal["parse_v2", "extract_v2"]


@dataclass(frozen=True, slots=True)
class ConfigChoice:
    """`key` tells two choices apart across runs: the id itself, or a digest of the parameters."""

    key: str
    parameters: dict[str, Any] | None = None

    @property
    def reads_scans(self) -> bool:
        """Does it look at pictures of pages? Only the fast tier does not."""
        return self.key != "cfg-PARSE_FAST" and (self.parameters or {}).get("tier") != "fast"


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration that the server knows."""

    id: str
    job_type: JobType
    tier: str | None

    @property
    def suffix(self) -> str:
        """What is added to a file's path to name its result."""
        return ".md" if self.job_type == "parse_v2" else ".json"


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
            f"CONFIG {chosen}: no configuration id (cfg-...), and {error.strerror}.", ExitCode.USAGE
        ) from None
    except ValueError as error:
        raise Stop(f"CONFIG {chosen} is no JSON: {error}.", ExitCode.USAGE) from None
    if not isinstance(parameters, dict):
        raise Stop(f"CONFIG {chosen} must hold a JSON object of parameters.", ExitCode.USAGE)
    parameters.setdefault("product_type", "parse_v2")
    if parameters["product_type"] == "parse_v2":
        parameters.setdefault("version", "latest")
    canonical = json.dumps(parameters, sort_keys=True).encode()
    return ConfigChoice("sha256:" + hashlib.sha256(canonical).hexdigest(), parameters)


async def on_server(client: AsyncLlamaCloud, choice: ConfigChoice) -> Configuration:
    """Save the parameters, or look the id up; `Stop` (exit 2) when the server refuses them."""
    try:
        if choice.parameters is not None:
            name = f"batchmill run {choice.key.removeprefix('sha256:')[:16]}"
            found = await client.configurations.create(name=name, parameters=cast(Any, choice.parameters))
        else:
            found = await client.configurations.retrieve(choice.key)
    except NotFoundError as error:
        raise Stop(f"CONFIG {choice.key}: {detail_of(error)}", ExitCode.USAGE) from error
    except (BadRequestError, UnprocessableEntityError) as error:
        raise Stop(f"CONFIG was refused: {detail_of(error)}", ExitCode.USAGE) from error
    if found.product_type not in ("parse_v2", "extract_v2"):
        raise Stop(
            f"CONFIG is for {found.product_type}; a batch runs parse_v2 or extract_v2.", ExitCode.USAGE
        )
    return Configuration(found.id, found.product_type, getattr(found.parameters, "tier", None))
