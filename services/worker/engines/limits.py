"""What a sandboxed child may use, and how it gives up the rest. The Linux-only pieces do nothing
elsewhere."""

import contextlib
import ctypes
import math
import os
import resource
import signal
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from services.worker.engines import landlock, seccomp

_LINUX: Final = sys.platform.startswith("linux")
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_CLONE_NEWIPC: Final = 0x08000000
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
# Address space is not memory: the parser reserves more than a gigabyte that it never touches. The parent
# watches what is resident; this only stops one huge allocation before it is touched.
_ADDRESS_HEADROOM: Final = 2 * 2**30
_OPEN_FILES: Final = 256
# The parent's clock is the one that counts; this ends a child whose parent is gone or stuck.
_GRACE_S: Final = 10


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Caps for one file (design section 10), and how long a child is kept: for so many documents, and at
    least until it has worked so long. Seconds, bytes, pages, documents."""

    wall_s: float = 300.0
    cpu_s: float = 300.0
    memory_bytes: int = 2 * 2**30
    document_bytes: int = 512 * 2**20
    written_bytes: int = 512 * 2**20
    pages: int = 5_000
    documents_per_child: int = 200
    seconds_per_child: float = 30.0
    start_s: float = 30.0

    def as_json(self) -> dict[str, Any]:
        """The limits as the child gets them."""
        return asdict(self)


def confine(
    limits: SandboxLimits, *, parent_pid: int, folder: Path, readable: Iterable[str | Path] = ()
) -> bool:
    """Take everything from the calling process that reading a document does not need. Must come before any
    thread starts. Answers whether the network is gone; a system that refuses that is not an error. Where the
    kernel has Landlock, what is written must lie below `folder`, and only that and `readable` can be read;
    where it has seccomp, no further process can be started.

    Ends the process when its parent is already dead.
    """
    isolated = _LINUX and _unshare()
    if _LINUX:
        # After unshare: a change of credentials clears the death signal.
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        landlock.confine_to(folder, readable=(*landlock.SYSTEM, *readable))
        seccomp.allow_no_process()
    if os.getppid() != parent_pid:
        os._exit(0)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _lower(resource.RLIMIT_FSIZE, limits.written_bytes)
    if _LINUX:
        _lower(resource.RLIMIT_AS, limits.memory_bytes + _ADDRESS_HEADROOM)
    return isolated


def start_of_file(limits: SandboxLimits) -> None:
    """Give the calling process the processor time of one more file; over it, SIGXCPU ends the process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(usage.ru_utime + usage.ru_stime + limits.cpu_s)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_REAL, limits.wall_s + _GRACE_S)


def end_of_file() -> None:
    """Stop the clock that `start_of_file` started."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def hide_process() -> None:
    """Make the memory and the environment of the calling process unreadable for others of the same user.
    For the worker: where user namespaces and Landlock are refused, a taken-over child could read the
    worker's credentials otherwise. Root reads it all the same."""
    if _LINUX:
        _prctl(_PR_SET_DUMPABLE, 0)


class Resident:
    """The memory that a process holds, which is asked for often: what tells it is opened once."""

    def __init__(self, pid: int) -> None:
        self._handle: int | None = None
        with contextlib.suppress(OSError):
            self._handle = os.open(f"/proc/{pid}/statm", os.O_RDONLY | os.O_CLOEXEC)

    def bytes(self) -> int:
        """What it holds now; 0 when it is gone or the system does not tell."""
        if self._handle is None:
            return 0
        try:
            return int(os.pread(self._handle, 200, 0).split()[1]) * resource.getpagesize()
        except (OSError, IndexError, ValueError):
            return 0

    def close(self) -> None:
        """Ask no more."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _unshare() -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    for flags in (_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC, _CLONE_NEWUSER | _CLONE_NEWNET):
        if libc.unshare(flags) == 0:
            return True
    return False


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _lower(what: int, value: int) -> None:
    _soft, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    # Some systems refuse some limits; the parent's own watch remains.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(what, (value, value))
