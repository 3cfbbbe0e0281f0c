"""Takes the file system, other processes and TCP away from the calling process, where Linux has Landlock."""

import contextlib
import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_ASK_VERSION: Final = 1
_BENEATH: Final = 1
_EXECUTE: Final = 1 << 0
_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_FOLDER: Final = 1 << 3
_RENAME_ACROSS: Final = 1 << 13
_TRUNCATE: Final = 1 << 14
_EVERY_FIRST: Final = (1 << 13) - 1
_ON_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_TCP: Final = 0b11
_SIGNALS_AND_ABSTRACT_SOCKETS: Final = 0b11
# The versions of the kernel's interface that brought a right.
_HAS_RENAME, _HAS_TRUNCATE, _HAS_TCP, _HAS_SCOPES = 2, 3, 4, 6

SYSTEM: Final = (
    *("/usr", "/bin", "/lib", "/lib64", "/etc/fonts", "/etc/ld.so.cache", "/etc/localtime"),
    *("/proc/self", "/proc/meminfo", "/proc/cpuinfo", "/dev/urandom"),
)
"""What any program may need to read of the system; none of it is a secret."""


def version() -> int:
    """The version of Landlock in this kernel; 0 where there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, int(_libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)))


def confine_to(folder: Path, *, readable: Iterable[str | Path]) -> int:
    """From now on the calling process may write below `folder` only and read there and below `readable`
    (missing ones are left out). From version 4 it has no TCP, and from version 6 it may send signals to its
    own descendants only. Must come before any thread starts, after `PR_SET_NO_NEW_PRIVS`; cannot be undone.

    Answers the version that holds; 0 when the kernel has none and nothing was taken away.
    """
    found = version()
    if not found:
        return 0
    libc, every = _libc(), _rights(found)
    attributes = struct.pack(
        "=QQQ",
        every,
        _TCP if found >= _HAS_TCP else 0,
        _SIGNALS_AND_ABSTRACT_SOCKETS if found >= _HAS_SCOPES else 0,
    )
    size = 24 if found >= _HAS_SCOPES else 16 if found >= _HAS_TCP else 8
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return 0
    try:
        _allow(ruleset, folder, every)
        _allow(ruleset, Path(os.devnull), _READ_FILE | _WRITE_FILE)
        for path in readable:
            _allow(ruleset, Path(path), _EXECUTE | _READ_FILE | _READ_FOLDER)
        return found if libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0 else 0
    finally:
        os.close(ruleset)


def _rights(found: int) -> int:
    rights = _EVERY_FIRST
    if found >= _HAS_RENAME:
        rights |= _RENAME_ACROSS
    if found >= _HAS_TRUNCATE:
        rights |= _TRUNCATE
    return rights


def _allow(ruleset: int, path: Path, rights: int) -> None:
    with contextlib.suppress(FileNotFoundError, PermissionError):
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            wanted = rights if path.is_dir() else rights & _ON_FILES
            rule = struct.pack("=Qi", wanted, handle)
            if _libc().syscall(_ADD_RULE, ruleset, _BENEATH, rule, 0) != 0:
                raise OSError(ctypes.get_errno(), "landlock refuses a rule", str(path))
        finally:
            os.close(handle)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
