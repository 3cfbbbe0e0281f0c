"""Whether a TCP port is free, asked before anything starts."""

import errno
import socket

from services.local.errors import PortTaken, StackError


def claim_port(host: str, port: int) -> int:
    """The port, or a free one for 0. Raises PortTaken, or StackError when it cannot be had at all.

    Nothing is kept open, so a stranger could still be faster than the API; its part would then end with that
    message.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, _, _, address = found[0]
        with socket.socket(family, kind) as probe:
            # As the API itself binds: a port whose last connections linger in TIME_WAIT is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
            return int(probe.getsockname()[1])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(host, port) from error
        raise StackError(f"Nothing can listen on port {port} of {host}: {error.strerror}.") from error


def base_url_of(host: str, port: int) -> str:
    """How to reach it from this machine."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - read, not bound
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
