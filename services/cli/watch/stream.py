"""The events of a batch over HTTP: through broken connections, restarts of the server, refusals for now."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx

from services.cli.exits import ExitCode, Stop, one_line

FINAL: Final = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
SILENCE_S: Final = 45.0
"""The server gives a sign of life every 15 s."""
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 10.0
GIVE_UP_S: Final = 600.0
NO_CONTENT: Final = 204
TOO_MANY: Final = 429
OK: Final = 200


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `n` is its number, `kind` its name."""

    n: int
    kind: str
    data: dict[str, Any]

    @property
    def is_final(self) -> bool:
        """Will nothing follow?"""
        return self.data.get("status") in FINAL


class NotNow(Exception):
    """The server cannot be followed at the moment; again after `after_s`, if it said so."""

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


class Stream:
    """Follows one batch; `say` is told of what went wrong and is tried again. A server that never answered is
    given up at once, one that did after ten minutes: `Stop`, exit 4."""

    def __init__(self, base_url: str, api_key: str, batch_id: str, *, say: Callable[[str], None]) -> None:
        self._client = httpx.Client(
            base_url=base_url.rstrip("/"),
            headers={"authorization": f"Bearer {api_key}"},
            timeout=httpx.Timeout(10.0, read=SILENCE_S),
        )
        self._path = f"/api/v2/batches/{batch_id}/events"
        self._say = say
        self._last: int | None = None
        self._answered = False

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def state(self) -> Event | None:
        """How the batch stands now, asked apart from the stream; None when that fails."""
        try:
            found = self._client.get(self._path, params={"wait": "false"})
        except httpx.HTTPError:
            return None
        return next(parsed([found.content]), None) if found.status_code == OK else None

    def events(self) -> Iterator[Event | None]:
        """Each event once and in order, to the last one; None is a sign of life between them. Raises `Stop`
        for what trying again cannot mend."""
        pause, since = FIRST_PAUSE_S, time.monotonic()
        while True:
            try:
                for event in self._connection():
                    pause, since = FIRST_PAUSE_S, time.monotonic()
                    yield event
                    if event is not None and event.is_final:
                        return
                if self._ended:
                    return
                # Streams live for some minutes: nothing to tell anybody.
                reason, after, quiet = "the server ended the stream", pause, True
            except NotNow as error:
                reason, after, quiet = str(error), max(error.after_s or 0.0, pause), False
            except httpx.HTTPError as error:
                reason, after, quiet = one_line(error), pause, False
            if not self._answered or time.monotonic() - since > GIVE_UP_S:
                raise Stop(f"The server does not answer: {reason}.", ExitCode.STACK)
            if not quiet:
                self._say(f"not connected: {reason}; again in {after:.1f} s")
            time.sleep(after)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    def _connection(self) -> Iterator[Event | None]:
        self._ended = False
        headers = {"accept": "text/event-stream"}
        if self._last is not None:
            headers["last-event-id"] = str(self._last)
        with self._client.stream("GET", self._path, headers=headers) as found:
            if found.status_code == NO_CONTENT:
                self._ended = True
                return
            if found.status_code != OK:
                found.read()
                raise refusal(found)
            self._answered = True
            for event in parsed(found.iter_bytes()):
                if event is not None:
                    self._last = event.n
                yield event


def refusal(found: httpx.Response) -> Exception:
    """What an answer that is no stream means: later (`NotNow`), or never (`Stop`)."""
    try:
        detail = str(found.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = found.text[:300]
    if found.status_code == TOO_MANY or found.is_server_error:
        after = found.headers.get("retry-after", "")
        return NotNow(f"{found.status_code}: {detail}", float(after) if after.isdigit() else None)
    return Stop(f"The server refused ({found.status_code}): {detail}")


def parsed(pieces: Any) -> Iterator[Event | None]:
    """Server-Sent Events out of bytes, however they were cut; None for a comment. What has no end yet when
    the bytes end was not received."""
    rest = b""
    fields: dict[str, str] = {}
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for raw in lines:
            line = raw.rstrip(b"\r").decode("utf-8")
            if line.startswith(":"):
                yield None
            elif line:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            else:
                if "data" in fields:
                    yield Event(int(fields["id"]), fields["event"], json.loads(fields["data"]))
                fields = {}
