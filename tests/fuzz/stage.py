"""What a fuzzing run meets: a project on a running stack with some of every thing, another one that may be
emptied, and an operator."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx

ADMIN: Final = "/api/v1/admin"
FAST: Final = {"product_type": "parse_v2", "tier": "fast", "version": "latest"}
SCHEMA: Final = {"data_schema": {"type": "object", "properties": {"total": {"type": "number"}}}}
TO_SPEND: Final = 10
Ids = Mapping[str, list[str]]


@dataclass(frozen=True)
class Stage:
    """Who may enter, and the ids of what lies there, by the name of the path parameter that takes them."""

    base_url: str
    operator_key: str
    project_key: str
    kept: Ids
    """No request ends these: without them the rest of the run would see nothing but refusals."""
    spent: Ids
    """These are there to be ended."""

    def save(self, file: Path) -> None:
        """For the process that sends the requests."""
        file.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, file: Path) -> "Stage":
        """What `save` wrote."""
        return cls(**json.loads(file.read_text()))


def made(http: httpx.Client, path: str, **sent: Any) -> dict[str, Any]:
    """The thing that a request made."""
    found = http.post(path, **sent)
    assert found.is_success, found.text
    return dict(found.json())


def set_up(base_url: str, operator_key: str) -> Stage:
    """Everything is made anew: a second stage on the same stack knows nothing of the first."""
    with httpx.Client(base_url=base_url, headers=bearer(operator_key), timeout=60) as admin:
        project, key_id, key = _project(admin, "kept")
        with httpx.Client(base_url=base_url, headers=bearer(key), timeout=60) as http:
            kept = {**_things(http, 2), "project_id": [project], "key_id": [key_id]}
            spent = _things(http, TO_SPEND)
        operator = made(admin, f"{ADMIN}/keys", json={"name": "o", "role": "operator"})
        victims = [_project(admin, "victim") for _ in range(TO_SPEND)]
        kept["key_id"].append(str(operator["id"]))
        kept["worker_id"] = [row["id"] for row in admin.get(f"{ADMIN}/workers").json()["items"]]
        spent["project_id"] = [project for project, _, _ in victims]
        spent["key_id"] = [key_id for _, key_id, _ in victims]
    return Stage(base_url, str(operator["token"]), key, kept, spent)


def bearer(key: str) -> dict[str, str]:
    """The headers of whoever holds the key. Schemathesis takes it away by this very spelling."""
    return {"Authorization": f"Bearer {key}"}


def _project(admin: httpx.Client, name: str) -> tuple[str, str, str]:
    project = made(admin, f"{ADMIN}/projects", json={"name": f"{name} {uuid4().hex}"})["id"]
    key = made(admin, f"{ADMIN}/keys", json={"name": "k", "role": "project", "project_id": project})
    return str(project), str(key["id"]), str(key["token"])


def _things(http: httpx.Client, how_many: int) -> dict[str, list[str]]:
    found = [_one_of_each(http) for _ in range(how_many)]
    return {name: [one[name] for one in found] for name in found[0]}


def _one_of_each(http: httpx.Client) -> dict[str, str]:
    directory = made(http, "/api/v1/beta/directories", json={"name": "d"})["id"]
    upload = f"/api/v1/beta/directories/{directory}/files/upload"
    text = f"Invoice {uuid4()}\nTotal: 12.50 EUR\n".encode()
    entry = made(http, upload, files={"upload_file": ("a.txt", text)})
    named = {"name": uuid4().hex, "parameters": FAST}
    config = made(http, "/api/v1/beta/configurations", json=named)["id"]
    job = {"type": "parse_v2", "configuration_id": config}
    batch = made(http, "/api/v2/batches", json={"source_directory_id": directory, "config": {"job": job}})
    fast = {"tier": "fast", "version": "latest"}
    parse = made(http, "/api/v2/parse", json={"file_id": entry["file_id"], **fast})
    extract = made(http, "/api/v2/extract", json={"file_input": entry["file_id"], "configuration": SCHEMA})
    return {
        "directory_id": directory,
        "directory_file_id": entry["id"],
        "file_id": entry["file_id"],
        "config_id": config,
        "batch_id": batch["id"],
        "parse_job_id": parse["id"],
        "extract_job_id": extract["id"],
    }
