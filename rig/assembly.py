"""From a scenario to its two sides: the world's set-up and the gateway's configuration file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firmware_stubs.plan import DEFAULT_FLUSH_MS
from rig.faults.spec import FaultSpec
from rig.scenario.drive import build_drive, recorded_course
from rig.scenario.model import GPS_SIGNALS, Esp32Spec, Scenario
from rig.toml_text import toml_text
from sim.esp32 import BoardSetup, GnssSetup, WifiSetup
from sim.esp32.board import CONSOLE_BAUD
from sim.route import COURSES, Route
from sim.vehicle import VEHICLES, Ambient, Drive, Idle, KeyOff
from sim.world import ESP32, Esp32Setup, GpsSetup, ObdSetup, WorldSetup, board_name

DEFAULT_COURSE = "highway"
# Before the drive the gateway starts and its links connect (python-OBD sleeps 1-3 s while it does);
# after it the last readings travel. Neither belongs to a phase.
LEAD_IN_S = 12.0
LEAD_OUT_S = 3.0
BOARD_LEAD_OUT_S = 30.0  # a request that gets lost is repeated after 10 s, perhaps twice
LEAD_IN = "lead-in"
LEAD_OUT = "lead-out"
DEVICE = "car-1"
API_SECRET = "the rig's own, for one run"


def world_setup(scenario: Scenario) -> WorldSetup:
    """The world that `scenario` asks for, with a lead-in and a lead-out around its drive."""
    world = scenario.world
    drive = build_drive(scenario)
    waiting = KeyOff if scenario.phases[0].kind == "off" else Idle
    around = [
        waiting(LEAD_IN, LEAD_IN_S),
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
        if "obd" in scenario.needs
        else None,
        gps=GpsSetup(gps.profile, gps.baud, gps.rate_hz, gps.sentences, gps.cold_start_s, gps.paced)
        if "gps" in scenario.needs
        else None,
        esp32=_esp32_setup(world.esp32, beside_adapter="obd" in scenario.needs)
        if ESP32 in scenario.needs
        else None,
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


def lead_out_s(scenario: Scenario) -> float:
    """How long the last readings may travel: boards keep theirs until a packet is full or old."""
    if ESP32 not in scenario.needs:
        return LEAD_OUT_S
    flush_s = scenario.world.esp32.flush_s
    return (DEFAULT_FLUSH_MS / 1000.0 if flush_s is None else flush_s) + BOARD_LEAD_OUT_S


def total_duration_s(scenario: Scenario) -> float:
    """Lead-in, drive and lead-out."""
    return LEAD_IN_S + scenario.duration_s + lead_out_s(scenario)


def shifted_faults(scenario: Scenario) -> list[FaultSpec]:
    """The scenario's faults on the world's clock, whose drive begins after the lead-in."""
    return [
        dataclasses.replace(
            fault,
            windows=tuple((start + LEAD_IN_S, end + LEAD_IN_S) for start, end in fault.windows),
        )
        for fault in scenario.faults
    ]


def phase_windows(scenario: Scenario) -> list[tuple[str, float, float]]:
    """The scenario's phases on the world's clock."""
    return [
        (name, start_s + LEAD_IN_S, end_s + LEAD_IN_S) for name, start_s, end_s in scenario.windows
    ]


def gateway_config(
    scenario: Scenario, ports: Mapping[str, str], database_url: str, http_port: int
) -> dict[str, Any]:
    """The gateway's configuration as the tables of its TOML file."""
    spec = scenario.gateway
    config: dict[str, Any] = {
        "gateway": {"device": DEVICE},
        "http": {"host": "127.0.0.1", "port": http_port},
        "database": {"url": database_url},
        "pipeline": _set(
            queue_readings=spec.queue_readings,
            flush_ms=_whole(spec.flush_ms),
            publish_ms=_whole(spec.publish_ms),
        ),
        "log": {"format": "json"},
        "links": {},
    }
    if "obd" in ports:
        config["links"]["obd"] = {
            "kind": "obd",
            "port": ports["obd"],
            "baud": scenario.world.obd.baud,
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
    for name in board_names(scenario):
        if name in ports:
            config["links"][name] = {"kind": ESP32, "port": ports[name], "baud": CONSOLE_BAUD}
    if ESP32 in scenario.needs:
        config["api"] = {"secret": API_SECRET}
    return _merged(config, spec.config)


def gateway_ports(scenario: Scenario) -> list[str]:
    """The lines of the world at which the gateway has a port."""
    lines = [link for link in scenario.needs if link != ESP32]
    return lines + (board_names(scenario) if scenario.world.esp32.transport == "serial" else [])


def board_names(scenario: Scenario) -> list[str]:
    """The names of the boards; they are also their lines' and the devices' at the gateway."""
    if ESP32 not in scenario.needs:
        return []
    return [board_name(number) for number in range(1, scenario.world.esp32.count + 1)]


def plan_of(scenario: Scenario) -> dict[str, dict[str, float | None]]:
    """What the gateway is asked to deliver: link -> signal -> rate in Hz (None: all it can)."""
    plan: dict[str, dict[str, float | None]] = {}
    if "obd" in scenario.needs:
        plan["obd"] = dict(scenario.gateway.plan)
    if "gps" in scenario.needs:
        rate_hz = scenario.world.gps.rate_hz
        plan["gps"] = dict.fromkeys(GPS_SIGNALS, rate_hz)
    if ESP32 in scenario.needs:
        spec = scenario.world.esp32
        plan[ESP32] = {**spec.plan, **dict.fromkeys(GPS_SIGNALS, spec.gps.rate_hz)}
    return plan


def config_hash(config: Mapping[str, Any]) -> str:
    """sha256 of a configuration without what differs from run to run: ports, paths and the URL.

    It is equal in both clocks: the gateway is configured the same way in each.
    """
    plain = json.loads(json.dumps(config))
    plain["http"].pop("port")
    plain["database"].pop("url")
    for link in plain["links"].values():
        link.pop("port")
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


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
