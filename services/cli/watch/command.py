"""`batchmill batches watch`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.batches import ApiKey
from services.cli.exits import ExitCode, Stop
from services.cli.operators import BaseUrl, DataDir

if TYPE_CHECKING:
    from services.cli.watch.stream import Event, Stream

AsLines = Annotated[bool, typer.Option("--json", help="One event a line, as JSON.")]


def watch_batch(
    batch_id: Annotated[str, typer.Argument(help="The id, bat-...")],
    *,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: AsLines = False,
) -> None:
    """Follow a batch to its end: how far it is, how fast, and why it waits. Goes on by itself after a lost
    connection. Ends as the batch does: 0 COMPLETED, 3 when all of its files failed, 1 FAILED or CANCELLED."""
    import asyncio

    from services.cli.client import find_server
    from services.cli.exits import complain
    from services.cli.watch.display import Screen
    from services.cli.watch.stream import Stream

    server = asyncio.run(find_server(base_url, api_key, data_dir))
    screen = None if as_json else Screen()
    say = complain if screen is None else screen.notice
    stream = Stream(server.base_url, server.api_key, batch_id, say=say)
    last: Event | None = None
    try:
        for event in stream.events():
            last = event or last
            if screen is None:
                print_line(event)
            elif event is not None:
                screen.show(event)
            elif (now := stream.state()) is not None:
                # Nothing moves: why that is, no move can tell.
                screen.draw(now.data)
    finally:
        if screen is not None:
            screen.end()
        stream.close()
    raise typer.Exit(exit_code(last, stream))


def print_line(event: "Event | None") -> None:
    """The event as a line of JSON; nothing for a sign of life."""
    import json

    if event is not None:
        line: dict[str, Any] = {"id": event.n, "event": event.kind, **event.data}
        typer.echo(json.dumps(line))


def exit_code(last: "Event | None", stream: "Stream") -> int:
    """What the command ends with, by how the batch ended."""
    last = last if last is not None and last.is_final else stream.state()
    if last is None or not last.is_final:
        raise Stop("The stream ended, and the batch is not final. Watch it again.", ExitCode.STACK)
    data = last.data
    if data["status"] != "COMPLETED":
        return ExitCode.FAILED
    if data["failed"] + data["unmapped"] and not data["completed"]:
        return ExitCode.ALL_FILES_FAILED
    return ExitCode.OK
