"""What `batchmill doctor` sees of a data folder on which nothing serves."""

import os
from pathlib import Path

from services.cli.checks import stack
from services.local.data_dir import DataDir
from shared.config import Settings


async def test_an_unused_folder_is_fine(tmp_path: Path) -> None:
    found = await stack(Settings(data_dir=tmp_path / "none"))
    assert found.ok


async def test_a_stack_that_holds_the_folder_without_serving_is_named(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.make()
    with data.held():
        found = await stack(Settings(data_dir=tmp_path))
    assert str(os.getpid()) in found.detail
    assert str(data.logs) in found.advice


async def test_data_of_another_version_of_postgresql_is_named(tmp_path: Path) -> None:
    version = tmp_path / "postgres" / "data" / "PG_VERSION"
    version.parent.mkdir(parents=True)
    version.write_text("17\n")
    found = await stack(Settings(data_dir=tmp_path))
    assert "written by PostgreSQL 17" in found.advice
