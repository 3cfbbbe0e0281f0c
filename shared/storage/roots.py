"""Which folders and buckets may be read in place."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

BUCKET: Final = "s3"
NEVER: Final = tuple(Path(name) for name in ("/proc", "/sys", "/dev"))
"""What lies here looks like files, and tells what processes keep to themselves."""


@dataclass(frozen=True, slots=True)
class Roots:
    """Places below which files may be read in place; `closed` are folders below which none may, such as the
    one that holds our own keys. Links are followed before anything is compared, each time anew."""

    folders: tuple[Path, ...] = ()
    buckets: tuple[str, ...] = ()
    closed: tuple[Path, ...] = ()

    def shut(self) -> list[Path]:
        """The real folders below which nothing may be read."""
        return [*NEVER, *(place.resolve() for place in self.closed)]

    def folder_of(self, path: Path) -> Path | None:
        """The real root that `path` lies below, or is; None: it may not be read. No part of `path` may be a
        link: who asks has followed them, or opens without following any."""
        if any(path.is_relative_to(place) for place in self.shut()):
            return None
        real = (root.resolve() for root in self.folders)
        return next((root for root in real if path.is_relative_to(root)), None)

    def bucket_of(self, url: str) -> str | None:
        """The root that the bucket's place or key lies below, or is; None: it may not be read."""
        return next((root for root in self.buckets if f"{url.rstrip('/')}/".startswith(root)), None)


def roots_of(texts: Iterable[str], *, closed: Iterable[Path] = ()) -> Roots:
    """Absolute folders, `file://` URLs of them, and `s3://bucket/prefix`. `ValueError` for anything else."""
    folders: list[Path] = []
    buckets: list[str] = []
    for text in texts:
        parts = urlsplit(text)
        if parts.scheme == BUCKET and parts.netloc:
            buckets.append(f"{BUCKET}://{parts.netloc}{parts.path.rstrip('/')}/")
        elif (folder := as_folder(text)) is not None:
            folders.append(folder)
        else:
            raise ValueError(f"{text!r} is neither an absolute folder nor s3://bucket/prefix")
    return Roots(tuple(folders), tuple(buckets), tuple(closed))


def as_folder(text: str) -> Path | None:
    """The absolute folder that the text names, as a path or as a `file://` URL; None: it names none."""
    if text.startswith("file://"):
        text = unquote(urlsplit(text).path)
    return Path(text) if text.startswith("/") and "\x00" not in text else None
