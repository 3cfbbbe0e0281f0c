"""What pages show: only what is ours, escaped, and nothing that a strict policy would forbid."""

import re
from html.parser import HTMLParser
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import event, text

from services.api.console import words
from shared.batches import viewing
from shared.batches.service import BatchFilters
from shared.wiring import Resources
from tests.conftest import Tenant
from tests.services.api.console.conftest import CONSOLE, File, FillBatch
from tests.services.api.console.routes import NO_BATCH, READS, WRITES
from tests.services.api.console.rows_read import Statement, rows_of_jobs

HOSTILE = "\"><script>alert('x')</script><img src=x onerror=alert(1)>{{ 7 * 7 }}.pdf"


class Inline(HTMLParser):
    """Finds in a page what the policy forbids: code and style in it, and addresses of other hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in given):
            self.found.append(tag)
        for name, value in given.items():
            if name.startswith(("on", "hx-on")) or name in ("style", "srcdoc"):
                self.found.append(f"{tag} {name}")
            if name in ("src", "href", "action", "hx-get") and not (value or "").startswith(("/", "#")):
                self.found.append(f"{tag} {name}={value}")


def inline(page: str) -> list[str]:
    parser = Inline()
    parser.feed(page)
    return parser.found


async def test_hostile_names_are_text(
    ours: httpx.AsyncClient, filled: FillBatch, resources: Resources
) -> None:
    files = [File(HOSTILE, "FAILED", "<b>CODE</b>", HOSTILE), File(HOSTILE)]
    batch_id = await filled(files, directory=HOSTILE)
    async with resources.unit_of_work() as uow:
        await uow.session.execute(text("UPDATE projects SET name = :n"), {"n": HOSTILE})
        await uow.commit()
    own = f"{CONSOLE}/batches/{batch_id}"
    for path in (
        CONSOLE,
        f"{CONSOLE}/table",
        own,
        f"{own}/live",
        f"{own}/files",
        f"{own}/files/1",
        f"{CONSOLE}/new",
    ):
        answer = await ours.get(path)
        assert answer.status_code == 200, answer.text
        assert "<script>alert" not in answer.text, path
        assert "<img src=x" not in answer.text, path
        assert "&lt;script&gt;alert" in answer.text, path
        assert "{{ 7 * 7 }}" in answer.text, path
        assert inline(answer.text) == [], path
    echoed = await ours.get(own, params={"name": HOSTILE, "code": HOSTILE, "status": HOSTILE})
    assert echoed.status_code in (200, 422)
    assert "<script>alert" not in echoed.text
    assert inline(echoed.text) == []
    lost = await ours.get(f"{CONSOLE}/<script>alert(1)</script>")
    assert lost.status_code == 404
    assert "<script>alert" not in lost.text


@pytest.mark.parametrize("path", ["", "/login", "/new", "/nothing", "/static/console.css", "/static/nothing"])
async def test_every_answer_has_the_headers(ours: httpx.AsyncClient, path: str) -> None:
    answer = await ours.get(f"{CONSOLE}{path}")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    static = path == "/static/console.css"
    assert answer.headers["cache-control"].startswith("public, max-age=" if static else "no-store")
    if "html" in answer.headers["content-type"]:
        assert inline(answer.text) == []


async def test_what_another_project_has_is_not_there(
    theirs: httpx.AsyncClient, filled: FillBatch, resources: Resources
) -> None:
    batch_id = await filled([File("secret.pdf", "FAILED", "CODE")])
    async with resources.unit_of_work() as uow:
        directory = (await uow.session.execute(text("SELECT id FROM directories"))).scalar_one()
    before = await _rows(resources)
    seen = [path.replace(NO_BATCH, batch_id) for path in READS if NO_BATCH in path]
    assert len(seen) >= 5
    for path in seen:
        answer = await theirs.get(path)
        assert answer.status_code == 404, path
        assert "secret" not in answer.text
    for path in (path.replace(NO_BATCH, batch_id) for path in WRITES if NO_BATCH in path):
        assert (await theirs.post(path)).status_code == 404, path
    upload = await theirs.post(
        f"{CONSOLE}/directories/dir-{directory}/files", files={"upload_file": ("a.txt", b"a")}
    )
    assert upload.status_code == 404
    opened = {"once": "x" * 20, "configuration": "cfg-PARSE_FAST", "directory": f"dir-{directory}"}
    assert (await theirs.post(f"{CONSOLE}/batches", data=opened)).status_code == 404
    for path in (CONSOLE, f"{CONSOLE}/table", f"{CONSOLE}?after={batch_id}"):
        assert batch_id not in re.sub(r"after=bat-[\w-]+", "", (await theirs.get(path)).text)
    assert await _rows(resources) == before


async def _rows(resources: Resources) -> list[str]:
    async with resources.unit_of_work() as uow:
        found = await uow.session.execute(
            text(
                "SELECT to_jsonb(b)::text FROM batches b"
                " UNION ALL SELECT to_jsonb(f)::text FROM directory_files f"
            )
        )
        return sorted(found.scalars())


@pytest.mark.parametrize(
    "path", ["/batches/x", f"/batches/{NO_BATCH}", "/nothing", f"/batches/{NO_BATCH}/files/1"]
)
async def test_what_is_not_there_is_a_page(ours: httpx.AsyncClient, path: str) -> None:
    answer = await ours.get(f"{CONSOLE}{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "Not found" in answer.text
    assert answer.headers["x-request-id"] in answer.text
    script = await ours.get(f"{CONSOLE}{path}", headers={"accept": "application/json"})
    assert script.json()["detail"]


async def test_a_failure_of_the_server_says_the_id_and_nothing_else(
    ours: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(viewing, "look_at_page", fail)
    answer = await ours.get(CONSOLE)
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] in answer.text
    assert "The server failed" in answer.text
    assert "secret" not in answer.text


async def test_a_button_that_came_too_late_says_so(
    ours: httpx.AsyncClient, filled: FillBatch, resources: Resources
) -> None:
    batch_id = await filled([])
    early = await ours.get(f"{CONSOLE}/batches/{batch_id}/export?format=zip")
    assert (early.status_code, "Export it when it is final" in early.text) == (409, True)
    async with resources.unit_of_work() as uow:
        await uow.session.execute(
            text("UPDATE batches SET status = 'COMPLETED', wake_at = NULL, finished_at = now()")
        )
        await uow.commit()
    assert (await ours.get(f"{CONSOLE}/batches/{batch_id}/export?format=jsonl")).status_code == 200
    for verb in ("cancel", "pause", "resume"):
        answer = await ours.post(f"{CONSOLE}/batches/{batch_id}/{verb}")
        assert answer.status_code == 409
        assert "final batch cannot" in answer.text
        assert f'href="{CONSOLE}/batches/{batch_id}"' in answer.text
    odd = await ours.post(f"{CONSOLE}/batches/{batch_id}/redrive", data={"files": "all"})
    assert odd.status_code == 400
    nothing = await ours.post(f"{CONSOLE}/batches/{batch_id}/redrive", data={"files": "failed"})
    assert nothing.status_code == 409


async def test_failures_are_grouped_by_code(ours: httpx.AsyncClient, filled: FillBatch) -> None:
    files = [File(f"{n}.pdf", "FAILED", "TIMEOUT", "too slow") for n in range(3)]
    files += [File("one.pdf", "FAILED", "PDF_IS_BROKEN", "broken"), File("gone.pdf", "UNMAPPED"), File()]
    batch_id = await filled(files)
    page = (await ours.get(f"{CONSOLE}/batches/{batch_id}")).text
    part = page.split('id="failures"')[1].split("</section>")[0]
    rows = re.findall(r"<tr>.*?</tr>", part, re.DOTALL)[1:]
    shown = [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row)).strip() for row in rows]
    assert shown == [
        "TIMEOUT 3 files 0.pdf too slow",
        "PDF_IS_BROKEN 1 file one.pdf broken",
        "no job 1 No job could be made for them.",
    ]
    timeouts = (await ours.get(f"{CONSOLE}/batches/{batch_id}/files", params={"code": "TIMEOUT"})).text
    assert names(timeouts) == ["0.pdf", "1.pdf", "2.pdf"]


def names(page: str) -> list[str]:
    return re.findall(r'id="file-\d+" href="[^"]+">([^<]+)</a>', page)


def following(page: str) -> str | None:
    found = re.search(r'rel="next" href="([^"]+)"', page)
    return None if found is None else found.group(1).replace("&amp;", "&").split("#")[0]


async def test_files_are_found_by_status_and_name_page_by_page(
    ours: httpx.AsyncClient, filled: FillBatch
) -> None:
    files = [File(f"paper-{n:03}.pdf", "PENDING" if n % 2 else "COMPLETED") for n in range(1, 121)]
    files += [File("100%_Sure.TXT", "CANCELLED"), File("under_score.txt", "FAILED", "TIMEOUT")]
    batch_id = await filled(files)
    own = f"{CONSOLE}/batches/{batch_id}"
    page = (await ours.get(own)).text
    seen = names(page)
    while (more := following(page)) is not None:
        page = (await ours.get(more)).text
        seen += names(page)
    assert seen == [file.name for file in files]

    async def found(**params: str) -> list[str]:
        return names((await ours.get(f"{own}/files", params=params)).text)

    assert await found(name="100%_s") == ["100%_Sure.TXT"]
    assert await found(name="_") == ["100%_Sure.TXT", "under_score.txt"]
    assert await found(name="PAPER-00", status="COMPLETED") == [f"paper-00{n}.pdf" for n in (2, 4, 6, 8)]
    assert await found(status="CANCELLED") == ["100%_Sure.TXT"]
    assert await found(status="FAILED") == ["under_score.txt"]
    assert await found(status="RUNNING") == []
    assert len(await found(status="PENDING")) == 50
    assert await found(status="NO SUCH") == []
    assert await found(name="nowhere") == []


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=99999999999", f"name={'x' * 501}"])
async def test_a_bad_filter_is_refused(ours: httpx.AsyncClient, filled: FillBatch, query: str) -> None:
    batch_id = await filled([File()])
    answer = await ours.get(f"{CONSOLE}/batches/{batch_id}?{query}")
    assert answer.status_code == 422
    assert query.split("=", maxsplit=1)[0] in answer.text


async def test_a_search_ends_after_a_window_and_goes_on(
    ours: httpx.AsyncClient, filled: FillBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewing, "WINDOW", 30)
    batch_id = await filled([*(File(f"{n}.pdf") for n in range(100)), File("needle.txt")])
    page = (await ours.get(f"{CONSOLE}/batches/{batch_id}", params={"name": "needle"})).text
    steps = 0
    while not names(page):
        assert "Looked through" in page
        more = following(page)
        assert more is not None
        page = (await ours.get(more)).text
        steps += 1
    assert (names(page), steps) == (["needle.txt"], 3)
    assert following(page) is None


async def test_twenty_batches_cost_as_many_statements_as_one(
    filled: FillBatch, resources: Resources, tenant: Tenant
) -> None:
    counted: list[int] = []
    statements: list[str] = []
    event.listen(
        resources.engine.sync_engine,
        "before_cursor_execute",
        lambda *args: statements.append(args[2]),
    )
    for batches in (1, 19):
        for _ in range(batches):
            await filled([File(), File("b.pdf", "PENDING")])
        async with resources.unit_of_work() as uow:
            # None of their files was granted yet: each of them waits, and for what has to be found out.
            await uow.session.execute(text("UPDATE batches SET fed_seq = 0"))
            await uow.commit()
            statements.clear()
            looks, _ = await viewing.look_at_page(
                uow, tenant.project_id, filters=BatchFilters(), size=25, after=None
            )
        counted.append(len(statements))
    assert len(looks) == 20
    assert all(look.waiting is not None for look in looks)
    assert counted[0] == counted[1]


async def test_pages_of_two_hundred_thousand_files_read_a_few(
    ours: httpx.AsyncClient, filled: FillBatch, resources: Resources, tenant: Tenant, asked: list[Statement]
) -> None:
    """Half of them failed. A page reads what it shows, and a search for what is not there stops at a window;
    only failures are counted."""
    batch_id = await filled([])
    async with resources.unit_of_work() as uow:
        await uow.session.execute(
            text(
                "INSERT INTO jobs (project_id, job_type, batch_id, seq, directory_file_id, file_id, name,"
                " size_bytes, status, error_code, error_message, finished_at, result_key)"
                " SELECT :p, 'parse_v2', :b, n, :f, :f, 'paper-' || n || '.pdf', 1,"
                "  CASE WHEN n % 2 = 0 THEN 'FAILED' ELSE 'COMPLETED' END,"
                "  CASE WHEN n % 2 = 0"
                "   THEN (ARRAY['TIMEOUT', 'PDF_IS_BROKEN', 'OUT_OF_MEMORY'])[n / 2 % 3 + 1] END,"
                "  CASE WHEN n % 2 = 0 THEN 'why' END, now(), 'p/x/r/y/z'"
                " FROM generate_series(1, 200000) n"
            ),
            {"p": tenant.project_id, "b": batch_id[4:], "f": uuid4()},
        )
        await uow.session.execute(
            text("UPDATE batches SET total = 200000, fed_seq = 200000, ok = 100000, failed = 100000")
        )
        await uow.commit()
    own = f"{CONSOLE}/batches/{batch_id}"
    failures, step, page_of = 100_000, viewing.WINDOW, 200
    for path, most in (
        (CONSOLE, 0),
        (own, failures + page_of),
        (f"{own}/live", failures + page_of),
        (f"{own}/live?shown=RUNNING.100000.0", 0),
        (f"{own}/files?after=199000", page_of),
        (f"{own}/files?status=FAILED&after=150000", page_of),
        (f"{own}/files?code=TIMEOUT", page_of),
        (f"{own}/files?name=nowhere", step),
        (f"{own}/files?status=CANCELLED", step),
        (f"{own}/files/200000", 1),
    ):
        asked.clear()
        answer = await ours.get(path)
        assert answer.status_code == 200, answer.text
        assert asked
        assert await rows_of_jobs(resources, asked) <= most, path
    page = (await ours.get(own)).text
    assert "33,334" in page or "33,333" in page


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3_600, "1 h"),
        (7_500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_durations_have_two_units(seconds: float, shown: str) -> None:
    assert words.span(seconds) == shown


@pytest.mark.parametrize(
    ("pace", "shown"), [(0.1, "6.0 files/min"), (2.25, "2.2 files/s"), (1_234, "1,234 files/s")]
)
def test_rates_are_of_seconds_or_minutes(pace: float, shown: str) -> None:
    assert words.rate(pace) == shown
