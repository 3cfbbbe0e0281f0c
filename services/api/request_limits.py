"""How many requests a key may send: the setting's number, or the key's own. More are 429, and told when.

Counted are requests with a right key (wrong ones are `wrong_keys`), an upload as one. An operator's key has
no limit but its own, so that who must mend something always can. When what counts is away, every request is
let in: a limit protects the server, it is not worth an outage.
"""

import math
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from services.api.allowances import Allowance, Counters, CountersAway, Verdict
from services.api.fingerprints import fingerprint_of, sending_of
from shared.errors import TooMany
from shared.metrics import HttpRequests
from shared.projects.model import Role
from shared.projects.service import Caller
from shared.telemetry import logger

log = logger(__name__)

NOTED_FOR_S: Final = 120.0
AWAY_S: Final = 5.0


class RequestLimits:
    """The limits of one application. `default` is that of keys without one of their own; None: no limit."""

    def __init__(self, counters: Counters, default: Allowance | None, requests: HttpRequests) -> None:
        self._counters = counters
        self._default = default
        self._requests = requests
        self._away_until = 0.0

    def allowance_of(self, who: Caller) -> Allowance | None:
        """What the key may send; None: as much as it likes."""
        own = who.requests_per_minute
        if own is None:
            return None if who.role is Role.OPERATOR else self._default
        return Allowance(own, who.request_burst or own) if own else None

    async def ask(self, request: Request, response: Response, who: Caller, allowance: Allowance) -> None:
        """One request more of this key. Raises `TooMany` when it is over its allowance. The headers of the
        answer say what is left."""
        verdict = await self._verdict(who, allowance)
        if verdict is None:
            return
        headers = _headers(allowance, verdict)
        response.headers.update(headers)
        request.state.limit_headers = headers
        if not verdict.let_in:
            await self._note_refused(request, who)
            raise TooMany(_words(allowance, verdict), retry_after=verdict.wait_s)

    async def was_refused(self, who: Caller, fingerprint: bytes, sending: int) -> bool:
        """Did no earlier sending of this request come further than to its limit? Then nothing was made of it,
        and it is no repetition. Asked once for each that was refused."""
        return await self._take_note(who, fingerprint, sending - 1)

    async def close(self) -> None:
        """Give everything back."""
        await self._counters.close()

    async def _verdict(self, who: Caller, allowance: Allowance) -> Verdict | None:
        if time.monotonic() >= self._away_until:
            try:
                verdict = await self._counters.ask(str(who.key_id), allowance)
            except CountersAway as away:
                if not self._away_until:
                    log.warning("requests are not limited: what counts them is away", error=str(away))
                self._away_until = time.monotonic() + AWAY_S
            else:
                if self._away_until:
                    log.info("requests are limited again")
                    self._away_until = 0.0
                return verdict
        self._requests.note_unlimited()
        return None

    async def _note_refused(self, request: Request, who: Caller) -> None:
        sending = sending_of(request)
        if request.method != "POST" or sending is None:
            return
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            return
        fingerprint = fingerprint_of(request, await request.body())
        if sending and not await self._take_note(who, fingerprint, sending - 1):
            # Something may have been made of an earlier one.
            return
        try:
            await self._counters.note(_note(who, fingerprint, sending), for_s=NOTED_FOR_S)
        except CountersAway as away:
            log.warning("a refused request could not be noted", error=str(away))

    async def _take_note(self, who: Caller, fingerprint: bytes, sending: int) -> bool:
        try:
            return await self._counters.take_note(_note(who, fingerprint, sending))
        except CountersAway:
            return False


def _note(who: Caller, fingerprint: bytes, sending: int) -> str:
    return f"{who.key_id}:{fingerprint.hex()}:{sending}"


def _headers(allowance: Allowance, verdict: Verdict) -> dict[str, str]:
    window = max(1, math.ceil(allowance.burst * allowance.step))
    return {
        "ratelimit-policy": f'"requests";q={allowance.burst};w={window}',
        "ratelimit": f'"requests";r={verdict.left};t={math.ceil(verdict.full_s)}',
    }


def _words(allowance: Allowance, verdict: Verdict) -> str:
    wait = max(1, math.ceil(verdict.wait_s))
    until = (datetime.now(UTC) + timedelta(seconds=wait)).isoformat(timespec="seconds")
    return (
        f"This API key may send {allowance.per_minute:,} requests a minute,"
        f" {allowance.burst:,} of them at once. Send this one again in {wait} s, at {until}."
    )
