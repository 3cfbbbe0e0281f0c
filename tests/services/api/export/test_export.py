"""Exports over HTTP: what is in them, who may have them, and what becomes of those who leave."""

import asyncio
import io
import json
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from services.api.export import lines, reading
from shared.batches import service as batch_service
from shared.jobs.result import Extraction, Page, ResultDocument
from shared.wiring import Resources
from tests.bench.whole_batches import Made, WholeBatch, make
from tests.conftest import Tenant
from tests.services.api.export.asking import BOTH, archive_of, fetch, lines_of, path_of
from tests.services.api.export.conftest import FILES, document, papers


class TestLines:
    async def test_there_is_one_for_each_file_in_the_directorys_order(
        self, http: httpx.AsyncClient, batch: WholeBatch
    ) -> None:
        lines = await lines_of(http, batch)
        assert [line["name"] for line in lines] == [one.name for one in papers()]
        for number, line in enumerate(lines, 1):
            assert line["path"] == f"folder {number % 7}/paper {number}.pdf"
            assert line["external_file_id"] == f"ext-{number}"
            if line["status"] == "COMPLETED":
                made = document(number)
                markdown = made.pages[0].markdown
                assert line["markdown_full"] == (None if markdown is None else f"{markdown}\n\n*end*")
                assert line["text_full"] == (f"{made.pages[0].text}\n\nthe end" if markdown is None else None)
                assert line["job_reference"]["id"].startswith("pjb-")
            else:
                assert (line["markdown_full"], line["text_full"]) == (None, None)
                assert line["error_message"]

    async def test_a_line_says_what_a_result_of_the_batch_says(
        self, http: httpx.AsyncClient, batch: WholeBatch
    ) -> None:
        query = {"expand": "text_full,markdown_full,extract_result"}
        page = await http.get(f"/api/v2/batches/{batch.shown}/results", params={"page_size": "1000", **query})
        lines = await lines_of(http, batch, **query)
        for line in lines:
            del line["path"]
        assert lines == page.json()["items"]

    async def test_values_of_an_extraction_are_what_it_has(
        self, http: httpx.AsyncClient, resources: Resources, tenant: Tenant
    ) -> None:
        data = {"total": 1.5, "name": "Grün"}
        made = ResultDocument("test", (Page(1, "t"),), extraction=Extraction(data, {}, (), "rules"))
        batch = await make(
            resources, tenant.project_id, [Made("a.pdf", document=made)], job_type="extract_v2"
        )
        (line,) = await lines_of(http, batch)
        assert line["extract_result"] == data
        assert line["job_reference"]["type"] == "extract_v2"
        archive = await archive_of(http, batch)
        assert json.loads(archive.read("1/a.pdf.json")) == data


class TestArchive:
    async def test_it_has_a_file_for_each_result_and_a_list_of_all(
        self, http: httpx.AsyncClient, batch: WholeBatch
    ) -> None:
        archive = await archive_of(http, batch)
        lines = await lines_of(http, batch)
        listed = [json.loads(line) for line in archive.read("results.jsonl").splitlines()]
        assert len(listed) == FILES
        outputs = [line.pop("output") for line in listed]
        assert listed == [
            {
                name: value
                for name, value in line.items()
                if name not in ("text_full", "markdown_full", "extract_result")
            }
            for line in lines
        ]
        assert archive.namelist() == [one for one in outputs if one is not None] + ["results.jsonl"]
        for line, output in zip(lines, outputs, strict=True):
            assert (output is None) == (line["status"] != "COMPLETED")
            if output is not None:
                assert output == line["path"] + ".md"
                content = line["markdown_full"] if line["markdown_full"] is not None else line["text_full"]
                assert archive.read(output).decode() == content

    @pytest.mark.parametrize(("expand", "suffix"), [("text_full", ".txt"), ("markdown_full", ".md")])
    async def test_expand_chooses_what_the_files_are(
        self, http: httpx.AsyncClient, batch: WholeBatch, expand: str, suffix: str
    ) -> None:
        archive = await archive_of(http, batch, expand=expand)
        lines = await lines_of(http, batch, expand=expand)
        files = {f"{line['path']}{suffix}": line[expand] for line in lines if line[expand] is not None}
        assert {name: archive.read(name).decode() for name in archive.namelist()[:-1]} == files

    async def test_two_kinds_of_files_are_too_many(self, http: httpx.AsyncClient, batch: WholeBatch) -> None:
        found = await http.get(path_of(batch), params={"format": "zip", "expand": "text_full,markdown_full"})
        assert found.status_code == 400
        assert "expand" in found.json()["detail"]

    async def test_other_programs_can_read_it(
        self, http: httpx.AsyncClient, batch: WholeBatch, tmp_path: Path
    ) -> None:
        target = tmp_path / "e.zip"
        target.write_bytes((await fetch(http, batch, "zip")).content)
        subprocess.run([sys.executable, "-m", "zipfile", "-t", target], check=True)  # noqa: ASYNC221
        unzip = shutil.which("unzip")
        if unzip is not None:
            subprocess.run([unzip, "-tq", target], check=True)  # noqa: ASYNC221

    async def test_an_empty_batch_is_an_archive_with_an_empty_list(
        self, http: httpx.AsyncClient, resources: Resources, tenant: Tenant
    ) -> None:
        batch = await make(resources, tenant.project_id, [])
        archive = await archive_of(http, batch)
        assert (archive.namelist(), archive.read("results.jsonl")) == (["results.jsonl"], b"")
        assert archive.testzip() is None
        assert (await fetch(http, batch, "jsonl")).content == b""
        nothing = await http.get(path_of(batch), headers={"range": "bytes=0-"})
        assert (nothing.status_code, nothing.headers["content-range"]) == (416, "bytes */0")


