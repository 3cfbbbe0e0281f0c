"""Runs of schemathesis against a stage: as a project, and as an operator."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.fuzz.stage import ADMIN, Stage, bearer

ROOT: Final = Path(__file__).parents[2]
CONFIG: Final = Path(__file__).with_name("schemathesis.toml")
LIKELY: Final = 0.7
# Where ids go; path parameters have the names under which the stage keeps them.
PLACES: Final = {
    "query.project_id": "project_id",
    "query.source_directory_id": "directory_id",
    "query.directory_id": "directory_id",
    "query.file_id": "file_id",
    "query.file_ids": "file_id",
    "query.file_input": "file_id",
    "query.configuration_id": "config_id",
    "query.batch_id": "batch_id",
    "query.key_id": "key_id",
    "body.project_id": "project_id",
    "body.source_directory_id": "directory_id",
    "body.directory_id": "directory_id",
    "body.file_id": "file_id",
    "body.file_input": "file_id",
    "body.configuration_id": "config_id",
    "body.config.job.configuration_id": "config_id",
}


@dataclass(frozen=True)
class Session:
    """One kind of caller, and the pages it is sent to."""

    name: str
    key: str
    pages: tuple[str, str]


@dataclass
class Tally:
    """What came of the sessions."""

    answers: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    @property
    def calls(self) -> int:
        return self.answers.total()

    @property
    def failures_of_the_server(self) -> int:
        return sum(number for status, number in self.answers.items() if status.startswith("5"))


def sessions_of(stage: Stage) -> Sequence[Session]:
    """A project on the pages of projects; an operator on its own pages, then on those of projects."""
    return (
        Session("project", stage.project_key, ("--exclude-path-regex", f"^{ADMIN}/")),
        Session("operator", stage.operator_key, ("--include-path-regex", f"^{ADMIN}/")),
    )


def run(stage: Stage, folder: Path, *, seed: int, examples: int) -> Tally:
    """All sessions, one after the other: `examples` requests an operation, and the edges of each value."""
    folder.mkdir(parents=True, exist_ok=True)
    stage.save(folder / "stage.json")
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG.read_text() + _dictionaries(stage))
    tally = Tally()
    for session in sessions_of(stage):
        said = folder / f"{session.name}.txt"
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"),
            *(f"{stage.base_url}/openapi.json", "--no-color", f"--seed={seed}"),
            *(f"--max-examples={examples}", *session.pages),
            *(f"--header={name}: {value}" for name, value in bearer(session.key).items()),
        ]
        counts = folder / f"{session.name}.json"
        env = {
            **os.environ,
            "FUZZ_STAGE": str(folder / "stage.json"),
            "FUZZ_TALLY": str(counts),
            "COLUMNS": "150",
        }
        with said.open("wb") as out:
            done = subprocess.run(
                command, cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT, check=False
            )
        tally.answers.update(json.loads(counts.read_text()))
        if done.returncode:
            tally.findings.append(f"{session.name}, seed {seed}:\n{_of_interest(said.read_text())}")
    return tally


def _dictionaries(stage: Stage) -> str:
    known = {**stage.kept, "job_id": stage.kept["parse_job_id"] + stage.kept["extract_job_id"]}
    places = {**{f"path.{name}": name for name in known}, **PLACES}
    return "\n".join(
        [
            *(f"{name} = {{ values = {json.dumps(values)} }}" for name, values in known.items()),
            "[parameters]",
            *(
                f'"{place}" = {{ dictionary = "{name}", probability = {LIKELY} }}'
                for place, name in places.items()
            ),
            "",
        ]
    )


def _of_interest(text: str) -> str:
    """The part of what was said that tells of findings."""
    found = re.search(r"^=+ (FAILURES|ERRORS) =+$", text, re.MULTILINE)
    return text[found.start() if found else 0 :]
