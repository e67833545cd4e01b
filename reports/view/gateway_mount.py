"""The pages at a gateway's own address: entry point `telerig.mounts` (server/pages.py).

Dash is loaded when the first page is asked for: a gateway that nobody looks at does without.
"""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from importlib.util import find_spec

from starlette.types import ASGIApp, Receive, Scope, Send

from reports.view import addresses

NEEDED = ("a2wsgi", "dash")


class LazyPages:
    """Makes the pages when they are first asked for, and serves them."""

    def __init__(self, fallback: ASGIApp) -> None:
        self._fallback = fallback
        self._pages: ASGIApp | None = None
        self._making: asyncio.Future[ASGIApp] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the gateway do it."""
        if not _is_ours(scope):
            await self._fallback(scope, receive, send)
            return
        if self._pages is None:
            if self._making is None:
                # It takes a second; in a thread, for there is a live stream to be served.
                loop = asyncio.get_running_loop()
                self._making = loop.run_in_executor(None, make_pages, self._fallback)
            try:
                self._pages = await asyncio.shield(self._making)
            finally:
                self._making = None  # failed: the next request tries again
        await self._pages(scope, receive, send)


def mount(fallback: ASGIApp) -> ASGIApp:
    """Give the pages of a gateway.

    Raises:
        ImportError: what they are made with is not installed.
    """
    for name in NEEDED:
        if find_spec(name) is None:
            raise ImportError(f"No module named {name!r}", name=name)
    return LazyPages(fallback)


def make_pages(fallback: ASGIApp) -> ASGIApp:
    """Load what pages are made with, and make them."""
    from reports.view.config import ViewConfig
    from reports.view.mount import Pages

    return Pages(ViewConfig(runs=False, gateway=True, version=version("telerig")), fallback)


def _is_ours(scope: Scope) -> bool:
    if scope["type"] != "http":
        return False
    path = scope["path"]
    if path.startswith(addresses.DASH):
        return True
    return scope["method"] in addresses.READ and (
        addresses.is_page(path) or addresses.is_file(path) or addresses.wants_page(scope)
    )