class TestTrouble:
    @pytest.fixture
    async def troubled(self, resources: Resources, tenant: Tenant) -> WholeBatch:
        """The second result has vanished, the third is no result, the fourth cannot be written as JSON."""
        strange = ResultDocument(
            "t", (Page(1, "x"),), extraction=Extraction({"a": float("nan")}, {}, (), "r")
        )
        batch = await make(
            resources,
            tenant.project_id,
            [
                Made("a.pdf", document=document(1)),
                Made("b.pdf", document=document(2)),
                Made("c.pdf", blob=b"no result"),
                Made("d.pdf", document=strange),
                Made("e.pdf", document=document(5)),
            ],
        )
        assert batch.keys[1] is not None
        await resources.storage.delete(batch.keys[1])
        return batch

    async def test_a_result_that_is_not_there_is_that_files_own_error(
        self, http: httpx.AsyncClient, troubled: WholeBatch
    ) -> None:
        codes = [None, "RESULT_GONE", "RESULT_UNREADABLE", "RESULT_UNREADABLE", None]
        lines = await lines_of(http, troubled, expand="markdown_full,extract_result")
        assert [line["error_code"] for line in lines] == codes
        assert [line["markdown_full"] is not None for line in lines] == [True, False, False, False, True]
        archive = await archive_of(http, troubled, expand="extract_result")
        assert archive.testzip() is None
        listed = [json.loads(line) for line in archive.read("results.jsonl").splitlines()]
        assert [line["error_code"] for line in listed] == codes
        plain = await archive_of(http, troubled)
        assert [name for name in plain.namelist() if name.endswith(".md")] == [
            "1/a.pdf.md",
            "4/d.pdf.md",
            "5/e.pdf.md",
        ]

    @BOTH
    async def test_what_vanishes_after_an_export_breaks_no_later_one(
        self, http: httpx.AsyncClient, batch: WholeBatch, resources: Resources, form: str
    ) -> None:
        before = await fetch(http, batch, form)
        assert batch.keys[0] is not None
        await resources.storage.delete(batch.keys[0])
        after = await fetch(http, batch, form)
        if form == "zip":
            with zipfile.ZipFile(io.BytesIO(after.content)) as archive:
                assert archive.testzip() is None
                first = json.loads(archive.read("results.jsonl").splitlines()[0])
        else:
            first = json.loads(after.content.splitlines()[0])
        assert first["error_code"] == "RESULT_GONE"
        assert after.content != before.content
        rest = await http.get(path_of(batch), params={"format": form}, headers={"range": "bytes=1000-"})
        assert (rest.status_code, rest.content) == (206, after.content[1000:])

    @BOTH
    async def test_a_part_of_what_has_vanished_since_is_cut_and_then_measured_anew(
        self, http: httpx.AsyncClient, batch: WholeBatch, resources: Resources, form: str
    ) -> None:
        await fetch(http, batch, form)
        assert batch.keys[0] is not None
        await resources.storage.delete(batch.keys[0])
        headers, params = {"range": "bytes=0-"}, {"format": form}
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(path_of(batch), params=params, headers=headers)
        again = await http.get(path_of(batch), params=params, headers=headers)
        assert (again.status_code, again.content) == (206, (await fetch(http, batch, form)).content)

    async def test_a_storage_that_is_down_cuts_the_answer(
        self, http: httpx.AsyncClient, batch: WholeBatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "AGAIN_AFTER_S", (0.01,))
        shutil.move(tmp_path / "blobs", tmp_path / "away")
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(path_of(batch))
        shutil.move(tmp_path / "away", tmp_path / "blobs")
        assert len(await lines_of(http, batch)) == FILES


