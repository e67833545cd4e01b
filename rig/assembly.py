"""From a scenario to its two sides: the world's set-up and the gateway's configuration file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware_stubs.plan import DEFAULT_FLUSH_MS
from rig.can.setup import (
    DOOR_KEYS,
    can_doors,
    can_link_config,
    can_plan_hz,
    can_setup,
    interface_config,
    socketcand_links,
)
from rig.faults.spec import FaultSpec
from rig.mesh.setup import (
    RADIO_LINES,
    base_link_config,
    mesh_plan_hz,
    mesh_setup,
    ordinary_nodes,
    uplink_config,
    vehicle_nodes,
)
from rig.scenario.drive import build_drive, recorded_course
from rig.scenario.fleet import FLEET
from rig.scenario.gateway import UPLINK
from rig.scenario.model import (
    BASE,
    CAN,
    CAR,
    GPS_SIGNALS,
    MESH,
    OBD,
    Esp32Spec,
    Scenario,
    StoreSpec,
)
from rig.toml_text import toml_text
from sim.esp32 import BoardSetup, GnssSetup, WifiSetup
from sim.esp32.board import CONSOLE_BAUD
from sim.mesh_setup import BASE_LINE, TCP
from sim.route import COURSES, Route
from sim.vehicle import VEHICLES, Ambient, Drive, Idle, KeyOff
from sim.world import ECU_RESPONSE_S, ESP32, Esp32Setup, GpsSetup, ObdSetup, WorldSetup, board_name

DEFAULT_COURSE = "highway"
# Before the drive the gateway starts and its links connect (python-OBD sleeps 1-3 s while it does);
# after it the last readings travel. Neither belongs to a phase.
LEAD_IN_S = 12.0
LEAD_OUT_S = 3.0
MESH_LEAD_OUT_S = 30.0  # a packet fills for some 20 s; what is lost then comes later
BOARD_LEAD_OUT_S = 30.0  # a request that gets lost is repeated after 10 s, perhaps twice
FLEET_LEAD_OUT_S = 90.0  # a vehicle that has failed often comes back after a minute
CAN_LEAD_IN_S = 8.0  # of a run in which no link sleeps while it connects
BUS_EARLY_S = 4.0  # the car wakes up so long before the drive; the gateway is there by then
BUS_QUIET_S = 1.0  # the car says no more at the end: what it said is with the gateway by then
NODES = "nodes"
LEAD_IN = "lead-in"
LEAD_OUT = "lead-out"
DEVICE = "car-1"
API_SECRET = "the rig's own, for one run"
LOCAL_ROLE = "viewer"  # the observer reads without credentials
# Where a scenario says nothing of the store, its hot log stays as it is: there alone readings have
# their numbers and instants, so that store and live stream are two witnesses.
NEVER_COMPACTED = {"compact_after_s": 86_400, "compact_bytes": 2**40, "latest_s": 3600}


@dataclass(frozen=True, slots=True)
class GatewayPlan:
    """One gateway of a run.

    Attributes:
        name: "car", or "base" for the base station's.
        config: the tables of its TOML file.
        database_url: of its own.
    """

    name: str
    config: Mapping[str, Any]
    database_url: str


def world_setup(scenario: Scenario) -> WorldSetup:
    """The world that `scenario` asks for, with a lead-in and a lead-out around its drive."""
    world = scenario.world
    drive = build_drive(scenario)
    waiting = KeyOff if scenario.phases[0].kind == "off" else Idle
    around = [
        waiting(LEAD_IN, lead_in_s(scenario)),
        *drive.phases,
        (KeyOff if scenario.phases[-1].kind == "off" else Idle)(LEAD_OUT, lead_out_s(scenario)),
    ]
    gps, obd = world.gps, world.obd
    return WorldSetup(
        drive=Drive(around),
        course=_course(scenario),
        vehicle=VEHICLES[world.vehicle],
        ambient=Ambient(world.ambient_c, world.pressure_kpa),
        coolant_c=world.coolant_c,
        obd=ObdSetup(obd.profile, obd.baud, obd.paced, obd.ecu_latency_s)
        if OBD in scenario.needs and obd.can is None and OBD not in world.played
        else None,
        ecu_response_s=ECU_RESPONSE_S if obd.can is None else obd.ecu_latency_s,
        gps=GpsSetup(gps.profile, gps.baud, gps.rate_hz, gps.sentences, gps.cold_start_s, gps.paced)
        if "gps" in scenario.needs and "gps" not in world.played
        else None,
        esp32=_esp32_setup(world.esp32, beside_adapter=OBD in scenario.needs)
        if ESP32 in scenario.needs and ESP32 not in world.played
        else None,
        mesh=mesh_setup(world.mesh) if MESH in scenario.needs else None,
        can=can_setup(
            scenario,
            start_s=lead_in_s(scenario) - BUS_EARLY_S,
            until_s=total_duration_s(scenario) - BUS_QUIET_S,
        ),
    )


def _esp32_setup(spec: Esp32Spec, *, beside_adapter: bool) -> Esp32Setup:
    gps = spec.gps
    return Esp32Setup(
        count=spec.count,
        own_segment=beside_adapter if spec.segment is None else spec.segment == "own",
        board=BoardSetup(
            gnss=GnssSetup(gps.profile, gps.baud, gps.rate_hz, gps.sentences, gps.cold_start_s),
            wifi=WifiSetup(latency_s=spec.wifi.latency_s, loss=spec.wifi.loss_pct / 100.0),
        ),
    )


def _course(scenario: Scenario) -> Route:
    if scenario.world.route is not None:
        return COURSES[scenario.world.route]
    return recorded_course(scenario) or COURSES[DEFAULT_COURSE]


def lead_in_s(scenario: Scenario) -> float:
    """How long before the drive everything starts."""
    return CAN_LEAD_IN_S if set(scenario.needs) == set(can_doors(scenario)) else LEAD_IN_S


def lead_out_s(scenario: Scenario) -> float:
    """How long the last readings may travel: boards keep theirs until a packet is full or old."""
    longest_s = LEAD_OUT_S
    if ESP32 in scenario.needs:
        flush_s = scenario.world.esp32.flush_s
        flush_s = DEFAULT_FLUSH_MS / 1000.0 if flush_s is None else flush_s
        longest_s = max(longest_s, flush_s + BOARD_LEAD_OUT_S)
    if MESH in scenario.needs:
        longest_s = max(longest_s, (scenario.gateway.mesh.flush_s or 0.0) + MESH_LEAD_OUT_S)
    if FLEET in scenario.needs:
        longest_s = max(longest_s, scenario.world.fleet.batch_s + FLEET_LEAD_OUT_S)
    return longest_s


def total_duration_s(scenario: Scenario) -> float:
    """Lead-in, drive and lead-out."""
    return lead_in_s(scenario) + scenario.duration_s + lead_out_s(scenario)


def shifted_faults(scenario: Scenario) -> list[FaultSpec]:
    """The scenario's faults on the world's clock, whose drive begins after the lead-in."""
    shift_s = lead_in_s(scenario)
    return [
        dataclasses.replace(
            fault,
            windows=tuple((start + shift_s, end + shift_s) for start, end in fault.windows),
        )
        for fault in scenario.faults
    ]


def phase_windows(scenario: Scenario) -> list[tuple[str, float, float]]:
    """The scenario's phases on the world's clock."""
    shift_s = lead_in_s(scenario)
    return [(name, start_s + shift_s, end_s + shift_s) for name, start_s, end_s in scenario.windows]


def gateway_plan(
    scenario: Scenario, name: str, ports: Mapping[str, str], database_url: str
) -> GatewayPlan:
    """Return the gateway `name` of a run."""
    config = base_config if name == BASE else gateway_config
    return GatewayPlan(name, config(scenario, ports, database_url, 0), database_url)


def gateway_config(
    scenario: Scenario, ports: Mapping[str, str], database_url: str, http_port: int
) -> dict[str, Any]:
    """The gateway's configuration as the tables of its TOML file."""
    spec = scenario.gateway
    config: dict[str, Any] = {
        "gateway": {"device": DEVICE},
        "http": {"host": "127.0.0.1", "port": http_port},
        "users": {"local_role": LOCAL_ROLE},
        "store": _store_config(spec.store),
        "database": {"url": database_url},
        "pipeline": _set(
            queue_readings=spec.queue_readings,
            flush_ms=_whole(spec.flush_ms),
            publish_ms=_whole(spec.publish_ms),
        ),
        "log": {"format": "json"},
        "links": {},
    }
    if OBD in ports:
        config["links"][OBD] = {
            "kind": OBD,
            **_obd_place(scenario, ports[OBD]),
            **_set(
                protocol=spec.protocol,
                fast=spec.fast,
                reply_timeout_s=spec.reply_timeout_s,
                stale_s=spec.stale_s,
            ),
            "plan": [
                {"signal": signal, "rate_hz": rate_hz} for signal, rate_hz in spec.plan.items()
            ],
        }
    if "gps" in ports:
        config["links"]["gps"] = {
            "kind": "gps",
            "port": ports["gps"],
            "baud": scenario.world.gps.baud,
        }
    if CAN in ports:
        config["links"][CAN] = can_link_config(scenario, ports[CAN])
    for name in board_names(scenario):
        if name in ports:
            config["links"][name] = {"kind": ESP32, "port": ports[name], "baud": CONSOLE_BAUD}
    if MESH in scenario.needs:
        config["links"][UPLINK] = uplink_config(spec.mesh, ports[MESH])
    if ESP32 in scenario.needs:
        config["api"] = {"secret": API_SECRET}
    return _merged(config, spec.config)


