"""Links to a file's bytes that need no key: the signature in them is the permission, for a while."""

import base64
import binascii
import time
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
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
BYTES: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"application/octet-stream": {}}}}
PART_PURPOSE: Final = "part"
PART_PATH: Final = "/api/v2/parse/{job_id}/content/{part}"


class PresignedUrl(BaseModel):
    """A link, and when it ends."""

    url: str
    expires_at: datetime
    form_fields: dict[str, str] | None = None


class LinkQuery(BaseModel):
    """What a link carries."""

    project_id: str
    expires: int
    signature: str


@dataclass(frozen=True, slots=True)
class Links:
    """Makes links below `base`, the address under which callers reach this server."""

    base: str
    signer: Signer = field(repr=False)

    def to(self, project_id: UUID, file_id: UUID, *, life_s: int | None = None) -> PresignedUrl:
        """A link to a file for `life_s` seconds: an hour unless said, a week at most."""
        life = LIFE_S if life_s is None or life_s < 1 else min(life_s, LONGEST_S)
        path = PATH.format(file_id=show(Kind.FILE, file_id))
        return self._link(PURPOSE, path, project_id, file_id.bytes, life)

    def to_part(self, project_id: UUID, job_id: UUID, part: str) -> PresignedUrl:
        """A link to a part of a parse job's result, for an hour."""
        path = PART_PATH.format(job_id=show(Kind.PARSE_JOB, job_id), part=part)
        return self._link(PART_PURPOSE, path, project_id, _of_part(job_id, part), LIFE_S)

    def check(self, project_id: UUID, file_id: UUID, expires: int, signature: str) -> None:
        """Refuses a link to a file that we did not make, or that has ended (`NotAllowed`)."""
        self._check(PURPOSE, project_id, file_id.bytes, expires, signature)

    def check_part(self, project_id: UUID, job_id: UUID, part: str, expires: int, signature: str) -> None:
        """The same for a part of a parse job's result."""
        self._check(PART_PURPOSE, project_id, _of_part(job_id, part), expires, signature)

    def _link(self, purpose: str, path: str, project_id: UUID, thing: bytes, life: int) -> PresignedUrl:
        expires = int(time.time()) + life
        signature = self.signer.sign(purpose, _payload(project_id, thing, expires))
        query = urlencode(
            {
                "project_id": show(Kind.PROJECT, project_id),
                "expires": expires,
                "signature": base64.urlsafe_b64encode(signature).rstrip(b"=").decode(),
            }
        )
        return PresignedUrl(url=f"{self.base}{path}?{query}", expires_at=datetime.fromtimestamp(expires, UTC))

    def _check(self, purpose: str, project_id: UUID, thing: bytes, expires: int, signature: str) -> None:
        try:
            raw = base64.urlsafe_b64decode(signature.encode("ascii") + b"=" * (-len(signature) % 4))
        except (binascii.Error, UnicodeEncodeError, ValueError):
            raw = b""
        if not self.signer.holds(purpose, _payload(project_id, thing, expires), raw):
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


def _payload(project_id: UUID, thing: bytes, expires: int) -> bytes:
    return project_id.bytes + thing + str(expires).encode()


def _of_part(job_id: UUID, part: str) -> bytes:
    # The NUL keeps a digit of the expiry from being one of the name.
    return job_id.bytes + part.encode() + b"\x00"
