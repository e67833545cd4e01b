"""[outbound]: where the gateway itself may connect to.

    [outbound]
    allow = ["192.168.7.0/24", "gateway2.lan"]     # private addresses that are meant

Public addresses are always allowed. An address of a private, local or otherwise special network
is refused, whoever names it, unless its network, or the host by which it was named, stands here:
else a webhook that a user enters could reach what only this machine reaches.
"""

from __future__ import annotations

import ipaddress
import re

import msgspec

from server.config_section import Section, describe

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")


class OutboundConfig(msgspec.Struct, frozen=True):
    """What may be reached although it is no public address: networks, and hosts by name."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()


def read_outbound(section: Section) -> OutboundConfig:
    """Read the table; an environment variable brings one text with commas.

    Raises:
        ConfigError: an item is neither a network nor a host.
    """
    if isinstance(section.table.get("allow"), str):
        section.has("allow")
        items = tuple(filter(None, (text.strip() for text in section.table["allow"].split(","))))
    else:
        items = section.texts("allow", ())
    networks: list[Network] = []
    hosts: set[str] = set()
    for number, item in enumerate(items):
        try:
            networks.append(ipaddress.ip_network(item))
        except ValueError:
            # "10.1" or "1.2.3.4/8" is a mistyped network, no name.
            if not _HOST.fullmatch(item) or item.rstrip(".").rpartition(".")[2].isdigit():
                expected = 'a network as "10.0.0.0/8" (its first address), or a host'
                raise section.where.error(("allow", number), expected, describe(item)) from None
            hosts.add(item.rstrip(".").lower())
    section.done()
    return OutboundConfig(tuple(networks), frozenset(hosts))
