"""Requests that are known to come from a program of this machine.

The peer must be a loopback address, no proxy may stand in between, and the Host must name this
machine, so that a page that has its name point here (DNS rebinding) is kept out.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

_PROXY_HEADERS = (
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "via",
)


def why_not_local(connection: HTTPConnection) -> str:
    """Give the reason why a request is not known to come from this machine; empty if it does."""
    if connection.client is None or not _is_loopback(connection.client.host):
        return "another machine"
    for name in _PROXY_HEADERS:
        if name in connection.headers:
            return f"a proxy ({name})"
    host = connection.headers.get("host", "")
    try:
        name_of_host = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        name_of_host = ""
    if name_of_host != "localhost" and not _is_loopback(name_of_host):
        return f"host {host[:80]!r}"
    return ""


def _is_loopback(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
