"""Multipart forms read as a stream: the file's bytes are handed on as they come.

Nothing of the file is kept here, neither in memory nor in a temporary file; whoever stores the bytes sets
the pace, because the next piece is read from the socket only when it is asked for. Text fields may stand
before the file or after it.
"""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from services.api.plain_text import check_text
from shared.errors import InvalidInput, TooLarge

IN_PIECES: Final = "body_in_pieces"
"""In the state of a request: its body is bounded here, and may be larger than others."""
MAX_PARTS: Final = 64
MAX_BOUNDARY: Final = 200
MAX_FIELD: Final = 1 << 20
MAX_HEADER: Final = 16 << 10  # a name of 3,000 characters may take 12,000 bytes
SLACK: Final = 4 << 20  # of a body around its file: fields, headers, boundaries
PLAIN_ENCODINGS: Final = (b"", b"binary", b"7bit", b"8bit")


@dataclass(slots=True)
class _Part:
    """The head of one part."""

    headers: dict[bytes, bytes] = field(default_factory=dict)

    def disposition(self) -> tuple[str, str | None]:
        """Its field name, and its file name if it has one."""
        kind, options = parse_options_header(self.headers.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise InvalidInput("The multipart body is malformed: a part has no form-data name.")
        if self.headers.get(b"content-transfer-encoding", b"").strip().lower() not in PLAIN_ENCODINGS:
            raise InvalidInput("Send parts as they are: Content-Transfer-Encoding is not decoded here.")
        name = options[b"name"].decode("utf-8", "replace")
        if b"filename" not in options:
            return name, None
        # Browsers and httpx write a quote in a name as %22 and leave every other % alone.
        return name, options[b"filename"].decode("utf-8", "replace").replace("%22", '"')


class _End:
    """A part is over."""


class _Events:
    """Turns the parser's callbacks into a short queue: what one piece of the body gave."""

    def __init__(self, boundary: bytes) -> None:
        self.waiting: deque[_Part | bytes | _End] = deque()
        self.finished = False
        self._part = _Part()
        self._name = b""
        self._value = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": lambda: self.waiting.append(self._part),
                "on_part_data": lambda data, start, end: self.waiting.append(data[start:end]),
                "on_part_end": lambda: self.waiting.append(_End()),
                "on_end": self._finish,
            },
            max_header_size=MAX_HEADER,
        )

    def write(self, piece: bytes) -> None:
        """Parse a piece of the body. What follows the last boundary is nobody's."""
        if self.finished:
            return
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise InvalidInput(f"The multipart body is malformed: {error}.") from None

    def _begin(self) -> None:
        self._part = _Part()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._part.headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _finish(self) -> None:
        self.finished = True


@dataclass(frozen=True, slots=True)
class FilePart:
    """The file of a form. `name` is None when the client sent none; `chunks` can be read once."""

    name: str | None
    chunks: AsyncIterator[bytes]


class Form:
    """One multipart request: `open_file`, read its chunks to the end, `rest`; then `fields` is complete."""

    def __init__(self, request: Request, *, file_field: str, max_bytes: int) -> None:
        self.fields: dict[str, str] = {}
        self._file_field = file_field
        self._max_bytes = max_bytes
        self._events = _Events(_boundary_of(request))
        setattr(request.state, IN_PIECES, True)
        self._body = request.stream()
        self._read = 0
        self._parts = 0
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > max_bytes + SLACK:
            raise self._too_large()

    async def open_file(self) -> FilePart:
        """The file, as soon as its head is there. A form without one is `InvalidInput`."""
        if (part := await self.next_file()) is not None:
            return part
        raise InvalidInput(f"The form has no part named {self._file_field!r}.")

    async def next_file(self) -> FilePart | None:
        """The file after the one that was read, of a form that may have several; None: there is no more."""
        while (head := await self._next_part()) is not None:
            name, file_name = head
            if name == self._file_field:
                return FilePart(file_name or None, self._file_chunks())
            await self._take_field(name, is_file=file_name is not None)
        return None

    async def rest(self) -> None:
        """Read what follows the file. A second file is `InvalidInput`."""
        while (head := await self._next_part()) is not None:
            name, file_name = head
            if name == self._file_field:
                raise InvalidInput(f"The form has two parts named {name!r}.")
            await self._take_field(name, is_file=file_name is not None)

    def told(self, name: str) -> list[bytes]:
        """All that the form said beside the bytes of its file, `name` being that of the file."""
        return [part.encode() for field in [("", name), *sorted(self.fields.items())] for part in field]

    async def _file_chunks(self) -> AsyncIterator[bytes]:
        size = 0
        while not isinstance(event := await self._next(), _End):
            if isinstance(event, bytes):
                size += len(event)
                if size > self._max_bytes:
                    raise self._too_large()
                yield event

    async def _take_field(self, name: str, *, is_file: bool) -> None:
        """Keep a text field; a file under a name that nobody asked for is read and dropped."""
        value = bytearray()
        while not isinstance(event := await self._next(), _End):
            if isinstance(event, bytes) and not is_file:
                value += event
                if len(value) > MAX_FIELD:
                    raise TooLarge(f"The field {name[:80]!r} is over {MAX_FIELD:,} bytes.")
        if not is_file:
            try:
                text = value.decode("utf-8")
            except UnicodeDecodeError:
                raise InvalidInput(f"The field {name[:80]!r} is not UTF-8 text.") from None
            check_text(text, name)
            self.fields[name] = text

    async def _next_part(self) -> tuple[str, str | None] | None:
        event = await self._next()
        if event is None:
            return None
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InvalidInput(f"The form has more than {MAX_PARTS} parts.")
        if not isinstance(event, _Part):
            raise TypeError("a part was left before its end")
        return event.disposition()

    async def _next(self) -> _Part | bytes | _End | None:
        """The next event; None after the last boundary, when the whole body was read."""
        while not self._events.waiting:
            piece = await anext(self._body, None)
            if piece is None:
                if self._events.finished:
                    return None
                raise InvalidInput("The multipart body is malformed: it ends before its last boundary.")
            self._read += len(piece)
            if self._read > self._max_bytes + SLACK:
                raise self._too_large()
            self._events.write(piece)
        return self._events.waiting.popleft()

    def _too_large(self) -> TooLarge:
        return TooLarge(f"A file may have {self._max_bytes:,} bytes here; this upload is larger.")


def _boundary_of(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        raise InvalidInput("Send the file as multipart/form-data.")
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= MAX_BOUNDARY:
        raise InvalidInput("The content type multipart/form-data needs a boundary.")
    return boundary


def form_of(file_field: str, *fields: str, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """How such a form reads in the OpenAPI document; FastAPI cannot see it in a streamed route."""
    properties: dict[str, Any] = {file_field: {"type": "string", "format": "binary"}}
    properties |= {name: {"type": "string"} for name in fields}
    schema = {"type": "object", "required": [file_field, *required], "properties": properties}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
