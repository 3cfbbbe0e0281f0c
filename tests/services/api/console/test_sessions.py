"""Who may look: sessions, their end, and requests that another site makes a browser send."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from services.api.wrong_keys import BURST
from shared.config import Api, Settings
from shared.wiring import Resources
from tests.conftest import Server, Tenant
from tests.services.api.console.conftest import CONSOLE, COOKIE, FillBatch, SignIn
from tests.services.api.console.routes import NO_BATCH, READS, WRITES
from tests.twins import HeardBells


async def sql(resources: Resources, statement: str, **values: Any) -> Any:
    async with resources.unit_of_work() as uow:
        found: Any = await uow.session.execute(text(statement), values)
        rows = found.all() if found.returns_rows else []
        await uow.commit()
    return rows


def test_the_routes_are_known() -> None:
    assert len(WRITES) >= 10
    assert len(READS) >= 8


async def test_a_key_opens_a_session_and_is_never_seen_again(
    browser: Callable[[], httpx.AsyncClient], tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    one = browser()
    answer = await one.post(f"{CONSOLE}/login", data={"key": f"  {tenant.key} ", "next": f"{CONSOLE}/new"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{CONSOLE}/new")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/console", "max-age=43200"} <= parts
    assert "secure" not in parts  # over plain HTTP it would never be sent
    pages = [await one.get(path) for path in (CONSOLE, f"{CONSOLE}/new", f"{CONSOLE}/login")]
    assert [page.status_code for page in pages] == [200, 200, 200]
    token = one.cookies[COOKIE]
    for secret in (tenant.key, token):
        assert secret not in caplog.text
        assert not any(secret in page.text for page in pages)
    assert tenant.key not in cookie


async def test_the_cookie_is_secure_behind_https(
    settings: Settings, bells: HeardBells, tenant: Tenant
) -> None:
    given = settings.model_copy(update={"api": Api(public_url="https://mill.example")})
    server = Server(given, bells)
    await server.start()
    async with httpx.AsyncClient(base_url=server.url, headers={"origin": "https://mill.example"}) as one:
        answer = await one.post(f"{CONSOLE}/login", data={"key": tenant.key})
    await server.stop()
    assert "; secure" in answer.headers["set-cookie"].lower()


async def test_a_session_is_no_key(ours: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    token = ours.cookies[COOKIE]
    batches = "/api/v2/batches"
    for headers in ({"authorization": f"Bearer {token}"}, {"cookie": f"session={token}"}):
        assert (await anonymous.get(batches, headers=headers)).status_code == 401


async def test_what_is_stored_opens_nothing(ours: httpx.AsyncClient, resources: Resources) -> None:
    ((stored,),) = await sql(resources, "SELECT encode(hash, 'hex') FROM console_sessions")
    assert ours.cookies[COOKIE] not in stored
    async with httpx.AsyncClient(base_url=ours.base_url, cookies={COOKIE: stored}) as thief:
        assert (await thief.get(CONSOLE)).status_code == 303


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE api_keys SET revoked_at = now()",
        "UPDATE api_keys SET expires_at = now() - interval '1 s'",
        "UPDATE console_sessions SET expires_at = now()",
    ],
)
async def test_a_session_ends_with_its_key_or_its_time(
    ours: httpx.AsyncClient, resources: Resources, end: str
) -> None:
    assert (await ours.get(CONSOLE)).status_code == 200
    await sql(resources, end)
    answer = await ours.get(f"{CONSOLE}/new?a=b")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{CONSOLE}/login?next=%2Fconsole%2Fnew%3Fa%3Db&ended=1"
    form = await ours.get(answer.headers["location"])
    assert "Your session is over" in form.text
    assert 'value="/console/new?a=b"' in form.text


async def test_sign_out_ends_the_session_and_no_other(sign_in: SignIn, tenant: Tenant) -> None:
    here, there = await sign_in(tenant.key), await sign_in(tenant.key)
    token = here.cookies[COOKIE]
    answer = await here.post(f"{CONSOLE}/logout")
    assert answer.headers["location"] == f"{CONSOLE}/login"
    assert COOKIE not in here.cookies
    here.cookies.set(COOKIE, token, path=CONSOLE)
    assert (await here.get(CONSOLE)).status_code == 303
    assert (await there.get(CONSOLE)).status_code == 200


async def test_whoever_signs_in_anew_leaves_no_session_behind(
    ours: httpx.AsyncClient, tenant: Tenant, resources: Resources
) -> None:
    first = ours.cookies[COOKIE]
    # A wrong key ends nothing.
    assert (await ours.post(f"{CONSOLE}/login", data={"key": "bmk_wrong"})).status_code == 401
    assert (await ours.get(CONSOLE)).status_code == 200
    await ours.post(f"{CONSOLE}/login", data={"key": tenant.key})
    assert ours.cookies[COOKIE] != first
    assert await sql(resources, "SELECT count(*) FROM console_sessions") == [(1,)]


async def test_sessions_that_are_over_are_forgotten(
    sign_in: SignIn, tenant: Tenant, resources: Resources
) -> None:
    for _ in range(3):
        await sign_in(tenant.key)
    await sql(resources, "UPDATE console_sessions SET expires_at = now() - interval '1 s'")
    await sign_in(tenant.key)
    assert await sql(resources, "SELECT count(*) FROM console_sessions") == [(1,)]


async def test_wrong_keys_are_told_and_slowed_down(
    browser: Callable[[], httpx.AsyncClient], tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    one = browser()
    tries = [f"bmk_{n}" for n in range(BURST + 5)]
    answers = [await one.post(f"{CONSOLE}/login", data={"key": key}) for key in tries]
    assert [answer.status_code for answer in answers] == [401] * BURST + [429] * 5
    assert "unknown, revoked or expired" in answers[0].text
    assert 'role="alert"' in answers[0].text
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert not any(key in page.text for page, key in zip(answers, tries, strict=True))
    # The allowance is that of the API, and a right key is let in all the same.
    headers = {"authorization": "Bearer bmk_x"}
    assert (await one.get("/api/v2/batches", headers=headers)).status_code == 429
    assert (await one.post(f"{CONSOLE}/login", data={"key": tenant.key})).status_code == 303
    assert not any(key in caplog.text for key in tries)


async def test_a_key_of_an_operator_is_refused_with_a_reason(
    browser: Callable[[], httpx.AsyncClient], operator_key: str
) -> None:
    answer = await browser().post(f"{CONSOLE}/login", data={"key": operator_key})
    assert answer.status_code == 403
    assert "Sign in with a project" in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/console",
        "//evil.example/console",
        "/\\evil.example",
        "/console/../api",
        "/console\r\nx: y",
        "/api/v2/batches",
        "/consoles",
        "javascript:alert(1)",
        "",
    ],
)
async def test_signing_in_leads_nowhere_else(
    browser: Callable[[], httpx.AsyncClient], tenant: Tenant, target: str
) -> None:
    answer = await browser().post(f"{CONSOLE}/login", data={"key": tenant.key, "next": target})
    assert (answer.status_code, answer.headers["location"]) == (303, CONSOLE)


@pytest.mark.parametrize("path", READS)
async def test_a_page_is_for_those_who_signed_in(anonymous: httpx.AsyncClient, path: str) -> None:
    answer = await anonymous.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{CONSOLE}/login?next=%2Fconsole")
    assert "ended" not in answer.headers["location"]
    part = await anonymous.get(path, headers={"hx-request": "true", "hx-current-url": f"http://x{CONSOLE}/y"})
    assert part.status_code == 401
    assert part.headers["hx-redirect"] == f"{CONSOLE}/login?next=%2Fconsole%2Fy"
    assert part.content == b""
    script = await anonymous.get(path, headers={"accept": "application/json"})
    assert (script.status_code, script.json().keys()) == (401, {"detail"})


FOREIGN: list[dict[str, str]] = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": "cross-site", "origin": "ours"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": ""},
    {},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_what_another_site_sends_is_refused(
    ours: httpx.AsyncClient, filled: FillBatch, resources: Resources, api_url: str, headers: dict[str, str]
) -> None:
    batch_id = await filled([])
    before = await sql(resources, "SELECT to_jsonb(b)::text FROM batches b")
    sent = {name: api_url if value == "ours" else value for name, value in headers.items()}
    del ours.headers["origin"]
    for path in WRITES:
        real = path.replace(NO_BATCH, batch_id)
        answer = await ours.post(real, data={"name": "x"}, headers=sent)
        assert answer.status_code == 403, (real, answer.text)
        assert "did not come from a page of this console" in answer.text
    assert await sql(resources, "SELECT to_jsonb(b)::text FROM batches b") == before
    assert await sql(resources, "SELECT count(*) FROM directories") == [(1,)]
    assert (await ours.get(CONSOLE)).status_code == 200  # nobody was signed out


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "same-origin"}, {"origin": "ours"}], ids=str)
async def test_what_comes_from_here_is_done(
    ours: httpx.AsyncClient, filled: FillBatch, api_url: str, headers: dict[str, str]
) -> None:
    batch_id = await filled([])
    del ours.headers["origin"]
    sent = {name: api_url if value == "ours" else value for name, value in headers.items()}
    answer = await ours.post(f"{CONSOLE}/batches/{batch_id}/pause", headers=sent)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{CONSOLE}/batches/{batch_id}")


async def test_requests_of_a_session_count_for_its_key(
    settings: Settings, bells: HeardBells, tenant: Tenant, resources: Resources
) -> None:
    await sql(resources, "UPDATE api_keys SET requests_per_minute = 6, request_burst = 2")
    # Without a Redis the process counts by itself.
    counting = {**settings.model_dump(), "broker": {"url": "amqp://guest:guest@127.0.0.1:1//"}}
    server = Server(Settings.model_validate(counting), bells)
    await server.start()
    async with httpx.AsyncClient(base_url=server.url, headers={"origin": server.url}, timeout=60) as one:
        await one.post(f"{CONSOLE}/login", data={"key": tenant.key})
        answers = [await one.get(CONSOLE) for _ in range(3)]
    await server.stop()
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert "Too many requests" in answers[-1].text


async def test_it_can_be_turned_off(settings: Settings, bells: HeardBells, tenant: Tenant) -> None:
    off = settings.console.model_copy(update={"enabled": False})
    server = Server(settings.model_copy(update={"console": off}), bells)
    await server.start()
    async with httpx.AsyncClient(base_url=server.url, headers={"origin": server.url}, timeout=60) as one:
        answers = [
            await one.get(path) for path in (CONSOLE, f"{CONSOLE}/login", f"{CONSOLE}/static/console.js")
        ]
        posted = await one.post(f"{CONSOLE}/login", data={"key": tenant.key})
        api = await one.get("/api/v2/batches", headers={"authorization": f"Bearer {tenant.key}"})
    await server.stop()
    assert [one.status_code for one in (*answers, posted, api)] == [404, 404, 404, 404, 200]
    assert answers[0].json()["detail"].startswith("GET /console is not part of this server")
