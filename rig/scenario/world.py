"""The `world:` section: car, air, road, receiver and adapter."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import datetime
from typing import TypeVar

from rig.quantity import BAUD, DURATION, PRESSURE, RATE, TEMPERATURE
from rig.scenario.can import read_can, read_door
from rig.scenario.document import Node, Table
from rig.scenario.esp32 import latency_range_s, read_esp32
from rig.scenario.fleet import read_fleet
from rig.scenario.mesh import read_mesh
from rig.scenario.model import GpsSpec, ObdSpec, WorldSpec
from rig.scenario.world_names import adapter_profiles, receiver_profiles, route_names, vehicle_names

WORLD_KEYS = (
    "vehicle",
    "ambient",
    "pressure",
    "coolant",
    "route",
    "start",
    "gps",
    "obd",
    "esp32",
    "mesh",
    "can",
    "fleet",
    "wires",
)
# What the gateway takes for each link.
MINIMUM_GPS_BAUD = 300.0
MINIMUM_OBD_BAUD = 1200.0
GPS_KEYS = ("profile", "rate", "baud", "cold_start", "sentences", "paced")
OBD_KEYS = ("profile", "baud", "ecu_latency", "paced", "over", "door")
OBD_OVER = ("elm327", "can")
ADAPTER_KEYS = ("paced",)  # beside `profile` and `baud`, which an adapter of either kind has

Names = Callable[[], Collection[str]]
Default = TypeVar("Default", str, None)

MAXIMUM_BAUD = 4_000_000


def read_world(node: Node | None) -> WorldSpec:
    """Return the world that the section describes; what it leaves out has its default."""
    default = WorldSpec()
    if node is None or node.is_null:
        return default
    table = node.as_table("'world'", WORLD_KEYS)
    coolant = table.get("coolant")
    start = table.get("start")
    return WorldSpec(
        vehicle=_word(table, "vehicle", vehicle_names, default.vehicle),
        ambient_c=_temperature_c(table.get("ambient"), default.ambient_c),
        pressure_kpa=table.quantity(
            "pressure", PRESSURE, default.pressure_kpa, minimum=50.0, maximum=110.0
        ),
        coolant_c=None if coolant is None else _temperature_c(coolant, 0.0),
        route=_word(table, "route", route_names, None),
        epoch_ns=default.epoch_ns if start is None else _epoch_ns(start),
        gps=_read_gps(table.get("gps")),
        obd=_read_obd(table.get("obd")),
        esp32=read_esp32(table.get("esp32")),
        mesh=read_mesh(table.get("mesh")),
        can=read_can(table.get("can")),
        fleet=read_fleet(table.get("fleet")),
    )


def _temperature_c(node: Node | None, default_c: float) -> float:
    if node is None:
        return default_c
    return node.as_quantity(TEMPERATURE, minimum=-40.0, maximum=130.0)


def _word(table: Table, key: str, choices: Names, default: Default) -> str | Default:
    node = table.get(key)
    return default if node is None else node.as_word(choices(), f"a {key}")


def _epoch_ns(node: Node) -> int:
    expected = "an instant in UTC such as 2026-05-01T08:00:00Z"
    text = node.as_text(expected)
    # fromisoformat() takes more than what is promised here; the pattern keeps the format narrow.
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text) is None:
        raise node.error(expected)
    try:
        instant = datetime.fromisoformat(text)
        seconds = int(instant.timestamp())
    except (ValueError, OverflowError) as error:
        raise node.error(expected, f"{text!r}, which is no date ({error})") from error
    if not 1980 <= instant.year < 2100:  # GPS time begins in 1980
        raise node.error("a year from 1980 to 2099", repr(text))
    return seconds * 1_000_000_000


def _read_gps(node: Node | None) -> GpsSpec:
    default = GpsSpec()
    if node is None or node.is_null:
        return default
    table = node.as_table("'gps'", GPS_KEYS)
    sentences = table.get("sentences")
    profile = _word(table, "profile", receiver_profiles, default.profile)
    return GpsSpec(
        profile=profile,
        rate_hz=table.quantity(
            "rate", RATE, default.rate_hz, minimum=0.1, maximum=_maximum_rate_hz(profile)
        ),
        baud=_baud(table, default.baud, MINIMUM_GPS_BAUD),
        cold_start_s=table.quantity(
            "cold_start", DURATION, default.cold_start_s, minimum=0.0, maximum=3600.0
        ),
        sentences=None if sentences is None else _sentences(sentences, profile),
        paced=_paced(table),
    )


def _sentences(node: Node, profile: str) -> tuple[str, ...]:
    from sim.gnss import PROFILES

    known = PROFILES[profile].order
    items = node.as_list("a list of sentence types such as [RMC, GGA]")
    types = [item.as_word(known, f"a sentence type of {profile}") for item in items]
    if not types or len(set(types)) != len(types):
        raise node.error("at least one sentence type, and each once")
    return tuple(types)


def _maximum_rate_hz(profile: str) -> float:
    from sim.gnss import PROFILES

    return PROFILES[profile].max_rate_hz


def _read_obd(node: Node | None) -> ObdSpec:
    default = ObdSpec()
    if node is None or node.is_null:
        return default
    table = node.as_table("'obd'", OBD_KEYS)
    latency, over = table.get("ecu_latency"), table.get("over")
    ecu_latency_s = default.ecu_latency_s if latency is None else latency_range_s(latency)
    if over is not None and over.as_word(OBD_OVER, "'elm327' or 'can'") == "can":
        _refuse(table, ADAPTER_KEYS, "an ELM327 has it, and `over: can` has none")
        return ObdSpec(ecu_latency_s=ecu_latency_s, can=read_door(table))
    _refuse(table, ("door",), "add `over: can`: an ELM327 needs no door")
    return ObdSpec(
        profile=_word(table, "profile", adapter_profiles, default.profile),
        baud=_baud(table, default.baud, MINIMUM_OBD_BAUD),
        ecu_latency_s=ecu_latency_s,
        paced=_paced(table),
    )


def _refuse(table: Table, keys: Collection[str], hint: str) -> None:
    for key in keys:
        entry = table.entry(key)
        if entry is not None:
            raise entry.key.error(f"no {key!r} here", hint=hint)


def _baud(table: Table, default: int, minimum: float) -> int:
    return round(table.quantity("baud", BAUD, default, minimum=minimum, maximum=MAXIMUM_BAUD))


def _paced(table: Table) -> bool:
    node = table.get("paced")
    return True if node is None else node.as_boolean("'paced'")
