"""One document and one schema: what is asked for, looked for page by page, and answered in its shape."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from services.worker.engines.rules.amounts import point_of
from services.worker.engines.rules.answer import Values, missing, shaped
from services.worker.engines.rules.boundaries import first_document, identity
from services.worker.engines.rules.dates import order_of
from services.worker.engines.rules.fill import Found, drop_lone_part, fill
from services.worker.engines.rules.layout import Grid, grids
from services.worker.engines.rules.phrasebook import Phrasebook
from services.worker.engines.rules.schema import Group, Leaf, Many, arrays, leaves, read_schema
from services.worker.engines.rules.tables import Row, Table, tables, texts_of
from services.worker.engines.rules.unlabelled import add_unlabelled
from services.worker.engines.rules.values import Habits, read
from shared.jobs.result import Extraction, ResultDocument

ENGINE: Final = "rules 1"
_IN_TABLE: Final = 0.9
_ONE_OF_SEVERAL: Final = 0.4
_GOODS: Final = read_schema(
    {
        "type": "object",
        "properties": {
            "description": {"type": "string"},
            **{name: {"type": "number"} for name in ("quantity", "unit price", "amount")},
        },
    }
)


def extract(document: ResultDocument, parameters: Mapping[str, Any]) -> Extraction:
    """The values of `data_schema` that the document gives, as `extraction_target` asks for them: `per_doc`
    (the default), `per_page`, `per_table_row`.

    What is not found is null and, where the schema requires it, named in `missing_fields`. The same document
    and parameters give the same answer. Work is bounded by the length of the text.
    """
    raw = parameters.get("data_schema")
    root = read_schema(raw if isinstance(raw, Mapping) else {})
    pages = grids(document)
    search = _Search(root, pages)
    target = parameters.get("extraction_target") or "per_doc"
    if target == "per_table_row":
        return _answer(root, search.all_rows(), "row_metadata")
    if target == "per_page":
        return _answer(root, [search.part([page]) for page in pages], "page_metadata")
    data, fields = search.part(pages)
    return Extraction(data, {"document_metadata": fields}, tuple(missing(root, data)), ENGINE)


def _answer(root: Group, parts: list[tuple[Any, Any]], name: str) -> Extraction:
    data = [part for part, _ in parts]
    lost = [f"[{at}].{path}" for at, part in enumerate(data) for path in missing(root, part)]
    return Extraction(data, {name: [fields for _, fields in parts]}, tuple(lost), ENGINE)


class _Search:
    """One document: how it writes is learned from all of it, however many pages a part has."""

    def __init__(self, root: Group, pages: Sequence[Grid]) -> None:
        self._root = root
        self._pages = pages
        self._trust = {page.page: page.trust for page in pages}
        self._leaves = list(leaves(root))
        self._habits = Habits(
            order_of(cell.text for page in pages for cell in page.cells),
            point_of(cell.text for page in pages for cell in page.cells),
        )
        self._book = Phrasebook(self._leaves)

    def part(self, pages: Sequence[Grid]) -> tuple[Any, Any]:
        """Data and metadata of some pages; where several documents stand on them, of the first one."""
        which, others = identity(self._leaves), False
        if which is not None:
            pages, others = first_document(pages, which, self._book, self._habits)
        taken: dict[int, set[int]] = {page.page: set() for page in pages}
        rows: dict[tuple[str, ...], list[Values]] = {}
        for many in arrays(self._root):
            rows[many.path] = self._rows(many, pages, taken)
        if not rows:
            self._tables(list(leaves(_GOODS)), pages, taken)
        given = fill(pages, taken, self._book, self._habits)
        if which is not None and others and which.path in given:
            found = given[which.path]
            given[which.path] = replace(found, sure=min(found.sure, _ONE_OF_SEVERAL))
        add_unlabelled(given, pages, self._leaves, self._book, self._habits)
        drop_lone_part(given)
        return _object(shaped(_solid(self._root), given, lambda many: rows.get(many.path, [])))

    def all_rows(self) -> list[tuple[Any, Any]]:
        """Data and metadata of each row of each table whose head names the properties of the root."""
        found = self._tables(self._leaves, self._pages, {page.page: set() for page in self._pages})
        rows = [self._row(table, row, self._leaves) for table in found for row in table.rows]
        return [_object(shaped(_solid(self._root), row, lambda _many: [])) for row in rows if row]

    def _rows(self, many: Many, pages: Sequence[Grid], taken: dict[int, set[int]]) -> list[Values]:
        columns = [] if isinstance(many.item, Leaf) else list(leaves(many.item))
        found = self._tables(columns, pages, taken)
        # Another table with fewer of the columns is about something else.
        most = max((len(table.leaves) for table in found), default=0)
        kept = [table for table in found if len(table.leaves) == most]
        return [values for table in kept for row in table.rows if (values := self._row(table, row, columns))]

    def _tables(
        self, columns: Sequence[Leaf], pages: Sequence[Grid], taken: dict[int, set[int]]
    ) -> list[Table]:
        found = [table for page in pages for table in tables(page, columns, self._habits)] if columns else []
        for table in found:
            taken[table.page] |= table.lines
        return found

    def _row(self, table: Table, row: Row, columns: Sequence[Leaf]) -> Values:
        by_path = {leaf.path: leaf for leaf in columns}
        values: dict[tuple[str, ...], Found] = {}
        for path, text, cells in texts_of(row):
            reading = read(by_path[path], text, self._habits)
            if reading is not None:
                sources = tuple((cell.page, cell.text) for cell in cells)
                trust = self._trust[table.page]
                values[path] = Found(reading.value, _IN_TABLE * reading.sure, trust, sources)
        return values


def _solid(root: Group) -> Group:
    """The root is an object even where nothing of it was found."""
    return Group(root.path, root.fields, root.required)


def _object(part: tuple[Any, Any]) -> tuple[Any, Any]:
    data, fields = part
    return data or {}, fields or {}
