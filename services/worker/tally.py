"""What this process brought to an end since its last heartbeat."""

from shared.workers.survey import Ended


class Tally:
    """Counts in memory; the heartbeat takes the counts along and adds them to the database's.

    A process that is killed loses the counts of its last five seconds: they feed graphs, never a decision.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], tuple[int, float]] = {}

    def count(self, job_type: str, status: str, seconds: float | None) -> None:
        """One more job; `seconds` is what the engine took."""
        jobs, before = self._counts.get((job_type, status), (0, 0.0))
        self._counts[(job_type, status)] = (jobs + 1, before + (seconds or 0.0))

    def take(self) -> list[Ended]:
        """The counts so far, which begin again at nothing."""
        taken, self._counts = self._counts, {}
        return [Ended(kind, status, jobs, seconds) for (kind, status), (jobs, seconds) in taken.items()]

    def put_back(self, taken: list[Ended]) -> None:
        """They did not reach the database."""
        for one in taken:
            jobs, seconds = self._counts.get((one.job_type, one.status), (0, 0.0))
            self._counts[(one.job_type, one.status)] = (jobs + one.jobs, seconds + one.seconds)
