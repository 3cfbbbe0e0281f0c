"""Settings: given, kept by a live stack, or missing with words that help."""

import stat
from pathlib import Path

import pytest

from shared.config import Database, MissingSetting, Settings


def test_given_wins_over_kept(tmp_path: Path) -> None:
    (tmp_path / "database-url").write_text("kept\n")
    assert Settings(data_dir=tmp_path).database_url() == "kept"
    given = Settings(
        data_dir=tmp_path, database=Database.model_validate({"url": "postgresql://u:s3cret@h/d"})
    )
    assert given.database_url() == "postgresql://u:s3cret@h/d"
    assert "s3cret" not in repr(given)


def test_what_is_missing_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(MissingSetting, match="BATCHMILL_BROKER__URL"):
        Settings(data_dir=tmp_path).broker_url()


def test_the_signing_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first = Settings(data_dir=tmp_path / "data").signing_key()
    assert len(first) >= 32
    assert Settings(data_dir=tmp_path / "data").signing_key() == first
    assert stat.S_IMODE((tmp_path / "data" / "secret-key").stat().st_mode) == 0o600


def test_groups_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHMILL_WORKER__CONCURRENCY", "7")
    monkeypatch.setenv("BATCHMILL_STORAGE__URL", "s3://bucket/folder")
    settings = Settings()
    assert settings.worker.concurrency == 7
    assert settings.storage_url() == "s3://bucket/folder"
