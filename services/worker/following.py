"""What a reader may have before its turn: the files that follow in a chunk, as requests."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from services.worker.engines.port import ParseRequest
from shared.jobs.running import FileToRun


def following(
    files: Sequence[FileToRun],
    after: int,
    in_place: Callable[[str], Path | None],
    options: Mapping[str, Any],
) -> Iterable[ParseRequest]:
    """The requests of the files behind the one with this number, up to the first whose bytes would have to be
    fetched; each is made when it is asked for. `in_place` tells where a blob lies that need not be, which is
    no promise that it is there."""
    for number in range(after + 1, len(files)):
        file = files[number]
        if file.storage_key is None or file.source_version is not None or file.parsed:
            return
        if (path := in_place(file.storage_key)) is None:
            return
        yield ParseRequest(path=path, name=file.name, options=options)
