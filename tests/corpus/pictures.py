"""Pictures that promise more than they hold, or hold more than a memory does."""

import struct
import zlib

from shared.jobs.codes import FailureCode as Code
from tests.corpus.hostile import COMPLETED, Corpus, End, ends_as

SIDE = 30_000
TOO_LARGE: tuple[End, ...] = (Code.OUT_OF_MEMORY, Code.ENGINE_ERROR)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(side: int, pixels: bytes, *more: bytes) -> bytes:
    """A grey PNG of so many pixels a side whose pixel data is this."""
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + b"".join(more) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def zeros(count: int) -> bytes:
    """So many zeros, deflated."""
    packer = zlib.compressobj(9)
    piece = bytes(2**20)
    packed = [packer.compress(piece) for _ in range(count // 2**20)]
    return b"".join([*packed, packer.compress(bytes(count % 2**20)), packer.flush()])


def png_bomb() -> bytes:
    """All pixels are there: 900 MB of them in less than one."""
    return png(SIDE, zeros(SIDE * (SIDE + 1)))


def png_with_words(megabytes: int) -> bytes:
    words = chunk(b"zTXt", b"Comment\0\0" + zeros(megabytes * 2**20))
    return png(8, zeros(72), words)


def tiff(entries: list[tuple[int, int, int, int]], following: int, *, pixels: bytes = b"") -> bytes:
    """One directory at byte 8; `following` is where it says that the next one is."""
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", following) + pixels


def tiff_entries(side: int, at: int = 0, size: int = 64) -> list[tuple[int, int, int, int]]:
    short, long = 3, 4
    return [
        (256, long, 1, side),
        (257, long, 1, side),
        (258, short, 1, 8),
        (259, short, 1, 1),
        (262, short, 1, 1),
        (273, long, 1, at),
        (277, short, 1, 1),
        (278, long, 1, side),
        (279, long, 1, size),
    ]


def tiff_ring() -> bytes:
    return tiff(tiff_entries(8, 8 + 2 + 12 * 9 + 4), 8, pixels=bytes(64))


def tiff_beyond_its_end() -> bytes:
    return tiff(tiff_entries(8, 2**32 - 16, 2**32 - 1), 2**32 - 2)


def jpeg_header() -> bytes:
    frame = struct.pack(">HBHHB", 11, 8, SIDE, SIDE, 1) + b"\x01\x11\x00"
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xc0" + frame + b"\xff\xd9"


def bmp_header() -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def gif_header() -> bytes:
    screen = struct.pack("<HHBBB", 65_535, 65_535, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return b"GIF89a" + screen + b"," + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + b"\x02\x02\x44\x01\0;"


PICTURES: Corpus = {
    "header-30000.png": ends_as(lambda: png(SIDE, zeros(100)), *TOO_LARGE),
    "bomb-30000.png": ends_as(png_bomb, *TOO_LARGE, COMPLETED, heavy=True),
    "words-of-64MB.png": ends_as(lambda: png_with_words(64), COMPLETED, *TOO_LARGE),
    "cut.png": ends_as(lambda: png(64, zeros(64 * 65))[:-30], Code.ENGINE_ERROR, COMPLETED),
    "header-30000.tiff": ends_as(lambda: tiff(tiff_entries(SIDE), 0), *TOO_LARGE),
    "ring.tiff": ends_as(tiff_ring, COMPLETED, Code.ENGINE_ERROR),
    "beyond-its-end.tiff": ends_as(tiff_beyond_its_end, *TOO_LARGE),
    "header-30000.jpg": ends_as(jpeg_header, *TOO_LARGE, COMPLETED),
    "header-30000.bmp": ends_as(bmp_header, *TOO_LARGE),
    "header-65535.gif": ends_as(gif_header, *TOO_LARGE, COMPLETED),
}
