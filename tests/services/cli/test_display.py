"""How far a run is, told to a log and to a person."""

import pytest

from services.cli.run.display import Bar, Lines, Meter


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in a list so that a test may set it."""
    now = [1000.0]
    monkeypatch.setattr("services.cli.run.display.monotonic", lambda: now[0])
    return now


def test_the_rate_is_that_of_the_last_seconds(clock: list[float]) -> None:
    meter = Meter(total=1_000, done=0)
    for _ in range(40):
        clock[0] += 1
        meter.advance(failed=False)
        meter.rate()
    assert meter.rate() == pytest.approx(1.0, rel=0.1)
    for _ in range(40):
        clock[0] += 1
        for _ in range(10):
            meter.advance(failed=False)
        meter.rate()
    assert meter.rate() == pytest.approx(10.0, rel=0.1)
    assert meter.left() == "0:00:56"
    clock[0] += 60
    meter.rate()
    clock[0] += 60
    assert meter.rate() == 0
    assert meter.left() == "-"


def test_what_was_there_before_is_not_speed(clock: list[float]) -> None:
    meter = Meter(total=100, done=90)
    clock[0] += 1
    assert meter.rate() == 0


def test_a_log_gets_one_line_every_five_seconds(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines()
    lines.begin("process", total=100)
    for second in range(20):
        clock[0] += 1
        if second < 10:
            lines.advance(failed=second == 0)
        else:
            lines.tick("the limit of 1 job a minute is used")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4
    assert said[0] == "process: 5 of 100 files, 1 failed, 1.0/s, 0:01:35 left"
    assert said[-1].endswith(" left (waiting: the limit of 1 job a minute is used)")
    lines.end()
    assert capsys.readouterr().err.count("\n") == 1


def test_the_bar_takes_any_words(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar()
    bar.begin("process", total=3, done=1)
    bar.advance(failed=True)
    bar.tick("[/] a reason in [brackets")
    bar.say("[/] a line")
    bar.end()
    bar.tick(None)
    assert "a line" in capsys.readouterr().err
