"""Short private folders for sockets: a socket's path must stay under 104 (macOS) or 108 (Linux) bytes."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

from services.local.errors import DataFolderRefused

PREFIX = "bm-"
PRIVATE = 0o700
LONGEST_FOLDER = 80
"""Bytes; leaves room for `/.s.PGSQL.5432.lock` within macOS's limit of 103."""


def make_socket_folder(note: Path) -> Path:
    """A new 0700 folder with a short path.

    Its path is kept in the file `note`, so that the next start can remove it when this one could not. Raises
    DataFolderRefused when no temporary folder is short enough.
    """
    remove_socket_folder(note)
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108 - mkdtemp makes it private
        if len(os.fsencode(parent)) + len(PREFIX) + 10 <= LONGEST_FOLDER and os.access(
            parent, os.W_OK | os.X_OK
        ):
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            note.write_text(str(folder))
            return folder
    raise DataFolderRefused(
        "No temporary folder has a path short enough for a socket. Set TMPDIR to a short one."
    )


def remove_socket_folder(note: Path) -> None:
    """Removes the folder that `note` names, and the note.

    A folder that is not ours or not a folder is left alone.
    """
    try:
        folder = Path(note.read_text().strip())
    except (OSError, UnicodeDecodeError):
        return
    if _is_ours(folder, note):
        shutil.rmtree(folder, ignore_errors=True)
    note.unlink(missing_ok=True)


def _is_ours(folder: Path, note: Path) -> bool:
    try:
        found, noted = folder.lstat(), note.lstat()
    except OSError:
        return False
    private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == PRIVATE
    own = noted.st_uid == os.geteuid() and (found.st_uid == os.geteuid() or os.geteuid() == 0)
    return folder.name.startswith(PREFIX) and private and own
