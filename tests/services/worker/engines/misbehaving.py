"""An engine that does what the options of the document tell it to: the worst things a parser can do."""

import errno
import mimetypes
import mmap
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from services.worker.engines.port import Refused, Source
from shared.jobs.codes import FailureCode
from shared.jobs.result import Page, ResultDocument

served = 0


def parse(source: Source, options: Mapping[str, Any]) -> ResultDocument:
    global served  # noqa: PLW0603
    served += 1
    text = DEEDS[options.get("do", "read")](source, options)
    return ResultDocument("misbehaving 1", (Page(1, text or ""),))


def read(source: Source, options: Mapping[str, Any]) -> str:
    return source.path.read_text()


def pid(source: Source, options: Mapping[str, Any]) -> str:
    return str(os.getpid())


def hang(source: Source, options: Mapping[str, Any]) -> str:
    if where := options.get("where"):
        (source.folder / where).write_text(str(os.getpid()))
    time.sleep(60)
    return "slept"


def echo(source: Source, options: Mapping[str, Any]) -> str:
    return source.path.read_text() if source.content is None else source.content.decode()


def sleep(source: Source, options: Mapping[str, Any]) -> str:
    time.sleep(options["seconds"])
    return echo(source, options)


def tell_much(source: Source, options: Mapping[str, Any]) -> str:
    return random.Random(echo(source, options)).randbytes(options["bytes"]).hex()


def leave_a_file(source: Source, options: Mapping[str, Any]) -> str:
    """Leave one, and say how many lay there."""
    found = len(list(source.folder.iterdir()))
    (source.folder / f"left-{served}").write_bytes(b"x" * options.get("bytes", 1))
    return str(found)


def hang_if_told(source: Source, options: Mapping[str, Any]) -> str:
    text = echo(source, options).removeprefix("%PDF-")
    return hang(source, options) if text == "hang" else text


def nap(source: Source, options: Mapping[str, Any]) -> str:
    time.sleep(1)  # Longer than the parent takes between two looks.
    return "rested"


def spin(source: Source, options: Mapping[str, Any]) -> str:
    while True:
        pass


def swell(source: Source, options: Mapping[str, Any]) -> str:
    held = []
    for _ in range(40):
        held.append(bytearray(b"x" * 2**24))
        time.sleep(0.02)
    return str(len(held))


def leap(source: Source, options: Mapping[str, Any]) -> str:
    # Reserved and never touched, so only the limit of the address space can notice.
    return str(mmap.mmap(-1, 6 * 2**30).size())


def abort_for_memory(source: Source, options: Mapping[str, Any]) -> str:
    os.write(2, b"memory allocation of 17179869184 bytes failed\n")
    os.abort()


def leave(source: Source, options: Mapping[str, Any]) -> str:
    os._exit(7)


def leave_politely(source: Source, options: Mapping[str, Any]) -> str:
    sys.exit(0)


def crash(source: Source, options: Mapping[str, Any]) -> str:
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)
    return "survived"


def crash_when_used(source: Source, options: Mapping[str, Any]) -> str:
    if served > 1:
        os._exit(7)
    return "unharmed"


def panic(source: Source, options: Mapping[str, Any]) -> str:
    class PanicException(BaseException):
        pass

    raise PanicException("called `Option::unwrap()` on a `None` value")


def refuse(source: Source, options: Mapping[str, Any]) -> str:
    raise Refused(FailureCode.PDF_IS_BROKEN, "no good\x1b[31m", retryable=True)


def fill_disk(source: Source, options: Mapping[str, Any]) -> str:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_one(source: Source, options: Mapping[str, Any]) -> str:
    (source.folder / "one").write_bytes(b"x" * options["bytes"])
    return "written"


def write_many(source: Source, options: Mapping[str, Any]) -> str:
    for number in range(100):
        (source.folder / f"{number}").write_bytes(b"x" * options["bytes"])
    time.sleep(60)
    return "written"


def chatter(source: Source, options: Mapping[str, Any]) -> str:
    print('{"id": "?", "code": null}', flush=True)  # noqa: T201
    os.write(1, b"parsing...\n" * 10_000)
    return "chattered"


def forge(source: Source, options: Mapping[str, Any]) -> str:
    for handle in range(3, 20):
        try:
            os.write(handle, options["line"].encode() + b"\n")
        except OSError:
            continue
    return "forged"


def surroundings(source: Source, options: Mapping[str, Any]) -> str:
    limits = [resource.getrlimit(what)[0] for what in (resource.RLIMIT_CORE, resource.RLIMIT_NOFILE)]
    handles = len(list(Path("/dev/fd").iterdir()))
    return repr({"environ": dict(os.environ), "cwd": str(Path.cwd()), "limits": limits, "handles": handles})


