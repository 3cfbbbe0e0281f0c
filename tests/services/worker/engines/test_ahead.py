"""The queue of what a child was sent, and its answers as they come: against what they should be."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest

from services.worker.engines.ahead import (
    LONGEST_GATHERING_S,
    MOST_AHEAD,
    MOST_BYTES_AHEAD,
    MOST_UNSWEPT,
    WORTH_GATHERING,
    Ahead,
)
from services.worker.engines.answers import LONGEST_LINE, Answer, Answers, Babble
from services.worker.engines.port import MOST_BEHIND_AN_ANSWER, ParseRequest


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[ParseRequest]:
    """Most of them small PDFs; some too large, some no PDF, some that are gone."""
    chance, folder = Random(1), tmp_path_factory.mktemp("documents")
    made = []
    for number in range(80):
        path = folder / f"{number}.pdf"
        kind = chance.choices(("small", "middle", "large", "text", "gone"), (80, 8, 2, 3, 1))[0]
        size = {"small": 50, "middle": 70_000, "large": 300_000}.get(kind, 20)
        if kind != "gone":
            path.write_bytes((b"plain " if kind == "text" else b"%PDF-") + b"%d " % number + b"x" * size)
        made.append(ParseRequest(path, path.name, {"tier": "fast"}))
    return made


def taken_apart(sent: bytes) -> list[tuple[str, str, bytes]]:
    """Token, name and content of each question, as the child takes them."""
    found = []
    while sent:
        line, _, sent = sent.partition(b"\n")
        asked = json.loads(line)
        found.append((asked["id"], asked["name"], sent[: asked["given"]]))
        sent = sent[asked["given"] :]
    return found


class Twin:
    """What the child has: questions in the order in which their bytes came."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, str, bytes]] = []
        self.seen: set[str] = set()

    def get(self, sent: bytes) -> None:
        for token, name, content in taken_apart(sent):
            assert token not in self.seen
            self.seen.add(token)
            self.waiting.append((token, name, content))


def may_go(request: ParseRequest) -> bool:
    found = request.path.read_bytes() if request.path.exists() else b""
    return found.startswith(b"%PDF-") and len(found) <= 256 * 1024


def in_bounds(twin: Twin, queue: Ahead) -> None:
    assert len(twin.waiting) == len(queue) <= MOST_AHEAD
    assert sum(len(content) for _, _, content in twin.waiting) <= MOST_BYTES_AHEAD
    assert queue.unswept + len(queue) <= MOST_UNSWEPT


def one_turn(twin: Twin, queue: Ahead, request: ParseRequest, behind: Iterable[ParseRequest]) -> bool:
    """Whether the document was ahead of its turn; what is sent is what follows, and nothing else."""
    was_ahead = queue.is_next(request)
    if was_ahead:
        token, name, content = twin.waiting.pop(0)
        assert queue.take().token == token
        assert name == request.name
        assert content == request.path.read_bytes()
    elif queue:
        return False
    queue.unswept += 1
    if queue.wants_more:
        twin.get(queue.more(behind))
    if not queue:
        queue.unswept = 0
    in_bounds(twin, queue)
    return was_ahead


@pytest.mark.parametrize("part", range(4))
def test_two_thousand_orders_against_a_twin(documents: list[ParseRequest], part: int) -> None:
    """Four times five hundred. Every answer taken is of the document that is asked for, in the order sent."""
    ahead = 0
    for seed in range(part * 500, part * 500 + 500):
        chance, twin, queue = Random(seed), Twin(), Ahead(Path("/work"))
        order = chance.sample(documents, chance.randint(1, len(documents)))
        lie = chance.random() < 0.3
        for turn, request in enumerate(order):
            if queue and not queue.is_next(request):
                # What the sandbox does then: another child, another queue.
                twin, queue = Twin(), Ahead(Path("/work"))
            behind = order[turn + 1 :]
            if lie and chance.random() < 0.1:
                behind = chance.sample(documents, 5)
            ahead += one_turn(twin, queue, request, behind)
            for request_ahead, (_, name, _) in zip(behind, twin.waiting, strict=False):
                assert lie or (name == request_ahead.name and may_go(request_ahead))
    assert ahead > 1_000


def test_no_more_than_64_until_the_folder_is_empty(documents: list[ParseRequest]) -> None:
    small = [each for each in documents if may_go(each) and each.path.stat().st_size < 1_000][:1] * 200
    twin, queue = Twin(), Ahead(Path("/work"))
    were_ahead = [one_turn(twin, queue, each, small[turn + 1 :]) for turn, each in enumerate(small)]
    assert [turn for turn, was_ahead in enumerate(were_ahead) if not was_ahead] == [0, 64, 128, 192]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 10_000])
def test_answers_are_whole_in_whatever_pieces_they_come(step: int) -> None:
    expected = [Answer(b'{"id": "1"}', b"\n\n0 {}\n"), Answer(b"{}", b""), Answer(b"[]", b"x" * 100)]
    came = b"".join(b"%d %s\n%s" % (len(each.packed), each.line, each.packed) for each in expected)
    answers, found = Answers(), []
    for begin in range(0, len(came), step):
        answers.feed(came[begin : begin + step])
        while (answer := answers.take()) is not None:
            found.append(answer)
    assert found == expected


@pytest.mark.parametrize("line", [b"words", b"x {}", b"-1 {}", b"1234567890 {}", b"", b" {}"])
def test_what_is_no_answer_is_handed_on_as_it_is(line: bytes) -> None:
    answers = Answers()
    answers.feed(line + b"\n0 {}\n")
    assert answers.take() == Answer(line + b"\n", b"")
    assert answers.take() == Answer(b"{}", b"")


@pytest.mark.parametrize("came", [b"x" * LONGEST_LINE, b"%d {}\n" % (MOST_BEHIND_AN_ANSWER + 1)])
def test_what_can_be_no_answer_is_not_waited_for(came: bytes) -> None:
    answers = Answers()
    answers.feed(came)
    with pytest.raises(Babble):
        answers.take()


def test_answers_gather_until_half_of_what_is_ahead_is_read(
    documents: list[ParseRequest], tmp_path: Path
) -> None:
    good = [each for each in documents if may_go(each) and each.path.stat().st_size < 1_000][:40]
    queue = Ahead(tmp_path)
    queue.more(good)
    assert queue.gather_s == 0.0, "nothing was read yet: nobody knows how long it takes"
    queue.took(0.002)
    assert queue.gather_s == pytest.approx(0.001 * MOST_AHEAD)
    for _ in range(30):
        queue.took(60.0)
    assert queue.gather_s == LONGEST_GATHERING_S
    queue.took(0.002)
    assert queue.gather_s == pytest.approx(0.001 * MOST_AHEAD), "after a short one soon"
    while len(queue) >= WORTH_GATHERING:
        queue.take()
    assert queue.gather_s == 0.0


def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path) -> None:
    """A named pipe in the place of a document: nobody writes into it, ever."""
    pipe, folder, plain = tmp_path / "pipe", tmp_path / "folder", tmp_path / "plain"
    os.mkfifo(pipe)
    folder.mkdir()
    plain.write_bytes(b"%PDF-1")
    asked = f"print([content_of(Path(p)) for p in {[str(pipe), str(folder), str(plain)]}])"
    program = f"from pathlib import Path; from services.worker.engines.ahead import content_of; {asked}"
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True
    )
    assert said.stdout == "[None, None, b'%PDF-1']\n"
