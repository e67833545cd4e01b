"""The pages as an ASGI application: Dash behind threads, files beside it.

Dash answers four things: the index page, its layout, its dependencies, and which layout a page has.
None of them holds data, so they are the same for everybody.
"""

from __future__ import annotations

from a2wsgi import WSGIMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reports.view import addresses
from reports.view.app import make_dash
from reports.view.compressed import Compressed
from reports.view.config import ViewConfig
from reports.view.files import AssetFiles
from reports.view.security import SecurityHeaders

THREADS = 2
"""Of Dash. More would only share the interpreter's lock with whatever else the process does."""


class Pages:
    """Serves the pages; whatever is none of them goes to `fallback`.

    Args:
        config: what there is to be seen.
        fallback: answers what is no page and no file of theirs.
    """

    def __init__(self, config: ViewConfig, fallback: ASGIApp) -> None:
        dash = make_dash(config)
        wsgi: ASGIApp = WSGIMiddleware(dash.server, workers=THREADS)  # type: ignore[assignment]
        self._dash = SecurityHeaders(Compressed(wsgi), dash.csp_hashes())
        self._files = Compressed(AssetFiles())
        self._fallback = fallback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let `fallback` do it."""
        await self._whose(scope)(scope, receive, send)

    def _whose(self, scope: Scope) -> ASGIApp:
        if scope["type"] != "http":
            return self._fallback
        path = scope["path"]
        if path.startswith(addresses.DASH):
            return self._dash
        if scope["method"] not in addresses.READ:
            return self._fallback
        if addresses.is_file(path):
            return self._files
        if addresses.is_page(path):
            return self._dash
        return self._missing if addresses.wants_page(scope) else self._fallback

    async def _missing(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show, with the right status, that there is no such page."""

        async def changed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["status"] = 404
            await send(message)

        await self._dash(scope, receive, changed)
