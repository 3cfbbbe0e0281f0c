"""Every document here goes through a real sandboxed child."""

import pytest

from services.worker.engines.encoding import decode, looks_like_text
from shared.jobs.codes import FailureCode
from tests.services.worker.engines.conftest import Reader

WORDS = "Größe und Maß: der Fuchs läuft über die Straße, das Mädchen hört Musik.\nÉté à la française.\n"


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
        ("latin-1", "cp1252"),
    ],
)
async def test_text_in_any_encoding(reader: Reader, encoding: str, expected: str) -> None:
    document = await reader.read(WORDS.encode(encoding), "a.txt")
    assert document.pages[0].text == WORDS
    assert document.pages[0].markdown == WORDS
    assert document.document == {"kind": "plain", "encoding": expected}


def test_other_alphabets_are_guessed_from_what_they_look_like() -> None:
    russian = "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 5
    assert decode(russian.encode("cp1251"))[0] == russian
    japanese = "これは日本語の文章です。文字コードを推測します。" * 5
    assert decode(japanese.encode("shift_jis"))[0] == japanese


def test_what_a_file_says_of_its_encoding_is_believed() -> None:
    page = '<html><head><meta charset="iso-8859-2"></head><p>Łódź, žluťoučký kůň</p>'
    assert decode(page.encode("iso-8859-2")) == (page, "iso8859-2")
    assert decode(page.replace("iso-8859-2", "no-such-code").encode("cp1252", "replace"))[0].startswith(
        "<html>"
    )


def test_nothing_fails_to_decode() -> None:
    text, _ = decode(bytes(range(256)) * 8)
    assert len(text) > 1000
    assert not looks_like_text(bytes(range(256)))


async def test_line_ends_are_made_one_kind(reader: Reader) -> None:
    document = await reader.read(b"one\r\ntwo\rthree\n", "a.log")
    assert document.pages[0].text == "one\ntwo\nthree\n"


async def test_html_becomes_text_and_markdown(reader: Reader) -> None:
    page = (
        b"<!DOCTYPE html><html><head><title>The title</title><style>p{color:red}</style></head><body>"
        b"<h2>Report</h2><p>All is <b>well</b>, see <a href='https://example.org/x'>here</a>.</p>"
        b"<script>alert('no')</script><ul><li>one</li><li>two</li></ul>"
        b"<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table></body></html>"
    )
    document = await reader.read(page, "a.html")
    text, markdown = document.pages[0].text, document.pages[0].markdown or ""
    assert "Report" in text
    assert "well" in text
    assert "alert" not in text + markdown
    assert "color" not in text + markdown
    assert "## Report" in markdown
    assert "**well**" in markdown
    assert "[here](https://example.org/x)" in markdown
    assert "- one" in markdown
    assert "| a | b |" in markdown
    assert (await reader.read(page, "download.pdf")).document["kind"] == "html"
    assert (await reader.read(page, "a.html", tier="fast")).pages[0].markdown is None


async def test_html_nested_without_end_keeps_its_words(reader: Reader) -> None:
    document = await reader.read(b"<div>" * 20_000 + b"the core", "a.html")
    assert document.pages[0].text == "the core"


@pytest.mark.parametrize(
    ("content", "name"),
    [(b'name;note\n"Ann";"a|b"\nBob\n', "a.csv"), (b"name\tnote\nAnn\ta|b\nBob\n", "a.tsv")],
)
async def test_a_table_of_text_becomes_one_of_markdown(reader: Reader, content: bytes, name: str) -> None:
    document = await reader.read(content, name)
    assert document.pages[0].text == content.decode()
    assert document.pages[0].markdown == "| name | note |\n| --- | --- |\n| Ann | a\\|b |\n| Bob |"


async def test_one_wide_row_does_not_make_all_rows_wide(reader: Reader) -> None:
    document = await reader.read(b"a\n" * 1000 + b"," * 20_000 + b"b\n", "a.csv")
    lines = (document.pages[0].markdown or "").split("\n")
    assert lines[0].count("|") == lines[1].count("|") == 20_002
    assert lines[2:1001] == ["| a |"] * 999
    assert lines[1001].endswith("| b |")


