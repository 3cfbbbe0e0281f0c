"""Which bytes of an export are answered."""

import json

import httpx
import pytest

from services.api.export import answering
from tests.bench.whole_batches import WholeBatch
from tests.services.api.export.asking import BOTH, fetch, path_of
from tests.services.api.export.conftest import FILES


class TestRanges:
    @BOTH
    async def test_every_kind_of_range_is_the_same_bytes(
        self, http: httpx.AsyncClient, batch: WholeBatch, form: str
    ) -> None:
        whole = await fetch(http, batch, form)
        again = await fetch(http, batch, form)
        assert whole.content == again.content
        assert whole.headers["etag"] == again.headers["etag"]
        assert whole.headers["accept-ranges"] == "bytes"
        assert "content-length" not in again.headers
        size = len(whole.content)
        middle = size // 2
        for asked, first, last in (
            ("0-0", 0, 0),
            ("0-99", 0, 99),
            (f"{middle}-{middle + 5000}", middle, middle + 5000),
            (f"{middle}-", middle, size - 1),
            ("-1", size - 1, size - 1),
            ("-777", size - 777, size - 1),
            (f"-{size * 2}", 0, size - 1),
            (f"{size - 10}-{size + 10}", size - 10, size - 1),
        ):
            found = await http.get(
                path_of(batch), params={"format": form}, headers={"range": f"bytes={asked}"}
            )
            assert found.status_code == 206, asked
            assert found.headers["content-range"] == f"bytes {first}-{last}/{size}"
            assert found.content == whole.content[first : last + 1], asked
            assert found.headers["etag"] == whole.headers["etag"]

    @BOTH
    async def test_a_download_can_be_put_together_out_of_parts(
        self, http: httpx.AsyncClient, batch: WholeBatch, form: str
    ) -> None:
        whole = (await fetch(http, batch, form)).content
        found = b""
        step = len(whole) // 13 + 1
        for first in range(0, len(whole), step):
            asked = f"bytes={first}-{first + step - 1}"
            found += (
                await http.get(path_of(batch), params={"format": form}, headers={"range": asked})
            ).content
        assert found == whole

    async def test_what_begins_beyond_the_end_is_416(
        self, http: httpx.AsyncClient, batch: WholeBatch
    ) -> None:
        size = len((await fetch(http, batch, "jsonl")).content)
        for asked in (f"{size}-", f"{size + 5}-{size + 9}", "-0"):
            found = await http.get(path_of(batch), headers={"range": f"bytes={asked}"})
            assert (found.status_code, found.headers["content-range"]) == (416, f"bytes */{size}"), asked
            assert str(found.json()["detail"])

    @pytest.mark.parametrize(
        "asked",
        ["bytes=0-9,20-29", "bytes=9-0", "bytes=-", "bytes=a-b", "lines=0-9", "bytes 0-9", "bytes=+1-2"],
    )
    async def test_several_ranges_and_none_are_answered_with_the_whole(
        self, http: httpx.AsyncClient, batch: WholeBatch, asked: str
    ) -> None:
        found = await http.get(path_of(batch), headers={"range": asked})
        assert (found.status_code, len(found.content.splitlines())) == (200, FILES)

    async def test_conditions_are_honoured(self, http: httpx.AsyncClient, batch: WholeBatch) -> None:
        etag = (await fetch(http, batch, "jsonl")).headers["etag"]
        for condition, status in ((etag, 206), (f"W/{etag}", 200), ('"other"', 200)):
            headers = {"range": "bytes=0-9", "if-range": condition}
            assert (await http.get(path_of(batch), headers=headers)).status_code == status, condition
        for condition, status in ((etag, 304), (f'"x", W/{etag}', 304), ("*", 304), ('"x"', 200)):
            found = await http.get(path_of(batch), headers={"if-none-match": condition})
            assert found.status_code == status, condition
            assert found.headers["etag"] == etag

    async def test_what_was_removed_since_is_another_export(
        self, http: httpx.AsyncClient, batch: WholeBatch
    ) -> None:
        before = await fetch(http, batch, "jsonl")
        job = json.loads(before.content.splitlines()[0])["job_reference"]["id"]
        assert (await http.delete(f"/api/v2/parse/{job}")).status_code == 200
        headers = {"range": "bytes=100-", "if-range": before.headers["etag"]}
        after = await http.get(path_of(batch), headers=headers)
        assert after.status_code == 200
        assert after.headers["etag"] != before.headers["etag"]
        assert json.loads(after.content.splitlines()[0])["error_code"] == "RESULT_GONE"

    async def test_forms_and_choices_have_tags_of_their_own(
        self, http: httpx.AsyncClient, batch: WholeBatch
    ) -> None:
        tags = [
            (await fetch(http, batch, form, **query)).headers["etag"]
            for form in ("jsonl", "zip")
            for query in ({}, {"expand": "text_full"}, {"expand": "markdown_full"})
        ]
        assert len(set(tags)) == len(tags)

    @BOTH
    async def test_measuring_goes_on_where_it_was_given_up(
        self, http: httpx.AsyncClient, batch: WholeBatch, form: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(answering, "MEASURED_WITHIN_S", -1.0)
        headers = {"range": "bytes=100-199"}
        busy = await http.get(path_of(batch), params={"format": form}, headers=headers)
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "2")
        monkeypatch.setattr(answering, "MEASURED_WITHIN_S", 0.03)
        statuses = []
        for _ in range(200):
            found = await http.get(path_of(batch), params={"format": form}, headers=headers)
            statuses.append(found.status_code)
            if found.status_code == 206:
                break
        assert statuses[-1] == 206, statuses
        monkeypatch.undo()
        assert found.content == (await fetch(http, batch, form)).content[100:200]
