"""Settings for a command."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from services.cli.exits import ExitCode, Stop
from shared.config import Settings


def load_settings(data_dir: Path | None = None) -> Settings:
    """The environment's settings; `data_dir` wins over BATCHMILL_DATA_DIR."""
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "BATCHMILL_" + "__".join(str(part).upper() for part in first["loc"])
        raise Stop(f"{name}: {first['msg']}.", ExitCode.USAGE) from None
    return settings if data_dir is None else settings.model_copy(update={"data_dir": data_dir})


def place_of(url: str) -> str:
    """Host and path of a URL, without the password in it."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'this machine'}{f':{parts.port}' if parts.port else ''}{parts.path}"
