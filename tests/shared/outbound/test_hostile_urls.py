"""Hundreds of URLs that want to reach something inside, by every trick known: none reaches the listener."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

import pytest

from shared.outbound import addresses
from shared.outbound.addresses import Address, is_private, why_refused
from shared.outbound.dialing import Dialer, NotReached
from shared.outbound.targets import Policy, Refused, read_target

INSIDE: Final = (
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104 - not bound, refused
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "169.254.170.2",
    "168.63.129.16",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
)
INSIDE_6: Final = (
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:470:1::5efe:127.0.0.1",
    "100::1",
    "3fff::1",
)


def spellings(four: str) -> list[str]:
    """The ways in which resolvers and browsers let an IPv4 address be written."""
    a, b, c, d = (int(part) for part in four.split("."))
    number = int(IPv4Address(four))
    return [
        four,
        four + ".",
        str(number),
        hex(number),
        f"0{number:o}",
        f"{a}.{(b << 16) + (c << 8) + d}",
        f"{a}.{b}.{(c << 8) + d}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}",
        f"0x{a:x}.{b}.{c}.{d}",
        f"{a:03}.{b:03}.{c:03}.{d:03}",
        f"[::ffff:{four}]",
        f"[::ffff:{number >> 16:x}:{number & 0xFFFF:x}]",
    ]


ODD: Final = (
    "http://good.test@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@good.test/",
    "http://good.test#@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@good.test/",
    "http://good.test\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@good.test/",
    "http:\\\\127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1 :{port}/",
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1\r\nX: y:{port}/",
    "http://127.0.0.1\x00.good.test:{port}/",
    "http://127.0.0.1%00.good.test:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127。0。0。1:{port}/",
    "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://ⓛocalhost:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[::1%lo]:{port}/",
    "http://[::1]good.test:{port}/",
    "http://[127.0.0.1]:{port}/",
    "http://[::ffff:7f.1]:{port}/",
    "http://127.0.0.1:0{port}/",
    "http://127.0.0.1:+{port}/",
    "http://127.0.0.1:{port}:80/",
    "http://:{port}/",
    "http://.:{port}/",
    "http://-:{port}/",
    "http://a..b:{port}/",
    "ftp://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
    "javascript://127.0.0.1:{port}/",
    "jar:http://127.0.0.1:{port}/!/",
    "HTTP://LOCALHOST:{port}/",
    "http://localhost.:{port}/",
    "http://localhost.localdomain:{port}/",
    "http://ip6-localhost:{port}/",
    "http://127.0.0.1.nip.io:{port}/",
    "http://" + "a" * 64 + ".test:{port}/",
    "http://" + "a." * 200 + "test:{port}/",
    "http://good.test:99999/",
    "http://good.test:0/",
    "",
    "http://",
)


def hostile(port: int) -> list[str]:
    inside = [f"http://{host}:{port}/" for host in itertools.chain.from_iterable(map(spellings, INSIDE))]
    six = [f"http://[{host}]:{port}/" for host in INSIDE_6]
    return [*inside, *six, *(url.format(port=port) for url in ODD)]


PUBLIC: Final = "203.0.113.1"
"""Of a network that nobody has; the tests below take it for a public one."""


@pytest.fixture
def documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """`PUBLIC` is public."""
    refused = tuple(one for one in addresses._NEVER_4 if IPv4Address(PUBLIC) not in one)
    monkeypatch.setattr(addresses, "_NEVER_4", refused)


class Rebinding:
    """A name server that tells a public address whenever somebody looks first, and ours the next time."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = itertools.cycle(answers)
        self.asked = 0

    async def __call__(self, _host: str, _port: int) -> Sequence[Address]:
        self.asked += 1
        return [ip_address(one) for one in next(self._answers)]


@pytest.fixture
async def inside() -> AsyncIterator[tuple[int, list[str]]]:
    """Something on this host that nobody is to reach: its port, and who came."""
    came: list[str] = []

    async def meet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(str(writer.get_extra_info("peername")))
        writer.close()

    # One port for both: with 0 for a list of addresses each would get its own.
    first = await asyncio.start_server(meet, "127.0.0.1", 0)
    port = first.sockets[0].getsockname()[1]
    second = await asyncio.start_server(meet, "::1", port)
    yield port, came
    first.close()
    second.close()


async def arrived(came: list[str], count: int) -> int:
    """How many came, once there are so many: a listener hears of a caller a moment after it was reached."""
    for _ in range(40):
        if len(came) >= count:
            break
        await asyncio.sleep(0.05)
    return len(came)


