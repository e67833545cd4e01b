"""What receivers are told: one message for all that happened, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from server.alerts.alert import Alert
from server.answers import iso

LISTED = 50
"""Alerts that one message names; the others are counted."""


class Message(msgspec.Struct, frozen=True):
    """One message.

    Attributes:
        id: the same on each try.
        gateway: device id of the gateway that tells.
        sent_ns: instant.
        alerts: as they were then, the oldest first.
        more: how many others are not listed.
    """

    id: str
    gateway: str
    sent_ns: int
    alerts: Sequence[Alert]
    more: int = 0

    @property
    def subject(self) -> str:
        """One line for a mail."""
        if len(self.alerts) == 1 and not self.more:
            alert = self.alerts[0]
            return f"[telerig {self.gateway}] {_state(alert)}: {alert.name} ({alert.device})"
        firing = sum(alert.state == "firing" for alert in self.alerts)
        parts = [f"{firing} firing", f"{len(self.alerts) - firing} resolved"]
        if self.more:
            parts.append(f"{self.more} more")
        return f"[telerig {self.gateway}] alerts: {', '.join(parts)}"

    @property
    def text(self) -> str:
        """The lines of a mail."""
        lines = []
        for alert in self.alerts:
            vehicle = f", vehicle {alert.vin}" if alert.vin else ""
            lines += [
                f"{_state(alert)} ({alert.severity}): {alert.name}",
                f"  {alert.condition}; found {alert.value:g} on {alert.device}{vehicle}",
                f"  since {iso(alert.since_ns)}, fired {iso(alert.fired_ns)}"
                + (f", ended {iso(alert.ended_ns)}" if alert.ended_ns is not None else ""),
            ]
            if alert.times > 1:
                lines.append(f"  began {alert.times} times")
            lines.append("")
        if self.more:
            lines.append(f"and {self.more} more: GET /api/v1/alerts")
        return "\n".join(lines)

    @property
    def json(self) -> bytes:
        """The body of a webhook."""
        return _encoder.encode({"version": 1, **msgspec.structs.asdict(self)})


_encoder = msgspec.json.Encoder()


def _state(alert: Alert) -> str:
    return alert.state.upper()
