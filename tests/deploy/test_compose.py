"""compose.yaml and example.env: valid, complete, true to the settings, and closed where they should be."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from services.cli.queues import KNOWN_QUEUES
from services.local.valkey import valkey_binary
from shared import __version__
from shared.config import Settings
from tests.architecture.test_documents import settings_of as known_settings
from tests.deploy.files import DEPLOY, IMAGES, compose, documented, filled, required, settings_of, variables

TEXT = "\n".join(
    line
    for line in (DEPLOY / "compose.yaml").read_text(encoding="utf-8").splitlines()
    if not line.lstrip().startswith("#")
)
SERVICES: dict[str, Any] = compose()["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
FILLED = dict.fromkeys(required(), "a" * 32)
EXACT = re.compile(r"[\w./-]+:\d+\.\d+(\.\d+)?(-[\w.]+)?$")


def handed_on() -> set[str]:
    return {
        name
        for service in SERVICES.values()
        for name, value in service.get("environment", {}).items()
        if value is None
    }


def against_the_schema(path: Path) -> subprocess.CompletedProcess[str]:
    """The official schema of the Compose specification, as a package brings it: nothing is fetched."""
    tool = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    return subprocess.run([*tool, str(path)], capture_output=True, text=True, check=False)


def test_it_is_valid_by_the_schema_of_the_specification() -> None:
    done = against_the_schema(DEPLOY / "compose.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_refuses_what_is_wrong(tmp_path: Path) -> None:
    broken = tmp_path / "compose.yaml"
    broken.write_text((DEPLOY / "compose.yaml").read_text().replace("restart:", "restarted:", 1))
    assert against_the_schema(broken).returncode == 1


def test_docker_agrees_where_it_is() -> None:
    """Asks the Docker client too, which needs no engine for this; our own reading is in every other test."""
    try:
        asked = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    except FileNotFoundError:
        return
    if asked.returncode != 0:
        return
    command = ["docker", "compose", "-f", str(DEPLOY / "compose.yaml"), "config", "--quiet"]
    done = subprocess.run(
        command, env={"PATH": "/usr/bin:/bin:/usr/local/bin", **FILLED}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_parts_are_there() -> None:
    assert set(SERVICES) == {"postgres", "valkey", "migrate", "api", "orchestrate", "worker", "upkeep"}
    assert {service["build"]["dockerfile"] for service in OURS.values()} == {
        f"deploy/{image}.Dockerfile" for image in IMAGES
    }


def test_images_have_exact_tags_and_ours_that_of_the_version() -> None:
    for name, service in SERVICES.items():
        if "build" in service:
            assert service["image"].split(":")[1] == __version__
        else:
            assert EXACT.match(service["image"]), name


def test_every_variable_is_documented_and_nothing_else_is() -> None:
    used = {name for name, _, _ in variables(TEXT)} | handed_on()
    assert used == set(documented())


def test_every_setting_is_a_real_one() -> None:
    known = {name for name, _ in known_settings(Settings)}
    said = set(documented()) | {n for s in SERVICES.values() for n in s.get("environment", {})}
    assert {name for name in said if name.startswith("BATCHMILL_")} - known == set()


def test_no_password_has_a_default_and_each_missing_one_is_named() -> None:
    secret = [(name, op) for name, op, _ in variables(TEXT) if re.search("PASSWORD|SECRET_KEY|API_KEY", name)]
    assert {name for name, _ in secret} == required()
    assert {operator for _, operator in secret} == {":?"}
    for missing in required():
        rest = {name: value for name, value in FILLED.items() if name != missing}
        with pytest.raises(KeyError, match=missing):
            filled(TEXT, rest)


def test_defaults_are_what_example_env_says() -> None:
    told = documented()
    for name, operator, default in variables(TEXT):
        if operator == ":-" and default and name != "BATCHMILL_STORAGE__URL":
            assert told[name] == default, name


@pytest.mark.parametrize("name", OURS)
def test_settings_are_understood_by_the_program(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings_of(name, FILLED)
    for key, value in given.items():
        monkeypatch.setenv(key, value)
    settings = Settings()
    assert settings.database_url().startswith("postgresql+asyncpg://batchmill:aaaa")
    assert settings.database_url().endswith("@postgres:5432/batchmill")
    assert settings.broker_url().endswith("@valkey:6379/0")
    assert settings.storage_url() == "file:///var/lib/batchmill/storage"


def test_every_example_is_understood_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {**documented(), **FILLED}.items():
        if key.startswith("BATCHMILL_") and value:
            monkeypatch.setenv(key, value)
    assert Settings().extract.engine == "openai"


@pytest.mark.parametrize("name", OURS)
def test_commands_are_ours(name: str) -> None:
    command = SERVICES[name].get("command")
    if command is None:
        return
    assert command[0] == "batchmill"
    assert command[1] == {"orchestrate": "worker"}.get(name, name)
    if command[1] == "worker":
        assert set(command[3].split(",")) <= set(KNOWN_QUEUES)


def test_every_queue_has_a_worker_and_orchestrate_one_of_its_own() -> None:
    queues = [s["command"][3].split(",") for s in OURS.values() if s.get("command", [0, 0])[1] == "worker"]
    assert sorted(name for some in queues for name in some) == sorted(KNOWN_QUEUES)
    assert ["orchestrate"] in queues


def test_nobody_starts_before_the_schema_is_there() -> None:
    for name, service in OURS.items():
        conditions = {who: how["condition"] for who, how in service["depends_on"].items()}
        if name == "migrate":
            assert conditions == {"postgres": "service_healthy"}
            assert service["restart"] == "no"
        else:
            assert conditions == {"migrate": "service_completed_successfully", "valkey": "service_healthy"}
            assert service["restart"] == "unless-stopped"


def test_whoever_checks_the_storage_has_it_at_the_same_path() -> None:
    for name, service in OURS.items():
        if name != "migrate":
            assert "storage:/var/lib/batchmill" in service["volumes"]


@pytest.mark.parametrize("name", OURS)
def test_ours_are_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "user", "cap_add", "network_mode", "pid"} & service.keys()


def test_only_the_api_can_be_reached_and_only_from_this_host_unless_said() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["api"]
    assert [filled(port, {}) for port in SERVICES["api"]["ports"]] == ["127.0.0.1:8000:8000"]
    assert compose()["networks"]["inside"] == {"internal": True}
    assert [name for name, s in SERVICES.items() if "outside" in s["networks"]] == ["api", "upkeep"]


def test_the_broker_takes_its_options() -> None:
    """The command as the shell will see it, told to our own Valkey: each option is one it knows."""
    script = filled(SERVICES["valkey"]["command"][2], {}).replace('"$VALKEY_PASSWORD"', "secret")
    options = shlex.split(script.removeprefix("exec valkey-server "))
    done = subprocess.run(
        [valkey_binary(), "--port", "0", *options, "--unixsocket", "/dev/null/nowhere"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert "Bad directive" not in done.stdout + done.stderr
    assert "FATAL CONFIG FILE ERROR" not in done.stdout + done.stderr
