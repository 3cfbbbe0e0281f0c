"""E-mails (eml): who wrote to whom, when, about what, the body, and the names of what is attached.

Of a body in two forms the plain one is read, else the HTML. Attachments are named, not read.
"""

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

from services.worker.engines.blocks import Block, Entry, Heading, Paragraph, escaped, plain
from services.worker.engines.markup import UNSEEN, blocks_of
from services.worker.engines.office.package import damaged
from services.worker.engines.office.pages import Sheets
from services.worker.engines.port import Refused
from shared.jobs.codes import FailureCode

_MOST_BYTES: Final = 64 * 2**20
_HEADERS: Final = ("From", "To", "Cc", "Date", "Reply-To")
_MOST_NAMES: Final = 1_000
_LONGEST_HEADER: Final = 10_000


def read(path: Path) -> Sheets:
    """The message as one page. Refuses one of more than 64 MB, and one that is damaged."""
    with path.open("rb") as file:
        raw = file.read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise Refused(
            FailureCode.DOCUMENT_TOO_LARGE, f"An e-mail of more than {_MOST_BYTES // 2**20} MB is not read."
        )
    # The parser of the standard library is forgiving; what it raises all the same is not told apart.
    try:
        message = email.message_from_bytes(raw, policy=email.policy.default)
        return _message(message)
    except (Refused, MemoryError):
        raise
    except Exception as error:
        raise damaged(f"the e-mail cannot be read ({type(error).__name__})") from error


def _message(message: EmailMessage) -> Sheets:
    sheets = Sheets("eml")
    if subject := _header(message, "Subject"):
        sheets.add(Heading(1, subject))
    lines = [f"{name}: {value}" for name in _HEADERS if (value := _header(message, name))]
    if lines:
        sheets.add(Paragraph("\n".join(lines), "  \n".join(map(escaped, lines))))
    for block in _body(message):
        sheets.add(block)
    names = _attached(message)
    if names:
        sheets.facts["attachments"] = names
        sheets.add(Heading(2, "Attachments (not read)"))
        for name in names:
            sheets.add(Entry(0, ordered=False, text=name, markdown=escaped(name)))
    return sheets


def _header(message: EmailMessage, name: str) -> str:
    return " ".join(str(message.get(name) or "").split())[:_LONGEST_HEADER]


def _body(message: EmailMessage) -> list[Block]:
    part: Any = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return []
    content = _decoded(part)
    if part.get_content_subtype() != "html":
        return [
            plain(piece.strip("\n")) for piece in content.replace("\r\n", "\n").split("\n\n") if piece.strip()
        ]
    from bs4 import BeautifulSoup  # noqa: PLC0415  (a tenth of a second that most messages never need)

    soup = BeautifulSoup(content, "html.parser")
    for tag in soup.find_all(UNSEEN):
        tag.decompose()
    try:
        return blocks_of(soup)
    except RecursionError:
        # Tags nested a thousand deep: its words are worth more than its shape.
        return [plain(soup.get_text("\n", strip=True))]


def _decoded(part: Any) -> str:
    try:
        return str(part.get_content())
    except LookupError:
        # A character set that nobody knows.
        return bytes(part.get_payload(decode=True) or b"").decode("utf-8", "replace")


def _attached(message: EmailMessage) -> list[str]:
    body = message.get_body(preferencelist=("plain", "html"))
    names: list[str] = []
    for part in message.walk():
        named = part.get_filename()
        if part is not body and (named or part.get_content_disposition() == "attachment"):
            names.append(" ".join((named or f"unnamed ({part.get_content_type()})").split())[:200])
    return names[:_MOST_NAMES]
