"""`/provision`: an ESP32 gets its network, this gateway's address, and a key."""

from __future__ import annotations

from typing import Any

from dash import html
from dash.development.base_component import Component

from reports.view.listing import declared
from reports.view.lists.provisioning import PROVISIONING
from reports.view.page import page, register
from reports.view.part import part

_ABOUT = (
    "A new ESP32 knows no network and no gateway. The machine on which the gateway runs speaks with"
    " it (ESP-IDF protocomm, Security 2), for browsers cannot. Where that machine is out of reach,"
    " the command telerig provision does the same from any other."
)


def layout(**_: Any) -> Component:
    """Give the page."""
    return page(
        "Provisioning",
        html.P(_ABOUT, className="note"),
        part("provision", id="provision", form=declared(PROVISIONING)),
        name="provision",
        needs="gateway",
        role="admin",
    )


register(__name__, "/provision", "Provisioning", layout)
