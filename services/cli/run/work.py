"""The part of a run that needs a server."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from llama_cloud import AsyncLlamaCloud

from services.cli.client import Server
from services.cli.run.configuration import on_server
from services.cli.run.plan import RoundEnd
from services.cli.run.reference import Referrer
from services.cli.run.request import Session
from services.cli.run.rounds import Rounds, give_up
from services.cli.stack import make_stack
from services.local.stack import attach

LOCAL: Final = "127.0.0.1"
ANY_PORT: Final = 0
STARTING_PATIENCE_S: Final = 120.0
"""A first start on a slow disk takes this long at most; a stack that stops needs less."""


async def do(session: Session) -> RoundEnd | None:
    """Find or start a stack, run the rounds there, stop what was started."""
    async with _server(session) as server, server.client() as client, _operator(server) as operator:
        started = time.monotonic()
        configuration = await on_server(client, session.choice)
        if session.abandoned is not None:
            await give_up(client, session.abandoned)
        if session.state.is_new:
            # Only now: a CONFIG that is refused must not cost the results of another.
            session.log.keep_only(())
            session.planned.keep_only(())
        session.state.base_url = server.base_url
        rounds = Rounds(
            client,
            Referrer(operator, session.request.source.resolve(), session.display),
            configuration,
            session.listing,
            session.request.wanted,
            session.request.out,
            session.state,
            session.planned,
            session.log,
            session.display,
        )
        end = await rounds.run()
        session.worked_s = time.monotonic() - started
        return end


@asynccontextmanager
async def _server(session: Session) -> AsyncIterator[Server]:
    """The live stack of the data folder, else one that lives as long as the block."""
    settings, say = session.settings, session.display.say
    live = await attach(
        settings.data_dir,
        patience_s=STARTING_PATIENCE_S,
        waiting=lambda: say("another stack starts or stops on the data folder; waiting for it"),
    )
    if live is not None:
        say(f"using the stack at {live.base_url}")
        yield Server(live.base_url, live.project_key, live.operator_key)
        return
    say("starting the stack; the first time takes some seconds longer")
    workers = session.request.concurrency or settings.worker.concurrency
    stack = make_stack(
        settings,
        host=LOCAL,
        port=ANY_PORT,
        concurrency=workers,
        log=say,
        # The folder that it is started for, it may read in place.
        roots=(*settings.storage.roots, str(session.request.source.resolve())),
    )
    async with stack:
        yield Server(stack.base_url, stack.project_key, stack.operator_key)


@asynccontextmanager
async def _operator(server: Server) -> AsyncIterator[AsyncLlamaCloud | None]:
    if not server.operator_key:
        yield None
        return
    async with AsyncLlamaCloud(base_url=server.base_url, api_key=server.operator_key) as operator:
        yield operator
