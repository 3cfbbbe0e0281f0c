"""Reads rows and blobs after a story: was anything lost, counted twice, stuck, or blamed on a file?"""

from dataclasses import dataclass, field

from tests.chaos.witness import taken_away
from tests.live_stack import FINAL, LiveStack


@dataclass
class Findings:
    """Sentences, by kind. `blamed` is a file that paid for a fault that was not its own; `taken` is work that
    was taken from a holder who lived, or a loss that was counted for him."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    blamed: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)

    def add(self, other: "Findings") -> None:
        """Take in what another audit found."""
        for name, found in vars(other).items():
            getattr(self, name).extend(found)

    @property
    def broken(self) -> bool:
        """Whether a promise was broken; blame is a fault of less weight."""
        return bool(self.lost or self.doubled or self.stuck or self.taken)

    def lines(self) -> list[str]:
        """All findings, each with its kind."""
        return [f"{kind}: {line}" for kind, found in vars(self).items() for line in found]


def audit(stack: LiveStack, batch_id: str, files: int, *, holders_lived: bool = False) -> Findings:
    """What is wrong with a batch over `files` good files that should have ended COMPLETED. `holders_lived`:
    no fault hurt a process that works, so nothing may have been taken away."""
    found, bare = Findings(), batch_id.removeprefix("bat-")
    rows = stack.sql("SELECT * FROM batches WHERE id = $1::uuid", bare)
    if not rows:
        found.lost.append(f"{batch_id} was acknowledged and is gone")
        return found
    batch = rows[0]
    if batch["status"] not in FINAL:
        due = "has no due time" if batch["wake_at"] is None else "did not end"
        found.stuck.append(f"{batch_id} is {batch['status']} and {due}")
        return found
    if batch["status"] != "COMPLETED":
        found.lost.append(f"{batch_id} ended {batch['status']}")
    _events(stack, bare, found)
    _files(stack, bare, files, found)
    _sums(stack, bare, found)
    if holders_lived:
        found.taken.extend(f"{bare}: {line}" for line in taken_away(stack, bare))
    return found


def _events(stack: LiveStack, bare: str, found: Findings) -> None:
    kinds = ["batch.completed", "batch.failed", "batch.cancelled"]
    rows = stack.sql(
        "SELECT kind FROM batch_events WHERE batch_id = $1::uuid AND kind = ANY($2::text[])", bare, kinds
    )
    if not rows:
        found.lost.append(f"{bare} ended without its event")
    if len(rows) > 1:
        found.doubled.append(f"{bare} has {len(rows)} final events")


def _files(stack: LiveStack, bare: str, files: int, found: Findings) -> None:
    jobs = stack.sql("SELECT * FROM jobs WHERE batch_id = $1::uuid", bare)
    different = {job["directory_file_id"] for job in jobs}
    if len(different) < files:
        found.lost.append(f"{bare}: {files - len(different)} files have no job")
    if len(jobs) > len(different):
        found.doubled.append(f"{bare}: {len(jobs) - len(different)} files have a second job")
    for job in jobs:
        if job["status"] == "COMPLETED":
            key = f"p/{job['project_id']}/r/{job['id']}/{job['token']}.json.zst"
            if job["reused_from"] is not None:
                # Its own end has no token; the story of who made the result audits that one.
                key = job["result_key"]
            if job["result_key"] != key:
                found.doubled.append(f"job {job['id']}: its result is not of the accepted token")
            elif not (stack.storage_dir / key).is_file():
                found.lost.append(f"job {job['id']}: its result is not in the storage")
        elif job["status"] == "FAILED":
            found.blamed.append(f"job {job['id']}: {job['error_code']}: {job['error_message']}")
        else:
            found.lost.append(f"job {job['id']} is {job['status']} in a batch that has ended")


def _sums(stack: LiveStack, bare: str, found: Findings) -> None:
    (row,) = stack.sql(
        "SELECT b.total, b.ok + b.failed + b.cancelled + b.unmapped AS summed,"
        " (SELECT count(*) FROM jobs WHERE batch_id = b.id) AS jobs,"
        " (SELECT count(*) FROM chunks WHERE batch_id = b.id) AS chunks FROM batches b WHERE id = $1::uuid",
        bare,
    )
    if row["summed"] > row["jobs"]:
        found.doubled.append(f"{bare} counts {row['summed']} ends of {row['jobs']} jobs")
    if row["summed"] < row["jobs"]:
        found.lost.append(f"{bare} counts {row['summed']} ends of {row['jobs']} jobs")
    if row["chunks"]:
        found.stuck.append(f"{bare} has ended and keeps {row['chunks']} chunks")
