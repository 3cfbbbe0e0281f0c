"""Settings from the environment: `BATCHMILL_*`, groups joined by `__`. Read only at the doors."""

import json
import os
import secrets
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MEBIBYTE = 1 << 20


class Database(BaseModel):
    """PostgreSQL 18 or newer."""

    url: SecretStr | None = None
    pool_size: int = Field(default=10, ge=1)
    statement_timeout_s: float = Field(default=30, gt=0)


class Broker(BaseModel):
    """Redis, Valkey or RabbitMQ, as a Celery broker URL. Holds bells only."""

    url: SecretStr | None = None


def _parted(given: object) -> object:
    """A list as it is typed: JSON, or parts with commas between them."""
    if not isinstance(given, str):
        return given
    if given.lstrip().startswith("["):
        return json.loads(given)
    return [part.strip() for part in given.split(",") if part.strip()]


class Storage(BaseModel):
    """Where originals and results lie: `file:///folder`, `s3://`, `gs://`, `az://`; and the places below
    which files may be read where they are."""

    url: str | None = None
    roots: Annotated[list[str], NoDecode, BeforeValidator(_parted)] = Field(
        default=[], description="folders and s3://bucket/prefix, joined by commas or as a JSON list"
    )
    min_free_bytes: int = Field(
        default=1024 * MEBIBYTE, ge=0, description="of a folder, below which uploads are refused; 0: never"
    )


class Api(BaseModel):
    """The HTTP door."""

    public_url: str | None = None
    max_upload_bytes: int = Field(default=512 * MEBIBYTE, gt=0)
    requests_per_minute: int | None = Field(
        default=None, ge=1, le=1_000_000, description="of one key; default: no limit"
    )
    request_burst: int | None = Field(
        default=None, ge=1, le=1_000_000, description="of them at once; default: those of a minute"
    )
    listeners: int = Field(
        default=5_000, ge=1, le=1_000_000, description="requests that follow batches, in one process"
    )
    listeners_per_key: int = Field(
        default=500, ge=1, le=1_000_000, description="the same, of one key in one process"
    )


class Console(BaseModel):
    """The pages for people."""

    enabled: bool = Field(default=True, description="serve /console")


class Worker(BaseModel):
    """One worker process tree."""

    concurrency: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    slice_s: float = Field(default=5, gt=0, description="how long one bell may keep taking chunks")


class Upkeep(BaseModel):
    """The process that sweeps."""

    metrics_port: int = Field(default=0, ge=0, le=65_535, description="0: serves no metrics")
    metrics_host: str = "127.0.0.1"


class Webhooks(BaseModel):
    """What is told to the URLs that tenants name."""

    allow_private: bool = Field(default=False, description="let them lead into private networks")
    ports: Annotated[list[int] | None, NoDecode, BeforeValidator(_parted)] = Field(
        default=None, description="default: 80, 443, 8080 and 8443; any port with allow_private"
    )
    keep_days: int = Field(default=30, ge=1, le=10_000, description="how long deliveries stay in the log")


class Extract(BaseModel):
    """How values are taken out of documents: by rules, or by a model behind an OpenAI-compatible endpoint."""

    engine: Literal["rules", "openai"] | None = Field(
        default=None, description="default: openai when base_url is set, else rules"
    )
    base_url: str | None = None
    api_key: SecretStr | None = None
    model: str | None = None
    gguf_path: Path | None = None
    timeout_s: float = Field(default=120, gt=0, description="of one request to the model")
    max_tokens: int = Field(default=2_000, ge=1, description="of one answer of the model")
    side_by_side: int = Field(default=4, ge=1, le=64, description="requests at once in one worker process")

    def chosen_engine(self) -> Literal["rules", "openai"]:
        """The engine that is set, or that follows from the rest."""
        return self.engine or ("rules" if self.base_url is None else "openai")

    def endpoint(self) -> tuple[str, str]:
        """Base URL and model of the engine `openai`. `MissingSetting` when one is not set or no web
        address."""
        for name, value in (("BASE_URL", self.base_url), ("MODEL", self.model)):
            if not value:
                raise MissingSetting(
                    f"BATCHMILL_EXTRACT__{name} is not set, and the engine 'openai' needs it."
                )
        assert self.base_url
        assert self.model
        if not self.base_url.startswith(("http://", "https://")):
            raise MissingSetting("BATCHMILL_EXTRACT__BASE_URL does not begin with http:// or https://.")
        return self.base_url, self.model


class Settings(BaseSettings):
    """Everything that can be set. Secrets print as stars."""

    model_config = SettingsConfigDict(env_prefix="BATCHMILL_", env_nested_delimiter="__", extra="ignore")

    data_dir: Path = Path(".batchmill")
    secret_key: SecretStr | None = None
    log_json: bool = False
    ready_file: Path | None = Field(default=None, description="touched by a worker that is ready")
    database: Database = Database()
    broker: Broker = Broker()
    storage: Storage = Storage()
    api: Api = Api()
    console: Console = Console()
    worker: Worker = Field(default_factory=Worker)
    upkeep: Upkeep = Upkeep()
    extract: Extract = Extract()
    webhooks: Webhooks = Webhooks()

    def database_url(self) -> str:
        """The given URL, or that of the live embedded stack of the data folder."""
        return _given_or_kept(self.database.url, self.data_dir / "database-url", "BATCHMILL_DATABASE__URL")

    def broker_url(self) -> str:
        """The given URL, or that of the live embedded stack of the data folder."""
        return _given_or_kept(self.broker.url, self.data_dir / "broker-url", "BATCHMILL_BROKER__URL")

    def storage_url(self) -> str:
        """The given URL, or the folder `storage` of the data folder."""
        return self.storage.url or (self.data_dir.resolve() / "storage").as_uri()

    def signing_key(self) -> bytes:
        """The key that signs page tokens and URLs; made once and kept when unset."""
        if self.secret_key is not None:
            return self.secret_key.get_secret_value().encode()
        path = self.data_dir / "secret-key"
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_text().strip().encode()
        key = secrets.token_urlsafe(32)
        with os.fdopen(fd, "w") as file:
            file.write(key)
        return key.encode()


class MissingSetting(Exception):
    """A URL is needed that is neither set nor kept by a live stack."""


def _given_or_kept(given: SecretStr | None, kept: Path, name: str) -> str:
    if given is not None:
        return given.get_secret_value()
    try:
        return kept.read_text().strip()
    except FileNotFoundError:
        raise MissingSetting(
            f"{name} is not set, and no stack lives in {kept.parent}. Start one with 'batchmill up', "
            "or set the URLs of database, broker and storage of the one to join."
        ) from None
