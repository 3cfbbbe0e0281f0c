"""Generated documents through the real parser: bounds a little under what was measured on these seeds.

The figures for seeds and layouts that no rule was tuned on stand in docs/extraction.md.
"""

from pathlib import Path

import pytest

from tests.documents.measure import SEEN, measure

RECALL, PRECISION = 0.97, 0.99


@pytest.mark.parametrize("name", SEEN)
def test_a_layout_is_read(name: str, tmp_path: Path) -> None:
    score = measure(name, SEEN[name], range(3 if name == "invoice/long" else 10), tmp_path)
    assert score.wanted >= 100
    assert score.recall >= RECALL, score.wrong
    assert score.precision >= PRECISION, score.wrong
