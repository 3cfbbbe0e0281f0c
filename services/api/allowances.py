"""How many requests a name has left: GCRA, in this process or in Redis or Valkey for all processes together.

The state is two moments. `tat`, the theoretical arrival time, moves one step for each request that is let in.
`promised` is the turn that the next one is told who must wait: each gets another, so that a crowd comes back
one by one and not at once.
"""

import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Protocol

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

LONGEST_WAIT_S: Final = 60.0  # official clients ignore a longer one
NAMES: Final = 10_000
PATIENCE_S: Final = 0.5
CONNECTIONS: Final = 8
REDIS: Final = ("redis://", "rediss://", "redis+socket://")
_HAIR: Final = 1e-5  # moments are kept to a microsecond, and sums of them err by some


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many requests a minute, `burst` of them at once after a rest."""

    per_minute: int
    burst: int

    @property
    def step(self) -> float:
        """Seconds between two requests."""
        return 60.0 / self.per_minute


@dataclass(frozen=True, slots=True)
class Verdict:
    """Is it let in? `left` may follow at once; its turn is in `wait_s`, all is there again in `full_s`."""

    let_in: bool
    left: int
    wait_s: float
    full_s: float


class CountersAway(Exception):
    """What counts cannot be asked now."""


class Counters(Protocol):
    """Counts for all who use the same names. Raises `CountersAway`."""

    async def ask(self, name: str, allowance: Allowance) -> Verdict:
        """One request more of `name`."""

    async def note(self, name: str, *, for_s: float) -> None:
        """Count one note under `name`."""

    async def take_note(self, name: str) -> bool:
        """Take one note of `name` away; False: there is none."""

    async def close(self) -> None:
        """Give everything back."""


def book(state: tuple[float, float], allowance: Allowance, now: float) -> tuple[tuple[float, float], Verdict]:
    """The state after one request more at `now`, and what becomes of it."""
    tat, promised = max(state[0], now), state[1]
    free_at = tat - (allowance.burst - 1) * allowance.step
    if free_at <= now + _HAIR:
        tat += allowance.step
        left = math.floor((now + _HAIR - tat) / allowance.step) + allowance.burst
        return (tat, promised), Verdict(True, max(0, left), 0.0, tat - now)
    turn = max(promised, free_at)
    if turn - now > LONGEST_WAIT_S:
        turn = now + LONGEST_WAIT_S
    else:
        promised = turn + allowance.step
    return (tat, promised), Verdict(False, 0, turn - now, tat - now)


class InProcess:
    """Counts what this process sees, for the names that came last."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._notes: OrderedDict[str, tuple[float, int]] = OrderedDict()

    async def ask(self, name: str, allowance: Allowance) -> Verdict:
        """One request more."""
        return self.ask_at(name, allowance, time.monotonic())

    def ask_at(self, name: str, allowance: Allowance, now: float) -> Verdict:
        """The same at a moment of a monotonic clock, in seconds."""
        state, verdict = book(self._states.pop(name, (now, now)), allowance, now)
        self._states[name] = state
        if len(self._states) > NAMES:
            self._states.popitem(last=False)
        return verdict

    async def note(self, name: str, *, for_s: float) -> None:
        """One note more; all of a name last as long as the last one."""
        _, count = self._live_notes(name)
        self._notes[name] = (time.monotonic() + for_s, count + 1)
        if len(self._notes) > NAMES:
            self._notes.popitem(last=False)

    async def take_note(self, name: str) -> bool:
        """One note less."""
        until, count = self._live_notes(name)
        if count > 1:
            self._notes[name] = (until, count - 1)
        return count > 0

    async def close(self) -> None:
        """Nothing to give back."""

    def _live_notes(self, name: str) -> tuple[float, int]:
        until, count = self._notes.pop(name, (0.0, 0))
        return (until, count) if until > time.monotonic() else (0.0, 0)


# `book`, on the clock of the server. Moments are kept as text: Lua would round them.
_BOOK: Final = """
local now = tonumber(ARGV[4])
if not now then local t = redis.call('TIME'); now = t[1] + t[2] / 1e6 end
local step, burst, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kept = redis.call('HMGET', KEYS[1], 't', 'p')
local tat, promised = math.max(tonumber(kept[1]) or now, now), tonumber(kept[2]) or now
local free_at, let_in, left, wait = tat - (burst - 1) * step, 0, 0, 0
if free_at <= now + 1e-5 then
  let_in, tat = 1, tat + step
  left = math.max(0, math.floor((now + 1e-5 - tat) / step) + burst)
else
  local turn = math.max(promised, free_at)
  if turn - now > longest then turn = now + longest else promised = turn + step end
  wait = turn - now
end
redis.call('HSET', KEYS[1], 't', string.format('%.6f', tat), 'p', string.format('%.6f', promised))
redis.call('PEXPIRE', KEYS[1], math.ceil((math.max(tat, promised) - now) * 1000) + 1000)
return {let_in, left, string.format('%.6f', wait), string.format('%.6f', tat - now)}
"""
_TAKE_NOTE: Final = """
if (tonumber(redis.call('GET', KEYS[1])) or 0) < 1 then return 0 end
redis.call('DECR', KEYS[1])
return 1
"""


class InRedis:
    """Counts for all API processes: one round trip a request. `url` is a broker's, as Celery has it."""

    def __init__(self, url: str) -> None:
        plain = url.replace("redis+socket://", "unix://", 1)
        pool = BlockingConnectionPool.from_url(
            plain,
            max_connections=CONNECTIONS,
            timeout=PATIENCE_S,
            socket_timeout=PATIENCE_S,
            socket_connect_timeout=PATIENCE_S,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        self._redis = Redis.from_pool(pool)
        self._book = self._redis.register_script(_BOOK)
        self._take_note = self._redis.register_script(_TAKE_NOTE)

    async def ask(self, name: str, allowance: Allowance) -> Verdict:
        """One request more."""
        return await self.ask_at(name, allowance, None)

    async def ask_at(self, name: str, allowance: Allowance, now: float | None) -> Verdict:
        """The same at a moment in seconds; None: by the clock of the server."""
        given: list[str | float] = [
            allowance.step,
            allowance.burst,
            LONGEST_WAIT_S,
            "" if now is None else f"{now:.6f}",
        ]
        try:
            let_in, left, wait, full = await self._book(keys=[f"batchmill:requests:{name}"], args=given)
        except (RedisError, OSError, TimeoutError) as error:
            raise CountersAway(repr(error)[:200]) from error
        return Verdict(bool(let_in), int(left), float(wait), float(full))

    async def note(self, name: str, *, for_s: float) -> None:
        """One note more; all of a name last as long as the last one."""
        key = f"batchmill:notes:{name}"
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.incr(key)
                pipe.pexpire(key, int(for_s * 1000))
                await pipe.execute()
        except (RedisError, OSError, TimeoutError) as error:
            raise CountersAway(repr(error)[:200]) from error

    async def take_note(self, name: str) -> bool:
        """One note less."""
        try:
            return bool(await self._take_note(keys=[f"batchmill:notes:{name}"]))
        except (RedisError, OSError, TimeoutError) as error:
            raise CountersAway(repr(error)[:200]) from error

    async def close(self) -> None:
        """End the connections."""
        await self._redis.aclose()


def counters_of(broker_url: str) -> Counters:
    """For all processes together where the broker can count; else each process by itself."""
    first = broker_url.split(";", maxsplit=1)[0]
    return InRedis(first) if first.startswith(REDIS) else InProcess()
