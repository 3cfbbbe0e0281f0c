"""What lies in deploy/, read by our own means: the tests need no Docker."""

import re
import shlex
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
IMAGES = ("api", "worker")

_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?:(:?[-?])([^}]*))?\}")


@dataclass
class Stage:
    """A stage of a Dockerfile: its base, its name, and its instructions in order."""

    base: str
    name: str = ""
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """The arguments of every such instruction."""
        return [arguments for word, arguments in self.steps if word == instruction]


@cache
def stages(image: str) -> list[Stage]:
    """The stages of deploy/<image>.Dockerfile."""
    text = (DEPLOY / f"{image}.Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found: list[Stage] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, arguments = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = arguments.partition(" AS ")
            found.append(Stage(base, name))
        elif word:
            found[-1].steps.append((word, arguments.strip()))
    return found


def copies(stage: Stage) -> list[tuple[str | None, list[str], str]]:
    """Each COPY as (stage it copies from, sources, target)."""
    found = []
    for arguments in stage.all("COPY"):
        words = shlex.split(arguments)
        options = [word for word in words if word.startswith("--")]
        names = [word for word in words if not word.startswith("--")]
        origin = next((o.removeprefix("--from=") for o in options if o.startswith("--from=")), None)
        found.append((origin, names[:-1], names[-1]))
    return found


def environment(stage: Stage) -> dict[str, str]:
    """What ENV sets."""
    return dict(word.split("=", 1) for arguments in stage.all("ENV") for word in shlex.split(arguments))


@cache
def compose() -> Any:
    """deploy/compose.yaml, with its anchors and merges resolved and its variables left as they are."""
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def variables(text: str) -> list[tuple[str, str, str]]:
    """Each variable that compose puts into a text: name, operator, and what stands behind the operator."""
    return [(m[1], m[2] or "", m[3] or "") for m in _VARIABLE.finditer(text)]


def filled(text: str, values: dict[str, str]) -> str:
    """The text as compose would hand it on. Raises `KeyError` for what must be set and is not."""

    def value(match: re.Match[str]) -> str:
        name, operator, rest = match[1], match[2] or "", match[3] or ""
        if values.get(name):
            return values[name]
        if "?" in operator:
            raise KeyError(name)
        return rest if "-" in operator else ""

    return _VARIABLE.sub(value, text).replace("$$", "$")


def settings_of(service: str, values: dict[str, str]) -> dict[str, str]:
    """The environment of a service; a name without a value is handed on when it is set."""
    found: dict[str, str] = {}
    for name, text in compose()["services"][service].get("environment", {}).items():
        if text is not None:
            found[name] = filled(str(text), values)
        elif name in values:
            found[name] = values[name]
    return found


def documented() -> dict[str, str]:
    """The names of example.env: with a value that must be filled in, or behind `# ` with an example."""
    lines = (DEPLOY / "example.env").read_text(encoding="utf-8").splitlines()
    found = (re.fullmatch(r"(?:# )?([A-Z][A-Z0-9_]*)=(.*)", line) for line in lines)
    return {match[1]: match[2] for match in found if match is not None}


def required() -> set[str]:
    """The names of example.env that must be filled in."""
    lines = (DEPLOY / "example.env").read_text(encoding="utf-8").splitlines()
    return {line.removesuffix("=") for line in lines if re.fullmatch(r"[A-Z][A-Z0-9_]*=", line)}
