"""Finds the files of a running batch that have ended.

`results` of a batch is null until it is final (contract section 1), so this asks
`GET /api/v2/batches/{id}/results`, which pages them at any time in a fixed order.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from llama_cloud import AsyncLlamaCloud, BadRequestError

PAGE: Final = 500
IDLE_PAGES: Final = 2
"""Work is handed out in order: behind so many pages without an ended file, nothing has ended."""

GOING: Final = frozenset({"PENDING", "RUNNING", "THROTTLED"})


@dataclass(frozen=True, slots=True)
class Ended:
    """One source file that has ended, as the server tells it."""

    directory_file_id: str
    name: str | None
    external_file_id: str | None
    job_id: str | None
    status: str
    code: str | None
    message: str | None
    pages: int | None
    seconds: float | None


class EndedFiles:
    """Remembers the pages on which every file has ended, and does not ask for those again."""

    def __init__(self, client: AsyncLlamaCloud, batch_id: str) -> None:
        self._client = client
        self._path = f"/api/v2/batches/{batch_id}/results"
        self._forget_pages()

    @property
    def known(self) -> int:
        """How many ended files were seen on the pages so far."""
        return sum(self._over.values())

    async def scan(self, *, everything: bool) -> AsyncIterator[Ended]:
        """Files that have ended; one may be told again in a later scan. `everything`: look at all pages."""
        index, idle = 0, 0
        while index < len(self._tokens):
            if index not in self._done:
                page = await self._page(index)
                if page is None:
                    async for ended in self.scan(everything=everything):
                        yield ended
                    return
                items = page.get("items") or []
                over = [_ended(item) for item in items if item["status"] not in GOING]
                for ended in over:
                    yield ended
                self._over[index] = len(over)
                self._learn(index, page.get("next_page_token"), all_ended=len(over) == len(items))
                idle = 0 if over else idle + 1
                if idle >= IDLE_PAGES and not everything:
                    return
            index += 1

    def _learn(self, index: int, token: str | None, *, all_ended: bool) -> None:
        if not token:
            return
        if index + 1 == len(self._tokens):
            self._tokens.append(token)
        # Only a page that has a next one is full; the last may still grow.
        if all_ended:
            self._done.add(index)

    def _forget_pages(self) -> None:
        self._tokens: list[str | None] = [None]
        self._done: set[int] = set()
        self._over: dict[int, int] = {}

    async def _page(self, index: int) -> dict[str, Any] | None:
        params: dict[str, object] = {"page_size": PAGE}
        if (token := self._tokens[index]) is not None:
            params["page_token"] = token
        try:
            answer = await self._client.get(self._path, cast_to=object, options={"params": params})
        except BadRequestError:
            if token is None:
                raise
            # A token lives 24 h, a run may live longer: begin with the first page again.
            self._forget_pages()
            return None
        return answer if isinstance(answer, dict) else {}


def _ended(item: dict[str, Any]) -> Ended:
    reference = item.get("job_reference") or {}
    return Ended(
        directory_file_id=item["source_directory_file_id"],
        name=item.get("name"),
        external_file_id=item.get("external_file_id"),
        job_id=reference.get("id"),
        status=item["status"],
        code=item.get("error_code"),
        message=item.get("error_message"),
        pages=item.get("pages"),
        seconds=item.get("seconds"),
    )
