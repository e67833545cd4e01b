"""The way out: which addresses are allowed."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import pytest

from server.config import parse_config
from server.errors import ConfigError
from server.outbound.addresses import Door
from server.outbound.config import OutboundConfig
from server.outbound.errors import Blocked, OutboundError


def door(*found: str, allow: OutboundConfig = OutboundConfig()) -> Door:  # noqa: B008
    """A door whose names have these addresses."""

    async def resolve(host: str, port: int) -> Sequence[Any]:
        if not found:
            raise OSError(-2, "Name or service not known")
        return [(2, 1, 6, "", (address, port)) for address in found]

    return Door(allow, resolve)


INSIDE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
]


@pytest.mark.parametrize("address", INSIDE)
async def test_what_is_not_public_is_blocked(address: str) -> None:
    """Private, local and special addresses are refused, by name and as they are, IPv4 inside IPv6
    too."""
    for host in ("innocent.example", address):
        with pytest.raises(Blocked, match="outbound"):
            await door(address).addresses(host, 80)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101"])
async def test_public_addresses_are_allowed(address: str) -> None:
    """A public address is given as it was found."""
    assert await door(address).addresses("example.org", 443) == [address]


async def test_one_bad_address_is_enough() -> None:
    """A name with a public and a private address is refused."""
    with pytest.raises(Blocked):
        await door("1.1.1.1", "127.0.0.1").addresses("two.example", 80)


async def test_what_is_allowed_by_the_configuration() -> None:
    """Networks and names that stand in the configuration are allowed; nothing beside them."""
    networks = OutboundConfig((ipaddress.ip_network("10.1.0.0/16"),))
    assert await door("10.1.9.9", allow=networks).addresses("a.lan", 80) == ["10.1.9.9"]
    assert await door("::ffff:10.1.9.9", allow=networks).addresses("a.lan", 80)
    with pytest.raises(Blocked):
        await door("10.2.0.1", allow=networks).addresses("a.lan", 80)
    names = OutboundConfig(hosts=frozenset({"a.lan"}))
    assert await door("10.2.0.1", allow=names).addresses("A.lan.", 80) == ["10.2.0.1"]
    with pytest.raises(Blocked):
        await door("10.2.0.1", allow=names).addresses("b.lan", 80)


async def test_a_name_that_nobody_knows() -> None:
    """A name without an address is told as that."""
    with pytest.raises(OutboundError, match="not known"):
        await door().addresses("nobody.example", 80)


@pytest.mark.parametrize("item", ["10.0.0.1/8", "10.1", "http://host", "a b", "-x.lan", ""])
def test_a_mistyped_item_is_refused(item: str) -> None:
    """What is neither a network nor a name is refused when the configuration is read."""
    with pytest.raises(ConfigError, match="allow"):
        parse_config(f'[outbound]\nallow = ["{item}"]\n', "telerig.toml", {})
