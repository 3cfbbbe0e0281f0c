"""Becomes another program, tied to the life of the process that started it.

Run as a script in a fresh interpreter, so that nothing happens between fork and exec of a process with
threads:

    python -I -S launch.py PARENT SIGNAL IDENTITY ARGV...

PARENT is the pid of the starter; on Linux SIGNAL reaches the program when the starter dies, however it dies.
IDENTITY is `same`, `namespace` (a user namespace in which root is an ordinary user) or `UID:GID`. Exit 126:
the identity was refused; 127: no such program. It imports nothing but the standard library.
"""

import ctypes
import os
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
INNER_ID = 1000


def main(argv: list[str]) -> None:
    """Never returns: this process is the program now, or it has ended."""
    parent, signum, identity, *program = argv
    try:
        _become(identity)
    except OSError as error:
        sys.exit(_say(f"cannot run as '{identity}': {error.strerror}", 126))
    # After the change of identity: the kernel forgets the parent-death signal when credentials change.
    _die_with_parent(int(parent), int(signum))
    try:
        os.execv(program[0], program)  # noqa: S606 - becoming the program is what this is for
    except OSError as error:
        sys.exit(_say(f"cannot run {program[0]}: {error.strerror}", 127))


def _become(identity: str) -> None:
    if identity == "same":
        return
    if identity == "namespace":
        _enter_user_namespace()
        return
    uid, gid = map(int, identity.split(":"))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _enter_user_namespace() -> None:
    uid, gid = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"user namespaces are refused ({os.strerror(number)})")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{INNER_ID} {uid} 1")
    _write("/proc/self/gid_map", f"{INNER_ID} {gid} 1")


def _die_with_parent(parent: int, signum: int) -> None:
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0)
    # The parent may have died before the line above; then no signal will ever come.
    if os.getppid() != parent:
        sys.exit(_say("the process that asked for this program is gone", 125))


def _write(path: str, text: str) -> None:
    Path(path).write_text(text)


def _say(message: str, code: int) -> int:
    print(f"launch: {message}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    main(sys.argv[1:])
