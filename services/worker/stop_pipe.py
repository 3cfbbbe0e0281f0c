"""How a worker tells its processes that it was asked to leave (protocol rule 28)."""

import asyncio
import contextlib
import os


class StopPipe:
    """Made before the fork. What is said once is heard by every process that was forked from this one, before
    and after it was said: nobody reads the byte, so it lies there for all. No process has to look for it."""

    def __init__(self) -> None:
        self._ear, self._mouth = os.pipe()
        os.set_blocking(self._mouth, False)

    def say(self) -> None:
        """Ask all to leave. Safe in a signal handler: it never waits, and saying it again changes nothing."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._mouth, b"!")

    async def heard(self) -> None:
        """Returns once it has been said."""
        loop, said = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._ear, said.set)
        try:
            await said.wait()
        finally:
            loop.remove_reader(self._ear)

    def close(self) -> None:
        """Give both ends back, in this process."""
        os.close(self._ear)
        os.close(self._mouth)
