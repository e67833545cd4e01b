"""`/device/<device>`: one device: its values now and before, what it sent, commands, keys."""

from __future__ import annotations

from typing import Any

from dash.development.base_component import Component

from reports.view.listing import Placed, Tab, place, placed, tabs
from reports.view.lists import devices
from reports.view.page import page, register


def layout(device: str = "", **_: Any) -> Component:
    """Give the page."""
    one = {"device": device}
    return page(
        f"Device {device}",
        place(devices.DEVICE, id="device-facts", device=device),
        tabs(
            f"Device {device}",
            Tab(
                name="now",
                label="Now",
                parts=(Placed("device-values", one), Placed("device-history", one)),
            ),
            Tab(
                name="statistics",
                label="Statistics",
                parts=(
                    placed(devices.DAYS, device=device),
                    placed(devices.BOOTS, device=device),
                    placed(devices.REFUSED, device=device),
                ),
            ),
            Tab(
                name="commands",
                label="Commands",
                parts=(
                    Placed("device-command", one),
                    placed(devices.COMMANDS, device=device),
                ),
            ),
            Tab(
                name="keys",
                label="Keys",
                parts=(
                    placed(devices.KEYS, device=device),
                    placed(devices.REFUSED_KEYS, device=device),
                ),
            ),
            Tab(
                name="codes",
                label="Trouble codes",
                role="operator",
                parts=(Placed("trouble-codes", one),),
            ),
            id="device",
        ),
        name="device",
        needs="gateway",
        role="viewer",
    )


register(__name__, "/device/<device>", "Device", layout)
