"""Radios that stand near one another on a channel of their own: for a device alone, and for tests.

Covers: radios with ports, further nodes that speak by themselves, their places in the air and on
the map. A world of cars places its radios itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import simpy

from sim.lora.channel import Channel
from sim.lora.presets import PRESETS, preset_named
from sim.lora.propagation import LogDistance, Place
from sim.lora.regions import REGIONS, region_named
from sim.meshtastic.errors import RadioSettingError
from sim.meshtastic.node import MeshNode
from sim.meshtastic.radio import BAUD, Radio
from sim.meshtastic.services import Beacons, Fix
from sim.meshtastic.settings import Flash, LoRa, RadioSetup
from sim.serial_line import USB_FRAME_S, SerialLine
from sim.streams import RandomStreams

ORIGIN_DEG = (50.5330, 7.0960)  # a hill in the Eifel
METRES_PER_DEGREE = 111_195.0
FIRST_NUMBER = 0x7E1E0001
FIRST_NODE_NUMBER = 0x7E1E1001
RADIO_GAP_M = 60.0
NEAREST_NODE_M, FARTHEST_NODE_M = 300.0, 3000.0
ANTENNA_M = 10.0
SHADOWING_DB = 4.0
FIRST_BEACON_S = (3.0, 15.0)  # so that something is heard soon
SHORT_NAME_BYTES = 4


@dataclass(frozen=True, slots=True)
class GroupSetup:
    """What stands there.

    Attributes:
        radios: with a port each.
        nodes: without.
        name: of the first radio; further ones get a number.
        beacon_s: from one position of a node to its next.
        paced: the serial lines carry 115200 baud; else whatever the machine can.
    """

    radios: int = 1
    nodes: int = 0
    preset: str = "LONG_FAST"
    region: str = "EU_868"
    name: str = "telerig"
    beacon_s: float = 120.0
    paced: bool = True
    log_text: bool = True

    def __post_init__(self) -> None:
        for what, value, known in (
            ("preset", self.preset, usable_presets()),
            ("region", self.region, list(REGIONS)),
        ):
            if value not in known:
                raise RadioSettingError(
                    f"{what}: expected one of {', '.join(known)}; found {value!r}"
                )


def usable_presets() -> list[str]:
    """Return the presets that both the channel and the installed protobufs know."""
    return [name for name in PRESETS if name in LoRa.ModemPreset.keys()]  # noqa: SIM118


class RadioGroup:
    """The radios, all of which know one another.

    Args:
        env: the world's SimPy environment.
        setup: what stands there.
        streams: of all randomness.
        epoch_ns: UTC nanoseconds at `env.now` 0.
        flashes: what radios remember, by node id ("!7e1e0001"); it is filled.
        on_event: told (radio, time, kind, detail) of the radios with ports.
    """

    def __init__(
        self,
        env: simpy.Environment,
        setup: GroupSetup,
        streams: RandomStreams,
        epoch_ns: int,
        *,
        flashes: MutableMapping[str, Flash] | None = None,
        on_event: Callable[[Radio, float, str, Mapping[str, Any]], None] | None = None,
    ) -> None:
        self.env = env
        self.setup = setup
        self._streams = streams
        self._epoch_ns = epoch_ns
        self._on_event = on_event
        self._flashes: MutableMapping[str, Flash] = {} if flashes is None else flashes
        self._region = region_named(setup.region)
        frequency_mhz = self._region.centre_mhz
        self.channel = Channel(
            env,
            preset_named(setup.preset),
            frequency_mhz,
            streams.stream("mesh/channel"),
            LogDistance(frequency_mhz),
            shadowing_db=SHADOWING_DB,
        )
        self.radios = [self._radio(number) for number in range(setup.radios)]
        self.nodes = [self._node(number) for number in range(setup.nodes)]
        everyone = [*self.radios, *self.nodes]
        for radio in everyone:
            radio.know(everyone)

    def _radio(self, index: int) -> Radio:
        name = self.setup.name if index == 0 else f"{self.setup.name} {index + 1}"
        line = SerialLine(
            self.env,
            "mesh" if index == 0 else f"mesh-{index + 1}",
            BAUD,
            paced=self.setup.paced,
            frame_s=USB_FRAME_S if self.setup.paced else 0.0,
        )
        place = Place(index * RADIO_GAP_M, 0.0, ANTENNA_M)
        return self._build(FIRST_NUMBER + index, name, place, line, None)

    def _node(self, index: int) -> Radio:
        stream = self._streams.stream(f"mesh/place/{index}")
        way_m = stream.uniform(NEAREST_NODE_M, FARTHEST_NODE_M)
        direction = stream.uniform(0.0, 2 * math.pi)
        place = Place(way_m * math.cos(direction), way_m * math.sin(direction), ANTENNA_M)
        beacons = Beacons(
            position_s=self.setup.beacon_s,
            telemetry_s=self.setup.beacon_s,
            first_s=stream.uniform(*FIRST_BEACON_S) + index,
        )
        return self._build(FIRST_NODE_NUMBER + index, f"Node {index + 1}", place, None, beacons)

    def _build(
        self,
        number: int,
        name: str,
        place: Place,
        line: SerialLine | None,
        beacons: Beacons | None,
    ) -> Radio:
        setup = self.setup
        node = MeshNode(
            self.env,
            number,
            self.channel,
            place,
            self._streams.stream(f"mesh/node/{number:08x}"),
            region=self._region,
        )
        fix = fix_of(place)
        radio = Radio(
            self.env,
            line,
            node,
            self._streams.stream(f"mesh/radio/{number:08x}"),
            setup=RadioSetup(
                name=name,
                short_name=_short_name(name),
                preset=setup.preset,
                region=setup.region,
            ),
            flash=self._flashes.setdefault(f"!{number:08x}", {}),
            epoch_ns=self._epoch_ns,
            fix=lambda: fix,
            beacons=beacons,
            on_event=lambda *event: self._tell(radio, *event),
            log_text=setup.log_text,
        )
        return radio

    def _tell(self, radio: Radio, time_s: float, kind: str, detail: Mapping[str, Any]) -> None:
        if self._on_event is not None and radio.line is not None:
            self._on_event(radio, time_s, kind, detail)


def fix_of(place: Place) -> Fix:
    """Return where a place of the group is on the map."""
    latitude_deg = ORIGIN_DEG[0] + place.y_m / METRES_PER_DEGREE
    per_degree_m = METRES_PER_DEGREE * math.cos(math.radians(ORIGIN_DEG[0]))
    return Fix(latitude_deg, ORIGIN_DEG[1] + place.x_m / per_degree_m, 400.0 + place.height_m)


def _short_name(name: str) -> str:
    """Return four characters: the first ones, and a number at the end where there is one."""
    head, _, tail = name.rpartition(" ")
    if head and tail.isdigit():
        return head[: SHORT_NAME_BYTES - len(tail)].strip() + tail
    return name.encode()[:SHORT_NAME_BYTES].decode(errors="ignore")
