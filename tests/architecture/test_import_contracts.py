"""Each import contract of pyproject.toml is broken on purpose: a contract nobody can break guards nothing."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.sources import PACKAGES, ROOT

CONTRACTS: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "tool"
]["importlinter"]["contracts"]
NAMES: dict[str, str] = {contract["id"]: contract["name"] for contract in CONTRACTS}

# contract, file to write or add to, line to put there
BREAKS = [
    ("services", "shared/queue/offence.py", "import services.api"),
    ("services", "services/api/offence.py", "import services.worker"),
    ("services", "services/worker/engines/offence.py", "import services.api"),
    ("services", "services/local/offence.py", "import services.cli"),
    ("rooms", "shared/errors.py", "import shared.ids"),
    ("rooms", "shared/queue/offence.py", "import shared.db.base"),
    ("rooms", "shared/jobs/offence.py", "import shared.batches.model"),
    ("rooms", "shared/directories/offence.py", "import shared.lanes.model"),
    ("rooms", "shared/files/offence.py", "import shared.projects.model"),
    ("rooms", "shared/db/offence.py", "import shared.storage.port"),
    ("rooms", "shared/offence.py", ""),
    ("ranks", "shared/jobs/lifecycle.py", "import shared.jobs.model"),
    ("ranks", "shared/jobs/repository.py", "import shared.jobs.service"),
    ("ranks", "shared/batches/service.py", "import shared.batches.advance"),
    ("ranks", "shared/batches/advance.py", "import shared.batches.dispatch"),
    ("ranks", "shared/workers/survey.py", "import shared.workers.operating"),
    ("ranks", "shared/lanes/offence.py", ""),
    ("statements", "shared/batches/repository.py", "import shared.jobs.repository"),
    ("statements", "shared/jobs/repository.py", "import shared.lanes.service"),
    ("statements", "shared/jobs/ledger.py", "import shared.lanes.repository"),
    ("storage-ports", "shared/storage/port.py", "import shared.storage.object_store"),
    ("outbound", "shared/outbound/addresses.py", "import shared.outbound.targets"),
    ("pages", "services/api/batches.py", "import services.api.directories"),
    ("pages", "services/api/dependencies.py", "import services.api.health"),
    ("pages", "services/api/admin/keys.py", "import services.api.projects"),
    ("export", "services/api/export/names.py", "import services.api.export.lines"),
    ("export", "services/api/export/offence.py", ""),
    ("admin-pages", "services/api/admin/keys.py", "import services.api.admin.projects"),
    ("console", "services/api/console/batch.py", "import services.api.console.overview"),
    ("console", "services/api/console/drawing.py", "import services.api.console.visitors"),
    ("worker", "services/worker/engines/offence.py", "import services.worker.runtime"),
    ("worker", "services/worker/runtime.py", "import services.worker.tasks.work"),
    ("worker", "services/worker/offence.py", ""),
    ("worker", "services/worker/llm/pieces.py", "import services.worker.runtime"),
    ("llm", "services/worker/llm/grounding.py", "import services.worker.llm.pieces"),
    ("chat", "shared/chat/answers.py", "import shared.chat.endpoint"),
    ("tasks", "services/worker/tasks/work.py", "import services.worker.tasks.orchestrate"),
    ("engines", "services/worker/engines/text.py", "import services.worker.engines.liteparse"),
    ("engines", "services/worker/engines/port.py", "import services.worker.engines.sandbox"),
    ("office", "services/worker/engines/office/pages.py", "import services.worker.engines.office.engine"),
    ("rules", "services/worker/engines/rules/words.py", "import services.worker.engines.rules.engine"),
    ("engine-names", "services/worker/runtime.py", "import services.worker.engines.liteparse"),
    ("sql", "shared/jobs/service.py", "import sqlalchemy"),
    ("sql", "shared/jobs/operating.py", "import sqlalchemy"),
    ("sql", "shared/batches/advance.py", "from sqlalchemy import text"),
    ("sql", "services/api/health.py", "from sqlalchemy.ext.asyncio import AsyncSession"),
    ("celery", "services/worker/tasks/work.py", "import celery"),
    ("celery", "shared/queue/messages.py", "import celery"),
    ("web", "shared/errors.py", "import fastapi"),
    ("web", "services/worker/runtime.py", "import starlette"),
    ("parsers", "services/api/health.py", "import liteparse"),
    ("parsers", "shared/jobs/service.py", "import markdownify"),
    ("settings", "shared/jobs/service.py", "import shared.config"),
    ("settings", "services/api/batches.py", "import shared.config"),
    ("adapters", "shared/jobs/service.py", "import shared.storage.object_store"),
    ("adapters", "services/api/app.py", "import shared.queue.celery_queue"),
    ("circles", "shared/queue/messages.py", "import shared.queue.celery_queue"),
]


def lint(tree: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    chosen = [part for contract in contracts for part in ("--contract", contract)]
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", *chosen],
        cwd=tree,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},  # the linter wraps long names
    )


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources alone, in a folder that a test may spoil. The linter keeps its cache there too."""
    tree = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


@pytest.fixture
def tree(copied: Path) -> Iterator[Path]:
    """The same folder, put right again after each test."""
    before = {path: path.read_text(encoding="utf-8") for path in copied.rglob("*.py")}
    yield copied
    for path in copied.rglob("*.py"):
        if path not in before:
            path.unlink()
        elif path.read_text(encoding="utf-8") != before[path]:
            path.write_text(before[path], encoding="utf-8")


def test_the_tree_keeps_every_contract(tree: Path) -> None:
    result = lint(tree)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(CONTRACTS)} kept, 0 broken" in result.stdout


@pytest.mark.parametrize(("contract", "file", "line"), BREAKS, ids=[f"{c}: {f}" for c, f, _ in BREAKS])
def test_an_offence_is_named(tree: Path, contract: str, file: str, line: str) -> None:
    path = tree / file
    # After the module's docstring and imports, so that the file stays a valid module.
    path.write_text(
        (path.read_text(encoding="utf-8") if path.exists() else "") + f"\n{line}\n", encoding="utf-8"
    )
    result = lint(tree, contract)
    assert f"{NAMES[contract]} BROKEN" in result.stdout, result.stdout + result.stderr
    assert result.returncode == 1


def test_every_contract_is_broken_once() -> None:
    assert {contract for contract, _, _ in BREAKS} == set(NAMES)


def test_migrations_know_nothing_but_the_tables() -> None:
    """alembic/ is no package, so the linter does not see it. A migration must still run in ten years:
    it imports no code of ours; env.py imports the tables only."""
    from tests.architecture.sources import imports_of, python_files, relative

    ours = {
        relative(path): sorted(
            name for name in imports_of(path) if name.split(".")[0] in (*PACKAGES, "tests")
        )
        for path in python_files("alembic")
    }
    assert ours.pop("alembic/env.py") == ["shared.tables"]
    assert not {file: names for file, names in ours.items() if names}
