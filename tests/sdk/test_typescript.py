"""The official TypeScript client against a running stack: every method of the resources around batches.

The stories are in `ts/*.test.ts`, one file a resource, checked by the compiler against the client's types.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live_stack import LiveStack, start_live_stack
from tests.patience import GIVES_UP_S

PACKAGE = Path(__file__).parent / "ts"
STORIES = {
    "batches",
    "configurations",
    "directories",
    "extract",
    "files",
    "parsing",
    "projects",
    "webhook-configs",
}
NODE_NEEDED = "Node.js 20 or newer with npm is needed to test the TypeScript client; see CONTRIBUTING.md."
INSTALL = ("install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


@dataclass(frozen=True)
class Built:
    """The package, installed and compiled."""

    node: str

    def run(self, *arguments: str, env: dict[str, str] | None = None, within_s: float = GIVES_UP_S) -> str:
        """What Node prints; fails with it when Node ends with an error."""
        outside = {k: v for k, v in os.environ.items() if not k.startswith(("BATCHMILL_", "LLAMA_", "NODE_"))}
        done = subprocess.run(
            [self.node, *arguments],
            cwd=PACKAGE,
            env={**outside, **(env or {})},
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"{done.stdout}\n{done.stderr}", pytrace=False)
        return done.stdout


def node_and_npm() -> tuple[str, str]:
    """Where they are; fails, and says what to install, when they are not."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.fail(NODE_NEEDED, pytrace=False)
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").split(".")[0]) < 20:
        pytest.fail(f"{NODE_NEEDED} This one is {version.strip()}.", pytrace=False)
    return node, npm


@pytest.fixture(scope="module")
def built() -> Built:
    """Installs when package.json has changed since the last time, and compiles."""
    node, npm = node_and_npm()
    wanted = hashlib.sha256((PACKAGE / "package.json").read_bytes()).hexdigest()
    stamp = PACKAGE / "node_modules" / ".installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(PACKAGE / "node_modules", ignore_errors=True)
        done = subprocess.run([npm, *INSTALL], cwd=PACKAGE, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.fail(f"npm could not install the client:\n{done.stderr}", pytrace=False)
        stamp.write_text(wanted)
    shutil.rmtree(PACKAGE / "build", ignore_errors=True)
    package = Built(node)
    package.run("node_modules/typescript/bin/tsc", "--project", ".")
    return package


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    live = start_live_stack(tmp_path_factory.mktemp("stack") / "data")
    yield live
    live.close()


def test_there_is_a_file_for_every_resource() -> None:
    assert {path.name.removesuffix(".test.ts") for path in PACKAGE.glob("*.test.ts")} == STORIES


def test_versions_are_exact_and_nothing_records_where_they_came_from() -> None:
    package = json.loads((PACKAGE / "package.json").read_text(encoding="utf-8"))
    versions = {**package["dependencies"], **package["devDependencies"]}
    assert [name for name, version in versions.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []
    assert versions["@llamaindex/llama-cloud"] == "2.16.0"
    assert not (PACKAGE / "package-lock.json").exists()


@pytest.mark.parametrize("story", sorted(STORIES))
def test_stories(built: Built, stack: LiveStack, story: str) -> None:
    said = built.run(
        "--enable-source-maps",
        "--test",
        "--test-reporter=spec",
        f"build/{story}.test.js",
        env={
            "LLAMA_CLOUD_BASE_URL": stack.base_url,
            "LLAMA_CLOUD_API_KEY": stack.key("project"),
            "BATCHMILL_OPERATOR_KEY": stack.key("operator"),
        },
    )
    assert "every method was driven" in said
    assert re.search(r"^\S* ?(fail|skipped|todo|cancelled) [1-9]", said, re.MULTILINE) is None, said
