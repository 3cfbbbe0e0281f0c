"""The Dockerfiles, read line by line: what an image is made of, and who runs it."""

import json
import re
import shlex
import tomllib

import pytest

from tests.deploy.files import IMAGES, ROOT, copies, environment, stages

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
ALLOWED = {
    "ARG",
    "CMD",
    "COPY",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "RUN",
    "STOPSIGNAL",
    "USER",
    "WORKDIR",
}


@pytest.fixture(params=IMAGES)
def image(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_bases_have_exact_tags(image: str) -> None:
    for stage in stages(image):
        assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", stage.base)
    assert len({stage.base for stage in stages(image)}) == 1, "the environment would not fit its Python"


def test_only_known_instructions_stand_there(image: str) -> None:
    """No ADD, which fetches addresses and unpacks archives; no SHELL, no VOLUME."""
    assert {word for stage in stages(image) for word, _ in stage.steps} <= ALLOWED


def test_it_runs_as_nobody_in_particular(image: str) -> None:
    last = stages(image)[-1]
    (user,) = last.all("USER")
    uid, gid = map(int, user.split(":"))
    assert uid > 1000
    assert gid > 1000
    (made,) = last.all("RUN")
    assert f"-o {uid} -g {gid}" in made
    words = [word for word, _ in last.steps]
    assert words.index("USER") > max(n for n, word in enumerate(words) if word in {"RUN", "COPY"})


def test_what_is_copied_exists_and_is_not_ignored(image: str) -> None:
    kept = {line.removeprefix("!") for line in IGNORED if line.startswith("!")}
    assert IGNORED[1] == "*"
    for stage in stages(image):
        for origin, sources, _ in copies(stage):
            if origin is not None:
                assert origin in {other.name for other in stages(image)}
                continue
            for source in sources:
                assert (ROOT / source).exists(), source
                assert source in kept, source


def test_the_source_is_whole(image: str) -> None:
    sources = {name for origin, names, _ in copies(stages(image)[-1]) if origin is None for name in names}
    assert {"services", "shared", "alembic", "pyproject.toml"} <= sources


def test_it_is_installed_with_its_own_extra_and_our_versions(image: str) -> None:
    (run,) = stages(image)[0].all("RUN")
    words = shlex.split(run)
    assert words[words.index("--constraint") + 1] == "constraints.txt"
    assert words[words.index("--editable") + 1] == f".[{image}]"
    assert image in PROJECT["optional-dependencies"]


def test_its_command_is_ours_and_on_the_path(image: str) -> None:
    last = stages(image)[-1]
    (command,) = last.all("CMD")
    program, subcommand, *_ = json.loads(command)
    assert program in PROJECT["scripts"]
    assert subcommand == image
    assert environment(last)["PATH"].startswith("/opt/batchmill/bin:")
    assert environment(last)["PYTHONUNBUFFERED"] == "1"


def test_it_tells_how_it_is_and_how_to_end_it(image: str) -> None:
    last = stages(image)[-1]
    assert last.all("STOPSIGNAL") == ["SIGTERM"]
    (check,) = last.all("HEALTHCHECK")
    probe = json.loads(check.partition(" CMD ")[2])
    assert probe
    if image == "worker":
        assert probe[-1] == environment(last)["BATCHMILL_READY_FILE"]


def test_no_secret_is_baked_in(image: str) -> None:
    for stage in stages(image):
        assert not [name for name in environment(stage) if re.search("PASSWORD|SECRET|KEY|TOKEN", name)]
