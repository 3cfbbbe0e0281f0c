"""Settings: given, kept by a live stack, or missing with words that help."""

import stat
from collections import Counter
from pathlib import Path

import pytest

from shared.config import Database, MissingSetting, Settings, Storage
from shared.storage.by_reference import FileTrouble, NotAllowedHere, Reference
from shared.wiring import open_sources


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


@pytest.mark.parametrize(
    ("text", "roots"),
    [
        ("/srv/a, s3://bucket/b,", ["/srv/a", "s3://bucket/b"]),
        ('["/srv/with, comma"]', ["/srv/with, comma"]),
        ("", []),
    ],
)
def test_roots_are_typed_with_commas_or_as_json(
    monkeypatch: pytest.MonkeyPatch, text: str, roots: list[str]
) -> None:
    monkeypatch.setenv("BATCHMILL_STORAGE__ROOTS", text)
    assert Settings().storage.roots == roots


def test_a_root_that_is_no_place_names_the_variable(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, storage=Storage(roots=["papers"]))
    with pytest.raises(MissingSetting, match=r"BATCHMILL_STORAGE__ROOTS.*'papers'"):
        open_sources(settings)


async def test_our_own_keys_and_blobs_are_closed_whatever_the_roots_say(tmp_path: Path) -> None:
    (tmp_path / "data" / "storage").mkdir(parents=True)
    (tmp_path / "blobs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    storage = Storage(url=(tmp_path / "blobs").as_uri(), roots=[str(tmp_path)])
    sources = open_sources(Settings(data_dir=tmp_path / "data", storage=storage))
    for closed in ("data", "data/storage", "blobs", "link"):
        with pytest.raises(NotAllowedHere):
            await sources.admit(str(tmp_path / closed))
    url = await sources.admit(str(tmp_path))
    (tmp_path / "data" / "operator-key").write_text("secret")
    (tmp_path / "blobs" / "blob").touch()
    (tmp_path / "paper").touch()
    seen = [one.path async for page in sources.sightings(url, Counter()) for one in page]
    assert seen == ["paper"]
    key = (tmp_path / "data" / "operator-key").stat()
    secret = Reference(f"{url}/data/operator-key", key.st_size, str(key.st_mtime_ns))
    with pytest.raises(FileTrouble, match="BATCHMILL_STORAGE__ROOTS"):
        await sources.copy(secret, tmp_path / "copy")