def _store_config(spec: StoreSpec | None) -> dict[str, Any]:
    return NEVER_COMPACTED if spec is None else _set(**dataclasses.asdict(spec))


def _obd_place(scenario: Scenario, place: str) -> dict[str, Any]:
    """Return what leads the OBD link to its adapter, or to the bus itself."""
    spec = scenario.world.obd
    if spec.can is None:
        return {"port": place, "baud": spec.baud}
    return {"can": interface_config(OBD, spec.can, place)}


def base_config(
    scenario: Scenario, ports: Mapping[str, str], database_url: str, http_port: int
) -> dict[str, Any]:
    """The configuration of the base station's gateway."""
    return {
        "gateway": {"device": BASE},
        "http": {"host": "127.0.0.1", "port": http_port},
        "users": {"local_role": LOCAL_ROLE},
        "store": _store_config(scenario.gateway.store),
        "database": {"url": database_url},
        "log": {"format": "json"},
        "links": {MESH: base_link_config(scenario, ports[BASE_LINE])},
    }


def gateway_ports(scenario: Scenario) -> list[str]:
    """The lines of the world at which a gateway has a serial port."""
    over_tcp = socketcand_links(scenario)
    lines = [link for link in scenario.needs if link not in (ESP32, MESH, FLEET, *over_tcp)]
    if scenario.world.esp32.transport == "serial":
        lines += board_names(scenario)
    return lines + ([] if scenario.world.mesh.transport == TCP else radio_lines(scenario))


