"""How the items and forms of a page look (contract 2.5), for the OpenAPI document.

The engines here make texts, headings, lists, code, tables and links. The other kinds are the contract's, and
clients know them.
"""

from typing import Annotated, Literal

from pydantic import Field

from services.api.shown_as import Described


class Box(Described):
    """A place on the page, in points from its upper left corner."""

    x: float
    y: float
    w: float
    h: float
    r: float | None = None
    confidence: float | None = None
    start_index: int | None = None
    end_index: int | None = None
    label: str | None = None


class Item(Described):
    """What each item has: its markdown, and where it stands, if that is known."""

    md: str
    bbox: list[Box] | None = None


class TextItem(Item):
    """A paragraph."""

    type: Literal["text"] = "text"
    value: str


class HeadingItem(Item):
    """A heading; `level` counts from 1."""

    type: Literal["heading"] = "heading"
    level: int
    value: str


class CodeItem(Item):
    """Code."""

    type: Literal["code"] = "code"
    value: str
    language: str | None = None


class ListItem(Item):
    """A list; lists may be in it."""

    type: Literal["list"] = "list"
    items: list["TextItem | ListItem"]
    ordered: bool


class Concern(Described):
    """A doubt about a table."""

    type: str
    details: str


class TableItem(Item):
    """A table in four forms."""

    type: Literal["table"] = "table"
    rows: list[list[str | int | float | None]]
    html: str
    csv: str
    merged_from_pages: list[int] | None = None
    merged_into_page: int | None = None
    parse_concerns: list[Concern] | None = None


class ImageItem(Item):
    """A picture."""

    type: Literal["image"] = "image"
    caption: str
    url: str


class LinkItem(Item):
    """A link."""

    type: Literal["link"] = "link"
    url: str
    text: str


Inner = TextItem | HeadingItem | ListItem | CodeItem | TableItem | ImageItem | LinkItem


class HeaderItem(Item):
    """What stands at the head of each page."""

    type: Literal["header"] = "header"
    items: list[Inner]


class FooterItem(Item):
    """What stands at the foot of each page."""

    type: Literal["footer"] = "footer"
    items: list[Inner]


AnyItem = Inner | HeaderItem | FooterItem


class RevisionBox(Described):
    """A place on the page."""

    x: float
    y: float
    w: float
    h: float


class RevisionSpan(Described):
    """A part of what a revision is about."""

    target: str
    target_bbox: RevisionBox
    start_index: int | None = None
    end_index: int | None = None


class Revision(Described):
    """A comment or a tracked change."""

    type: Literal["comment", "deleted", "inserted", "formatted", "moved_from", "moved_to"]
    target: str
    content: str
    author: str | None = None
    target_bbox: RevisionBox
    revision_bbox: RevisionBox
    target_spans: list[RevisionSpan] | None = None
    start_index: int | None = None
    end_index: int | None = None


class FormField(Described):
    """A field to fill in."""

    type: Literal["field"] = "field"
    field: Literal["text", "checkbox", "single_select", "multi_select", "signature"]
    id: str | None = None
    label: str | None = None
    value: str | bool | None = None
    isEmpty: bool | None = None  # noqa: N815 - the contract's name
    valueItems: "list[FormPart] | None" = None  # noqa: N815 - the contract's name
    bbox: list[Box] | None = None


class FormCell(Described):
    """A cell with parts of its own."""

    items: "list[FormPart]"


class FormTable(Described):
    """A table to fill in."""

    type: Literal["table"] = "table"
    id: str | None = None
    label: str | None = None
    columns: list[str] | None = None
    rows: list[list[str | FormCell | None]]
    bbox: list[Box] | None = None


class FormSection(Described):
    """Parts that belong together."""

    type: Literal["section"] = "section"
    id: str | None = None
    label: str | None = None
    items: "list[FormPart]"


FormPart = Annotated[FormSection | FormField | FormTable, Field()]


class FormListText(Described):
    """A line of a form as a list."""

    type: Literal["text"] = "text"
    value: str
    md: str


class FormList(Described):
    """A form as a list."""

    type: Literal["list"] = "list"
    items: list["FormListText | FormList"]
    ordered: bool
    md: str


class Form(Described):
    """A form, as a tree and as a list."""

    tree: Annotated[list[FormPart], Field(alias="json")]
    list: FormList
