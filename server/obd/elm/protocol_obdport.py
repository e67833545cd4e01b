"""pyserial finds the scheme `obdport://` by this module's name; see `server.obd.elm.port`."""

from __future__ import annotations

from typing import Any

from server.obd.elm.port import port_class_for


def serial_class_for_url(url: str) -> tuple[str, Any]:
    """Return (port to open, class to open it with)."""
    return port_class_for(url)
