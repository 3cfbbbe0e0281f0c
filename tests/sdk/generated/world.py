"""Real objects for the literal ids of the client's own tests.

Nothing starts while they run: both lanes are held, so what is made can still be cancelled. What is only read
was finished before that, so that answers are full ones.
"""

import asyncio
from typing import Any, Self
from uuid import uuid4

import httpx

FINAL = {"COMPLETED", "FAILED", "CANCELLED"}
SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}}
PARSE = {"tier": "fast", "version": "latest"}
PRESET = "cfg-PARSE_FAST"
WITHIN_S = 60.0


class World:
    """Makes objects in the project of a key."""

    def __init__(self, base_url: str, project_key: str, operator_key: str) -> None:
        self._http = httpx.AsyncClient(base_url=base_url, timeout=60, headers=_bearer(project_key))
        self._operator = _bearer(operator_key)
        self.project_id = ""
        self.organization_id = ""
        self.finished: dict[str, str] = {}
        self.kept: dict[str, str] = {}

    async def open(self) -> Self:
        """Finishes what will be read, then holds the lanes."""
        (project,) = await self.ask("GET", "/api/v1/projects")
        self.project_id, self.organization_id = project["id"], project["organization_id"]
        await self._hold(None)
        parse, extract, batch = await self.parse_job(), await self.extract_job(), await self.batch()
        self.finished = {"parse": parse, "extract": extract, "batches": batch}
        for kind, made in self.finished.items():
            assert await self._end_of(kind, made) == "COMPLETED"
        directory = await self.directory()
        self.kept = {
            "directory": directory,
            "directory_file": await self.directory_file(directory),
            "file": await self.file(),
            "configuration": await self.extract_configuration(),
            "webhook": await self.webhook_configuration(),
        }
        await self._hold({"reason": "generated tests"})
        await self._fill_lists()
        return self

    async def close(self) -> None:
        """Lets the lanes go on."""
        await self._hold(None)
        await self._http.aclose()

    async def next_page(self, path: str, query: list[tuple[str, str]]) -> str | None:
        """The token of the second page of a list with these filters; None when it has one page only."""
        ours = [(name, value) for name, value in query if name not in ("page_token", "page_size")]
        answer = await self._http.get(path, params=[*ours, ("page_size", "1")])
        return str(answer.json()["next_page_token"] or "") or None if answer.is_success else None

    async def _fill_lists(self) -> None:
        """Two of what their filters can find, so that there is a second page."""
        for _ in range(2):
            await self._made("/api/v1/beta/directories", json={"name": "name", "type": "ephemeral"})
            await self.webhook_configuration()
        await self.extract_configuration("name")
        await self.classify_configuration("name")

    async def _hold(self, hold: dict[str, str] | None) -> None:
        for job_type in ("parse_v2", "extract_v2"):
            lane = f"/api/v1/admin/projects/{self.project_id}/lanes/{job_type}"
            await self.ask("PUT", lane, json={"hold": hold}, headers=self._operator)

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        """The body of an answer that must be a good one."""
        answer = await self._http.request(method, path, **more)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Whatever the stack answers."""
        return await self._http.send(request)

    def request(self, method: str, path: str, **more: Any) -> httpx.Request:
        return self._http.build_request(method, path, **more)

    async def directory(self) -> str:
        return await self._made("/api/v1/beta/directories", json={"name": "generated"})

    async def directory_file(self, directory_id: str) -> str:
        parts = {"upload_file": (f"{uuid4()}.txt", _words())}
        return await self._made(f"/api/v1/beta/directories/{directory_id}/files/upload", files=parts)

    async def filled_directory(self) -> str:
        directory_id = await self.directory()
        await self.directory_file(directory_id)
        return directory_id

    async def file(self) -> str:
        parts = {"file": (f"{uuid4()}.txt", _words())}
        return await self._made("/api/v1/beta/files", files=parts, data={"purpose": "parse"})

    async def parse_configuration(self) -> str:
        return await self._configuration("for parsing", {"product_type": "parse_v2", **PARSE})

    async def extract_configuration(self, name: str = "to extract") -> str:
        return await self._configuration(name, {"product_type": "extract_v2", "data_schema": SCHEMA})

    async def classify_configuration(self, name: str | None = None) -> str:
        rules = [{"type": "invoice", "description": "has a total"}]
        parameters = {"product_type": "classify_v2", "rules": rules}
        return await self._configuration(name or f"to classify {uuid4()}", parameters)

    async def webhook_configuration(self) -> str:
        hook = {"webhook_url": "https://example.com/webhooks/generated"}
        return await self._made("/api/v1/beta/webhook-configs", json=hook)

    async def batch(self) -> str:
        job = {"type": "parse_v2", "configuration_id": PRESET}
        body = {"source_directory_id": await self.filled_directory(), "config": {"job": job}}
        return await self._made("/api/v2/batches", json=body)

    async def parse_job(self) -> str:
        body = {**PARSE, "file_id": await self.file(), "disable_cache": True}
        return await self._made("/api/v2/parse", json=body)

    async def extract_job(self) -> str:
        body = {"file_input": await self.file(), "configuration": {"data_schema": SCHEMA}}
        return await self._made("/api/v2/extract", json=body)

    async def cancelled(self, kind: str) -> str:
        """A job of its own that is final."""
        made = await (self.parse_job() if kind == "parse" else self.extract_job())
        await self.ask("POST", f"/api/v2/{kind}/{made}/cancel")
        assert await self._end_of(kind, made) == "CANCELLED"
        return made

    async def _configuration(self, name: str, parameters: dict[str, Any]) -> str:
        body = {"name": name, "parameters": parameters}
        return await self._made("/api/v1/beta/configurations", json=body)

    async def _made(self, path: str, **more: Any) -> str:
        return str((await self.ask("POST", path, **more))["id"])

    async def _end_of(self, kind: str, made: str) -> str:
        async with asyncio.timeout(WITHIN_S):
            while True:
                found = await self.ask("GET", f"/api/v2/{kind}/{made}")
                status = str(found.get("job", found)["status"])
                if status in FINAL:
                    return status
                await asyncio.sleep(0.1)


def _words() -> bytes:
    """A document of its own: what was read before with the same options is done at once, held lane or not."""
    return f"Invoice {uuid4()}\n\nTotal: 12.50\n".encode()


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
