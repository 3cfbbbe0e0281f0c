"""CONFIG on the server: saved there, or looked up."""

from dataclasses import dataclass
from typing import Any, Literal, cast

from llama_cloud import AsyncLlamaCloud, BadRequestError, NotFoundError, UnprocessableEntityError

from services.cli.client import detail_of
from services.cli.exits import ExitCode, Stop
from services.cli.run.choice import ConfigChoice

JobType = Literal["parse_v2", "extract_v2"]


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
            f"CONFIG is for {found.product_type}; what can be run is parse_v2 and extract_v2.", ExitCode.USAGE
        )
    return Configuration(found.id, found.product_type, getattr(found.parameters, "tier", None))
