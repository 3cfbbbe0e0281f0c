"""The files of a chunk as requests: of the one in hand, and of those that a reader may have before their
turn."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from services.worker.engines.port import ParseRequest
from shared.jobs.running import FileToRun


class Requests:
    """Of the files that can be read where they lie in our storage. `in_place` tells where a blob lies that
    need not be, which is no promise that it is there: nobody looks before it is read."""

    def __init__(
        self,
        files: Sequence[FileToRun],
        in_place: Callable[[str], Path | None],
        options: Mapping[str, Any],
    ) -> None:
        self._files = files
        self._in_place = in_place
        self._options = options
        # Made once: a reader is asked about the same file several times before its turn.
        self._made: dict[int, ParseRequest | None] = {}

    def of(self, number: int) -> ParseRequest | None:
        """The request of the file with this number; None when its bytes must be fetched first."""
        if number not in self._made:
            self._made[number] = self._make(self._files[number])
        return self._made[number]

    def behind(self, number: int) -> Iterable[ParseRequest]:
        """The requests of the files behind this one, in their order, up to the first whose bytes must be
        fetched."""
        for later in range(number + 1, len(self._files)):
            if (request := self.of(later)) is None:
                return
            yield request

    def _make(self, file: FileToRun) -> ParseRequest | None:
        if file.storage_key is None or file.source_version is not None or file.parsed:
            return None
        path = self._in_place(file.storage_key)
        return None if path is None else ParseRequest(path=path, name=file.name, options=self._options)
