"""What the command line says of `telerig device can`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rig.scenario.model import Scenario
from rig.walltime.can_interfaces import CanInterfaceSpec
from sim.slcan import PROFILES
from sim.slcan.profiles import SlcanProfile

DEFAULT_PROFILE = "canable"  # a USB adapter that takes what any client sends


@dataclass(frozen=True, slots=True)
class CanOptions:
    """Which doors, and what is on the bus behind them.

    Attributes:
        slcan: open a PTY with an slcan adapter.
        profile: of the adapter; a name of `sim.slcan.PROFILES`.
        baud: of its serial line; None: the profile's.
        link: symbolic link to the PTY.
        tcp: serve socketcand on this port of the loopback (0: any free one); None: do not.
        interfaces: of python-can, which are joined to the bus.
        broadcast: the car's control units send what they know.
        load_pct: more frames fill the bus up to this load; None: none do.
        record: file that all frames are written to (.blf, .asc, .log or .csv).
        play: log that is played into the bus.
        unpaced: frames take no time on the bus, characters none on the line, the ECUs none at all.
        scenario: drives the car, and strikes its faults on the bus; None: a round trip.
        as_json: speak JSON lines.
    """

    slcan: bool = False
    profile: str = DEFAULT_PROFILE
    baud: int | None = None
    link: Path | None = None
    tcp: int | None = None
    interfaces: tuple[CanInterfaceSpec, ...] = ()
    broadcast: bool = True
    load_pct: float | None = None
    record: Path | None = None
    play: Path | None = None
    unpaced: bool = False
    scenario: Scenario | None = None
    seed: int = 0
    as_json: bool = False

    @property
    def slcan_profile(self) -> SlcanProfile:
        """The adapter."""
        return PROFILES[self.profile]

    @property
    def slcan_baud(self) -> int:
        """The rate of its line."""
        return self.baud or self.slcan_profile.baud
