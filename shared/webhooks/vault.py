"""Signing secrets at rest: AES-256-GCM under a key that is derived from the installation's own."""

import secrets
from dataclasses import dataclass, field
from typing import Final, Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_PURPOSE: Final = b"batchmill webhook signing secrets, 1"
_FORMAT: Final = b"\x01"
_NONCE_BYTES: Final = 12


class OtherKey(Exception):
    """The secret was sealed under another key of the installation, or for another project."""


@dataclass(frozen=True, slots=True)
class Vault:
    """Seals and opens secrets. What is sealed for one project opens for no other."""

    key: bytes = field(repr=False)

    @classmethod
    def of(cls, installation_key: bytes) -> Self:
        """The vault of the installation whose `BATCHMILL_SECRET_KEY` this is."""
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(installation_key)
        return cls(derived)

    def seal(self, project_id: UUID, secret: str) -> bytes:
        """The secret as it may be stored; twice the same secret is two different texts."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _FORMAT + nonce + AESGCM(self.key).encrypt(nonce, secret.encode(), project_id.bytes)

    def open(self, project_id: UUID, sealed: bytes) -> str:
        """The secret again, or `OtherKey`."""
        nonce, rest = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _FORMAT or len(nonce) != _NONCE_BYTES:
            raise OtherKey
        try:
            return AESGCM(self.key).decrypt(nonce, rest, project_id.bytes).decode()
        except (InvalidTag, ValueError):
            raise OtherKey from None
