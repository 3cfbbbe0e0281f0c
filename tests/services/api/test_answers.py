"""Statuses and bodies of what goes wrong, and what surrounds every answer."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from services.api.error_handlers import STATUS
from shared import errors
from shared.config import Settings
from shared.db import migrations
from shared.queue.messages import Advance
from shared.storage.port import StorageDown
from shared.wiring import Resources
from tests.conftest import Server
from tests.twins import HeardBells

DIRECTORIES = "/api/v1/beta/directories"
BATCHES = "/api/v2/batches"


async def test_what_is_not_ours_says_so(http: httpx.AsyncClient) -> None:
    for method, path in (
        ("GET", "/"),
        ("GET", "/api/v1/pipelines"),
        ("POST", "/api/v2/parse/pjb-x/retry"),
        ("GET", DIRECTORIES + "/"),
        ("POST", BATCHES + "/"),
    ):
        found = await http.request(method, path)
        assert found.status_code == 404
        assert found.json() == {
            "detail": f"{method} {path} is not part of this server; see /docs/compatibility"
        }


@pytest.mark.parametrize(
    ("pages", "prefix"),
    [
        (DIRECTORIES, "dir"),
        (BATCHES, "bat"),
        ("/api/v2/parse", "pjb"),
        ("/api/v2/extract", "ext"),
    ],
)
async def test_an_unknown_id_is_told_as_it_is_written(
    http: httpx.AsyncClient, pages: str, prefix: str
) -> None:
    shown = f"{prefix}-019e8a52-6a3e-7c62-9b1d-3a4a1f0f9e11"
    found = await http.get(f"{pages}/{shown}")
    assert (found.status_code, shown in found.text) == (404, True), found.text


async def test_an_answer_has_the_id_of_its_request(http: httpx.AsyncClient) -> None:
    own = await http.get("/health", headers={"x-request-id": "my-id.1"})
    assert own.headers["x-request-id"] == "my-id.1"
    for odd in ("a b", "x" * 65, "a\tb"):
        given = (await http.get("/health", headers={"x-request-id": odd})).headers["x-request-id"]
        assert given not in ("", odd)
    refused = await http.get("/nowhere", headers={"x-request-id": "r"})
    assert refused.headers["x-request-id"] == "r"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, ["body", "name"]),
        ({"name": ""}, ["body", "name"]),
        ({"name": 1}, ["body", "name"]),
        ({"name": "d", "type": "index"}, ["body", "type"]),
        ({"name": "d", "expires_at": "0001-01-01T00:00:00+14:00"}, ["body", "expires_at"]),
        ([], ["body"]),
        ("{", ["body", 1]),
        ('{"name": NaN}', ["body", "name"]),
        (b'{"name": "\xff"}', None),
        ('{"name": "\\ud800"}', ["body", "name"]),
        ("[" * 200_000, None),
    ],
)
async def test_a_body_of_another_form_is_told_where(
    http: httpx.AsyncClient, body: Any, where: list[Any] | None
) -> None:
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    found = await http.post(DIRECTORIES, content=content, headers={"content-type": "application/json"})
    if where is None:
        assert found.status_code in (400, 422)
        return
    assert found.status_code == 422
    first = found.json()["detail"][0]
    assert first["loc"] == where
    assert {"type", "loc", "msg", "input"} == set(first)


async def test_a_large_json_body_is_413(http: httpx.AsyncClient) -> None:
    found = await http.post(DIRECTORIES, json={"name": "d", "description": "x" * (9 << 20)})
    assert found.status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a\x00b"},
        {"name": "d", "description": "\x00"},
        {"name": "d", "system_metadata": {"a": "\x00"}},
    ],
)
async def test_what_cannot_be_stored_is_400(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    found = await http.post(DIRECTORIES, json=body)
    assert (found.status_code, "NUL" in found.text) == (400, True)


async def test_a_name_of_a_configuration_that_cannot_be_stored_is_named(http: httpx.AsyncClient) -> None:
    pages = "/api/v1/beta/configurations"
    body = {"name": "a", "parameters": {"product_type": "parse_v2", "tier": "fast", "version": "latest"}}
    made = (await http.post(pages, json=body)).json()["id"]
    for found in (
        await http.post(pages, json={**body, "name": "a\x00b"}),
        await http.put(f"{pages}/{made}", json={"name": "a\x00b"}),
    ):
        assert (found.status_code, found.json()["detail"][:5]) == (400, "name:"), found.text


async def test_text_in_filters_cannot_break_a_query(http: httpx.AsyncClient) -> None:
    made = (await http.post(DIRECTORIES, json={"name": "d"})).json()["id"]
    for path, name in (
        (DIRECTORIES, "name"),
        ("/api/v1/beta/files", "file_name"),
        ("/api/v1/beta/files", "external_file_id"),
        ("/api/v1/beta/files", "file_ids"),
        ("/api/v1/beta/configurations", "name"),
        (BATCHES, "source_directory_id"),
        ("/api/v2/parse", "job_ids"),
        ("/api/v1/projects", "project_name"),
        (f"{DIRECTORIES}/{made}/files", "display_name_contains"),
        (f"{DIRECTORIES}/{made}/files", "file_id"),
    ):
        for odd in ("%00", "%ff", "%27%3b--", "%ed%a0%80", "%25_"):
            found = await http.get(f"{path}?{name}={odd}")
            assert found.status_code in (200, 400), (path, name, odd, found.text)


async def test_odd_numbers_and_times(http: httpx.AsyncClient) -> None:
    for query, status in (
        ("page_size=0", 200),
        ("page_size=-5", 200),
        ("page_size=99999999999999999999", 200),
        ("page_size=", 200),
        ("page_size=x", 422),
        ("status=", 200),
        ("status=pending", 422),
        ("status=RUNNING", 200),
        ("created_at_on_or_after=2026-01-01T00:00:00", 200),
        ("created_at_on_or_after=2026-01-01T00:00:00+02:00", 200),
        ("created_at_on_or_after=2026-01-01T00:00:00Z", 200),
        ("created_at_on_or_after=9999-12-31T23:59:59-14:00", 422),
        ("created_at_on_or_after=0001-01-01T00:00:00", 200),
        ("created_at_on_or_before=yesterday", 422),
        ("created_at_on_or_before=1767225600", 422),
        ("created_at_on_or_before=0.5", 422),
        ("created_at_on_or_before=20260101", 422),
    ):
        found = await http.get(f"{BATCHES}?{query}")
        assert found.status_code == status, (query, found.text)


async def test_a_time_without_offset_is_utc(http: httpx.AsyncClient) -> None:
    end = "2100-01-01T00:00:00"
    made = await http.post(DIRECTORIES, json={"name": "d", "expires_at": end})
    assert made.json()["expires_at"] == end + "Z"


@pytest.mark.parametrize("end", [4102444800, 4102444800.5, "4102444800", True, ["2100-01-01T00:00:00"]])
async def test_a_number_is_no_time(http: httpx.AsyncClient, end: Any) -> None:
    found = await http.post(DIRECTORIES, json={"name": "d", "expires_at": end})
    assert found.status_code == 422
    assert found.json()["detail"][0]["loc"] == ["body", "expires_at"]
    assert "2026-01-31T12:00:00Z" in found.json()["detail"][0]["msg"]


async def test_webhooks_that_cannot_be_told_are_refused(http: httpx.AsyncClient) -> None:
    made = (await http.post(DIRECTORIES, json={"name": "d"})).json()["id"]
    job = {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}
    good: dict[str, Any] = {"source_directory_id": made, "config": {"job": job}}
    hooks: list[tuple[dict[str, Any], int]] = [
        ({"webhook_configurations": [{"webhook_url": "http://127.0.0.1/"}]}, 400),
        ({"webhook_configurations": [{}]}, 422),
        ({"webhook_configurations": [{"webhook_url": "https://x"}] * 11}, 422),
        ({"webhook_configuration_ids": ["whc-x"]}, 404),
        ({"webhook_configuration_ids": ["whc-x"] * 5}, 422),
    ]
    for hook, status in hooks:
        assert (await http.post(BATCHES, json={**good, **hook})).status_code == status
    nothing: list[dict[str, Any]] = [{"webhook_configurations": []}, {"webhook_configuration_ids": None}]
    for none in nothing:
        assert (await http.post(BATCHES, json={**good, **none})).status_code == 201


async def test_a_create_that_is_refused_rings_nothing(http: httpx.AsyncClient, bells: HeardBells) -> None:
    made = (await http.post(DIRECTORIES, json={"name": "d"})).json()["id"]
    for config, status in (("cfg-PARSE_SLOW", 404), ("cfg-PARSE_FAST", 201)):
        job = {"type": "parse_v2", "configuration_id": config}
        body = {"source_directory_id": made, "config": {"job": job}}
        assert (await http.post(BATCHES, json=body)).status_code == status
    assert len(bells.heard(Advance)) == 1


def test_every_kind_of_refusal_has_a_status() -> None:
    kinds = {k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.ServiceError)}
    assert kinds - {errors.ServiceError} == set(STATUS)


class TestTrouble:
    async def test_a_database_that_is_away_is_503(self, settings: Settings, bells: HeardBells) -> None:
        away = "postgresql+asyncpg://nobody@127.0.0.1:1/none"
        server = Server(
            settings.model_copy(update={"database": type(settings.database).model_validate({"url": away})}),
            bells,
        )
        await server.start()
        try:
            async with httpx.AsyncClient(base_url=server.url) as http:
                found = await http.get(DIRECTORIES, headers={"authorization": "Bearer x"})
                assert (found.status_code, found.headers["retry-after"]) == (503, "2")
                assert "127.0.0.1" not in found.text
                assert (await http.get("/health")).status_code == 200
                ready = await http.get("/ready")
                assert (ready.status_code, ready.json()["checks"]["database"]) == (503, "unreachable")
        finally:
            await server.stop()

    async def test_a_connection_that_is_cut_is_503_and_then_well_again(
        self, http: httpx.AsyncClient, resources: Resources
    ) -> None:
        async def cut() -> None:
            async with resources.unit_of_work() as uow:
                await uow.session.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )

        assert (await http.get(DIRECTORIES)).status_code == 200
        await cut()
        # A connection that worked a moment ago is not asked whether it lives: one request may meet the dead.
        assert (await http.get(DIRECTORIES)).status_code in (200, 503)
        assert (await http.get(DIRECTORIES)).status_code == 200

    async def test_a_commit_that_fails_is_an_error(
        self, http: httpx.AsyncClient, resources: Resources, bells: HeardBells
    ) -> None:
        made = (await http.post(DIRECTORIES, json={"name": "d"})).json()["id"]
        async with resources.unit_of_work() as uow:
            await uow.session.execute(
                text(
                    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                    " $$ BEGIN RAISE EXCEPTION 'no %', 'secret'; END $$"
                )
            )
            await uow.session.execute(
                text(
                    "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON batches"
                    " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
                )
            )
            await uow.commit()
        try:
            job = {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}
            body = {"source_directory_id": made, "config": {"job": job}}
            found = await http.post(BATCHES, json=body, headers={"x-request-id": "trace-me"})
        finally:
            async with resources.unit_of_work() as uow:
                await uow.session.execute(text("DROP FUNCTION refuse() CASCADE"))
                await uow.commit()
        assert found.status_code == 500
        assert "trace-me" in found.json()["detail"]
        assert "secret" not in found.text
        assert bells.rung == []

    async def test_a_storage_that_is_down_is_503(
        self, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def down(*_: Any) -> int:
            raise StorageDown("the bucket s3://secret is away")

        made = (await http.post(DIRECTORIES, json={"name": "d"})).json()["id"]
        monkeypatch.setattr("shared.storage.object_store.ObjectStore.put", down)
        found = await http.post(f"{DIRECTORIES}/{made}/files/upload", files={"upload_file": b"x"})
        assert (found.status_code, "secret" in found.text) == (503, False)
        ready = await http.get("/ready")
        assert (ready.status_code, ready.json()["checks"]["storage"]) == (503, "unusable")

    async def test_a_broker_that_is_away_degrades(self, http: httpx.AsyncClient, bells: HeardBells) -> None:
        assert (await http.get("/ready")).json()["status"] == "ok"
        bells.broker_up = False
        ready = await http.get("/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")

    async def test_a_schema_of_the_past_is_not_ready_and_of_the_future_is(
        self, http: httpx.AsyncClient, resources: Resources
    ) -> None:
        async def pretend(revision: str) -> None:
            async with resources.unit_of_work() as uow:
                await uow.session.execute(
                    text("UPDATE alembic_version SET version_num = :r"), {"r": revision}
                )
                await uow.commit()

        head = migrations.head()
        try:
            for revision, status in (("0000", 503), ("9999", 200)):
                await pretend(revision)
                assert (await http.get("/ready")).status_code == status
        finally:
            await pretend(head)


async def test_odd_keys_are_told_too(http: httpx.AsyncClient) -> None:
    body = '{"tier": "fast", "version": "latest", "\\ud800": 1, "source_url": "\\ud800"}'
    found = await http.post("/api/v2/parse", content=body, headers={"content-type": "application/json"})
    assert found.status_code == 422


async def test_a_flood_of_wrong_values_is_refused_in_few_words(http: httpx.AsyncClient) -> None:
    fields = {"file_id": "x", "tier": "fast", "version": "latest"}
    for wrong, code, words in ((1_000, 422, 50), (90_000, 422, 50), (200_000, 400, None)):
        body = {**fields, "processing_options": {"ocr_parameters": {"languages": [0] * wrong}}}
        found = await http.post("/api/v2/parse", json=body)
        assert found.status_code == code
        assert words is None or len(found.json()["detail"]) == words
        assert len(found.content) < 50_000
