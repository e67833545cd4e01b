"""Where a connection may go: a name is resolved once, checked, and that very address is dialled.

A name that points somewhere else a moment later (DNS rebinding) changes nothing, because it is
not asked again. If one of several addresses of a name is refused, all are.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from server.outbound.config import OutboundConfig
from server.outbound.errors import Blocked, OutboundError

CONNECT_TIMEOUT_S = 10.0
ADDRESSES_MOST = 4
"""Addresses of one name that are tried, one after the other."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Awaitable[Sequence[Any]]]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SIXTOFOUR = ipaddress.ip_network("2002::/16")
_COMPATIBLE = ipaddress.ip_network("::/96")


async def _resolve(host: str, port: int) -> Sequence[Any]:
    loop = asyncio.get_running_loop()
    return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class Door:
    """The way out: connects where it is allowed.

    Args:
        config: what is allowed beside public addresses.
        resolve: asked for the addresses of a name, as `getaddrinfo`.
    """

    def __init__(self, config: OutboundConfig, resolve: Resolver = _resolve) -> None:
        self._config = config
        self._resolve = resolve

    async def addresses(self, host: str, port: int) -> list[str]:
        """Give the addresses of a host, all of them allowed, in the order of the resolver.

        Raises:
            Blocked: one of them is not.
            OutboundError: it has none.
        """
        literal = _literal(host)
        if literal is not None:
            found = [literal]
        else:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    answers = await self._resolve(host, port)
            except TimeoutError:
                raise OutboundError(
                    f"expected an address of {host}, got no answer within {CONNECT_TIMEOUT_S:g} s"
                ) from None
            except (OSError, UnicodeError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                raise OutboundError(f"expected an address of {host}, got: {reason}") from None
            texts = dict.fromkeys(str(answer[4][0]).partition("%")[0] for answer in answers)
            found = [ipaddress.ip_address(text) for text in texts]
        if host.rstrip(".").lower() not in self._config.hosts:
            for address in found:
                self._check(host, address)
        if not found:
            raise OutboundError(f"expected an address of {host}, found none")
        return [str(address) for address in found[:ADDRESSES_MOST]]

    def _check(self, host: str, address: Address) -> None:
        # Equal families only: `in` between v4 and v6 is False.
        if any(address in network for network in self._config.networks):
            return
        inner = embedded(address)
        if is_public(address if inner is None else inner):
            return
        if inner is not None and any(inner in network for network in self._config.networks):
            return
        named = str(address) if host == str(address) else f"{address} ({host})"
        raise Blocked(
            f"expected a public address, found {named}; if that is meant, add it or its network "
            "to [outbound] allow"
        )

    async def dial(
        self, host: str, port: int, timeout_s: float = CONNECT_TIMEOUT_S
    ) -> socket.socket:
        """Give a connected socket, not blocking; the caller closes it.

        Raises:
            Blocked: not allowed.
            OutboundError: nobody answers there.
        """
        loop = asyncio.get_running_loop()
        reason = ""
        for address in await self.addresses(host, port):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            dialled = socket.socket(family, socket.SOCK_STREAM)
            try:
                dialled.setblocking(False)
                dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                async with asyncio.timeout(timeout_s):
                    await loop.sock_connect(dialled, (address, port))
            except (OSError, TimeoutError) as error:
                dialled.close()
                said = getattr(error, "strerror", None) or f"no answer within {timeout_s:g} s"
                reason = str(said).lower()
            except BaseException:
                dialled.close()
                raise
            else:
                return dialled
        raise OutboundError(f"expected a connection to {host} port {port}, got: {reason}")


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Tell whether an address belongs to no private, local, multicast or reserved network."""
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not address.is_unspecified
        and not (address.version == 6 and address.is_site_local)
    )


def embedded(address: Address) -> Address | None:
    """Give the IPv4 address that an IPv6 address leads to; None where it carries none."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    number = int(address)
    if address in _NAT64 or address in _COMPATIBLE:
        return ipaddress.IPv4Address(number & 0xFFFF_FFFF)
    if address in _SIXTOFOUR:
        return ipaddress.IPv4Address(number >> 80 & 0xFFFF_FFFF)
    return None
