"""Runs parts: starts them, waits until they serve, keeps them alive, stops all of them in order."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import groupby

from services.local.errors import StackError, StackFailed
from services.local.keeper import Keeper
from services.local.processes import Part, Process


class Supervisor:
    """Owns every process that it started. Use from one event loop; always end with `stop`.

    `changed` is called with the living processes after each start. `failed` is called once, with the reason,
    when a critical part died five times in 60 s, did not come up in its time, or could not be started at all.
    """

    def __init__(
        self,
        *,
        say: Callable[[str], None] = lambda _: None,
        changed: Callable[[Sequence[Process]], None] = lambda _: None,
        failed: Callable[[StackError], None] = lambda _: None,
    ) -> None:
        self._say = say
        self._changed = changed
        self._failed = failed
        self._keepers: list[Keeper] = []
        self._one_shots: set[Process] = set()
        self._failure: StackError | None = None
        self._failure_set = asyncio.Event()
        self._hurry = asyncio.Event()

    async def start(self, *parts: Part) -> None:
        """Starts the parts side by side; returns when all critical ones serve.

        Raises the StackError that prevents it.
        """
        keepers = [Keeper(part, say=self._say, started=self._report, failed=self._fail) for part in parts]
        self._keepers += keepers
        for keeper in keepers:
            keeper.begin()
        async with asyncio.TaskGroup() as group:
            failure = group.create_task(self._failure_set.wait())
            ups = [group.create_task(keeper.up.wait()) for keeper in keepers if keeper.part.critical]
            waiting = {*ups}
            while waiting and not failure.done():
                _, pending = await asyncio.wait({failure, *waiting}, return_when=asyncio.FIRST_COMPLETED)
                waiting &= pending
            for task in (failure, *ups):
                task.cancel()
        if self._failure is not None:
            raise self._failure

    async def run_once(self, part: Part) -> None:
        """Runs a part to its end.

        Raises StackFailed if it exits with anything but 0, or not within its time-out.
        """
        await part.prepare()
        process = Process(part)
        self._one_shots.add(process)
        self._report()
        try:
            code = await asyncio.wait_for(process.exited(), part.ready_timeout_s)
        except TimeoutError:
            why = f"did not end within {part.ready_timeout_s:g} s"
            raise StackFailed(part.name, None, process.last_lines(), why) from None
        finally:
            await process.stop(self._hurry)
            self._one_shots.discard(process)
        self._report()
        if code != 0:
            raise StackFailed(part.name, code, process.last_lines(), f"ended with exit code {code}")

    async def stop(self) -> None:
        """Stops everything, higher `stop_rank` first, equal ranks together.

        Safe twice, and after a failure.
        """
        for keeper in self._keepers:
            await keeper.cease()
        processes = [k.process for k in self._keepers if k.process is not None] + list(self._one_shots)
        processes.sort(key=lambda process: -process.part.stop_rank)
        for _, same_rank in groupby(processes, key=lambda process: process.part.stop_rank):
            await asyncio.gather(*(process.stop(self._hurry) for process in same_rank))
        self._keepers.clear()
        self._one_shots.clear()

    def hurry(self) -> None:
        """No more patience: a `stop` under way, or a later one, skips to the quickest end of each part."""
        self._hurry.set()

    def living(self) -> list[Process]:
        """The processes that run now."""
        kept = [k.process for k in self._keepers if k.process is not None]
        return [process for process in [*kept, *self._one_shots] if process.exit_code() is None]

    def _report(self) -> None:
        self._changed(self.living())

    def _fail(self, reason: StackError) -> None:
        if self._failure is None:
            self._failure = reason
            self._failure_set.set()
            self._failed(reason)