async def reached(dialer: Dialer, url: str) -> bool:
    """True when a request went through."""
    try:
        await dialer.post(read_target(url), [], b"x", within_s=5, keep=10)
    except (ValueError, Refused, NotReached, TimeoutError):
        return False
    return True


async def test_hostile_urls_reach_nothing_inside(inside: tuple[int, list[str]]) -> None:
    port, came = inside
    urls = hostile(port)
    assert len(urls) >= 200
    # Every port is allowed here: it is the address that has to stop them.
    dialer = Dialer(Policy("X", ports=None), connections=50)
    try:
        done = [await reached(dialer, url) for url in urls]
    finally:
        await dialer.close()
    assert not any(done)
    assert came == []


async def test_the_same_listener_is_reached_where_that_is_allowed(inside: tuple[int, list[str]]) -> None:
    """So that the test above can fail."""
    port, came = inside
    dialer = Dialer(Policy("X", allow_private=True, ports=None), connections=5)
    try:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
            await reached(dialer, f"http://{host}:{port}/")
    finally:
        await dialer.close()
    assert await arrived(came, 3) == 3


async def test_a_name_server_that_answers_differently_each_time_gains_nothing(
    inside: tuple[int, list[str]], documented: None
) -> None:
    port, came = inside
    for answers in (
        ([PUBLIC], ["127.0.0.1"]),
        (["127.0.0.1"], [PUBLIC]),
        ([PUBLIC, "127.0.0.1"],),
        (["127.0.0.1", PUBLIC],),
        ([PUBLIC, "::1"],),
        (["::ffff:127.0.0.1"],),
        (["169.254.169.254"], ["127.0.0.1"]),
        ([],),
    ):
        resolver = Rebinding(*answers)
        dialer = Dialer(Policy("X", ports=None), connections=5, resolve=resolver)
        try:
            for _ in range(10):
                before = resolver.asked
                with pytest.raises((Refused, NotReached, TimeoutError)):
                    await dialer.post(
                        read_target(f"http://rebind.test:{port}/"), [], b"", within_s=0.2, keep=1
                    )
                assert resolver.asked == before + 1, "asked once for each connection"
        finally:
            await dialer.close()
    assert came == []


async def test_the_address_that_was_looked_at_is_the_one_that_is_met(
    inside: tuple[int, list[str]], documented: None
) -> None:
    """Public by name, ours by number: what is connected to is what the first answer said."""
    port, came = inside
    resolver = Rebinding(["127.0.0.1"], [PUBLIC])
    dialer = Dialer(Policy("X", allow_private=True, ports=None), connections=5, resolve=resolver)
    try:
        with pytest.raises(NotReached):
            await dialer.post(read_target(f"http://name.test:{port}/"), [], b"", within_s=5, keep=1)
    finally:
        await dialer.close()
    assert (resolver.asked, await arrived(came, 1)) == (1, 1)


@pytest.mark.parametrize("text", [*INSIDE, *INSIDE_6])
def test_addresses_inside_are_refused(text: str) -> None:
    assert why_refused(ip_address(text), allow_private=False)


@pytest.mark.parametrize(
    "text",
    ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1", "64:ff9b::8.8.8.8"],
)
def test_public_addresses_are_not(text: str) -> None:
    assert why_refused(ip_address(text), allow_private=False) is None


def test_what_allowing_private_networks_opens() -> None:
    opened = {text for text in (*INSIDE, *INSIDE_6) if is_private(ip_address(text))}
    assert opened == {
        "127.0.0.1",
        "127.255.255.254",
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::127.0.0.1",
        "fc00::1",
    }
    assert why_refused(IPv6Address("fe80::1%lo"), allow_private=True)


def test_ports_that_are_not_allowed_are_refused_by_name() -> None:
    policy = Policy("BATCHMILL_WEBHOOKS")
    for port in (22, 25, 6379, 5432, 1):
        with pytest.raises(Refused, match="BATCHMILL_WEBHOOKS__PORTS"):
            policy.check(read_target(f"https://good.test:{port}/"))
    policy.check(read_target("https://good.test/"))
    with pytest.raises(Refused, match="BATCHMILL_WEBHOOKS__ALLOW_PRIVATE"):
        policy.check(read_target("https://10.1.2.3/"))


def test_what_is_sent_is_what_was_read() -> None:
    target = read_target("HTTPS://Good.Test.:8443/a b%20ü?q=[x]&y=é".replace(" ", "+"))
    assert (target.scheme, target.host, target.port) == ("https", "good.test", 8443)
    assert target.path == "/a+b%20%C3%BC?q=[x]&y=%C3%A9"
    assert target.host_header == "good.test:8443"
    assert read_target("http://good.test?x").path == "/?x"
    assert read_target("http://[2606:4700::1111]/").host_header == "[2606:4700::1111]"
