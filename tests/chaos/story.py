"""A batch under way, a fault, and what became of both."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from tests.chaos import clock
from tests.chaos.auditor import Findings, audit
from tests.chaos.faults import Fault
from tests.chaos.witness import install, returned
from tests.live_stack import FINAL, LiveStack, start_live_stack

MOVES_WITHIN_S = 30.0
ENDS_WITHIN_S = 120.0
DISK_MB = 512
LINE = b"a line of a file that is long enough to be worth reading\n"


@dataclass
class Story:
    """What came of one fault. `recovery_s` is from the fault, or from the end of the outage, to the next file
    that ended; None when there was none left. `in_hand_s` is from the same moment to the end of the last of
    the files that were in some worker's hand when the fault came; None when nobody held any."""

    fault: str
    recovery_s: float | None
    in_hand_s: float | None = None
    given_back: list[str] = field(default_factory=list)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    in_hand: list[Any] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)


@dataclass
class Theatre:
    """A stack, and one directory over which batches are opened."""

    stack: LiveStack
    directory_id: str
    files: int

    def open_batch(self) -> str:
        """A new batch over all files."""
        return self.stack.client.batches.create(
            source_directory_id=self.directory_id,
            config={
                "job": {
                    "type": "parse_v2",
                    "configuration_id": self.stack.anew("cfg-PARSE_COST_EFFECTIVE"),
                }
            },
        ).id

    def started_batch(self) -> str:
        """A new batch of which something has ended already."""
        batch_id = self.open_batch()
        self.stack.wait_for(lambda: self.stack.done_of(batch_id) > 0, within_s=MOVES_WITHIN_S)
        return batch_id

    def strike(self, fault: Fault, batch_id: str, *, hold_s: float | None = None) -> Story:
        """Let a fault happen while the batch runs, and wait until a file ends after it."""
        began, in_hand = _now(), self._in_hand(batch_id)
        with fault.hurt(self.stack):
            held = fault.hold_s if hold_s is None else hold_s
            time.sleep(held)
            if held:
                began = _now()
        story = Story(fault.name, None, began=began, in_hand=in_hand)
        deadline = time.monotonic() + MOVES_WITHIN_S
        while story.recovery_s is None and not self.is_over(batch_id):
            story.recovery_s = self.next_end(batch_id, began)
            if story.recovery_s is None and time.monotonic() > deadline:
                story.findings.stuck.append(f"{fault.name}: nothing moved within {MOVES_WITHIN_S:g} s")
                break
            time.sleep(0.05)
        if story.recovery_s is None:
            story.recovery_s = self.next_end(batch_id, began)
        return story

    def next_end(self, batch_id: str, after: datetime) -> float | None:
        """Seconds from a moment to the next end of a file of the batch."""
        rows = self._patiently(
            "SELECT min(finished_at) AS at FROM jobs WHERE batch_id = $1::uuid AND finished_at > $2",
            batch_id[4:],
            after,
        )
        return None if not rows or rows[0]["at"] is None else float((rows[0]["at"] - after).total_seconds())

    def is_over(self, batch_id: str) -> bool:
        """Whether the batch is final; False while nobody can tell."""
        rows = self._patiently("SELECT status FROM batches WHERE id = $1::uuid", batch_id[4:])
        return bool(rows) and rows[0]["status"] in FINAL

    def tell(self, fault: Fault, *, hold_s: float | None = None) -> Story:
        """One fault in one batch, from its start to its audit."""
        batch_id = self.started_batch()
        story = self.strike(fault, batch_id, hold_s=hold_s)
        story.findings.add(self.end(batch_id, holders_lived=fault.holders_live))
        rows = self.stack.sql("SELECT max(finished_at) AS at FROM jobs WHERE id = ANY($1)", story.in_hand)
        if rows[0]["at"] is not None:
            story.in_hand_s = max(0.0, (rows[0]["at"] - story.began).total_seconds())
        story.given_back = returned(self.stack, batch_id)
        return story

    def end(self, batch_id: str, *, holders_lived: bool = False) -> Findings:
        """Wait for the end of the batch, and audit it."""
        deadline = time.monotonic() + ENDS_WITHIN_S
        while not self.is_over(batch_id) and time.monotonic() < deadline:
            time.sleep(0.1)
        return audit(self.stack, batch_id, self.files, holders_lived=holders_lived)

    def _in_hand(self, batch_id: str) -> list[Any]:
        rows = self._patiently(
            "SELECT j.id FROM jobs j JOIN chunks c ON c.batch_id = j.batch_id AND j.seq BETWEEN c.lo AND c.hi"
            " WHERE j.batch_id = $1::uuid AND c.state = 'TAKEN' AND j.status = 'PENDING'",
            batch_id[4:],
        )
        return [row["id"] for row in rows]

    def _patiently(self, statement: str, *values: object) -> Sequence[Any]:
        """Rows; none while the database is away."""
        try:
            return self.stack.sql(statement, *values)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return []


def _now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def theatre(files: int, lines: int = 4_000, *, small_disk: bool = False) -> Iterator[Theatre]:
    """A fresh stack with a directory of so many distinct text files; everything is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="batchmill-chaos-") as folder:
        env = clock.environment(Path(folder))
        # It shall fill up, and not refuse uploads before it does.
        env |= {"BATCHMILL_STORAGE__MIN_FREE_BYTES": "0"} if small_disk else {}
        room = DISK_MB if small_disk else None
        stack = start_live_stack(Path(folder) / "data", env=env, disk_mb=room)
        try:
            install(stack)
            client = stack.client
            directory = client.beta.directories.create(name="chaos")
            for number in range(files):
                content = b"# File %d\n\n" % number + LINE * lines
                client.beta.directories.files.upload(
                    directory.id, upload_file=(f"{number:04}.html", b"<p>" + content + b"</p>")
                )
            yield Theatre(stack, directory.id, files)
        finally:
            stack.close()
