"""Office documents for tests: made by the libraries of the field, or by hand where there is none."""

import io
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import docx
import openpyxl
import pptx
from docx.oxml.ns import qn
from docx.oxml.parser import OxmlElement

_ODF = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
    ' xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
    ' xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"'
    ' xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0"'
    ' xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0"'
    ' xmlns:presentation="urn:oasis:names:tc:opendocument:xmlns:presentation:1.0"'
    ' xmlns:xlink="http://www.w3.org/1999/xlink"'
)


def word(write: Callable[[Any], None]) -> bytes:
    document = docx.Document()
    write(document)
    return _saved(document.save)


def rendered_break(paragraph: Any) -> None:
    """The mark that Word leaves where its last layout began a page."""
    paragraph.runs[0]._r.insert(0, OxmlElement("w:lastRenderedPageBreak"))


def linked(document: Any, paragraph: Any, text: str, url: str) -> None:
    link = OxmlElement("w:hyperlink")
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink"
    link.set(qn("r:id"), document.part.relate_to(url, kind, is_external=True))
    run = paragraph.add_run(text)
    link.append(run._r)
    paragraph._p.append(link)


def workbook(write: Callable[[Any], None]) -> bytes:
    book = openpyxl.Workbook()
    write(book)
    return _saved(book.save)


def slides(write: Callable[[Any], None]) -> bytes:
    presentation = pptx.Presentation()
    write(presentation)
    return _saved(presentation.save)


def _saved(save: Callable[[io.BytesIO], Any]) -> bytes:
    out = io.BytesIO()
    save(out)
    return out.getvalue()


def opendocument(kind: str, body: str, styles: str = "", manifest: str = "") -> bytes:
    content = (
        f"<office:document-content {_ODF}><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>"
    )
    parts: dict[str, str | bytes] = {
        "mimetype": f"application/vnd.oasis.opendocument.{kind}",
        "content.xml": content,
    }
    if manifest:
        parts["META-INF/manifest.xml"] = manifest
    return archive(parts)


def archive(parts: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return out.getvalue()


def changed(content: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """The same archive with one part changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        parts: dict[str, str | bytes] = {one: file.read(one) for one in file.namelist()}
    old = parts[name]
    assert isinstance(old, bytes)
    return archive(parts | {name: change(old)})


def with_strings(book: bytes, content: bytes) -> bytes:
    """The same workbook with a table of shared strings."""
    kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    entry = b'<Override PartName="/xl/sharedStrings.xml" ContentType="' + kind + b'"/></Types>'
    listed = changed(book, "[Content_Types].xml", lambda part: part.replace(b"</Types>", entry))
    with zipfile.ZipFile(io.BytesIO(listed)) as file:
        parts: dict[str, str | bytes] = {one: file.read(one) for one in file.namelist()}
    return archive(parts | {"xl/sharedStrings.xml": content})


def mail(write: Callable[[EmailMessage], None]) -> bytes:
    message = EmailMessage()
    message["From"] = "Ada <ada@example.org>"
    message["To"] = "Ben <ben@example.org>"
    message["Subject"] = "The größte pump"
    write(message)
    return message.as_bytes()