def spy(source: Source, options: Mapping[str, Any]) -> str:
    try:
        return "secret" if b"KEY_OF_THE_PARENT" in Path(options["path"]).read_bytes() else "nothing"
    except PermissionError:
        return "refused"


def trespass(source: Source, options: Mapping[str, Any]) -> str:
    """What could be done outside the folder: read a file, write one, end the parent."""
    done = []
    deeds: dict[str, Callable[[], object]] = {
        "read": lambda: Path(options["path"]).read_bytes(),
        "list": lambda: list(Path(options["path"]).parent.iterdir()),
        "write": lambda: Path(options["path"]).write_bytes(b"spoilt"),
        "make": lambda: Path(options["path"] + ".new").write_bytes(b"new"),
        "remove": lambda: Path(options["path"]).unlink(),
        "signal": lambda: os.kill(os.getppid(), 0),
        "environ": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
        "handles": lambda: list(Path(f"/proc/{os.getppid()}/fd").iterdir()),
    }
    for name, deed in deeds.items():
        try:
            deed()
        except PermissionError:
            continue
        done.append(name)
    return " ".join(done)


def call_home(source: Source, options: Mapping[str, Any]) -> str:
    with socket.socket() as line:
        line.settimeout(2)
        try:
            line.connect(("127.0.0.1", options["port"]))
        except OSError:
            return "no network"
    return "network"


def leave_child(source: Source, options: Mapping[str, Any]) -> str:
    stray = subprocess.Popen(["/bin/sleep", "60"])
    (source.folder / options["where"]).write_text(str(stray.pid))
    time.sleep(60)
    return "left"


def multiply(source: Source, options: Mapping[str, Any]) -> str:
    """A fork bomb of so many, each in a session of its own and deaf to SIGTERM: out of reach of a group."""
    (source.folder / "began").write_text(str(os.getpid()))
    for _ in range(options["times"]):
        if os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.execv("/bin/sleep", ["sleep", options["mark"]])  # noqa: S606
    time.sleep(60)
    return "multiplied"


def hang_up(source: Source, options: Mapping[str, Any]) -> str:
    """Close every handle, deaf to SIGTERM, and stay."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.closerange(0, 256)
    time.sleep(60)
    return "heard"


def threads(source: Source, options: Mapping[str, Any]) -> str:
    done: list[int] = []
    made = [threading.Thread(target=done.append, args=(number,)) for number in range(8)]
    for thread in made:
        thread.start()
    for thread in made:
        thread.join()
    return str(len(done))


def types_of_files(source: Source, options: Mapping[str, Any]) -> str:
    """What libraries do when they are imported: ask for the types of files that the system knows."""
    mimetypes.init()
    return f"{mimetypes.guess_type('a.png')[0]} {mimetypes.knownfiles}"


def litter(source: Source, options: Mapping[str, Any]) -> str:
    before = sorted(entry.name for entry in source.folder.iterdir() if entry != source.path)
    (source.folder / "folder" / "below").mkdir(parents=True)
    (source.folder / "folder" / "below" / "file").write_bytes(b"x")
    (source.folder / "link").symlink_to("/")
    return repr(before)


def nest(source: Source, options: Mapping[str, Any]) -> str:
    """Folders in each other, more than any library goes down."""
    for _ in range(1_200):
        os.mkdir("a")  # noqa: PTH102 - relative to where it is, which no path can say in the end
        os.chdir("a")
    os.chdir(source.folder)
    return "nested"


def grow(source: Source, options: Mapping[str, Any]) -> str:
    # Kept on purpose: what a leaking parser does.
    kept = mmap.mmap(-1, options["bytes"])
    for _ in range(options["bytes"] // 2**20):
        kept.write(b"x" * 2**20)
    hoard.append(kept)
    return str(os.getpid())


hoard: list[mmap.mmap] = []
DEEDS: dict[str, Callable[[Source, Mapping[str, Any]], str]] = {
    deed.__name__: deed
    for deed in (
        read,
        pid,
        echo,
        sleep,
        tell_much,
        leave_a_file,
        hang,
        hang_if_told,
        nap,
        spin,
        swell,
        leap,
        abort_for_memory,
        leave,
        leave_politely,
        crash,
        crash_when_used,
        panic,
        refuse,
        fill_disk,
        write_one,
        write_many,
        chatter,
        forge,
        surroundings,
        spy,
        trespass,
        call_home,
        leave_child,
        multiply,
        hang_up,
        threads,
        types_of_files,
        litter,
        nest,
        grow,
    )
}
