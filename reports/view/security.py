"""Headers by which a browser keeps the pages to what they are: local, unframed, and without
scripts of strangers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ADDRESSES_COOKIE = "telerig_addresses"
"""Origins that somebody has set in this browser's settings: of an API, of map tiles."""
MOST_ADDRESSES = 8
_ORIGIN = re.compile(r"(https?|wss?)://(\*\.)?[A-Za-z0-9.-]+(:\d{1,5})?")


class SecurityHeaders:
    """Adds them to every answer of the pages.

    Args:
        app: answers.
        hashes: of the scripts that stand inside the index page, as CSP writes them.
    """

    def __init__(self, app: ASGIApp, hashes: Sequence[str]) -> None:
        self._app = app
        self._hashes = " ".join(hashes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and add."""

        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-content-type-options"] = "nosniff"
                headers["referrer-policy"] = "same-origin"
                headers["cross-origin-opener-policy"] = "same-origin"
                headers["permissions-policy"] = "camera=(), geolocation=(), microphone=()"
                if headers.get("content-type", "").startswith("text/html"):
                    addresses = set_addresses(Headers(scope=scope).get("cookie", ""))
                    headers["content-security-policy"] = policy(self._hashes, addresses)
                    headers["x-frame-options"] = "DENY"
                    headers["x-telerig-page"] = "1"  # for the service worker
                headers.setdefault("cache-control", "no-cache")
            await send(message)

        await self._app(scope, receive, adding)


def policy(hashes: str, addresses: Sequence[str] = ()) -> str:
    """Give the content security policy; `addresses` are origins beside the own one."""
    further = "".join(f" {address}" for address in addresses)
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {hashes}",
            # Components of Dash and drawings of Plotly carry styles in attributes and elements.
            "style-src 'self' 'unsafe-inline'",
            f"img-src 'self' data: blob:{further}",
            "font-src 'self'",
            f"connect-src 'self'{further}",
            "worker-src 'self' blob:",
            "manifest-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        )
    )


def set_addresses(cookies: str) -> list[str]:
    """Give the origins that a browser's settings name; what is none is left out."""
    try:
        morsel = SimpleCookie(cookies).get(ADDRESSES_COOKIE)
    except CookieError:
        return []
    words = unquote(morsel.value).split() if morsel is not None else []
    return [word for word in words if _ORIGIN.fullmatch(word)][:MOST_ADDRESSES]
