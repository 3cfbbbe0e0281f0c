"""Every fault alone, so many times: how soon the next file ends, and whether anything is lost.

    python -m tests.chaos.table --runs 10 [--long-runs 3] [--only "kill worker"] [--files 1500]

One stack, and one on a small disk for the fault that fills it. The runs are interleaved: a slow minute
of the machine meets all faults alike, and no part dies five times a minute. Faults longer than a lease run
`--long-runs` times. Where other workers go on meanwhile, something is left to do afterwards only in a longer
batch: more `--files`.
"""

import argparse
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence

from tests.chaos.auditor import Findings
from tests.chaos.faults import FAULTS, LONG_FAULTS, Fault
from tests.chaos.story import Story, Theatre, theatre

FILES = 100


def print_table(stories: dict[str, list[Story]]) -> None:
    """One line a fault, in Markdown."""
    print(
        "| fault | runs | next end: median s | max s | in hand: median s | max s | given back | lost |",
        end="",
    )
    print(" doubled | stuck | blamed | taken |")
    print("| --- " * 12 + "|")
    for name, runs in stories.items():
        figures = (
            f"{_figures([run.recovery_s for run in runs])} | {_figures([run.in_hand_s for run in runs])}"
        )
        figures += f" | {sum(len(run.given_back) for run in runs)}"
        total = Findings()
        for story in runs:
            total.add(story.findings)
        counts = " | ".join(str(len(found)) for found in vars(total).values())
        print(f"| {name} | {len(runs)} | {figures} | {counts} |")


def _figures(measured: Sequence[float | None]) -> str:
    seconds = [one for one in measured if one is not None]
    return f"{statistics.median(seconds):.2f} | {max(seconds):.2f}" if seconds else "- | -"


def act(scene: Theatre, due: Sequence[tuple[int, Fault]], stories: dict[str, list[Story]]) -> None:
    """Tell a story of each fault, and say at once what came of it."""
    for number, fault in due:
        story = scene.tell(fault)
        stories[fault.name].append(story)
        print(
            f"run {number + 1}: {fault.name}: {story.recovery_s} {story.in_hand_s}",
            *sorted(set(story.given_back)),
            *story.findings.lines()[:5],
            flush=True,
        )


def main() -> None:
    """Run, print the table and all findings; exit 1 when a promise was broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--long-runs", type=int, default=None, help="default: a third of --runs, at least 1")
    parser.add_argument("--only", default="", help="faults whose name matches this regular expression")
    parser.add_argument("--files", type=int, default=FILES, help=f"in each batch; default: {FILES}")
    options = parser.parse_args()
    long_runs = max(1, options.runs // 3) if options.long_runs is None else options.long_runs
    runs = [
        (number, fault)
        for number in range(max(options.runs, long_runs))
        for fault in (*FAULTS, *LONG_FAULTS)
        if re.search(options.only, fault.name)
        and number < (long_runs if fault in LONG_FAULTS else options.runs)
    ]
    stories: dict[str, list[Story]] = defaultdict(list)
    for small_disk in (False, True):
        due = [(number, fault) for number, fault in runs if fault.small_disk is small_disk]
        if due:
            with theatre(options.files, small_disk=small_disk) as scene:
                act(scene, due, stories)
    print_table(stories)
    sys.exit(any(story.findings.broken for runs in stories.values() for story in runs))


if __name__ == "__main__":
    main()
