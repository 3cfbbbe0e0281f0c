"""Every fault alone, so many times: how soon the next file ends, and whether anything is lost.

    python -m tests.chaos.table --runs 10 [--long-runs 3] [--only "kill worker"]

One stack. The runs are interleaved, so that a slow minute of the machine meets all faults alike and no part
dies five times a minute. Faults longer than a lease run `--long-runs` times.
"""

import argparse
import statistics
import sys
from collections import defaultdict

from tests.chaos.auditor import Findings
from tests.chaos.faults import FAULTS, LONG_FAULTS, Fault
from tests.chaos.story import Story, Theatre, theatre

FILES = 100


def told(theatre_: Theatre, fault: Fault) -> Story:
    """One fault in one batch."""
    batch_id = theatre_.started_batch()
    story = theatre_.strike(fault, batch_id)
    story.findings.add(theatre_.end(batch_id))
    return story


def print_table(stories: dict[str, list[Story]]) -> None:
    """One line a fault, in Markdown."""
    print("| fault | runs | recovery, median s | max s | lost | doubled | stuck | blamed |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, runs in stories.items():
        seconds = [story.recovery_s for story in runs if story.recovery_s is not None]
        figures = f"{statistics.median(seconds):.2f} | {max(seconds):.2f}" if seconds else "- | -"
        total = Findings()
        for story in runs:
            total.add(story.findings)
        counts = " | ".join(str(len(found)) for found in vars(total).values())
        print(f"| {name} | {len(runs)} | {figures} | {counts} |")


def main() -> None:
    """Run, print the table and all findings; exit 1 when a promise was broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--long-runs", type=int, default=None, help="default: a third of --runs, at least 1")
    parser.add_argument("--only", default="", help="faults whose name holds this")
    options = parser.parse_args()
    long_runs = max(1, options.runs // 3) if options.long_runs is None else options.long_runs
    stories: dict[str, list[Story]] = defaultdict(list)
    with theatre(FILES) as scene:
        for number in range(max(options.runs, long_runs)):
            due = (*FAULTS, *LONG_FAULTS) if number < long_runs else FAULTS
            for fault in due:
                if options.only in fault.name and (number < options.runs or fault in LONG_FAULTS):
                    story = told(scene, fault)
                    stories[fault.name].append(story)
                    print(
                        f"run {number + 1}: {fault.name}: {story.recovery_s}",
                        *story.findings.lines()[:5],
                        flush=True,
                    )
    print_table(stories)
    sys.exit(any(story.findings.broken for runs in stories.values() for story in runs))


if __name__ == "__main__":
    main()
