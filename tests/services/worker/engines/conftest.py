"""Real documents, and real sandboxes to read them in."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import LETTER
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas

from services.worker.engines.limits import SandboxLimits
from services.worker.engines.port import Done, Outcome, ParseRequest
from services.worker.engines.sandbox import Sandbox
from shared.jobs.result import ResultDocument, decode

MISBEHAVING = str(Path(__file__).with_name("misbehaving.py"))
SCANNED = "Invoice number 1000 total due on receipt"


def pdf(pages: int = 1, *, password: str | None = None) -> bytes:
    out = io.BytesIO()
    sheet = canvas.Canvas(out, pagesize=LETTER, encrypt=password)
    for page in range(1, pages + 1):
        sheet.setFont("Helvetica-Bold", 20)
        sheet.drawString(72, 720, f"Heading of page {page}")
        sheet.setFont("Helvetica", 11)
        for line in range(5):
            sheet.drawString(72, 690 - line * 14, f"Line {line} of page {page} is here to be read.")
        sheet.showPage()
    sheet.save()
    return out.getvalue()


def picture(text: str = SCANNED) -> Image.Image:
    image = Image.new("RGB", (1275, 500), "white")
    font = ImageFont.load_default(32)
    for line in range(3):
        ImageDraw.Draw(image).text((100, 100 + line * 80), text, fill="black", font=font)
    return image


def scanned_pdf(*, beside_text: bool = False) -> bytes:
    """A page that is a picture; `beside_text` puts a page with a text layer before it and an empty one
    after."""
    out = io.BytesIO()
    sheet = canvas.Canvas(out, pagesize=LETTER)
    if beside_text:
        sheet.drawString(72, 700, "This page has a text layer of its own.")
        sheet.showPage()
    sheet.drawImage(ImageReader(picture()), 0, 300, 612, 240)
    sheet.showPage()
    if beside_text:
        sheet.showPage()
    sheet.save()
    return out.getvalue()


def image_bytes(kind: str, image: Image.Image | None = None, **options: Any) -> bytes:
    out = io.BytesIO()
    (image or picture()).save(out, kind, **options)
    return out.getvalue()


class Reader:
    """Reads documents in one sandbox and opens their results."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        self._count = 0

    def put(self, content: bytes, name: str) -> Path:
        self._count += 1
        path = self.folder / f"{self._count}-{name}"
        path.write_bytes(content)
        return path

    async def run(self, content: bytes, name: str, *, project: str = "p", **options: Any) -> Outcome:
        path = self.put(content, name)
        return await self.sandbox.run(ParseRequest(path, name, options), project_id=project)

    async def done(self, content: bytes, name: str, *, project: str = "p", **options: Any) -> Done:
        outcome = await self.run(content, name, project=project, **options)
        assert isinstance(outcome, Done), outcome
        return outcome

    async def read(self, content: bytes, name: str, *, project: str = "p", **options: Any) -> ResultDocument:
        outcome = await self.done(content, name, project=project, **options)
        assert outcome.code is None, outcome
        assert outcome.result is not None
        if isinstance(outcome.result, bytes):
            document = decode(outcome.result)
        else:
            document = decode(outcome.result.read_bytes())
            outcome.result.unlink()
        assert outcome.pages == len(document.pages)
        return document

    async def do(self, deed: str, *, project: str = "p", **options: Any) -> Outcome:
        return await self.run(b"words", "a.txt", project=project, do=deed, **options)

    async def say(self, deed: str, *, project: str = "p", **options: Any) -> str:
        document = await self.read(b"words", "a.txt", project=project, do=deed, **options)
        return document.pages[0].text


@pytest.fixture(scope="session")
async def reader(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Reader]:
    """The real engines under the real limits."""
    folder = tmp_path_factory.mktemp("documents")
    sandbox = Sandbox(folder=tmp_path_factory.mktemp("sandboxes"))
    yield Reader(sandbox, folder)
    await sandbox.close()


@pytest.fixture
async def bad(tmp_path: Path) -> AsyncIterator[Callable[..., Reader]]:
    """Readers whose engine misbehaves, each under limits of its own."""
    made: list[Sandbox] = []
    (tmp_path / "documents").mkdir()

    def make(**limits: Any) -> Reader:
        engines = {"text": MISBEHAVING, "paged": MISBEHAVING}
        sandbox = Sandbox(limits=SandboxLimits(**limits), folder=tmp_path, engines=engines)
        made.append(sandbox)
        return Reader(sandbox, tmp_path / "documents")

    yield make
    for sandbox in made:
        await sandbox.close()


async def eventually(check: Callable[[], bool], *, within: float = 10.0) -> None:
    """Wait until `check` holds; fail when it does not within so many seconds."""
    async with asyncio.timeout(within):
        while not check():
            await asyncio.sleep(0.02)


@pytest.fixture
def wait() -> Callable[..., Awaitable[None]]:
    return eventually


async def pid_in(folder: Path, name: str) -> int:
    """The process id that an engine wrote into its own folder, somewhere below `folder`."""
    said: list[str] = []

    def looked() -> bool:
        for found in folder.glob(f"batchmill-sandbox-*/child-*/{name}"):
            with contextlib.suppress(FileNotFoundError):
                said.append(found.read_text())
        return bool(said and said[-1])

    await eventually(looked)
    return int(said[-1])


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has buried yet has ended too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
