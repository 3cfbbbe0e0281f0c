"""Connections to where tenants point: the name is resolved once, all its addresses are looked at, and the
connection goes to one of those that were looked at. No redirect, no proxy, no cookie.

Between the look and the connection nobody is asked again, so a name server that answers differently the
second time changes nothing. The host's name stays what TLS verifies and what `Host` says.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

import httpcore

from shared.outbound.addresses import Address
from shared.outbound.targets import Policy, Refused, Target

Resolver = Callable[[str, int], Awaitable[Sequence[Address]]]

RESOLVERS: Final = 64
"""Threads that wait for name servers: a name that nobody answers for keeps one of them busy for long."""
MOST_TRIED: Final = 3
BODY_WITHIN_S: Final = 2.0
"""The status is the answer; what follows it is read for so long at most."""
KEPT_OPEN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is the beginning of it, `cut` whether there was more."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool


class NotReached(Exception):
    """No answer: the name, the connection, TLS or the protocol failed; the text says which and how."""


class SystemResolver:
    """The host's own resolver, in threads that are nobody else's."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolve")

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """Every address of the host. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _ask, host, port)
        return [ip_address(sockaddr[0]) for *_, sockaddr in found]

    def close(self) -> None:
        """Waits for nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _ask(host: str, port: int) -> list[Any]:
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


class _Pinned(httpcore.AsyncNetworkBackend):
    """Opens connections only to addresses that the policy lets through."""

    def __init__(self, policy: Policy, resolve: Resolver) -> None:
        self._policy = policy
        self._resolve = resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of httpcore
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._addresses(host, port)
        failure: Exception | None = None
        for address in addresses[:MOST_TRIED]:
            try:
                return await self._inner.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError("the name has no address")

    async def _addresses(self, host: str, port: int) -> list[Address]:
        try:
            addresses: Sequence[Address] = [ip_address(host)]
        except ValueError:
            try:
                addresses = await self._resolve(host, port)
            except (OSError, UnicodeError) as error:
                raise httpcore.ConnectError(f"the name cannot be resolved ({error})") from error
        # One that is refused refuses all: which of them is taken is not for a name server to choose.
        for address in addresses:
            self._policy.check_address(address, of=host)
        return list(dict.fromkeys(addresses))

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the signature of httpcore
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        raise Refused(f"{path} is no host")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Dialer:
    """Sends requests to targets that the policy allows. Connections are kept for some seconds and used again
    for the same origin, at most `connections` at once."""

    def __init__(
        self,
        policy: Policy,
        *,
        connections: int,
        resolve: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy
        self._own = SystemResolver() if resolve is None else None
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            max_connections=connections,
            max_keepalive_connections=min(connections, 32),
            keepalive_expiry=KEPT_OPEN_S,
            retries=0,
            network_backend=_Pinned(policy, resolve or self._own or SystemResolver()),
        )

    async def post(
        self, target: Target, headers: Sequence[tuple[str, str]], body: bytes, *, within_s: float, keep: int
    ) -> Answer:
        """POST `body`; answers whatever status came, with at most `keep` bytes of the answer.

        `Refused` when the policy forbids the target, `NotReached` when there was no answer, TimeoutError when
        it took longer than `within_s` in all.
        """
        self._policy.check(target)
        url = httpcore.URL(
            scheme=target.scheme.encode(),
            host=target.host.encode(),
            port=target.port,
            target=target.path.encode(),
        )
        sent = [("Host", target.host_header), *headers, ("Content-Length", str(len(body)))]
        request = httpcore.Request("POST", url, headers=_encoded(sent), content=body)
        try:
            async with asyncio.timeout(within_s):
                response = await self._pool.handle_async_request(request)
                try:
                    start, cut = await _start_of(response, keep)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise
        except httpcore.TimeoutException as error:
            raise TimeoutError from error
        except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError) as error:
            raise NotReached(_told(error)) from error
        named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return Answer(response.status, named, start, cut)

    async def close(self) -> None:
        """Close what is open."""
        await self._pool.aclose()
        if self._own is not None:
            self._own.close()


async def _start_of(response: httpcore.Response, keep: int) -> tuple[bytes, bool]:
    start = b""
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for part in response.aiter_stream():
                start += part
                if len(start) > keep:
                    return start[:keep], True
    except (TimeoutError, httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        return start[:keep], True
    return start, False


def _encoded(headers: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers]


def _told(error: Exception) -> str:
    cause = error.__cause__ or error.__context__ or error
    text = str(error) or str(cause) or type(cause).__name__
    return " ".join(f"{type(error).__name__}: {text}".split())[:300]
