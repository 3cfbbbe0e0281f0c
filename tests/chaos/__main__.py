"""`make chaos SEEDS="1 2 3"`: for each seed one batch that runs under faults drawn by it.

Writes build/chaos.json, also when it fails. Exit code 0 when nothing was lost, doubled or stuck.
"""

import json
import os
import random
import statistics
import sys
from collections import Counter
from pathlib import Path

from tests.chaos.auditor import Findings
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.story import Theatre, theatre

FILES = 200
FAULTS_A_SEED = 5
REPORT = Path("build/chaos.json")


def drawn(seed: int) -> list[Fault]:
    """The faults of a seed, in their order; none twice, and no part so often that its stack gives up."""
    chosen: list[Fault] = []
    possible = [fault for fault in FAULTS if not fault.small_disk]
    for fault in random.Random(seed).sample(possible, len(possible)):
        if not fault.part or fault.part not in {other.part for other in chosen}:
            chosen.append(fault)
    return chosen[:FAULTS_A_SEED]


class Report:
    """What is written to build/chaos.json."""

    def __init__(self, seeds: list[int]) -> None:
        self.seeds = seeds
        self.faults: Counter[str] = Counter()
        self.recoveries: list[float] = []
        self.findings = Findings()
        self.trouble: list[str] = []

    def run(self, scene: Theatre, seed: int) -> None:
        """One seed: its batch, its faults, its audit."""
        batch_id, holders_lived = scene.started_batch(), True
        for fault in drawn(seed):
            if scene.is_over(batch_id):
                self.findings.add(scene.end(batch_id, holders_lived=holders_lived))
                batch_id, holders_lived = scene.started_batch(), True
            holders_lived = holders_lived and fault.holders_live
            story = scene.strike(fault, batch_id)
            self.faults[fault.name] += 1
            self.findings.add(story.findings)
            if story.recovery_s is not None:
                self.recoveries.append(story.recovery_s)
            print(f"seed {seed}: {fault.name}: {story.recovery_s}", flush=True)
        self.findings.add(scene.end(batch_id, holders_lived=holders_lived))

    def write(self) -> None:
        """The file; a percentile of nothing is null."""
        ordered = sorted(self.recoveries)
        REPORT.parent.mkdir(exist_ok=True)
        found = self.findings
        REPORT.write_text(
            json.dumps(
                {
                    "seeds": self.seeds,
                    "faults": dict(self.faults),
                    "lost": len(found.lost),
                    "doubled": len(found.doubled),
                    "stuck": len(found.stuck),
                    "taken_away": len(found.taken),
                    "recovery_p50_s": statistics.median(ordered) if ordered else None,
                    "recovery_p99_s": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
                    if ordered
                    else None,
                    "recovery_max_s": ordered[-1] if ordered else None,
                    "findings": [*found.lines(), *self.trouble],
                },
                indent=2,
            )
            + "\n"
        )


def main() -> None:
    """Run all seeds on one stack."""
    report = Report([int(seed) for seed in (sys.argv[1:] or os.environ.get("SEEDS", "1 2 3").split())])
    try:
        with theatre(FILES) as scene:
            for seed in report.seeds:
                report.run(scene, seed)
    except BaseException as error:
        report.trouble.append(f"not finished: {error!r}")
        raise
    finally:
        report.write()
    print(*report.findings.lines(), f"written to {REPORT}", sep="\n")
    sys.exit(report.findings.broken)


if __name__ == "__main__":
    main()
