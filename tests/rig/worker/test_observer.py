"""What the observer makes of a second gateway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rig.worker.observer import NamedListener


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def published(self, arrived_ns: int, rows: list[list[Any]], device: str, boot: int) -> None:
        """Keep it."""
        self.told.append(("published", device, boot))

    def stored_at(
        self, boot: int, upto_seq: int, time_ns: int, device: str, first_seq: int
    ) -> None:
        """Keep it."""
        self.told.append(("stored_at", device, boot))

    def gateway_event(self, time_ns: int, kind: str, detail: Mapping[str, Any]) -> None:
        """Keep it."""
        self.told.append((kind, detail))


def test_readings_of_its_own_bear_its_name() -> None:
    """Those of the first gateway have none; a remote device's keep the device's."""
    listener = Listener()
    base = NamedListener("base", listener)
    base.published(1, [], "", 0)
    base.published(1, [], "mesh", 7)
    base.stored_at(3, 1, 1, "", 0)
    base.stored_at(7, 1, 1, "mesh", 0)
    base.gateway_event(1, "stale", {"link": "mesh"})
    assert listener.told == [
        ("published", "base", 0),
        ("published", "mesh", 7),
        ("stored_at", "base", 3),
        ("stored_at", "mesh", 7),
        ("stale", {"link": "mesh", "gateway": "base"}),
    ]
