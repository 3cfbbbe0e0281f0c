"""The name by which a file on disk is known in the API.

Who lists a folder and who asks for its files must mean the same name, so it is made here only.
"""

import os


def as_text(path: str) -> str:
    """A path as text; bytes that are no UTF-8 become hex escapes, for the API speaks text only.

    In such a name a backslash of its own is doubled, and so it is in a name that looks like an escape:
    two files never get the same text.
    """
    if path.isascii() and "\\" not in path:
        return path
    raw = os.fsencode(path)
    if _looks_escaped(raw):
        raw = raw.replace(b"\\", b"\\\\")
    return raw.decode("utf-8", "backslashreplace")


def _looks_escaped(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return b"\\x" in raw or b"\\\\" in raw
