"""Which IP addresses a request on behalf of a tenant may go to.

The tables are those of the IANA registries, written out: what `ipaddress.is_global` says of them changes
between versions of Python.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

Address = IPv4Address | IPv6Address

_PRIVATE_4: Final = tuple(
    map(IPv4Network, ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
)
_NEVER_4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "100.100.100.200/32",  # metadata of a cloud
            "168.63.129.16/32",  # the same of another, in public space
            "169.254.0.0/16",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
_PRIVATE_6: Final = tuple(map(IPv6Network, ("::1/128", "fc00::/7")))
_PUBLIC_6: Final = IPv6Network("2000::/3")
_NEVER_6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # Teredo and other protocols of the IETF
            "2001:db8::/32",
            "2002::/16",  # 6to4: an IPv4 address in disguise
            "3fff::/20",
            "fd00:ec2::254/128",  # metadata of a cloud
        ),
    )
)
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_ISATAP: Final = (0x00005EFE, 0x02005EFE)
_LOW_32: Final = 0xFFFFFFFF


def why_refused(address: Address, *, allow_private: bool) -> str | None:
    """Why nobody may connect to it, in a few words; None: it is a public address, or a private one (also of
    this host) and those are allowed. Link-local and metadata addresses are refused in any case."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return "has a zone"
        return _why_6(address, allow_private=allow_private)
    return _why_4(address, allow_private=allow_private)


def is_private(address: Address) -> bool:
    """Is it one that allowing private networks opens?"""
    return why_refused(address, allow_private=False) is not None and (
        why_refused(address, allow_private=True) is None
    )


def _why_4(address: IPv4Address, *, allow_private: bool) -> str | None:
    if any(address in network for network in _NEVER_4):
        return "is reserved or link-local"
    if not allow_private and any(address in network for network in _PRIVATE_4):
        return "is private"
    return None


def _why_6(address: IPv6Address, *, allow_private: bool) -> str | None:
    low = int(address) & _LOW_32
    if address in _MAPPED or address in _NAT64:
        # The host that is reached is the IPv4 one inside.
        return _why_4(IPv4Address(low), allow_private=allow_private)
    if any(address in network for network in _NEVER_6) or (int(address) >> 32) & _LOW_32 in _ISATAP:
        return "is reserved or a tunnel"
    if any(address in network for network in _PRIVATE_6):
        return None if allow_private else "is private"
    return None if address in _PUBLIC_6 else "is reserved or link-local"
