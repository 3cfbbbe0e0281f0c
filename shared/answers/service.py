"""The same creating request twice makes one thing.

Two ways to know that it is the same. The client says so: by a key of its own choice, good for a day. Or it
cannot say so: the official clients send a request again when its answer did not come, and count how often
(`sending`); then the same API key and the same request within two minutes are taken for the same.
"""

import hashlib
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from shared.answers import repository
from shared.answers.repository import Kept
from shared.db.unit_of_work import UnitOfWork
from shared.errors import InProgress, ServiceError
from shared.pausing import Point, reach

__all__ = ["KEY_FOR_S", "RESENT_WITHIN_S", "Kept", "OtherRequest", "Sent", "begin", "keep"]

KEY_FOR_S: Final = 24 * 3600.0
RESENT_WITHIN_S: Final = 120.0
AGAIN_AFTER_S: Final = 1.0


class OtherRequest(ServiceError):
    """The idempotency key was sent before, with another request."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A creating request. `fingerprint` is of all that makes it this request and no other. `sending` counts
    from 0; None: the client counts not, and nothing but its `idempotency_key` makes two requests one."""

    project_id: UUID
    key_id: UUID
    fingerprint: bytes
    idempotency_key: str | None
    sending: int | None

    @property
    def lock(self) -> int:
        """The number that requests which may be the same one share."""
        name = self.fingerprint if self.idempotency_key is None else self.idempotency_key.encode()
        digest = hashlib.sha256(b"%b\0%b" % (self.project_id.bytes, name)).digest()
        return int.from_bytes(digest[:8], signed=True)


async def begin(uow: UnitOfWork, sent: Sent) -> Kept | None:
    """The answer that this request was given before; None: it is new, carry it out.

    While the first one is still carried out: `InProgress`. A key that stood for another request is
    `OtherRequest`. Call it before anything is written, in the transaction that writes.
    """
    if sent.idempotency_key is not None:
        await _alone(uow, sent)
        found = await repository.of_key(uow.session, sent.project_id, sent.idempotency_key)
        if found is not None and found.fingerprint != sent.fingerprint:
            raise OtherRequest(
                "This idempotency key was sent with another request within the last 24 hours. Take a new key"
                " for a new request; to repeat the old one, send the same path, query and body."
            )
        return found
    if not sent.sending:
        if sent.sending is not None:
            # Two clients may mean the same thing twice; only who sends it again must wait for them.
            await repository.share(uow.session, sent.lock)
        return None
    await _alone(uow, sent)
    return await repository.take(
        uow.session, sent.project_id, sent.key_id, sent.fingerprint, sending=sent.sending
    )


async def keep(uow: UnitOfWork, sent: Sent, *, status: int, body: str) -> None:
    """Keep the answer with what it speaks of, if anything may ask for it. `InProgress` when another request
    with the key was quicker; nothing of this one may be committed then."""
    if sent.idempotency_key is None and sent.sending is None:
        return
    kept = await repository.add(
        uow.session,
        Kept(sent.fingerprint, status, body),
        project_id=sent.project_id,
        key_id=sent.key_id,
        idempotency_key=sent.idempotency_key,
        sending=sent.sending or 0,
        for_s=RESENT_WITHIN_S if sent.idempotency_key is None else KEY_FOR_S,
    )
    if not kept:
        raise _in_progress()
    await reach(Point.ANSWER_KEPT)


async def _alone(uow: UnitOfWork, sent: Sent) -> None:
    if not await repository.lock(uow.session, sent.lock):
        raise _in_progress()


def _in_progress() -> InProgress:
    return InProgress(
        "The same request is being carried out right now. Send it again in a moment for its answer.",
        retry_after=AGAIN_AFTER_S,
    )
