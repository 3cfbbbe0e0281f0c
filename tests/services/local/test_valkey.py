import asyncio
from pathlib import Path

import pytest
import redis
from celery import Celery

from services.local.errors import StackFailed
from services.local.valkey import EmbeddedValkey


async def test_it_answers_on_its_socket_only_and_leaves_nothing(tmp_path: Path) -> None:
    valkey = EmbeddedValkey(tmp_path / ("long" * 40))
    await valkey.start()
    socket_folder = Path(valkey.redis_url.removeprefix("unix://")).parent
    with redis.Redis.from_url(valkey.redis_url) as client:
        assert client.ping()
        assert client.config_get("port") == {"port": "0"} or client.config_get("port") == {b"port": b"0"}
        client.set("kept", "no")
    await valkey.stop()
    assert not socket_folder.exists()
    assert list((tmp_path / ("long" * 40)).glob("*.rdb")) == []


async def test_celery_sends_through_the_url(tmp_path: Path) -> None:
    valkey = EmbeddedValkey(tmp_path)
    await valkey.start()
    try:
        with Celery("test", broker=valkey.url) as app:
            await asyncio.to_thread(app.send_task, "bell", queue="parse")
            app.pool.force_close_all()
        with redis.Redis.from_url(valkey.redis_url) as client:
            assert client.llen("parse") == 1
    finally:
        await valkey.stop()


async def test_a_server_that_cannot_start_shows_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    valkey = EmbeddedValkey(tmp_path)
    monkeypatch.setattr(EmbeddedValkey, "_arguments", lambda _: ("--no-such-option", "1"))
    with pytest.raises(StackFailed, match="no-such-option"):
        await valkey.start()
    assert not (tmp_path / "socket-folder").exists()
