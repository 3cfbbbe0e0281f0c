"""What is sent, to the byte: body, headers and signatures (contract 2.7)."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

USER_AGENT: Final = "llamaindex-webhook-service/1.0"
_STANDARD_PREFIX: Final = "whsec_"


def body_of(
    *, event_id: UUID, event_type: str, at: datetime, data: Mapping[str, Any], output_format: str
) -> bytes:
    """The body: the event as JSON, or for `string` that JSON once more as a JSON string. The same event gives
    the same bytes, whenever it is sent."""
    event = {
        "event_id": str(event_id),
        "event_type": event_type,
        "timestamp": at.timestamp(),
        "data": dict(sorted(data.items())),
    }
    text = json.dumps(event, separators=(",", ":"))
    return (text if output_format == "json" else json.dumps(text)).encode()


def headers_of(
    *,
    event_id: UUID,
    event_type: str,
    body: bytes,
    chosen: Mapping[str, str] | None,
    secret: str | None,
    now: float | None = None,
) -> list[tuple[str, str]]:
    """The headers of one try. With a secret, `LC-Signature` over the body, and the signature of Standard
    Webhooks, which covers the moment of the try as well."""
    sent_at = str(int(time.time() if now is None else now))
    headers = [
        ("Content-Type", "application/json"),
        ("User-Agent", USER_AGENT),
        ("X-Webhook-Event-ID", str(event_id)),
        ("X-Webhook-Event-Type", event_type),
        ("webhook-id", str(event_id)),
        ("webhook-timestamp", sent_at),
        *(chosen or {}).items(),
    ]
    if secret is not None:
        mac = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
        headers.append(("LC-Signature", f"sha256={mac}"))
        signed = b".".join((str(event_id).encode(), sent_at.encode(), body))
        mac_of_all = hmac.digest(_standard_key(secret), signed, hashlib.sha256)
        headers.append(("webhook-signature", f"v1,{base64.b64encode(mac_of_all).decode()}"))
    return headers


def _standard_key(secret: str) -> bytes:
    """The bytes of a `whsec_` secret in base64, as that standard has them; any other secret as it is."""
    if secret.startswith(_STANDARD_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_STANDARD_PREFIX), validate=True) or secret.encode()
        except (binascii.Error, ValueError):
            pass
    return secret.encode()
