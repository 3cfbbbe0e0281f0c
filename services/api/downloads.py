"""Links to a file's bytes that need no key: the signature in them is the permission, for a while."""

import base64
import binascii
import time
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlencode
from uuid import UUID

from pydantic import BaseModel

from services.api.signing import Signer
from shared.errors import NotAllowed
from shared.ids import Kind, show

LIFE_S: Final = 3_600
LONGEST_S: Final = 7 * 24 * 3_600
PURPOSE: Final = "download"
PATH: Final = "/api/v1/beta/files/{file_id}/download"


class PresignedUrl(BaseModel):
    """A link, and when it ends."""

    url: str
    expires_at: datetime
    form_fields: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Links:
    """Makes links below `base`, the address under which callers reach this server."""

    base: str
    signer: Signer = field(repr=False)

    def to(self, project_id: UUID, file_id: UUID, *, life_s: int | None = None) -> PresignedUrl:
        """A link for `life_s` seconds: an hour unless said, a week at most."""
        life = LIFE_S if life_s is None or life_s < 1 else min(life_s, LONGEST_S)
        expires = int(time.time()) + life
        signature = self.signer.sign(PURPOSE, _payload(project_id, file_id, expires))
        query = urlencode(
            {
                "project_id": show(Kind.PROJECT, project_id),
                "expires": expires,
                "signature": base64.urlsafe_b64encode(signature).rstrip(b"=").decode(),
            }
        )
        path = PATH.format(file_id=show(Kind.FILE, file_id))
        return PresignedUrl(url=f"{self.base}{path}?{query}", expires_at=datetime.fromtimestamp(expires, UTC))

    def check(self, project_id: UUID, file_id: UUID, expires: int, signature: str) -> None:
        """Refuses a link that we did not make, or that has ended (`NotAllowed`)."""
        try:
            raw = base64.urlsafe_b64decode(signature.encode("ascii") + b"=" * (-len(signature) % 4))
        except (binascii.Error, UnicodeEncodeError, ValueError):
            raw = b""
        if not self.signer.holds(PURPOSE, _payload(project_id, file_id, expires), raw):
            raise NotAllowed("This link was not made by this server, or was changed.")
        if expires < time.time():
            raise NotAllowed("This link has ended. Ask for a new one.")


def safe_headers(name: str) -> dict[str, str]:
    """Headers under which a browser saves the bytes and never runs or renders them as ours."""
    kept = "".join(c for c in name.replace("\\", "/").rsplit("/", 1)[-1] if c not in '"\\;')
    plain = unicodedata.normalize("NFKD", kept).encode("ascii", "ignore").decode()
    plain = "".join(c for c in plain if c.isprintable()).strip() or "file"
    return {
        "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(kept, safe='')}",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox; default-src 'none'",
        "cache-control": "private, no-store",
        "referrer-policy": "no-referrer",
    }


def _payload(project_id: UUID, file_id: UUID, expires: int) -> bytes:
    return project_id.bytes + file_id.bytes + str(expires).encode()
