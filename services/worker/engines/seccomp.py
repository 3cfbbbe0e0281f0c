"""Lets the calling process start threads and no further process, where Linux has seccomp filters."""

import ctypes
import errno
import platform
import struct
import sys
from typing import Final

_PR_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2
_CLONE_THREAD: Final = 0x00010000
_FIRST_OF_X32: Final = 0x40000000
_CLONE3: Final = 435
# Of each machine: how the kernel calls it, its number of clone, and those of fork and vfork if it has any.
_MACHINES: Final = {"x86_64": (0xC000003E, 56, (57, 58)), "aarch64": (0xC00000B7, 220, ())}

_LOAD, _EQUALS, _AT_LEAST, _HAS_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _MACHINE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_ALLOW: Final = 0x7FFF0000
_FAIL_WITH: Final = 0x00050000
_KILL: Final = 0x80000000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def allow_no_process() -> bool:
    """From now on the calling process cannot fork: that fails with EPERM. Needs `PR_SET_NO_NEW_PRIVS`; cannot
    be undone. Answers whether it holds: False elsewhere than on Linux on these machines, or when refused."""
    machine = _MACHINES.get(platform.machine())
    if not sys.platform.startswith("linux") or machine is None:
        return False
    steps = _steps(*machine)
    program = _Program(len(steps), b"".join(struct.pack("=HBBI", *step) for step in steps))
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0)) == 0


def _steps(machine: int, clone: int, forks: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """Each step: what it does, how many to skip when true, how many when false, and its value."""
    steps = [
        (_LOAD, 0, 0, _MACHINE_AT),
        (_EQUALS, 1, 0, machine),
        (_RETURN, 0, 0, _KILL),  # calls of another machine have other numbers
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, _FIRST_OF_X32),
        (_RETURN, 0, 0, _FAIL_WITH | errno.EPERM),
        # Its flags lie where no filter can look. The C library then takes clone.
        (_EQUALS, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _FAIL_WITH | errno.ENOSYS),
    ]
    for fork in forks:
        steps += [(_EQUALS, 0, 1, fork), (_RETURN, 0, 0, _FAIL_WITH | errno.EPERM)]
    return [
        *steps,
        (_EQUALS, 1, 0, clone),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        (_HAS_BIT, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _FAIL_WITH | errno.EPERM),
    ]
