"""Keeps one part alive: start, wait until it serves, wait for its death, start again with back-off."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from services.local.errors import StackError, StackFailed
from services.local.processes import Part, Process

FIRST_DELAY_S = 0.2
LAST_DELAY_S = 5.0
DEATHS = 5
DEATHS_WITHIN_S = 60.0
READY_POLL_S = 0.05
READY_CHECK_S = 5.0


class Keeper:
    """One part of a supervisor. `up` is set while the part serves."""

    def __init__(
        self,
        part: Part,
        *,
        say: Callable[[str], None],
        started: Callable[[], None],
        failed: Callable[[StackError], None],
    ) -> None:
        self.part = part
        self.process: Process | None = None
        self.up = asyncio.Event()
        self._say = say
        self._started = started
        self._failed = failed
        self._deaths: deque[float] = deque()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Starts the part and looks after it from now on."""
        self._task = asyncio.create_task(self._keep_guarded(), name=f"keep {self.part.name}")

    async def cease(self) -> None:
        """The part is not started again; its process, if there is one, goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _keep_guarded(self) -> None:
        try:
            await self._keep()
        except StackError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001 - nobody awaits this task, so an error must be passed on here
            self._failed(StackFailed(self.part.name, None, [repr(error)], "could not be started"))

    async def _keep(self) -> None:
        waiting_since = time.monotonic()
        while True:
            await self.part.prepare()
            process = self.process = Process(self.part)
            self._started()
            if await self._comes_up(process, waiting_since + self.part.ready_timeout_s):
                self.up.set()
                await process.exited()
                waiting_since = time.monotonic()
            await asyncio.sleep(self._delay_after_death(process))

    async def _comes_up(self, process: Process, deadline: float) -> bool:
        """False if it died first. The deadline spans all tries since the part last served."""
        while process.exit_code() is None:
            if await self._is_ready():
                return True
            if time.monotonic() > deadline and self.part.critical:
                why = f"did not come up within {self.part.ready_timeout_s:g} s"
                raise StackFailed(self.part.name, None, process.last_lines(), why)
            await asyncio.sleep(READY_POLL_S)
        return False

    async def _is_ready(self) -> bool:
        """A check that hangs must neither outlive the deadline nor hide a death."""
        try:
            # Not `wait_for`: before Python 3.12 it can swallow a cancel that comes as the check ends.
            async with asyncio.timeout(READY_CHECK_S):
                return await self.part.ready()
        except TimeoutError:
            return False

    def _delay_after_death(self, process: Process) -> float:
        """Seconds until the next try. Raises StackFailed when there were too many."""
        code, now = process.exit_code(), time.monotonic()
        self.up.clear()
        self._deaths.append(now)
        while self._deaths[0] < now - DEATHS_WITHIN_S:
            self._deaths.popleft()
        if len(self._deaths) >= DEATHS and self.part.critical:
            why = (
                f"died {len(self._deaths)} times within {DEATHS_WITHIN_S:g} s, at last with exit code {code}"
            )
            raise StackFailed(self.part.name, code, process.last_lines(), why)
        delay = min(FIRST_DELAY_S * 2.0 ** (len(self._deaths) - 1), LAST_DELAY_S)
        self._say(f"{self.part.name} ended with exit code {code}; it is started again in {delay:g} s")
        return delay