def tcp_radios(scenario: Scenario) -> list[str]:
    """The radios that gateways reach over TCP."""
    return radio_lines(scenario) if scenario.world.mesh.transport == TCP else []


def tcp_links(scenario: Scenario) -> list[str]:
    """The links, and the radios, that gateways reach over TCP."""
    return [*tcp_radios(scenario), *socketcand_links(scenario)]


def radio_lines(scenario: Scenario) -> list[str]:
    """The radios that gateways speak to."""
    return list(RADIO_LINES) if MESH in scenario.needs else []


def board_names(scenario: Scenario) -> list[str]:
    """The names of the boards; they are also their lines' and the devices' at the gateway."""
    if ESP32 not in scenario.needs:
        return []
    return [board_name(number) for number in range(1, scenario.world.esp32.count + 1)]


def devices(scenario: Scenario) -> dict[str, str]:
    """Return the devices whose readings come from afar -> the link that they make up."""
    found = dict.fromkeys(board_names(scenario), ESP32)
    if MESH in scenario.needs:
        found |= dict.fromkeys(vehicle_nodes(scenario), MESH)
        found |= dict.fromkeys(ordinary_nodes(scenario), NODES)
        found[BASE] = BASE  # what the base station's gateway measures itself
    return found


def plan_of(scenario: Scenario) -> dict[str, dict[str, float | None]]:
    """What the gateway is asked to deliver: link -> signal -> rate in Hz (None: all it can)."""
    plan: dict[str, dict[str, float | None]] = {}
    if OBD in scenario.needs:
        plan[OBD] = dict(scenario.gateway.plan)
    if "gps" in scenario.needs:
        rate_hz = scenario.world.gps.rate_hz
        plan["gps"] = dict.fromkeys(GPS_SIGNALS, rate_hz)
    if ESP32 in scenario.needs:
        spec = scenario.world.esp32
        plan[ESP32] = {**spec.plan, **dict.fromkeys(GPS_SIGNALS, spec.gps.rate_hz)}
    if MESH in scenario.needs:
        plan[MESH] = dict(mesh_plan_hz(scenario.gateway.mesh))
    if CAN in scenario.needs:
        plan[CAN] = can_plan_hz(scenario)
    return plan


def config_hash(gateways: Iterable[GatewayPlan]) -> str:
    """sha256 of the configurations without what differs from run to run: ports, paths and the URL.

    It is equal in both clocks: the gateways are configured the same way in each.
    """
    plain = {gateway.name: _comparable(gateway.config) for gateway in gateways}
    hashed = plain[CAR] if len(plain) == 1 else plain
    return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()


def _comparable(config: Mapping[str, Any]) -> Any:
    plain = json.loads(json.dumps(config))
    plain["http"].pop("port")
    plain["database"].pop("url")
    for link in plain["links"].values():
        for table in (link, link.get("can", {})):
            for key in ("port", *DOOR_KEYS):
                table.pop(key, None)
        if "dbc" in link:
            link["dbc"] = [Path(path).name for path in link["dbc"]]
    return plain


def write_config(path: Path, config: Mapping[str, Any]) -> None:
    """Write the gateway's TOML file."""
    path.write_text(toml_text(config), encoding="utf-8")


def _set(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _merged(base: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in more.items():
        inner = out.get(key)
        out[key] = (
            _merged(inner, value)
            if isinstance(inner, dict) and isinstance(value, Mapping)
            else value
        )
    return out
