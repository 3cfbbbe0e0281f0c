"""When a folder is read in place, and when it is uploaded."""

from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from llama_cloud import APIStatusError, AsyncLlamaCloud

from services.cli.run.display import Lines
from services.cli.run.reference import DIRECTORIES, Referrer


class Operator:
    """Answers as a server does whose status is `status`."""

    def __init__(self, status: int = 201, detail: str = "outside BATCHMILL_STORAGE__ROOTS") -> None:
        self.status, self.detail = status, detail
        self.asked: list[Any] = []

    async def post(self, path: str, *, body: Any, cast_to: Any, options: Any) -> Any:
        assert path == DIRECTORIES
        assert options["max_retries"] == 0, "each try would register another directory"
        self.asked.append(body)
        if self.status == 201:
            return {"id": "dir-1", "files": 4}
        answer = httpx.Response(self.status, request=httpx.Request("POST", "http://test"))
        raise APIStatusError("refused", response=answer, body={"detail": self.detail})


def referrer(operator: Operator | None) -> Referrer:
    return Referrer(cast("AsyncLlamaCloud | None", operator), Path("/data/papers"), Lines())


async def test_a_folder_that_the_stack_sees_is_referred_to() -> None:
    operator = Operator()
    assert await referrer(operator).refer(4, 4) == "dir-1"
    assert operator.asked == [{"project_id": None, "name": "papers", "url": "/data/papers"}]


async def test_a_few_of_many_files_are_uploaded() -> None:
    operator = Operator()
    assert await referrer(operator).refer(10, 100) is None
    assert await referrer(None).refer(100, 100) is None
    assert operator.asked == []


async def test_what_the_stack_may_not_see_is_uploaded_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert await referrer(Operator(400)).refer(4, 4) is None
    assert "uploaded: outside BATCHMILL_STORAGE__ROOTS" in capsys.readouterr().err
    assert await referrer(Operator(404)).refer(4, 4) is None, "a server of an earlier version"
    assert capsys.readouterr().err == ""


async def test_another_refusal_is_not_swallowed() -> None:
    with pytest.raises(APIStatusError):
        await referrer(Operator(403)).refer(4, 4)
