"""A port of this host for a server that runs inside a test process."""

import socket


def listening_socket() -> socket.socket:
    """Bound and listening. What is written to its connections is sent at once.

    uvloop, on which the API runs, sees to that by itself. asyncio does not for a socket that was made
    elsewhere: the second write of an answer then waits some 40 ms for the client to confirm the first.
    """
    made = socket.create_server(("127.0.0.1", 0))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made
