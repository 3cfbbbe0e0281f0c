"""Sessions of the console: a key is shown once, and a token of its own stands for it from then on."""

import secrets
from typing import Final

from shared.db.unit_of_work import UnitOfWork
from shared.errors import NotAllowed, Unauthenticated
from shared.projects import repository, service
from shared.projects.model import Role
from shared.projects.service import SECRET_BYTES, Caller, digest_of

__all__ = ["LASTS_S", "end_session", "holder_of", "open_session"]

LASTS_S: Final = 12 * 3600.0
FORGOTTEN_AT_ONCE: Final = 100


async def open_session(uow: UnitOfWork, key: str) -> str:
    """The token of a new session, good for `LASTS_S` seconds or as long as the key is; it is not stored and
    cannot be had again.

    No, unknown, revoked and expired keys are `Unauthenticated`; an operator's, which opens no project of its
    own, is `NotAllowed`.
    """
    caller = await service.authenticate(uow, key)
    if caller.role is Role.OPERATOR:
        raise NotAllowed(
            "This is an operator's key, which opens no project of its own. Sign in with a project's key."
        )
    await repository.remove_old_sessions(uow.session, limit=FORGOTTEN_AT_ONCE)
    token = secrets.token_urlsafe(SECRET_BYTES)
    await repository.add_session(uow.session, digest_of(token), caller.key_id, lasts_s=LASTS_S)
    return token


async def holder_of(uow: UnitOfWork, token: str | None) -> Caller:
    """Who signed in with it. No or an unknown token, one that is over, and one whose key was revoked or has
    expired: `Unauthenticated`."""
    key = None if not token else await repository.holder_of_session(uow.session, digest_of(token))
    if key is None:
        raise Unauthenticated("Nobody is signed in, or the session is over. Sign in with a key.")
    return service.caller_of(key)


async def end_session(uow: UnitOfWork, token: str | None) -> None:
    """The token opens nothing any more; one that opens nothing already is fine."""
    if token:
        await repository.remove_session(uow.session, digest_of(token))
