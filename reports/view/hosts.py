"""Requests under a name that is not this server's are refused: a foreign site could have made its
own name mean this machine (DNS rebinding), and would then read what is shown here."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from reports.view.problems import problem

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CLOSE_POLICY = 1008


class HostGuard:
    """Lets requests pass that name this server, and come from no page of another.

    On a loopback address its names are `localhost`, `127.0.0.1` and `[::1]`. Where it listens for
    other machines, also any numeric address (no name can be bent to mean one), the name that was
    given as `--host`, and this machine's own.

    Args:
        app: what is guarded.
        host: that is listened on.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._is_open = not is_loopback(host)
        self._names = set(LOOPBACK_NAMES) | {host.lower()}
        if self._is_open:
            own = socket.gethostname().lower()
            self._names |= {own, f"{own}.local"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_ours(host):
            detail = f"Host: expected {self._expected()}, found {host[:200]!r}; see --host"
            await self._refuse(421, detail, scope, receive, send)
            return
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if changes and origin is not None and not _same(origin, host):
            detail = f"Origin: expected a page of {host}, found {origin[:200]!r}"
            await self._refuse(403, detail, scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._names or (self._is_open and _is_number(name))

    def _expected(self) -> str:
        return "an address of this machine" if self._is_open else "localhost or 127.0.0.1"

    async def _refuse(
        self, status: int, detail: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": CLOSE_POLICY, "reason": ""})
            return
        await problem(status, detail, scope["path"])(scope, receive, send)


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False
