"""`make fuzz SEEDS="1 2 3" EXAMPLES=50`: for each seed, requests drawn from the OpenAPI document.

Writes build/fuzz.json, also when it fails. Exit code 0 when nothing was found.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from tests.fuzz import sessions
from tests.fuzz.sessions import Tally
from tests.fuzz.stage import set_up
from tests.live_stack import start_live_stack

REPORT = Path("build/fuzz.json")


def main() -> int:
    """Each seed has a stage of its own on the one stack."""
    seeds = [int(seed) for seed in os.environ.get("SEEDS", "1").split()]
    examples = int(os.environ.get("EXAMPLES", "50"))
    total = Tally()
    with tempfile.TemporaryDirectory() as folder:
        stack = start_live_stack(Path(folder) / "data")
        try:
            for seed in seeds:
                stage = set_up(stack.base_url, stack.key("operator"))
                found = sessions.run(stage, Path(folder) / str(seed), seed=seed, examples=examples)
                print(f"seed {seed}: {found.calls} calls, {dict(sorted(found.answers.items()))}", flush=True)
                total.answers.update(found.answers)
                total.findings += found.findings
            log = (stack.data_dir / "logs" / "api.log").read_text()
        finally:
            stack.close()
    unexpected = [line for line in log.splitlines() if "unexpected exception" in line]
    REPORT.parent.mkdir(exist_ok=True)
    told = {"seeds": seeds, "calls": total.calls, "answers": total.answers, "findings": total.findings}
    REPORT.write_text(json.dumps({**told, "unexpected": unexpected}, indent=1))
    print("\n\n".join([*total.findings, *unexpected]))
    return 1 if total.findings or unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
