"""How long an endpoint is left alone, and whom its failures are blamed on."""

from services.worker.engines.port import Again, Infra
from services.worker.llm.patience import FAILURES_OF_AN_ENDPOINT, Patience
from shared.chat.answers import Busy, Down, Rated, Slow


def test_waits_grow_and_an_endpoint_that_fails_all_is_left_alone() -> None:
    patience = Patience()
    waits = [
        patience.wait(f"d{n}", Busy(None, "HTTP 500"), answers=True) for n in range(FAILURES_OF_AN_ENDPOINT)
    ]
    assert [w.reason.split(":")[0] for w in waits] == ["NO_ANSWER", "NO_ANSWER", "UPSTREAM_DOWN"]
    assert isinstance(patience.closed(), Again)
    again = [patience.wait("d0", Slow("no answer in time"), answers=True) for _ in range(8)]
    afters = [w.after for w in again if isinstance(w, Again)]
    assert afters == sorted(afters)
    assert afters[-1] <= 330


def test_an_endpoint_that_is_away_blames_no_document_however_often() -> None:
    patience = Patience()
    for _ in range(100):
        assert isinstance(patience.wait("d", Down("nobody"), answers=False), Infra)
        patience.wait("d", Busy(None, "HTTP 503"), answers=False)
        patience.wait("d", Rated(1.0, "HTTP 429"), answers=False)
    assert not patience.is_the_document("d")
