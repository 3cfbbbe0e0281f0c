"""Ends what a killed manager left behind. A number alone is never enough: pids are given again."""

import os
import signal
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import psutil

from services.local.data_dir import PartRecord

MARKER = "BATCHMILL_DATA_DIR"
READY_FILE = "BATCHMILL_READY_FILE"
"""A part that gets it touches that file when it serves; the stack removes the file before each start. Whoever
has one in the folder `ready` of a data folder was started by a stack on that folder.
"""
CLOCK_SLACK_S = 2.0
GRACE_S = 5.0
KILLED_S = 5.0
"""How long a killed process may need to be gone: its memory is given back before its sockets are."""


def end_stale_parts(records: Iterable[PartRecord], data_dir: Path) -> int:
    """Ends the parts that still live, and what is left of the process groups of those that do not.

    A part is known by pid and creation time, an orphan of its group by BATCHMILL_DATA_DIR in its environment,
    one that was never recorded (the disk was full) by its BATCHMILL_READY_FILE. The recorded signal first,
    SIGKILL after 5 s. Blocks meanwhile; the caller holds the folder's lock. Answers how many it ended.
    """
    found: dict[int, psutil.Process] = {}
    for record in records:
        left = _living(record, data_dir)
        signum = _signal(record)
        _each(left, partial(psutil.Process.send_signal, sig=signum))
        found.update((process.pid, process) for process in left)
    unrecorded = [one for one in psutil.process_iter() if one.pid not in found and _is_a_part(one, data_dir)]
    _each(unrecorded, psutil.Process.terminate)
    found.update((process.pid, process) for process in unrecorded)
    await_end(found.values(), GRACE_S)
    return len(found)


def await_end(processes: Iterable[psutil.Process], grace_s: float) -> None:
    """Waits for processes that were told to end, and kills those still there after `grace_s` seconds.

    Waits for these too: what they hold (a port) is held until then.
    """
    stubborn = _left_after(processes, grace_s)
    _each(stubborn, psutil.Process.kill)
    _left_after(stubborn, KILLED_S)


def _left_after(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    waiting = list(processes)
    deadline = time.monotonic() + seconds
    while (waiting := [process for process in waiting if lives(process)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return waiting


def create_time(pid: int) -> float:
    """When the process was made, in seconds since 1970: with its pid, its name for ever.

    Now, if it is gone.
    """
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return time.time()


def _signal(record: PartRecord) -> signal.Signals:
    return getattr(signal.Signals, record.stop_signal, signal.SIGTERM)


def _living(record: PartRecord, data_dir: Path) -> list[psutil.Process]:
    try:
        leader = psutil.Process(record.pid)
        if abs(leader.create_time() - record.started) > CLOCK_SLACK_S:
            return []  # the pid was given again, which the kernel does only when its old group is empty
    except psutil.NoSuchProcess:
        pass
    except psutil.Error:
        return []
    return [process for process in psutil.process_iter() if _is_in_group(process, record.pid, data_dir)]


def _is_in_group(process: psutil.Process, group: int, data_dir: Path) -> bool:
    try:
        if os.getpgid(process.pid) != group or not lives(process):
            return False
        return bool(process.pid == group or process.environ().get(MARKER) == str(data_dir))
    except (OSError, psutil.Error):
        return False


def lives(process: psutil.Process) -> bool:
    """A zombie does not count: it holds nothing, and it may stay for ever where process 1 reaps nobody."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _is_a_part(process: psutil.Process, data_dir: Path) -> bool:
    try:
        return Path(process.environ().get(READY_FILE, "")).parent == data_dir / "ready" and lives(process)
    except (OSError, psutil.Error):
        return False


def _each(processes: Iterable[psutil.Process], act: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        try:
            act(process)
        except psutil.Error:
            continue
