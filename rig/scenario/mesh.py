"""The sections `world: {mesh: …}` and `gateway: {mesh: …}`: the radios, and what the car sends."""

from __future__ import annotations

import dataclasses

from rig.quantity import COUNT, DISTANCE, DURATION, LEVEL, PERCENTAGE, POWER, RATE
from rig.scenario.document import Node, suggestion
from rig.scenario.esp32 import profile_path
from rig.scenario.model import MeshPlanSpec, MeshSpec, RadioPlaceSpec
from rig.scenario.world_names import mesh_presets, mesh_regions

MESH_KEYS = (
    "preset",
    "region",
    "transport",
    "vehicles",
    "base",
    "relays",
    "nodes",
    "power",
    "role",
    "hop_limit",
    "clutter",
    "shadowing",
)
PLACE_KEYS = ("at", "beside", "height")
NODE_KEYS = (*PLACE_KEYS, "every")
MESH_PLAN_KEYS = ("plan", "bounds", "period", "flush", "duty_cycle", "profile")
MESH_TRANSPORTS = ("serial", "tcp")
MESH_ROLES = ("CLIENT", "CLIENT_MUTE", "TRACKER")

MAXIMUM_VEHICLES = 200
MAXIMUM_STATIONS = 200
MAXIMUM_HOPS = 7
MAXIMUM_DISTANCE_M = 1_000_000.0
MAXIMUM_HEIGHT_M = 10_000.0
MAXIMUM_POWER_DBM = 36.0
MAXIMUM_RATE_HZ = 10.0
RELAY = RadioPlaceSpec(beside_m=500.0, height_m=90.0)
ORDINARY = RadioPlaceSpec(beside_m=200.0, height_m=3.0, beacon_s=60.0)


def read_mesh(node: Node | None) -> MeshSpec:
    """Return the radios that the section describes; what it leaves out has its default."""
    default = MeshSpec()
    if node is None or node.is_null:
        return default
    table = node.as_table("'mesh'", MESH_KEYS)
    preset, region, transport = (table.get(key) for key in ("preset", "region", "transport"))
    role = table.get("role")
    vehicles, base, hop_limit = (table.get(key) for key in ("vehicles", "base", "hop_limit"))
    power, clutter, shadowing = (table.get(key) for key in ("power", "clutter", "shadowing"))
    return MeshSpec(
        preset=default.preset if preset is None else preset.as_word(mesh_presets(), "a preset"),
        region=default.region if region is None else region.as_word(mesh_regions(), "a region"),
        transport=default.transport
        if transport is None
        else transport.as_word(MESH_TRANSPORTS, "a transport"),
        vehicles=1 if vehicles is None else vehicles.as_integer("'vehicles'", 1, MAXIMUM_VEHICLES),
        base=default.base if base is None else _read_place(base, default.base),
        relays=_read_places(table.get("relays"), RELAY),
        nodes=_read_places(table.get("nodes"), ORDINARY),
        power_dbm=None
        if power is None
        else power.as_quantity(POWER, minimum=0.0, maximum=MAXIMUM_POWER_DBM),
        role=default.role if role is None else role.as_word(MESH_ROLES, "a role"),
        hop_limit=default.hop_limit
        if hop_limit is None
        else hop_limit.as_integer("'hop_limit'", 1, MAXIMUM_HOPS),
        clutter_db=None
        if clutter is None
        else clutter.as_quantity(LEVEL, minimum=0.0, maximum=60.0),
        shadowing_db=None
        if shadowing is None
        else shadowing.as_quantity(LEVEL, minimum=0.0, maximum=20.0),
    )


def _read_places(node: Node | None, default: RadioPlaceSpec) -> tuple[RadioPlaceSpec, ...]:
    if node is None or node.is_null:
        return ()
    items = node.as_list("a list of places such as [{at: 4 km, beside: 500 m, height: 90 m}]")
    if len(items) > MAXIMUM_STATIONS:
        raise node.error(f"at most {MAXIMUM_STATIONS} places", f"{len(items)}")
    return tuple(_read_place(item, default) for item in items)


def _read_place(node: Node, default: RadioPlaceSpec) -> RadioPlaceSpec:
    keys = PLACE_KEYS if default.beacon_s is None else NODE_KEYS
    table = node.as_table("a place such as {at: 4 km, beside: 500 m, height: 90 m}", keys)
    beside = table.get("beside")
    place = RadioPlaceSpec(
        at_m=table.quantity("at", DISTANCE, 0.0, minimum=0.0, maximum=MAXIMUM_DISTANCE_M),
        beside_m=default.beside_m
        if beside is None
        else beside.as_quantity(DISTANCE, minimum=-MAXIMUM_DISTANCE_M, maximum=MAXIMUM_DISTANCE_M),
        height_m=table.quantity(
            "height", DISTANCE, default.height_m, minimum=0.5, maximum=MAXIMUM_HEIGHT_M
        ),
        beacon_s=default.beacon_s,
    )
    every = table.get("every")
    if every is None:
        return place
    return dataclasses.replace(
        place, beacon_s=every.as_quantity(DURATION, minimum=1.0, maximum=86400.0)
    )


def read_mesh_plan(node: Node | None) -> MeshPlanSpec:
    """Return what the car sends by radio; what the section leaves out is the gateway's default."""
    if node is None or node.is_null:
        return MeshPlanSpec()
    table = node.as_table("'mesh' of 'gateway'", MESH_PLAN_KEYS)
    plan, profile, duty = (table.get(key) for key in ("plan", "profile", "duty_cycle"))
    period, flush = table.get("period"), table.get("flush")
    return MeshPlanSpec(
        plan=None if plan is None else _read_plan(plan),
        bounds=_read_bounds(table.get("bounds")),
        period_s=None if period is None else period.as_quantity(DURATION, above=0.0, maximum=60.0),
        flush_s=None if flush is None else flush.as_quantity(DURATION, above=0.0, maximum=3600.0),
        duty_cycle_pct=None
        if duty is None
        else duty.as_quantity(PERCENTAGE, above=0.0, maximum=100.0),
        profile=None if profile is None else profile_path(profile),
    )


def _read_plan(node: Node) -> dict[str, float]:
    names = signal_names()
    plan: dict[str, float] = {}
    for entry in node.as_table("'plan'"):
        if entry.word not in names:
            hint = suggestion(entry.word, names)
            raise entry.key.error("a signal that the car has", repr(entry.word), hint)
        plan[entry.word] = entry.value.as_quantity(RATE, above=0.0, maximum=MAXIMUM_RATE_HZ)
    if not plan:
        raise node.error("at least one signal such as {RPM: 1 Hz}", "an empty plan")
    return plan


def _read_bounds(node: Node | None) -> dict[str, float]:
    if node is None or node.is_null:
        return {}
    names = signal_names()
    bounds = {}
    for entry in node.as_table("'bounds'"):
        if entry.word not in names:
            hint = suggestion(entry.word, names)
            raise entry.key.error("a signal that the car has", repr(entry.word), hint)
        bounds[entry.word] = entry.value.as_quantity(COUNT, minimum=0.0)
    return bounds


def signal_names() -> tuple[str, ...]:
    """Return the signals that a car can send by radio."""
    from server.catalogue import CATALOGUE

    sources = ("obd", "gps", "derived")
    return tuple(s.name for s in CATALOGUE if s.source.split(":", 1)[0] in sources)
