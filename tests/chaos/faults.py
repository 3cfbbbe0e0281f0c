"""What can happen to a live stack. Each fault is a block: begin and end of an outage."""

import os
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

import psutil
import redis

from tests.chaos import clock
from tests.live_stack import LiveStack, start_live_stack

Hurt = Callable[[LiveStack], AbstractContextManager[None]]
OVER_A_LEASE_S = 17.0


@dataclass(frozen=True, slots=True)
class Fault:
    """`hold_s`: how long it lasts, 0 for what is over at once. `part` is what dies of it, if any.
    `holders_live`: it hurts no process that holds work, so nothing may be taken away and no loss counted.
    `small_disk`: it wants a stack whose storage is a small disk of its own."""

    name: str
    hurt: Hurt
    hold_s: float = 0.0
    part: str = ""
    holders_live: bool = True
    small_disk: bool = False


def _first(stack: LiveStack, part: str) -> int:
    return stack.pids(part)[0]


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it died of the same fault already


def signalled(part: str, number: signal.Signals = signal.SIGKILL) -> Hurt:
    """The part's first process gets a signal."""

    @contextmanager
    def hurt(stack: LiveStack) -> Iterator[None]:
        _send(_first(stack, part), number)
        yield

    return hurt


def child_killed(part: str, *, deep: bool = False) -> Hurt:
    """kill -9 of one process that works below the part's first; `deep`: of all below those, which read
    documents."""

    @contextmanager
    def hurt(stack: LiveStack) -> Iterator[None]:
        children = psutil.Process(_first(stack, part)).children()
        victims = [below for child in children for below in child.children()] if deep else children[-1:]
        for victim in victims:
            _send(victim.pid, signal.SIGKILL)
        yield

    return hurt


