"""What of a folder is taken in."""

import os
import stat
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.storage.path_text import as_text

HIDDEN: Final = "hidden"
LEAVES: Final = "links that leave the folder"
BROKEN: Final = "broken links"
SPECIAL: Final = "not ordinary files"
CLOSED: Final = "folders that may not be read"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """`path` is relative, with slashes, and valid text even when the name on disk is not.

    `mark` changes when the file does: its size in bytes and its time of change. `on_disk` is where it lies,
    as the system names it.
    """

    path: str
    on_disk: str
    size: int
    mark: str

    @property
    def place(self) -> Path:
        """Where it lies."""
        return Path(self.on_disk)


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a folder in order of their paths, and how many were left out for which reason."""

    files: tuple[SourceFile, ...]
    left_out: dict[str, int]

    def folders(self) -> frozenset[str]:
        """All folders in which the files lie, relative."""
        found = {"."} if self.files else set()
        for file in self.files:
            folder = file.path.rpartition("/")[0]
            while folder and folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return frozenset(found)


def list_folder(root: Path, *, skip: Collection[Path] = ()) -> Listing:
    """All files below `root`, except those below a folder of `skip`.

    Hidden names and links that leave `root` are left out and counted; a hidden folder counts once. A link to
    a folder inside is passed over in silence: its files are taken under their own path.
    """
    top = root.resolve()
    walk = _Walk(top, frozenset(path.resolve() for path in skip))
    files = sorted(walk.below(top), key=lambda file: file.path)
    return Listing(tuple(files), dict(walk.left_out))


class _Walk:
    """Names stay strings: a `Path` for each of 200,000 files takes longer than all the rest."""

    def __init__(self, top: Path, skip: frozenset[Path]) -> None:
        self.top = top
        self.skip = frozenset(map(str, skip))
        self.left_out: Counter[str] = Counter()

    def below(self, top: Path) -> Iterator[SourceFile]:
        begins = len(str(top).rstrip("/")) + 1
        waiting = [str(top)]
        while waiting:
            folder = waiting.pop()
            try:
                entries = list(os.scandir(folder))
            except OSError:
                self.left_out[CLOSED] += 1
                continue
            for entry in entries:
                if entry.path in self.skip:
                    continue
                if entry.name.startswith("."):
                    self.left_out[HIDDEN] += 1
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif (file := self._file(entry, begins)) is not None:
                    yield file

    def _file(self, entry: os.DirEntry[str], begins: int) -> SourceFile | None:
        try:
            if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(self.top):
                self.left_out[LEAVES] += 1
                return None
            found = entry.stat()
        except (OSError, RuntimeError):
            self.left_out[BROKEN] += 1
            return None
        if stat.S_ISDIR(found.st_mode):
            return None
        if not stat.S_ISREG(found.st_mode):
            self.left_out[SPECIAL] += 1
            return None
        mark = f"{found.st_size}-{found.st_mtime_ns}"
        return SourceFile(as_text(entry.path[begins:]), entry.path, found.st_size, mark)
