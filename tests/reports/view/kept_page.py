"""One page for many tests: what a browser makes of the pages' scripts is made once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Page

NOWHERE = "about:blank"
STORED = "local_storage,indexeddb,cache_storage"


class KeptPage:
    """A page that is as good as new whenever it is taken.

    Attributes:
        page: None: there is none yet.
        is_taken: a test has it.
    """

    def __init__(self) -> None:
        self.page: Page | None = None
        self.is_taken = False
        self._origins: set[str] = set()

    def keep(self, page: Page) -> None:
        """Keep a page that was just opened."""
        self.page = page
        page.on("request", self._went)

    def clean(self) -> None:
        """Take from the page what a test has left: where it is, what it keeps, who answers for
        others, where its pointer was."""
        page, self.is_taken = self.page, False
        if page is None or page.is_closed():
            self.page = None
            return
        page.unroute_all(behavior="ignoreErrors")
        page.goto(NOWHERE)
        page.mouse.move(0, 0)
        page.context.clear_cookies()
        session = page.context.new_cdp_session(page)
        for origin in self._origins:
            wanted = {"origin": origin, "storageTypes": STORED}
            session.send("Storage.clearDataForOrigin", wanted)
        session.detach()
        self._origins.clear()

    def close(self) -> None:
        """Close it."""
        if self.page is not None:
            self.page.context.close()

    def _went(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https"):
            self._origins.add(f"{parts.scheme}://{parts.netloc}")
