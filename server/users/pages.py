"""Requests that a browser sends for a page of another site.

A cookie, or the trust in this machine, goes with every request that any page makes a browser send;
keys and tokens do not. So requests that count for nothing but the former must come from a page of
the gateway's own, or from no page at all. Browsers say which page it was: `Origin` in WebSockets
and in all that changes something, `Sec-Fetch-Site` in everything.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

_OWN_SITES = ("same-origin", "none")


def foreign_page(connection: HTTPConnection, allowed: Collection[str]) -> str:
    """Give which page of another origin has sent a request; empty where it is none.

    Args:
        connection: the request.
        allowed: origins that count as own. The wildcard "*" does not.
    """
    headers = connection.headers
    origin = headers.get("origin")
    if origin is not None:
        if origin in allowed and origin != "*":
            return ""
        return "" if _is_own(origin, headers.get("host", "")) else f"a page of {origin[:200]!r}"
    site = headers.get("sec-fetch-site", "none")
    return "" if site in _OWN_SITES else f"a page elsewhere (Sec-Fetch-Site: {site[:20]!r})"


def _is_own(origin: str, host: str) -> bool:
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False
