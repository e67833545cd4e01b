"""A session: a name for a range of time over a device's readings."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

SILENT_S = 1800
"""A session that nobody could end (the device went away for ever) has ended with its last reading
when nothing came for so long."""
_TEXT = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"

Name = Annotated[str, Meta(max_length=200, pattern=_TEXT)]
Notes = Annotated[str, Meta(max_length=10_000, pattern=_TEXT)]


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session.

    Attributes:
        id: number.
        kind: "automatic": one run of the gateway, or one boot of a remote device; "manual": made,
            started and stopped by somebody.
        state: "planned" (not started), "running" or "ended".
        device: whose readings.
        boot: of an automatic session; its readings are those of that boot.
        vin: vehicle, where it is known.
        name, car_id, driver, notes: what somebody has told of it.
        opened_ns: when it started; None while it is planned.
        closed_ns: when it ended; None before.
        closed_how: "stopped", "restarted" (the device was heard with another boot), "recovered"
            (after a crash, by the next start) or "silent" (nothing came for half an hour; it goes
            on where the device does). The last two end with the last reading.
        started: `opened_ns` in ISO 8601.
        ended: `closed_ns` in ISO 8601.
        duration_s: from start to end, or to now.
    """

    id: int
    kind: str
    state: str
    device: str
    boot: int | None
    vin: str | None
    name: str
    car_id: str
    driver: str
    notes: str
    opened_ns: int | None
    closed_ns: int | None
    closed_how: str | None
    started: str | None
    ended: str | None
    duration_s: float | None


class Described(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody tells of a session."""

    name: Name = ""
    car_id: Name = ""
    driver: Name = ""
    notes: Notes = ""


class Changed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody tells anew; what is left out stays."""

    name: Name | None = None
    car_id: Name | None = None
    driver: Name | None = None
    notes: Notes | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which sessions; None is no condition.

    Attributes:
        devices: ids; what the asking one may see.
        start_ns: it ended later than this (or runs).
        end_ns: it started before this.
    """

    devices: frozenset[str] | None = None
    vin: str | None = None
    kind: str | None = None
    state: str | None = None
    start_ns: int = 0
    end_ns: int = 2**63 - 1
