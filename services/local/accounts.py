"""As whom PostgreSQL runs. It refuses root; everybody else runs it as themselves.

As root, in this order:
1. a user namespace in which root is an ordinary user: files stay root's, private parent folders stay private;
2. where namespaces are refused (many container runtimes): the system user `batchmill` (made if `useradd` is
   there, else `nobody`), with a data folder of its own, as no other user can enter root's 0700 folders.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from services.local.errors import PostgresRefused

SYSTEM_USER = "batchmill"
SYSTEM_HOME = Path("/var/lib/batchmill")
_LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Account:
    """An identity for `launch.py`, and the folder under which the data lies."""

    identity: str
    folder: Path
    uid: int | None = None
    gid: int | None = None

    def own(self, *paths: Path) -> None:
        """Gives the paths to the account; nothing to do unless it is another user."""
        if self.uid is not None and self.gid is not None:
            for path in paths:
                os.chown(path, self.uid, self.gid)


def account_for(folder: Path, binary: Path) -> Account:
    """The account to run `binary` with data for `folder`.

    Raises PostgresRefused with what the person can do.
    """
    if os.geteuid() != 0:
        return Account("same", folder)
    system_folder = SYSTEM_HOME / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    moved = system_folder.exists() and not (folder / "data").exists()
    if not moved and may_run("namespace", binary):
        return Account("namespace", folder)
    if (folder / "data").exists():
        raise PostgresRefused(
            f"The data in {folder} was made as root in a user namespace, which this system refuses now. "
            "Allow them, or run as an ordinary user that owns the folder, or set BATCHMILL_DATABASE__URL."
        )
    return system_account(system_folder, _system_user(), binary)


def system_account(folder: Path, user: str, binary: Path) -> Account:
    """An existing system user, with `folder` as its own (made, 0700). Raises PostgresRefused."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise PostgresRefused(f"{_ROOT} There is no system user '{user}' either. {_INSTEAD}") from None
    account = Account(f"{entry.pw_uid}:{entry.pw_gid}", folder, entry.pw_uid, entry.pw_gid)
    if not may_run(account.identity, binary):
        raise PostgresRefused(f"{_ROOT} And the user '{user}' may not execute {binary}. {_INSTEAD}")
    folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    account.own(folder)
    return account


def may_run(identity: str, binary: Path) -> bool:
    """Whether `binary --version` succeeds under that identity."""
    command = [
        sys.executable,
        "-I",
        "-S",
        str(_LAUNCHER),
        str(os.getpid()),
        "9",
        identity,
        str(binary),
        "--version",
    ]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0


def _system_user() -> str:
    try:
        return pwd.getpwnam(SYSTEM_USER).pw_name
    except KeyError:
        pass
    useradd = shutil.which("useradd")
    if useradd is None:
        return "nobody"
    command = [useradd, "--system", "--no-create-home", "--shell", "/bin/false", SYSTEM_USER]
    made = subprocess.run(command, capture_output=True, timeout=30, check=False)
    return SYSTEM_USER if made.returncode == 0 else "nobody"


_ROOT = "PostgreSQL refuses to run as root, and this system refuses user namespaces."
_INSTEAD = "Run as an ordinary user, or set BATCHMILL_DATABASE__URL to a PostgreSQL of your own."