class TestWhoLeaves:
    @BOTH
    async def test_a_client_that_goes_away_stops_the_work(
        self,
        http: httpx.AsyncClient,
        resources: Resources,
        tenant: Tenant,
        monkeypatch: pytest.MonkeyPatch,
        form: str,
    ) -> None:
        monkeypatch.setattr(lines, "FILES_A_PART", 2)
        drawn = random.Random(5)
        made = [
            Made(f"{n}", document=ResultDocument("t", (Page(1, drawn.randbytes(200_000).hex()),)))
            for n in range(60)
        ]
        batch = await make(resources, tenant.project_id, made)
        asked: list[int] = []
        read = batch_service.exported_files

        async def noted(*args: Any, first: int, last: int) -> Any:
            asked.append(first)
            return await read(*args, first=first, last=last)

        monkeypatch.setattr(batch_service, "exported_files", noted)
        async with http.stream("GET", path_of(batch), params={"format": form}) as answer:
            async for _ in answer.aiter_raw():
                break
        before = -1
        while before != len(asked):
            before = len(asked)
            await asyncio.sleep(0.5)
        assert 1 <= len(asked) < 25, "it went on without a client"
        whole = await fetch(http, batch, form)
        assert len(asked) >= 25
        assert len(whole.content) > 5_000_000


class TestWho:
    @BOTH
    async def test_another_projects_batch_is_404(
        self, other: httpx.AsyncClient, batch: WholeBatch, form: str
    ) -> None:
        found = await other.get(path_of(batch), params={"format": form})
        assert found.status_code == 404

    async def test_a_batch_that_is_not_final_is_409_unless_it_is_asked_for(
        self, http: httpx.AsyncClient
    ) -> None:
        directory = (await http.post("/api/v1/beta/directories", json={"name": "d"})).json()["id"]
        job = {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}
        body = {"source_directory_id": directory, "config": {"job": job}}
        made = (await http.post("/api/v2/batches", json=body)).json()["id"]
        refused = await http.get(f"/api/v2/batches/{made}/export")
        assert (refused.status_code, refused.headers["x-should-retry"]) == (409, "false")
        assert "partial=true" in refused.json()["detail"]
        found = await http.get(
            f"/api/v2/batches/{made}/export", params={"partial": "true"}, headers={"range": "bytes=0-9"}
        )
        assert (found.status_code, found.headers["accept-ranges"]) == (200, "none")
        assert "etag" not in found.headers

    async def test_what_there_is_so_far_can_be_asked_for(
        self, http: httpx.AsyncClient, resources: Resources, tenant: Tenant
    ) -> None:
        made = [Made(f"{n}.pdf", document=document(n)) for n in range(1, 6)]
        batch = await make(resources, tenant.project_id, made)
        async with resources.unit_of_work() as uow:
            for statement in (
                "UPDATE batches SET status = 'RUNNING', finished_at = NULL, wake_at = now() WHERE id = :b",
                "UPDATE jobs SET status = 'PENDING', finished_at = NULL WHERE batch_id = :b AND seq > 3",
            ):
                await uow.session.execute(text(statement), {"b": batch.id})
            await uow.commit()
        found = await lines_of(http, batch, partial="true")
        assert [line["status"] for line in found] == ["COMPLETED"] * 3 + ["PENDING"] * 2
        assert [line["error_code"] for line in found] == [None] * 5
        archive = await archive_of(http, batch, partial="true")
        assert archive.namelist() == [f"{n}/{n}.pdf.md" for n in (1, 2, 3)] + ["results.jsonl"]
        assert len(archive.read("results.jsonl").splitlines()) == 5

    async def test_an_unknown_format_is_422(self, http: httpx.AsyncClient, batch: WholeBatch) -> None:
        assert (await http.get(path_of(batch), params={"format": "tar"})).status_code == 422

    async def test_its_name_says_what_it_is(self, http: httpx.AsyncClient, batch: WholeBatch) -> None:
        found = await fetch(http, batch, "zip")
        assert f'filename="papers-{batch.shown}.zip"' in found.headers["content-disposition"]
        assert found.headers["content-type"] == "application/zip"
        lines = await fetch(http, batch, "jsonl")
        assert lines.headers["content-type"] == "application/x-ndjson"
