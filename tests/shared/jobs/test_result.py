import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from shared.jobs import result
from shared.jobs.result import Page, ResultDocument, ResultTooLarge, ResultUnreadable, decode, encode

DOCUMENT = ResultDocument(
    engine="e 1",
    pages=(
        Page(1, "one", "# one", 612.0, 792.0, label="iv"),
        Page(2, "zwei ✓", "zwei ✓", 612.0, 792.0, ocr=True),
        Page(3, "", error="the page could not be read"),
    ),
    document={"kind": "pdf"},
    job_metadata={"tier": "cost_effective", "pages": 3},
)


def packed(tree: object) -> bytes:
    return zstandard.compress(json.dumps(tree).encode())


def tree() -> dict[str, object]:
    return dict(json.loads(zstandard.decompress(encode(DOCUMENT), max_output_size=2**20)))


def test_what_is_written_is_read() -> None:
    assert decode(encode(DOCUMENT)) == DOCUMENT
    assert decode(encode(ResultDocument("e", ()))) == ResultDocument("e", ())


def test_the_stored_form_is_an_interface() -> None:
    assert tree() == {
        "format": 1,
        "engine": "e 1",
        "pages": [
            {
                "page_number": number,
                "text": text,
                "markdown": markdown,
                "width": size and 612.0,
                "height": size and 792.0,
                "ocr": ocr,
                "label": label,
                "error": error,
            }
            for number, text, markdown, size, ocr, label, error in (
                (1, "one", "# one", 1, False, "iv", None),
                (2, "zwei ✓", "zwei ✓", 1, True, None, None),
                (3, "", None, None, False, None, "the page could not be read"),
            )
        ],
        "metadata": {"document": {"kind": "pdf"}},
        "job_metadata": {"tier": "cost_effective", "pages": 3},
    }


@given(st.lists(st.tuples(st.text(), st.none() | st.text(), st.booleans()), max_size=5))
def test_any_text_survives(pages: list[tuple[str, str | None, bool]]) -> None:
    made = tuple(Page(i, text, markdown, ocr=ocr) for i, (text, markdown, ocr) in enumerate(pages, 1))
    assert decode(encode(ResultDocument("e", made))).pages == made


def test_a_lone_surrogate_is_no_reason_to_lose_a_document() -> None:
    assert decode(encode(ResultDocument("e", (Page(1, "a\ud800b"),)))).pages[0].text == "a?b"


def test_nothing_larger_than_the_limit_is_written_or_read() -> None:
    doc = ResultDocument("e", (Page(1, "a" * 10_000),))
    with pytest.raises(ResultTooLarge):
        encode(doc, max_bytes=10_000)
    bomb = encode(doc)
    assert len(bomb) < 500
    with pytest.raises(ResultUnreadable, match="over"):
        decode(bomb, max_bytes=10_000)
    assert decode(bomb, max_bytes=11_000) == doc


@pytest.mark.parametrize("size", [10, 2**20 - 200, 2**20, 3 * 2**20])
def test_small_and_large_objects_are_packed_whole(size: int) -> None:
    """What is small is packed at once and what is large on the way; both are one frame with a checksum."""
    words = " ".join(str(number) for number in range(size // 6))
    doc = ResultDocument("e", (Page(1, "first"), Page(2, words), Page(3, "last")))
    blob = encode(doc)
    assert zstandard.get_frame_parameters(blob).has_checksum
    assert decode(blob) == doc


def test_an_object_that_was_too_large_leaves_nothing_in_the_next() -> None:
    large = ResultDocument("e", tuple(Page(number, "x" * 2**20) for number in range(1, 4)))
    with pytest.raises(ResultTooLarge):
        encode(large, max_bytes=2 * 2**20)
    assert decode(encode(DOCUMENT)) == DOCUMENT
    with ThreadPoolExecutor(8) as threads:
        packed = list(threads.map(encode, [DOCUMENT, large] * 8))
    assert [decode(one) for one in packed] == [DOCUMENT, large] * 8


@pytest.mark.parametrize("cut", [0, 1, 3, 20, -1, -5])
def test_a_cut_object_is_damaged(cut: int) -> None:
    with pytest.raises(ResultUnreadable):
        decode(encode(DOCUMENT)[:cut])


@given(st.binary(max_size=200))
def test_garbage_is_unreadable_and_nothing_else(garbage: bytes) -> None:
    for blob in (garbage, zstandard.compress(garbage)):
        with pytest.raises(ResultUnreadable):
            decode(blob)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"format": None},
        {"pages": {}},
        {"pages": ["one"]},
        {"pages": [{"page_number": 1}]},
        {"pages": [{"page_number": "1", "text": ""}]},
        {"pages": [{"page_number": True, "text": ""}]},
        {"pages": [{"page_number": 1, "text": "", "markdown": 5}]},
        {"pages": [{"page_number": 1, "text": "", "ocr": None}]},
        {"pages": [{"page_number": 1, "text": "", "width": "6"}]},
        {"pages": [{"page_number": 1, "text": "", "width": float("nan")}]},
        {"metadata": []},
        {"metadata": {}},
        {"job_metadata": None},
        {"engine": None},
    ],
)
def test_a_value_of_the_wrong_type_is_unreadable(change: dict[str, object]) -> None:
    assert decode(packed(tree())) == DOCUMENT
    with pytest.raises(ResultUnreadable):
        decode(packed(tree() | change))


def test_a_later_version_may_add_keys() -> None:
    added = {**tree(), "news": 1, "pages": [{"page_number": 1, "text": "a", "weather": []}]}
    assert decode(packed(added)).pages == (Page(1, "a"),)


def test_the_full_forms() -> None:
    assert result.text_full(DOCUMENT) == "one\n\nzwei ✓\n\n"
    assert result.markdown_full(DOCUMENT) == "# one\n\nzwei ✓"
    fast = ResultDocument("e", (Page(1, "one"),))
    assert result.markdown_full(fast) is None
    assert result.markdown_pages(fast) is None


def test_the_page_lists_are_those_of_the_contract() -> None:
    assert result.text_pages(DOCUMENT)[:2] == [
        {"page_number": 1, "text": "one"},
        {"page_number": 2, "text": "zwei ✓"},
    ]
    assert result.markdown_pages(DOCUMENT) == [
        {"page_number": 1, "markdown": "# one", "success": True},
        {"page_number": 2, "markdown": "zwei ✓", "success": True},
        {"page_number": 3, "success": False, "error": "the page could not be read"},
    ]
    assert result.metadata_pages(DOCUMENT)[1] == {
        "page_number": 2,
        "printed_page_number": None,
        "page_width": 612.0,
        "page_height": 792.0,
        "ocr": True,
    }
    assert result.metadata_pages(DOCUMENT)[0]["printed_page_number"] == "iv"
