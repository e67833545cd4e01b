"""What stands on the car's CAN bus besides its diagnostics: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SLCAN = "slcan"
SOCKETCAND = "socketcand"


@dataclass(frozen=True, slots=True)
class DoorSetup:
    """A door to the bus: an slcan adapter on a serial line, or socketcand over TCP.

    Attributes:
        kind: `SLCAN` or `SOCKETCAND`.
        profile: of the adapter; None: the usual one.
        baud: of its serial line; None: the profile's.
    """

    kind: str = SOCKETCAND
    profile: str | None = None
    baud: int | None = None


@dataclass(frozen=True, slots=True)
class PlaySetup:
    """A log that is played into the bus.

    Attributes:
        path: BLF, ASC, candump or CSV.
        offset_s: so much of its beginning is left out.
        loop: it begins again when it ends.
        only: identifiers that are played; none: all.
        without: identifiers that are not.
    """

    path: Path
    offset_s: float = 0.0
    loop: bool = False
    only: tuple[int, ...] = ()
    without: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CanSetup:
    """The traffic, and the doors.

    Attributes:
        doors: link -> its door.
        broadcast: the car's control units send what they know.
        sampled_signals: signals of which the world takes samples; None: all.
        load_pct: more frames fill the bus up to this load; None: none do.
        play: a log that is played; None: none is.
        start_s: the instant from which on there is traffic.
        until_s: the instant from which on nobody broadcasts; None: they never stop.
        auto_recovery_s: a control unit that is bus-off begins to come back after so long.
        paced: False lets frames take no time on the bus.
    """

    doors: dict[str, DoorSetup]
    broadcast: bool = False
    sampled_signals: tuple[str, ...] | None = None
    load_pct: float | None = None
    play: PlaySetup | None = None
    start_s: float = 0.0
    until_s: float | None = None
    auto_recovery_s: float = 0.1
    paced: bool = True


def channel_of(link: str) -> str:
    """Return the name of a link's door on the bus, and of the bus at its socketcand."""
    return f"{link}0"
