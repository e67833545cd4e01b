"""Pages of a browser that is watched: what it complains about, and where its requests go."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.reports.view.kept_page import KeptPage

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

DESK, PHONE = (1280, 800), (360, 740)
TIMEOUT_MS = 60_000
HERE = "127.0.0.1"


class Watched:
    """Opens pages, each in a context (cookies, storage) of its own, and listens to them.

    Args:
        browser: that opens them.
        kept: a page that is used where a plain one is wanted; it is given back at the end.
    """

    def __init__(self, browser: Browser, kept: KeptPage | None = None) -> None:
        self._browser = browser
        self._kept = kept
        self._contexts: list[BrowserContext] = []
        self._listeners = {
            "console": self._said,
            "pageerror": lambda error: self.complaints.append(f"error of a script: {error}"),
            "request": lambda request: self._went(request.url),
            "websocket": lambda socket: self._went(socket.url),
        }
        self._has_kept = False
        self.complaints: list[str] = []

    def new_page(self, size: tuple[int, int] = DESK, theme: str = "light", **options: Any) -> Page:
        """Open a page: `new_page(PHONE, "dark", has_touch=True)`."""
        if options or self._kept is None or self._kept.is_taken:
            page = self._made(size, theme, options)
            self._contexts.append(page.context)
        else:
            page = self._taken(self._kept, size, theme)
        for event, listener in self._listeners.items():
            page.on(event, listener)  # type: ignore[call-overload]
        return page

    def _taken(self, kept: KeptPage, size: tuple[int, int], theme: str) -> Page:
        if kept.page is None:
            kept.keep(self._made(size, theme, {}))
        page = kept.page
        assert page is not None
        kept.is_taken = self._has_kept = True
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        return page

    def _made(self, size: tuple[int, int], theme: str, options: dict[str, Any]) -> Page:
        context = self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=theme,  # type: ignore[arg-type]
            # Playwright's own `wait_for_function` needs eval; test_pages.py looks without this.
            **{"service_workers": "block", "bypass_csp": True, **options},
        )
        context.set_default_timeout(TIMEOUT_MS)
        return context.new_page()

    def check(self, expected: Iterable[str] = ()) -> None:
        """Fail with what was complained about since the last time, but for what is expected."""
        allowed = [re.compile(pattern) for pattern in expected]
        left = [text for text in self.complaints if not any(one.search(text) for one in allowed)]
        self.complaints.clear()
        assert not left, "the browser complained: " + "\n".join(left)

    def close(self) -> None:
        """Close all pages, and give back what is kept."""
        if self._has_kept and self._kept is not None:
            page = self._kept.page
            with contextlib.suppress(Exception):  # what it has said by now is heard
                page.evaluate("0")  # type: ignore[union-attr]
            for event, listener in self._listeners.items():
                if page is not None:
                    page.remove_listener(event, listener)
            self._kept.clean()
        for context in self._contexts:
            context.close()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} ({message.location.get('url', '')})")

    def _went(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != HERE:
            self.complaints.append(f"a request left {HERE}: {url}")