def stopped(part: str, *, one_child: bool = False) -> Hurt:
    """SIGSTOP of the part, or of one process below its first; SIGCONT at the end: a zombie comes back."""

    @contextmanager
    def hurt(stack: LiveStack) -> Iterator[None]:
        pids = [stack.process.pid] if part == "manager" else stack.pids(part)
        if one_child:
            pids = [child.pid for child in psutil.Process(pids[0]).children()[-1:]]
        for pid in pids:
            _send(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                _send(pid, signal.SIGCONT)

    return hurt


def away(part: str, number: signal.Signals = signal.SIGINT) -> Hurt:
    """The part is ended and not started again before the end: the manager stands still meanwhile."""

    @contextmanager
    def hurt(stack: LiveStack) -> Iterator[None]:
        _send(stack.process.pid, signal.SIGSTOP)
        try:
            _send(_first(stack, part), number)
            yield
        finally:
            _send(stack.process.pid, signal.SIGCONT)

    return hurt


@contextmanager
def manager_killed(stack: LiveStack) -> Iterator[None]:
    """kill -9 of the manager: all parts die with it. Somebody starts the stack again."""
    port = int(stack.base_url.rpartition(":")[2])
    stack.process.kill()
    stack.process.wait(timeout=10)
    yield
    stack.process = start_live_stack(
        stack.data_dir, port=port, env=clock.environment(stack.data_dir.parent)
    ).process


@contextmanager
def backend_killed(stack: LiveStack) -> Iterator[None]:
    """kill -9 of a connection's server process: PostgreSQL restarts all of them."""
    for pid in stack.pids("postgres")[1:]:
        if "batchmill [local]" in " ".join(psutil.Process(pid).cmdline()):
            _send(pid, signal.SIGKILL)
            break
    yield


@contextmanager
def broker_flushed(stack: LiveStack) -> Iterator[None]:
    """Every message is thrown away, for a second."""
    broker = redis.Redis.from_url(stack.broker_url.replace("redis+socket", "unix"))
    for _ in range(20):
        broker.flushall()
        time.sleep(0.05)
    broker.close()
    yield


@contextmanager
def broker_slow(stack: LiveStack) -> Iterator[None]:
    """Every answer of the broker comes late, for five seconds: it stands still nine tenths of the time."""
    pid = _first(stack, "valkey")
    for _ in range(16):
        _send(pid, signal.SIGSTOP)
        time.sleep(0.28)
        _send(pid, signal.SIGCONT)
        time.sleep(0.03)
    yield


def storage_away(*, left_behind: bool) -> Hurt:
    """The storage's folder is gone; or it is not mounted, and an empty one is left in its place."""

    @contextmanager
    def hurt(stack: LiveStack) -> Iterator[None]:
        folder = stack.data_dir / "storage"
        folder.rename(folder.with_name("storage-away"))
        if left_behind:
            folder.mkdir(mode=0o700)
        try:
            yield
        finally:
            # A blob that was on its way may lie there. It does not count: the auditor misses one that does.
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_name("storage-away").rename(folder)

    return hurt


@contextmanager
def disk_filled(stack: LiveStack) -> Iterator[None]:
    """The last byte of the disk on which the storage lies is taken, and given back at the end."""
    assert stack.has_own_disk, "this would fill the disk of the machine"
    filler = stack.storage_dir / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    assert psutil.disk_usage(str(stack.storage_dir)).free == 0, "the disk did not get full"
    try:
        yield
    finally:
        filler.unlink()


def limited(what: int, most: Callable[[psutil.Process], int]) -> Hurt:
    """The worker's processes get a limit of the kernel; it is lifted at the end."""

    @contextmanager
    def hurt(stack: LiveStack) -> Iterator[None]:
        children = psutil.Process(_first(stack, "worker")).children()
        before = [child.rlimit(what) for child in children]
        for child, (_, hard) in zip(children, before, strict=True):
            child.rlimit(what, (most(child), hard))
        try:
            yield
        finally:
            for child, limits in zip(children, before, strict=True):
                if child.is_running():
                    child.rlimit(what, limits)

    return hurt


def clock_of_worker(by_s: int) -> Hurt:
    """The wall clock of the worker's processes jumps, and jumps back at the end."""

    @contextmanager
    def hurt(stack: LiveStack) -> Iterator[None]:
        shift = clock.shift_file(stack.data_dir.parent)
        shift.write_text(str(by_s))
        try:
            yield
        finally:
            shift.unlink()

    return hurt


FAULTS = (
    Fault("kill worker", signalled("worker"), part="worker", holders_live=False),
    Fault("kill worker child", child_killed("worker"), part="worker", holders_live=False),
    Fault("term worker", signalled("worker", signal.SIGTERM), part="worker"),
    Fault("kill orchestrate", signalled("orchestrate"), part="orchestrate"),
    Fault("kill upkeep", signalled("upkeep"), part="upkeep"),
    Fault("kill api", signalled("api"), part="api"),
    Fault("kill postgres backend", backend_killed),
    Fault("kill postmaster", signalled("postgres"), part="postgres"),
    Fault("restart postgres", signalled("postgres", signal.SIGINT), part="postgres"),
    Fault("kill valkey", signalled("valkey"), part="valkey"),
    Fault("kill manager", manager_killed, part="manager", holders_live=False),
    Fault("flush broker", broker_flushed),
    Fault("slow broker", broker_slow),
    Fault("storage gone", storage_away(left_behind=False), 4.0),
    Fault("storage not mounted", storage_away(left_behind=True), 4.0),
    Fault("disk full for worker", limited(resource.RLIMIT_FSIZE, lambda _: 0), 4.0),
    Fault("disk full", disk_filled, 4.0, small_disk=True),
    Fault("worker out of memory", limited(resource.RLIMIT_AS, lambda _: 1 << 20), 4.0, holders_live=False),
    Fault("kill sandbox child", child_killed("worker", deep=True)),
    Fault("worker an hour ahead", clock_of_worker(+3600), 4.0),
    Fault("worker an hour back", clock_of_worker(-3600), 4.0),
)
"""Over in seconds."""

LONG_FAULTS = (
    Fault("stop worker", stopped("worker"), OVER_A_LEASE_S, holders_live=False),
    Fault("stop worker child", stopped("worker", one_child=True), OVER_A_LEASE_S, holders_live=False),
    Fault("stop orchestrate", stopped("orchestrate"), OVER_A_LEASE_S),
    Fault("stop upkeep", stopped("upkeep"), OVER_A_LEASE_S),
    Fault("stop api", stopped("api"), OVER_A_LEASE_S),
    Fault("stop postgres", stopped("postgres"), 20.0),
    Fault("postgres away", away("postgres"), 20.0, part="postgres"),
    Fault("stop valkey", stopped("valkey"), 32.0),
    Fault("stop manager", stopped("manager"), OVER_A_LEASE_S),
    Fault("broker away", away("valkey", signal.SIGKILL), 30.0, part="valkey"),
)
"""Longer than a lease: a zombie comes back, an outage ends."""
