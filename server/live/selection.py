"""What one client wants of the stream."""

from __future__ import annotations

import msgspec

from server.live.events import Event, Readings

_INT64_MAX = 2**63 - 1


class Selection(msgspec.Struct, frozen=True):
    """Events of these devices, and of their readings these.

    Attributes:
        devices: ids; None: all.
        signals: ids; None: all.
        boot: of the devices; None: all.
        start_ns: earliest instant measured.
        end_ns: first instant that is not wanted any more.
        session: with whose end the stream ends; None: with none.
    """

    devices: frozenset[str] | None = None
    signals: frozenset[int] | None = None
    boot: int | None = None
    start_ns: int = 0
    end_ns: int = _INT64_MAX
    session: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether every reading of the devices is wanted."""
        return (
            self.signals is None
            and self.boot is None
            and self.start_ns == 0
            and self.end_ns == _INT64_MAX
        )

    def sees(self, device: str) -> bool:
        """Tell whether what concerns a device (empty: everybody) is wanted."""
        return not device or self.devices is None or device in self.devices

    def within(self, scope: frozenset[str] | None) -> Selection:
        """Give what is left of it for somebody who may see these devices only."""
        if scope is None:
            return self
        devices = scope if self.devices is None else self.devices & scope
        return msgspec.structs.replace(self, devices=devices)

    def take(self, event: Event, after: int = 0) -> Event | None:
        """Give what is wanted of an event, and has a number after this one; None: nothing."""
        if not self.sees(event.device) or event.last <= after:
            return None
        if not isinstance(event, Readings) or (self.is_whole and event.first > after):
            return event
        if self.boot is not None and event.boot != self.boot:
            return None
        signals = self.signals
        rows, numbers = [], []
        for number, row in zip(event.numbered(), event.rows, strict=True):
            if (
                number > after
                and (signals is None or row[1] in signals)
                and self.start_ns <= row[2] < self.end_ns
            ):
                rows.append(row)
                numbers.append(number)
        if len(rows) == event.size:
            return event
        return Readings(event.device, event.boot, rows, numbers) if rows else None


EVERYTHING = Selection()
