"""Texts with no end of depth, width or length, and files that are not what their name says."""

from shared.jobs.codes import FailureCode as Code
from tests.corpus.archives import LAUGHS
from tests.corpus.hostile import COMPLETED, Corpus, ends_as
from tests.corpus.pdfs import sane
from tests.corpus.pictures import png, zeros

LARGE = (Code.DOCUMENT_TOO_LARGE, Code.OUT_OF_MEMORY)


def nested(tag: str, levels: int) -> bytes:
    return f"<html><body>{f'<{tag}>' * levels}words{f'</{tag}>' * levels}</body></html>".encode()


def quoted(levels: int, lines: int) -> bytes:
    """Each line of the innermost quotation begins with all of its levels once it is Markdown."""
    inner = "<p>x</p>" * lines
    return f"<html>{'<blockquote>' * levels}{inner}{'</blockquote>' * levels}</html>".encode()


def open_tags(count: int) -> bytes:
    """Each of them is looked for to its end, which never comes."""
    return b"<html><body>words" + b"<a " * count


def mail_in_mail(levels: int) -> bytes:
    head = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: x\r\n"
    parts = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (level, level)
        for level in range(levels)
    )
    return head + parts + b"Content-Type: text/plain\r\n\r\nwords\r\n"


def one_wide_row(columns: int, rows: int) -> bytes:
    """A table is as wide as its widest row, so each of the others is filled up."""
    return b"x" + b",x" * (columns - 1) + b"\n" + b"x\n" * rows


TEXTS: Corpus = {
    "empty.pdf": ends_as(lambda: b"", Code.NO_DATA_FOUND_IN_FILE),
    "blanks.txt": ends_as(lambda: b" \n" * 100_000, Code.NO_DATA_FOUND_IN_FILE),
    "sparse-1GB.txt": ends_as(lambda: b"words\n", Code.DOCUMENT_TOO_LARGE, grown_to=2**30),
    "line-of-16MB.txt": ends_as(lambda: b"x" * (16 * 2**20), COMPLETED),
    "line-of-100MB.txt": ends_as(lambda: b"x" * (100 * 2**20), COMPLETED, *LARGE, heavy=True),
    "nuls.txt": ends_as(lambda: b"words" + bytes(1_000) + b"words", Code.UNSUPPORTED_FILE_TYPE),
    "nuls-late.txt": ends_as(
        lambda: b"words\n" * 10_000 + bytes(1_000), COMPLETED, Code.UNSUPPORTED_FILE_TYPE
    ),
    "no-encoding.txt": ends_as(lambda: bytes(range(128, 256)) * 50, COMPLETED, Code.UNSUPPORTED_FILE_TYPE),
    "half-surrogates.txt": ends_as(
        lambda: b"\xff\xfe" + b"w\0\x00\xd8" * 1_000, COMPLETED, Code.UNSUPPORTED_FILE_TYPE
    ),
    "utf-8-cut.txt": ends_as(lambda: "größte".encode() * 1_000 + b"\xc3", COMPLETED),
    "laughs.xml": ends_as(lambda: b"<?xml version='1.0'?>" + LAUGHS + b"<x>&a9;</x>", COMPLETED),
    "divs-20000-deep.html": ends_as(lambda: nested("div", 20_000), COMPLETED),
    "lists-3000-deep.html": ends_as(lambda: nested("ul><li", 3_000), COMPLETED),
    "quotes-300-deep.html": ends_as(lambda: quoted(300, 500), COMPLETED, *LARGE),
    "open-tags-3000.html": ends_as(lambda: open_tags(3_000), COMPLETED),
    "open-tags-100000.html": ends_as(lambda: open_tags(100_000), COMPLETED),
    "arrays-million-deep.json": ends_as(lambda: b"[" * 10**6, COMPLETED),
    "number-of-million-digits.json": ends_as(lambda: b"9" * 10**6, COMPLETED),
    "million-columns.csv": ends_as(lambda: b"x," * 10**6 + b"\n", COMPLETED),
    "one-wide-row.csv": ends_as(lambda: one_wide_row(20_000, 50_000), COMPLETED, *LARGE),
    "one-open-quote.csv": ends_as(lambda: b'x,"' + b"x,y\n" * 500_000, COMPLETED),
    "brackets.md": ends_as(lambda: b"[" * 50_000 + b"*_" * 50_000, COMPLETED),
    "mail-500-deep.eml": ends_as(lambda: mail_in_mail(500), COMPLETED, Code.ENGINE_ERROR),
    "text.pdf": ends_as(lambda: b"these are words\n", Code.PDF_IS_BROKEN),
    "picture-named.pdf": ends_as(lambda: png(8, zeros(72)), COMPLETED),
    "pdf-named.txt": ends_as(sane, COMPLETED),
    "program-named.pdf": ends_as(lambda: b"\x7fELF" + bytes(500), Code.UNSUPPORTED_FILE_TYPE),
    "text-named.png": ends_as(lambda: b"these are words\n", Code.UNSUPPORTED_FILE_TYPE),
    "rich-text-named.docx": ends_as(lambda: b"{\\rtf1 words}", Code.UNSUPPORTED_FILE_TYPE),
}
