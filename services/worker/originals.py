"""The bytes of a file as something that can be read here: out of our storage, or from where their owner has
them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from shared.jobs.codes import FailureCode
from shared.jobs.running import FileToRun
from shared.storage.by_reference import FileTrouble, Reference, SourceDown
from shared.storage.port import BlobMissing, StorageDown
from shared.wiring import Resources

OWNERS: Final = "STORAGE_DOWN: where files are read in place"
"""So begins the trouble of a place that is not ours: neither this process nor a document is to blame."""


@dataclass(frozen=True, slots=True)
class Original:
    """A local file with the bytes, whether it is a copy that its holder deletes, and their SHA-256 where it
    was taken on the way."""

    path: Path
    is_copy: bool
    sha256: bytes | None = None


class NoOriginal(Exception):
    """This file's bytes cannot be had; `message` is safe to show."""

    def __init__(self, code: FailureCode, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable


async def bring(resources: Resources, file: FileToRun, scratch: Path) -> Original:
    """The file's bytes, in place when our storage is a folder, else a copy in `scratch`. Raises `NoOriginal`
    and `StorageDown`.

    What lies with its owner is always copied: so what is hashed and what is parsed are the same bytes,
    whatever is written there meanwhile, and the reader never follows a path that others may change.
    """
    if file.storage_key is None:
        raise NoOriginal(FailureCode.ENGINE_ERROR, "The file is no longer known.")
    if file.source_version is None:
        try:
            path = await resources.storage.fetch(file.storage_key, scratch)
            # As words: paths would be taken apart for it, and workers do this for each file.
            return Original(path, is_copy=str(path).rpartition("/")[0] == str(scratch))
        except BlobMissing:
            message = "The file's bytes are no longer in storage."
            raise NoOriginal(FailureCode.ENGINE_ERROR, message) from None
    most = resources.settings.api.max_upload_bytes
    if file.size_bytes > most:
        message = f"The file has {file.size_bytes:,} bytes; an upload may have {most:,}."
        raise NoOriginal(FailureCode.DOCUMENT_TOO_LARGE, message, retryable=False)
    copy = scratch / uuid4().hex
    reference = Reference(file.storage_key, file.size_bytes, file.source_version)
    try:
        return Original(copy, is_copy=True, sha256=await resources.sources.copy(reference, copy))
    except FileTrouble as trouble:
        message, retryable = trouble.message, trouble.retryable
        raise NoOriginal(FailureCode.ENGINE_ERROR, message, retryable=retryable) from None


def trouble_of(error: StorageDown) -> str:
    """Whose storage is down."""
    return f"{OWNERS}, {error}" if isinstance(error, SourceDown) else f"STORAGE_DOWN: {error}"
