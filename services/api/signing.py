"""Signatures of what we hand out and want back unchanged: page tokens and download links."""

import hashlib
import hmac
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Signer:
    """HMAC-SHA256 under the server's key. `purpose` keeps a signature of one kind from serving as another."""

    key: bytes = field(repr=False)

    def sign(self, purpose: str, payload: bytes) -> bytes:
        """The first 16 bytes of the MAC: 128 bits are beyond guessing and keep tokens short."""
        return hmac.digest(self.key, purpose.encode() + b"\x00" + payload, hashlib.sha256)[:16]

    def holds(self, purpose: str, payload: bytes, signature: bytes) -> bool:
        """Is this our signature of exactly this payload? Takes the same time for every wrong one."""
        return hmac.compare_digest(self.sign(purpose, payload), signature)
