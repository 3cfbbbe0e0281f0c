"""A URL that a tenant gave us, read strictly: what two readers could take for two hosts is refused."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final
from urllib.parse import quote

from shared.outbound.addresses import Address, is_private, why_refused

LONGEST: Final = 2_048
PORTS: Final = {"http": 80, "https": 443}
MOST_PORT: Final = 65_535
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+))"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<target>[/?].*)?",
    re.IGNORECASE | re.DOTALL,
)
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)
# What a resolver may read as a number is an IPv4 address in a spelling of the last century: 127.1, 0x7f.1.
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)
_KEPT_IN_TARGET: Final = "/?%:@!$&'()*+,;=-._~[]"
LONGEST_HOST: Final = 253


class Refused(Exception):
    """Nobody is to connect there; the text says why and which setting would allow it."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: `host` without brackets, in lower case; `path` with the query, ASCII only."""

    scheme: str
    host: str
    port: int
    path: str
    literal: Address | None

    @property
    def origin(self) -> str:
        """Scheme, host and port: what one server is."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def host_header(self) -> str:
        """`Host` as it is sent."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Policy:
    """What an installation lets tenants' URLs reach. `ports` None: any. `name` is the beginning of the
    settings' names, told in refusals."""

    name: str
    allow_private: bool = False
    ports: Collection[int] | None = (80, 443, 8080, 8443)

    def check_address(self, address: Address, *, of: str) -> None:
        """`Refused` unless it may be connected to."""
        reason = why_refused(address, allow_private=self.allow_private)
        if reason is None:
            return
        more = f"; {self.name}__ALLOW_PRIVATE=true would allow it" if is_private(address) else ""
        raise Refused(f"{of} is {address}, which {reason}{more}")

    def check(self, target: Target) -> None:
        """`Refused` when the URL itself says that it leads nowhere allowed."""
        if self.ports is not None and target.port not in self.ports:
            raise Refused(f"port {target.port} is not one of {self.name}__PORTS")
        if target.literal is not None:
            self.check_address(target.literal, of="the host")


def read_target(text: str) -> Target:
    """Read an http or https URL. ValueError with what is wrong: user and password, a host that is not ASCII,
    odd spellings of addresses, zones, control characters, a fragment."""
    if len(text) > LONGEST:
        raise ValueError(f"a URL has at most {LONGEST:,} characters")
    if any(ord(one) <= 0x20 or ord(one) == 0x7F or one == "\\" for one in text):  # noqa: PLR2004 - ASCII
        raise ValueError("a URL has no spaces, control characters or backslashes")
    if "#" in text:
        raise ValueError("a URL to send to has no fragment (#)")
    found = _URL.fullmatch(text)
    if found is None:
        raise ValueError(
            "it must be http:// or https:// with a host name in ASCII (xn--... for others) or an address,"
            " and without user or password"
        )
    scheme = found["scheme"].lower()
    port = int(found["port"]) if found["port"] else PORTS[scheme]
    if not 1 <= port <= MOST_PORT:
        raise ValueError("a port is 1 to 65535")
    host, literal = _host(found["host"], found["six"])
    path = found["target"] or "/"
    if path.startswith("?"):
        path = "/" + path
    try:
        path = quote(path, safe=_KEPT_IN_TARGET)
    except UnicodeEncodeError:
        raise ValueError("it is not text that can be sent") from None
    return Target(scheme, host, port, path, literal)


def _host(name: str | None, six: str | None) -> tuple[str, Address | None]:
    if six is not None:
        try:
            address = IPv6Address(six)
        except AddressValueError:
            raise ValueError("the address in brackets is none") from None
        return str(address), address
    assert name is not None
    bare = name.lower().removesuffix(".")
    labels = bare.split(".")
    if len(bare) > LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("the host is no name")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            four = IPv4Address(bare)
        except AddressValueError:
            raise ValueError("an address is written as four numbers, 192.0.2.1") from None
        return str(four), four
    return bare, None
