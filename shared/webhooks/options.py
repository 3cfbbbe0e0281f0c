"""A webhook as it is asked for (contract 2.7): where to, which events, with which headers, how signed."""

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from shared.outbound.targets import read_target
from shared.webhooks.events import EVENTS

MOST_HEADERS: Final = 20
MOST_INLINE: Final = 10
MOST_IDS: Final = 4
LONGEST_VALUE: Final = 4_096
LONGEST_SECRET: Final = 512
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)
_VALUE: Final = re.compile(r"[\x20-\x7e]*", re.ASCII)
OURS: Final = frozenset(
    (
        "host",
        "content-length",
        "content-type",
        "content-encoding",
        "user-agent",
        "expect",
        # Of the connection and not of the message.
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
        # What a receiver checks.
        "lc-signature",
        "x-webhook-event-id",
        "x-webhook-event-type",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    )
)
"""Headers that nobody may choose, in lower case."""

Format = Literal["string", "json"]


def check_url(text: str) -> str:
    """A URL of http or https, with one way to read it."""
    try:
        read_target(text)
    except ValueError as error:
        raise ValueError(f"webhook_url: {error}") from None
    return text


def check_events(names: list[str]) -> list[str]:
    """At least one, all known; each once."""
    if not names:
        raise ValueError("webhook_events must name an event; leave it out for all of them")
    if unknown := sorted(set(names) - EVENTS):
        shown = ", ".join(repr(name[:60]) for name in unknown[:5])
        raise ValueError(f"webhook_events: not an event: {shown}")
    return list(dict.fromkeys(names))


def check_headers(headers: dict[str, str]) -> dict[str, str]:
    """Names and values that cannot break out of their line, none of those that are ours."""
    if len(headers) > MOST_HEADERS:
        raise ValueError(f"webhook_headers are at most {MOST_HEADERS}")
    seen: set[str] = set()
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"webhook_headers: {name[:60]!r} is no name of a header")
        if name.lower() in OURS:
            raise ValueError(f"webhook_headers: {name!r} is set by the server and cannot be chosen")
        if name.lower() in seen:
            raise ValueError(f"webhook_headers: {name!r} is there twice")
        seen.add(name.lower())
        if len(value) > LONGEST_VALUE or not _VALUE.fullmatch(value) or value != value.strip():
            raise ValueError(
                f"webhook_headers: the value of {name!r} must be printable ASCII without spaces around it,"
                f" at most {LONGEST_VALUE:,} characters"
            )
    return headers


def _plain_values(raw: Any) -> Any:
    """Numbers and booleans as their text: the parse request lets headers be anything."""
    if not isinstance(raw, dict):
        return raw
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in raw.items()
        if isinstance(value, str | int | float)
    } | {name: value for name, value in raw.items() if not isinstance(value, str | int | float)}


def _check_secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text or len(text) > LONGEST_SECRET or "\x00" in text:
        raise ValueError(f"webhook_signing_secret has 1 to {LONGEST_SECRET} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("webhook_signing_secret is not text that can be sent") from None
    return secret


Url = Annotated[str, AfterValidator(check_url)]
Event = Annotated[str, Field(json_schema_extra={"enum": sorted(EVENTS)})]
"""An event, whose names the API's description tells."""
Events = Annotated[list[str], AfterValidator(check_events)]
Headers = Annotated[dict[str, str], AfterValidator(check_headers)]
LooseHeaders = Annotated[dict[str, str], BeforeValidator(_plain_values), AfterValidator(check_headers)]
Secret = Annotated[SecretStr, AfterValidator(_check_secret)]


class NewWebhook(BaseModel):
    """A webhook to save. Events left out: all of them."""

    webhook_url: Url
    webhook_events: Events | None = None
    webhook_headers: Headers | None = None
    webhook_output_format: Format | None = None
    webhook_signing_secret: Secret | None = Field(default=None, json_schema_extra={"writeOnly": True})


class WebhookChanges(BaseModel):
    """What is not sent stays. Null for events is all of them, for headers none, for the secret no signature;
    a URL has to be one."""

    webhook_url: Url | None = None
    webhook_events: Events | None = None
    webhook_headers: Headers | None = None
    webhook_output_format: Format | None = None
    webhook_signing_secret: Secret | None = Field(default=None, json_schema_extra={"writeOnly": True})


class InlineWebhook(BaseModel):
    """A webhook that comes with the request it is for."""

    webhook_url: Url | None = None
    webhook_events: Events | None = None
    webhook_headers: LooseHeaders | None = None
    webhook_output_format: Format | None = None
    webhook_signing_secret: Secret | None = Field(default=None, json_schema_extra={"writeOnly": True})

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.webhook_url is None:
            raise ValueError("webhook_url is missing: say where to send to")
        return self


class ParseWebhook(InlineWebhook):
    """The same with a parse job, where a misspelt option is an error."""

    model_config = ConfigDict(extra="forbid")


Ids = Annotated[list[str], Field(max_length=MOST_IDS)]
