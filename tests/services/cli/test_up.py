"""What `batchmill up` tells whoever started it."""

from services.cli.up import welcome


def test_it_tells_where_the_console_is_while_there_is_one() -> None:
    told = welcome("http://127.0.0.1:8000", "bmk_a", "bmo_b", console="http://127.0.0.1:8000/console")
    assert "console       http://127.0.0.1:8000/console" in told
    assert "project key   bmk_a" in told
    assert "/console" not in welcome("http://127.0.0.1:8000", "bmk_a", "bmo_b", console=None)
