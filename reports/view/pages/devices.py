"""`/devices`: the registry, and the gateway's own links."""

from __future__ import annotations

from typing import Any

from dash.development.base_component import Component

from reports.view.listing import place
from reports.view.lists.devices import DEVICES, OWN
from reports.view.page import page, register


def layout(**_: Any) -> Component:
    """Give the page."""
    return page(
        "Devices",
        place(DEVICES, id="devices"),
        place(OWN, id="own"),
        name="devices",
        needs="gateway",
        role="viewer",
    )


register(__name__, "/devices", "Devices", layout)
