"""Whether a TCP port is free, asked before anything starts."""

import socket

from services.local.errors import PortTaken


def claim_port(host: str, port: int) -> int:
    """The port, or a free one for 0. Raises PortTaken.

    Nothing is kept open, so a stranger could still be faster than the API; its part would then end with that message.
    """
    family, kind, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind) as probe:
        # As the API itself binds: a port whose last connections linger in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            raise PortTaken(host, port) from error
        return int(probe.getsockname()[1])


def base_url_of(host: str, port: int) -> str:
    """How to reach it from this machine."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - read, not bound
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
