"""What the pages are about: which data there is, and under which addresses a browser finds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import current_app

from reports.view.addresses import PAGES

KEY = "telerig_view"


@dataclass(frozen=True)
class ViewConfig:
    """What is there to be seen.

    Attributes:
        runs: records of runs, by `/api/runs`.
        gateway: a gateway, by its own API (proxied or of the same process).
        title: stands in the header, beside the product's name.
        version: of telerig.
        api_base: address of the API; empty: where the pages come from.
        ws_base: address of its WebSockets, `ws://…`; empty: made of `api_base`.
        tile_style: address of a map style; empty: no tiles, the map is drawn in metres.
    """

    runs: bool = False
    gateway: bool = True
    title: str = ""
    version: str = ""
    api_base: str = ""
    ws_base: str = ""
    tile_style: str = ""

    def document(self) -> dict[str, Any]:
        """Give it as the pages' scripts know it (`view.config`)."""
        return {
            "runs": self.runs,
            "gateway": self.gateway,
            "title": self.title,
            "version": self.version,
            "apiBase": self.api_base,
            "wsBase": self.ws_base,
            "tileStyle": self.tile_style,
            "pages": list(PAGES),
        }


def current_config() -> ViewConfig:
    """Give the configuration of the application that answers right now; for layouts."""
    found: ViewConfig = current_app.config[KEY]
    return found
