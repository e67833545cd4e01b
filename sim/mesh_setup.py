"""What radios a world has, where they stand, and what they are called."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sim.lora.propagation import Place
from sim.route import Route

MESH = "mesh"
BASE_LINE = "mesh-base"
TCP = "tcp"

# Numbers as radios have them; who is who can be read off the record.
_FIRST_VEHICLE = 0xCA000001
_BASE = 0xBA5E0001
_FIRST_RELAY = 0x4E1A0001
_FIRST_NODE = 0x0D0E0001


@dataclass(frozen=True, slots=True)
class RadioPlace:
    """Where a radio stands.

    Attributes:
        at_m: so far along the course.
        beside_m: so far to the right of it.
        height_m: of its antenna above the ground.
        beacon_s: an ordinary node tells its position and battery so often; None: it is silent.
    """

    at_m: float = 0.0
    beside_m: float = 40.0
    height_m: float = 12.0
    beacon_s: float | None = None

    def on(self, course: Route) -> Place:
        """Return the place in local metres."""
        place = course.at(self.at_m)
        heading = math.radians(place.heading_deg)
        return Place(
            place.east_m + self.beside_m * math.cos(heading),
            place.north_m - self.beside_m * math.sin(heading),
            self.height_m,
        )


@dataclass(frozen=True, slots=True)
class MeshSetup:
    """The radios of a world.

    Attributes:
        preset, region: by their Meshtastic names.
        transport: "serial" or "tcp": how the car's and the base station's radio are reached.
        vehicles: that send; the first one is the world's own car.
        base, relays, nodes: radios that stand.
        role: of the vehicles' and the base station's radios.
        hop_limit: of all.
        tx_power_dbm: of all; None for the region's limit.
        clutter_db: what houses and trees take away.
        shadowing_db: standard deviation of what a place takes away or adds.
    """

    preset: str = "LONG_FAST"
    region: str = "EU_868"
    transport: str = "serial"
    vehicles: int = 1
    base: RadioPlace = RadioPlace()
    relays: tuple[RadioPlace, ...] = ()
    nodes: tuple[RadioPlace, ...] = ()
    role: str = "CLIENT"
    hop_limit: int = 3
    tx_power_dbm: float | None = None
    clutter_db: float | None = None
    shadowing_db: float | None = None


def vehicle_node(number: int) -> int:
    """Return the node number of the `number`-th vehicle's radio, counted from 1."""
    return _FIRST_VEHICLE + number - 1


def base_node() -> int:
    """Return the node number of the base station's radio."""
    return _BASE


def vehicle_name(number: int) -> str:
    """Return the name of the `number`-th vehicle, counted from 1."""
    return numbered(MESH, number)


def relay_node(number: int) -> int:
    """Return the node number of the `number`-th relay, counted from 1."""
    return _FIRST_RELAY + number - 1


def ordinary_node(number: int) -> int:
    """Return the node number of the `number`-th ordinary node, counted from 1."""
    return _FIRST_NODE + number - 1


def numbered(word: str, number: int) -> str:
    """Return the name of the `number`-th of its kind: the first one has none."""
    return word if number == 1 else f"{word}-{number}"