async def test_markdown_and_json_stay_what_they_are(reader: Reader) -> None:
    document = await reader.read(b"# One\n\n- two\n", "a.md")
    assert document.pages[0].markdown == document.pages[0].text == "# One\n\n- two\n"
    document = await reader.read(b'{"a": "```"}\n', "a.json")
    assert document.pages[0].text == '{"a": "```"}\n'
    assert document.pages[0].markdown == '````json\n{"a": "```"}\n````'
    document = await reader.read(b"<?xml version='1.0'?><a>b</a>", "a.xml")
    assert document.pages[0].markdown == "```xml\n<?xml version='1.0'?><a>b</a>\n```"


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (b"", "a.txt", FailureCode.NO_DATA_FOUND_IN_FILE),
        (b" \n\t\n", "a.txt", FailureCode.NO_DATA_FOUND_IN_FILE),
        (bytes(range(256)) * 20, "a.txt", FailureCode.UNSUPPORTED_FILE_TYPE),
        (b"text at first\n" * 400 + bytes(9000), "a.txt", FailureCode.UNSUPPORTED_FILE_TYPE),
        (b"words", "a.xyz", FailureCode.UNSUPPORTED_FILE_TYPE),
        (b"a,b\n" * (17 * 2**20), "a.csv", FailureCode.DOCUMENT_TOO_LARGE),
    ],
)
async def test_a_bad_text_has_its_code(reader: Reader, content: bytes, name: str, code: FailureCode) -> None:
    outcome = await reader.done(content, name)
    assert (outcome.code, outcome.result) == (code, None)
    assert outcome.message


async def test_items_of_html(reader: Reader) -> None:
    page = (
        b"<html><body><h2>Report</h2>loose <i>words</i><p>See <a href='https://a.example/'>it</a></p>"
        b"<ul><li>one<ol><li>deep</li></ol></li></ul><pre>x = 1</pre>"
        b"<div><table><tr><th>a</th></tr><tr><td>1</td></tr></table></div></body></html>"
    )
    (read,) = (await reader.read(page, "a.html")).pages
    assert read.items is not None
    assert [item["type"] for item in read.items] == ["heading", "text", "text", "list", "code", "table"]
    assert read.items[0] == {"type": "heading", "md": "## Report", "level": 2, "value": "Report"}
    assert read.items[1]["value"] == "loose words"
    assert read.items[2]["md"] == "See [it](https://a.example/)"
    assert read.items[3]["items"][1]["ordered"] is True
    assert read.items[3]["md"] == "- one\n   1. deep"
    assert read.items[5]["rows"] == [["a"], ["1"]]


async def test_items_of_markdown(reader: Reader) -> None:
    written = (
        "# One #\ntext [b](http://c)\nmore\n- x\n  1. y\n\n"
        "| a | b |\n|---|---|\n| 1 | \\| |\nend\n\n```py\n# z\n\nq\n```\n"
    )
    (read,) = (await reader.read(written.encode(), "a.md")).pages
    assert read.items is not None
    assert [item["type"] for item in read.items] == ["heading", "text", "list", "table", "text", "code"]
    assert read.items[1] == {"type": "text", "md": "text [b](http://c)\nmore", "value": "text b\nmore"}
    assert read.items[3]["rows"] == [["a", "b"], ["1", "|"]]
    assert (read.items[5]["value"], read.items[5]["language"]) == ("# z\n\nq", "py")


async def test_items_of_csv_and_none_of_a_large_one(reader: Reader) -> None:
    (read,) = (await reader.read(b"a;b\n1;x\n", "a.csv")).pages
    assert read.items is not None
    assert (read.items[0]["rows"], read.items[0]["csv"]) == ([["a", "b"], ["1", "x"]], "a,b\n1,x")
    (large,) = (await reader.read(b"a,b\n" * 2**20 + b"c,d\n", "a.csv")).pages
    assert large.items is None
    assert (large.markdown or "").endswith("| c | d |")


@pytest.mark.parametrize(
    "hostile",
    ["```" + "a" * 10**6 + "`", "|-\n|" + "-" * 10**6 + "x", "- x\n" * 50_000, "x" + " \n" * 10**6 + "y"],
)
async def test_markdown_that_wants_to_take_long_does_not(reader: Reader, hostile: str) -> None:
    document = await reader.read(hostile.encode(), "a.md")
    assert document.pages[0].items


async def test_the_only_page_is_page_one(reader: Reader) -> None:
    assert (await reader.read(b"words", "a.txt", page_ranges={"target_pages": "1-3"})).pages[
        0
    ].text == "words"
    outcome = await reader.done(b"words", "a.txt", page_ranges={"target_pages": "2"})
    assert outcome.code is FailureCode.NO_DATA_FOUND_IN_FILE
