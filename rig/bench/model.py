"""What a bench file says, as values: frozen, with the unit in each name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rig.measures.names import LINKS
from rig.walltime.can_interfaces import CanInterfaceSpec
from sim.mesh_setup import BASE_LINE

if TYPE_CHECKING:
    from rig.scenario.model import Scenario

MODEL, REAL, DRIVE = "model", "real", "drive"
WIRED = tuple(link for link in LINKS if link != "fleet")
"""Links that a cable or a radio can stand for; a fleet of light vehicles is none."""
PLACES: tuple[str, ...] = (*WIRED, BASE_LINE)
"""What a bench file can place: the links, and the base station's radio beside the car's."""

USUAL_BAUD: Mapping[str, int] = {
    "obd": 38_400,
    "gps": 9600,
    "esp32": 115_200,
    "mesh": 115_200,
    BASE_LINE: 115_200,
    "can": 115_200,
}
"""Of a serial line where the file says nothing: what most adapters of the kind are set to."""

_NUMBERED = re.compile(r"/dev/tty(USB|ACM)\d+")


@dataclass(frozen=True, slots=True)
class PowerSwitch:
    """Commands that switch a device's power; each is a program and its words, without a shell.

    Attributes:
        off: switches it off.
        on: switches it on.
        off_s: how long it stays off when the rig turns it off and on again.
        settle_s: how long the device takes from power to its first word.
        place: "bench/desk.yaml:7".
    """

    off: tuple[str, ...]
    on: tuple[str, ...]
    off_s: float = 2.0
    settle_s: float = 3.0
    place: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """What stands at one link. At most one of device, url, address and can is set.

    Attributes:
        kind: `MODEL`: the world's, behind a PTY or a door of its own. `REAL`: a device that is no
            part of the world. `DRIVE`: a real port which the world's model drives, for a gateway
            at its other end.
        device: path of a serial port.
        url: of pyserial: "socket://host:port", "rfc2217://host:port".
        address: host and port of a TCP server: a radio, a Wi-Fi adapter, socketcand.
        can: an interface of python-can.
        baud: of a serial port; None: as the scenario has it, else the usual one of its kind.
        tap: the rig stands between a real serial port and the gateway and records both ways; False:
            the gateway opens the place itself, and the wire is not on the record.
        power: the device's switch; None: it has none.
        clock_offset_s: how far this machine's clock is ahead of the UTC that a receiver tells.
        place: where the file says so: "bench/desk.yaml:7".
    """

    kind: str = MODEL
    device: str | None = None
    url: str | None = None
    address: tuple[str, int] | None = None
    can: CanInterfaceSpec | None = None
    baud: int | None = None
    tap: bool = True
    power: PowerSwitch | None = None
    clock_offset_s: float = 0.0
    place: str = ""

    @property
    def is_real(self) -> bool:
        """True where the world has no truth about the link."""
        return self.kind == REAL

    @property
    def is_serial(self) -> bool:
        """True for what pyserial opens."""
        return self.device is not None or self.url is not None

    @property
    def serial_name(self) -> str | None:
        """What `serial.serial_for_url` takes; a TCP server is one too. None: it is not serial."""
        if self.address is not None:
            return "socket://{}:{}".format(*self.address)
        return self.device or self.url

    @property
    def is_numbered(self) -> bool:
        """True for names such as /dev/ttyUSB0, which another adapter has after the next boot."""
        return self.device is not None and _NUMBERED.fullmatch(self.device) is not None

    @property
    def where(self) -> str:
        """The place in a word, for people."""
        if self.address is not None:
            host, port = self.address
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if self.can is not None:
            return str(self.can)
        return self.device or self.url or "simulated"

    def baud_of(self, link: str) -> int:
        """The rate of its line, where no scenario says another one."""
        return self.baud or USUAL_BAUD[link]


SIMULATED = Place()


@dataclass(frozen=True, slots=True)
class GatewayPlace:
    """Where the gateway runs.

    Attributes:
        at: its URL; "": here, a process that the rig starts.
        token: the environment variable in which its token stands; "": it lets this machine in.
        database: URL of its database, from which the rig reads what it stored; "": none.
        start: command that starts it, or starts it anew; (): it runs already.
        stop: command that stops it; (): the rig leaves it running.
        place: "bench/desk.yaml:7".
    """

    at: str = ""
    token: str = ""
    database: str = ""
    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    place: str = ""

    @property
    def is_here(self) -> bool:
        """True where the rig starts it."""
        return not self.at


@dataclass(frozen=True, slots=True)
class Bench:
    """What a bench file says.

    Attributes:
        name: of the bench.
        path: the file; None: there is none, and all is simulated.
        about: what it is.
        features: words that a scenario may need beside links.
        links: what the file places; all others are modelled.
        gateway: where it runs.
        sha256: of the file.
    """

    name: str = "simulated"
    path: Path | None = None
    about: str = ""
    features: tuple[str, ...] = ()
    links: Mapping[str, Place] = field(default_factory=dict)
    gateway: GatewayPlace = GatewayPlace()
    sha256: str = ""

    def at(self, link: str) -> Place:
        """What stands at a link; the model where the file says nothing."""
        return self.links.get(link, SIMULATED)

    @property
    def real_links(self) -> tuple[str, ...]:
        """The links, in their usual order, whose device is real."""
        return tuple(name for name in PLACES if self.at(name).kind == REAL)

    @property
    def driven_links(self) -> tuple[str, ...]:
        """The links, in their usual order, whose model drives a real port."""
        return tuple(name for name in PLACES if self.at(name).kind == DRIVE)

    @property
    def is_simulated(self) -> bool:
        """True where nothing is real: no port, and the gateway is here."""
        return not self.real_links and not self.driven_links and self.gateway.is_here

    def lacks(self, scenario: Scenario) -> str | None:
        """Say in a sentence why a scenario cannot run here; None where it can."""
        from rig.bench.fitness import lack

        return lack(self, scenario)


ALL_MODELLED = Bench()
