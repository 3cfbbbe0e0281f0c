"""One try of one delivery, and what its outcome means."""

import time
from typing import Final

from shared.outbound.dialing import Answer, Dialer, NotReached
from shared.outbound.targets import Refused, Target, read_target
from shared.webhooks import payload, schedule
from shared.webhooks.delivering import End, Taken
from shared.webhooks.vault import OtherKey, Vault

TRY_WITHIN_S: Final = 30.0
KEPT_BYTES: Final = 500
GONE: Final = 410


class Sender:
    """Sends what was taken; every outcome is an end, none is an exception."""

    def __init__(self, dialer: Dialer, vault: Vault) -> None:
        self._dialer = dialer
        self._vault = vault

    async def send(self, one: Taken) -> End:
        """Try once: any 2xx within 30 s is delivered, 410 ends it, all else is tried again by
        the schedule."""
        started = time.monotonic()
        if one.attempts > schedule.SENDERS_LOST:
            reason = f"its sender was lost {one.attempts - 1} times before it could say how it went"
            return _end(one, started, error=reason, dead=True)
        try:
            target = read_target(one.url)
            headers, body = self._message(one)
            answer = await self._dialer.post(target, headers, body, within_s=TRY_WITHIN_S, keep=KEPT_BYTES)
        except (OtherKey, Refused, NotReached, TimeoutError, ValueError) as error:
            return _end(one, started, error=_reason(error), dead=isinstance(error, ValueError))
        return _answered(one, started, target, answer)

    def _message(self, one: Taken) -> tuple[list[tuple[str, str]], bytes]:
        body = payload.body_of(
            event_id=one.event_id,
            event_type=one.event_type,
            at=one.created_at,
            data=one.data,
            output_format=one.output_format,
        )
        secret = None if one.secret is None else self._vault.open(one.project_id, one.secret)
        headers = payload.headers_of(
            event_id=one.event_id,
            event_type=one.event_type,
            body=body,
            chosen=one.headers,
            secret=secret,
        )
        return headers, body


def _reason(error: Exception) -> str:
    match error:
        case OtherKey():
            return "its secret cannot be opened: BATCHMILL_SECRET_KEY is not the one it was saved under"
        case Refused():
            return f"nobody may send there: {error}"
        case TimeoutError():
            return f"no answer within {TRY_WITHIN_S:g} s"
        case ValueError():
            return f"its URL is none: {error}"
        case _:
            return str(error)


def _answered(one: Taken, started: float, target: Target, answer: Answer) -> End:
    if 200 <= answer.status < 300:  # noqa: PLR2004 - 2xx
        return End(one.id, one.token, "SENT", 0, answer.status, None, _shown(answer), _since(started))
    if answer.status == GONE:
        error, dead = "the receiver says that it is gone for good (410)", True
    elif 300 <= answer.status < 400:  # noqa: PLR2004 - 3xx
        error, dead = f"{target.origin} redirects ({answer.status}); redirects are not followed", False
    else:
        error, dead = f"the receiver answered {answer.status}", False
    wait = schedule.asked_wait(answer.headers.get("retry-after"))
    return _end(one, started, error=error, dead=dead, answer=answer, asked=wait)


def _end(
    one: Taken,
    started: float,
    *,
    error: str,
    dead: bool = False,
    answer: Answer | None = None,
    asked: float | None = None,
) -> End:
    after = None if dead else schedule.next_try(one.attempts, asked=asked)
    return End(
        id=one.id,
        token=one.token,
        status="DEAD" if after is None else "PENDING",
        after=after or 0.0,
        code=None if answer is None else answer.status,
        error=error[:500],
        answer=None if answer is None else _shown(answer),
        seconds=_since(started),
    )


def _shown(answer: Answer) -> str | None:
    """The beginning of an answer as text that can be stored; None when it is empty."""
    text = answer.body.decode("utf-8", "replace").replace("\x00", "\ufffd")
    return f"{text}..." if answer.cut else text or None


def _since(started: float) -> float:
    return time.monotonic() - started
