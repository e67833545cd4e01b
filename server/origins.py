"""Pages of other sites are kept out: browsers let any page open a WebSocket anywhere, and send
simple requests, and middleware for CORS only keeps them from reading the answers."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from server.answers import Refusal, problem_response

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CLOSE_POLICY = 1008
ANY = "*"


class OriginGuard:
    """Refuses WebSockets and changing requests of pages of other origins, with 403.

    Requests without an Origin do not come from a page and pass; what they may do is decided by
    their key.

    Args:
        app: what is guarded.
        allowed: origins that may, beside the gateway's own; "*" for all.
    """

    def __init__(self, app: ASGIApp, allowed: Sequence[str] = ()) -> None:
        self._app = app
        self._allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        kind = scope["type"]
        if kind == "websocket" or (kind == "http" and scope["method"] not in SAFE_METHODS):
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            if origin is not None and not self._may(origin, headers.get("host", "")):
                if kind == "websocket":
                    # Before it is accepted: the browser sees 403, and the page nothing.
                    await send({"type": "websocket.close", "code": CLOSE_POLICY, "reason": ""})
                    return
                expected = "a page of this gateway, or of [http] origins"
                refusal = Refusal(403, "Origin", expected, repr(origin[:200]))
                response = problem_response(refusal, scope["path"])
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _may(self, origin: str, host: str) -> bool:
        if ANY in self._allowed or origin in self._allowed:
            return True
        try:
            return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
        except ValueError:
            return False


def guards(origins: Sequence[str]) -> list[Middleware]:
    """Give the middleware: the guard, and CORS for the origins that may."""
    found = [Middleware(OriginGuard, allowed=tuple(origins))]
    if origins:
        found.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(origins),
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
                allow_headers=["Content-Type", "X-API-Key", "Authorization"],
                max_age=600,
            )
        )
    return found
