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


async def test_the_only_page_is_page_one(reader: Reader) -> None:
    assert (await reader.read(b"words", "a.txt", page_ranges={"target_pages": "1-3"})).pages[
        0
    ].text == "words"
    outcome = await reader.done(b"words", "a.txt", page_ranges={"target_pages": "2"})
    assert outcome.code is FailureCode.NO_DATA_FOUND_IN_FILE
