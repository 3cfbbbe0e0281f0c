"""One file over HTTP that may take long: what breaks off goes on where it was, also in another process.

What came so far lies beside the target, under a name that has the tag of what it is a part of: a part of
something else is never added to. The target is there whole or not at all.
"""

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import httpx

from services.cli.exits import ExitCode, Stop, one_line
from services.cli.run.output import disk_errors, settle_names

TIMEOUT: Final = httpx.Timeout(30.0, read=90.0)
PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Between tries of which none brought a byte; the tries are as many, and one."""
MOST_BUSY_S: Final = 3_600.0
ONCE: Final = "once"
_TAG: Final = re.compile(r'"([0-9a-f]{8,64})"')
_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_END: Final = re.compile(r"bytes \*/(\d+)")


class Again(Exception):
    """The server asks to come again after so many seconds."""

    def __init__(self, after_s: float) -> None:
        super().__init__(f"again after {after_s} s")
        self.after_s = after_s


@dataclass(slots=True)
class Download:
    """`told` hears of the bytes that are there and of all, where that is known. What was put together of
    several answers must be `sound`, else it is fetched anew: the server's storage may have lost something in
    between, and no tag tells of that."""

    client: httpx.Client
    path: str
    params: Mapping[str, str]
    target: Path
    told: Callable[[int, int | None], None]
    sound: Callable[[Path], bool]
    _joined: bool = False
    _spoiled: int = 0

    def run(self) -> int:
        """Until the target is there; answers its bytes."""
        tries, busy_since = 0, time.monotonic()
        while True:
            before = self._so_far()
            try:
                return self._once()
            except Again as again:
                if time.monotonic() - busy_since > MOST_BUSY_S:
                    raise Stop("The server was busy for an hour. Try again later.", ExitCode.STACK) from None
                time.sleep(again.after_s)
            except httpx.TransportError as error:
                tries = 0 if self._so_far() > before else tries + 1
                if tries > len(PAUSES_S):
                    raise Stop(
                        f"The download broke off: {one_line(error)}. What came is kept: run the same command "
                        "again and it goes on.",
                        ExitCode.STACK,
                    ) from error
                time.sleep(PAUSES_S[max(tries - 1, 0)])

    def _once(self) -> int:
        kept = next(self._partials(), None)
        headers = {}
        if kept is not None and (size := kept.stat().st_size):
            headers = {"range": f"bytes={size}-", "if-range": f'"{_tag_of(kept)}"'}
        with self.client.stream("GET", self.path, params=self.params, headers=headers) as answer:
            if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and kept is not None:
                return self._at_the_end(kept, answer)
            _insist(answer)
            resumed = answer.status_code == httpx.codes.PARTIAL_CONTENT
            found = _TAG.fullmatch(answer.headers.get("etag", ""))
            tag = ONCE if found is None else found[1]
            part = self.target.with_name(f".{self.target.name}.{tag}.partial")
            with disk_errors(self.target.parent), _held(part) as file:
                begins, length = _begins(answer, resumed=resumed)
                file.truncate(begins)
                file.seek(begins)
                self._joined = resumed
                self._save(answer, file, begins, length)
                return self._finish(part)

    def _save(self, answer: httpx.Response, file: IO[bytes], there: int, length: int | None) -> None:
        for piece in answer.iter_raw():
            file.write(piece)
            there += len(piece)
            self.told(there, length)
        file.flush()
        os.fsync(file.fileno())
        if length is not None and there != length:
            raise httpx.RemoteProtocolError(f"{there} of {length} bytes came")

    def _at_the_end(self, kept: Path, answer: httpx.Response) -> int:
        """Nothing follows what is there: all of it came before, or it is no part of this."""
        end = _END.fullmatch(answer.headers.get("content-range", ""))
        if end is not None and int(end[1]) == kept.stat().st_size:
            self._joined = True
            return self._finish(kept)
        kept.unlink()
        raise Again(0.0)

    def _finish(self, part: Path) -> int:
        if self._joined and not self.sound(part):
            part.unlink()
            self._spoiled += 1
            if self._spoiled > 1:
                raise Stop("The export changed while it was downloaded. Run the same command again.")
            raise Again(0.0)
        part.replace(self.target)
        for other in self._partials():
            other.unlink(missing_ok=True)
        settle_names([self.target.parent])
        return self.target.stat().st_size

    def _so_far(self) -> int:
        return sum(part.stat().st_size for part in self._partials())

    def _partials(self) -> Iterator[Path]:
        yield from sorted(self.target.parent.glob(f".{_literal(self.target.name)}.*.partial"))


def _insist(answer: httpx.Response) -> None:
    """Raises for what is neither the whole nor a part."""
    if answer.status_code in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
        return
    busy = answer.status_code in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)
    if busy or answer.status_code in (httpx.codes.BAD_GATEWAY, httpx.codes.GATEWAY_TIMEOUT):
        after = answer.headers.get("retry-after", "")
        raise Again(min(float(after), 60.0) if after.isdigit() else 2.0)
    answer.read()
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.reason_phrase
    raise Stop(f"The server refused ({answer.status_code}): {one_line(detail)}")


def _begins(answer: httpx.Response, *, resumed: bool) -> tuple[int, int | None]:
    """At which byte the answer begins, and how many there are in all."""
    if not resumed:
        length = answer.headers.get("content-length", "")
        return 0, int(length) if length.isdigit() else None
    found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
    if found is None:
        raise Stop("The server answered with a part, and does not say which.", ExitCode.STACK)
    return int(found[1]), int(found[3])


@contextmanager
def _held(part: Path) -> Iterator[IO[bytes]]:
    """The file to be written, by this process alone."""
    part.touch()
    with part.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Stop(f"Another export writes {part.name[1:].rsplit('.', 2)[0]} right now.") from None
        yield file


def _tag_of(part: Path) -> str:
    return part.name.rsplit(".", 2)[-2]


def _literal(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
