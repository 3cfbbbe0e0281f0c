import pytest

from services.worker.engines.port import Refused
from services.worker.engines.sniff import Kind, kind_of
from shared.jobs.codes import FailureCode

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
ZIP = b"PK\x03\x04\x14\x00\x06\x00"


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (PDF, "a.pdf", Kind.PDF),
        (PDF, "a.txt", Kind.PDF),
        (PDF, "a", Kind.PDF),
        (PDF, "a.docx", Kind.PDF),
        (b"junk\n" + PDF, "a.bin", Kind.PDF),
        (b"How a file that begins with %PDF- is read", "a.md", Kind.MARKDOWN),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "a.pdf", Kind.PNG),
        (b"\xff\xd8\xff\xe0" + bytes(20), "photo", Kind.JPEG),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "a.webp", Kind.WEBP),
        (b"BM" + bytes(12) + b"\x28\0\0\0", "a.bmp", Kind.BMP),
        (b"BM is how this text begins, and it is a text", "a.txt", Kind.PLAIN),
        (b"MZ is how this text begins", "a.txt", Kind.PLAIN),
        (b"words", "a.TXT", Kind.PLAIN),
        (b"words", "README", Kind.PLAIN),
        (b"a,b\n1,2\n", "a.csv", Kind.CSV),
        (b"a\tb\n", "a.tsv", Kind.TSV),
        (b"{}", "a.json", Kind.JSON),
        (b"# x", "a.md", Kind.MARKDOWN),
        (b"<p>x</p>", "a.htm", Kind.HTML),
        (b"<!DOCTYPE html><p>x", "a.pdf", Kind.HTML),
        (b"\n <html><p>x", "page", Kind.HTML),
        (b"<?xml version='1.0'?><a/>", "feed", Kind.XML),
        (b"not a PDF at all", "a.pdf", Kind.PDF),
        (b"\0\1\2\3" * 100, "a.pdf", Kind.PDF),
        ("Größe".encode("utf-16"), "a.txt", Kind.PLAIN),
        (ZIP, "a.docx", Kind.PACKAGE),
        (ZIP, "a.txt", Kind.PACKAGE),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a.docx", Kind.COMPOUND),
        (b"From: a@b.example\r\nSubject: x\r\n\r\nwords", "a.eml", Kind.EML),
        (b"From: a@b.example\r\nSubject: x\r\n\r\nwords", "a.txt", Kind.PLAIN),
        (b"no header at all", "a.eml", Kind.PLAIN),
        ("plain ascii without a mark\n".encode("utf-16-le"), "a.txt", Kind.PLAIN),
    ],
)
def test_bytes_first_then_name(head: bytes, name: str, kind: Kind) -> None:
    assert kind_of(head, name) is kind


@pytest.mark.parametrize(
    ("head", "name", "words"),
    [
        (b"words", "a.xyz", ".xyz"),
        (b"\0\1\2\3" * 100, "a.xyz", ".xyz"),
        (b"\0\1\2\3" * 100, "a.txt", "binary"),
        (b"\0\1\2\3" * 100, "a", "binary"),
        (b"{\\rtf1 words", "a.txt", "Rich Text"),
        (b"\x7fELF" + bytes(60), "a.txt", "program"),
        (b"hello", "a.png", ".png"),
    ],
)
def test_a_refusal_names_the_type_and_what_is_supported(head: bytes, name: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        kind_of(head, name)
    assert refused.value.code is FailureCode.UNSUPPORTED_FILE_TYPE
    assert words in refused.value.message
    assert "supported are PDF, PNG" in refused.value.message


def test_an_empty_file_has_no_data_whatever_its_name() -> None:
    for name in ("a.pdf", "a.txt", "a.xyz", "a"):
        with pytest.raises(Refused) as refused:
            kind_of(b"", name)
        assert refused.value.code is FailureCode.NO_DATA_FOUND_IN_FILE
