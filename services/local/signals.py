"""Turns SIGINT, SIGTERM and SIGHUP into a call, for the length of a block."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ASKS_TO_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def heard(call: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Calls `call` in the running loop for each such signal; the handlers of before come back at the end.

    Outside the main thread nothing is heard: there the owner of the thread must cancel the task. A SIGHUP
    that is ignored (nohup) stays ignored.
    """
    loop = asyncio.get_running_loop()
    before = {}
    for signum in ASKS_TO_STOP:
        former = signal.getsignal(signum)
        if signum is signal.SIGHUP and former is signal.SIG_IGN:
            continue
        try:
            loop.add_signal_handler(signum, call, signum)
        except (ValueError, RuntimeError):
            break
        before[signum] = former
    try:
        yield
    finally:
        for signum, former in before.items():
            loop.remove_signal_handler(signum)
            if former is not None:
                signal.signal(signum, former)
