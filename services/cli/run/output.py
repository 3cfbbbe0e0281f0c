"""Results as files in OUT: each is there whole, or not at all."""

import errno
import os
import secrets
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from services.cli.exits import Stop

PARTIAL: Final = ".partial"
OWN_FAULT: Final = frozenset({errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EILSEQ})
"""What is wrong with one name only; anything else (disk full, no rights) is wrong with OUT."""


class NameRefused(Exception):
    """This one result cannot be a file of that name here."""


def output_name(path: str, suffix: str, folders: Collection[str]) -> str:
    """Where the result of `path` goes, relative to OUT. No two paths share one.

    A file `a` beside a folder `a.md` gives `a.md.md`: the name is taken by the folder.
    """
    name = path + suffix
    while name in folders:
        name += suffix
    return name


def write_whole(out: Path, target: Path, pieces: Iterable[bytes]) -> None:
    """Write `pieces` below `out` so that a reader, or a crash, never meets half a file."""
    partial = out / PARTIAL / secrets.token_hex(8)
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open("wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def replace_whole(out: Path, target: Path, pieces: Iterable[bytes]) -> None:
    """`write_whole`, and what is written after it can never be on the disk without it."""
    write_whole(out, target, pieces)
    settle_names([target.parent])


def settle_names(folders: Iterable[Path]) -> None:
    """The names in these folders are on the disk when this returns: a power cut cannot take one back.

    A folder that is gone, or whose file system knows no such order, has nothing to settle.
    """
    for folder in folders:
        try:
            opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            os.fsync(opened)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        finally:
            os.close(opened)


@contextmanager
def disk_errors(out: Path) -> Iterator[None]:
    """Turns what the disk refuses into `Stop`: it is full, or OUT may not be written."""
    try:
        yield
    except OSError as error:
        raise Stop(
            f"Cannot write to {out}: {error.strerror or error}. Mend that and run the same command again."
        ) from error


def write_result(out: Path, name: str, data: bytes) -> None:
    """Write one result; `NameRefused` when only its name is at fault."""
    with disk_errors(out):
        try:
            write_whole(out, out / name, [data])
        except OSError as error:
            if error.errno in OWN_FAULT:
                raise NameRefused(f"the output could not be named {name[-80:]}: {error.strerror}") from None
            raise


def remove_result(out: Path, name: str) -> None:
    """Take away what an earlier version of the file gave, if anything."""
    try:
        (out / name).unlink(missing_ok=True)
    except OSError:
        return


def clear_partial(out: Path) -> None:
    """Throw away what a crash left half written."""
    shutil.rmtree(out / PARTIAL, ignore_errors=True)
