"""From a scenario to its radios, and to the links by which two gateways reach them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rig.record.manifest import MeshInfo
from rig.scenario.model import MESH, MeshPlanSpec, MeshSpec, RadioPlaceSpec, Scenario
from sim.mesh_setup import (
    BASE_LINE,
    MeshSetup,
    RadioPlace,
    base_node,
    ordinary_node,
    vehicle_name,
    vehicle_node,
)

RADIO_LINES = (MESH, BASE_LINE)
"""The lines of the two radios that gateways speak to: the car's, the base station's."""
DEFAULT_PERIOD_S = 1.0


def mesh_setup(spec: MeshSpec) -> MeshSetup:
    """Return the radios that the world builds."""
    return MeshSetup(
        preset=spec.preset,
        region=spec.region,
        transport=spec.transport,
        vehicles=spec.vehicles,
        base=_place(spec.base),
        relays=tuple(map(_place, spec.relays)),
        nodes=tuple(map(_place, spec.nodes)),
        role=spec.role,
        hop_limit=spec.hop_limit,
        tx_power_dbm=spec.power_dbm,
        clutter_db=spec.clutter_db,
        shadowing_db=spec.shadowing_db,
    )


def _place(spec: RadioPlaceSpec) -> RadioPlace:
    return RadioPlace(spec.at_m, spec.beside_m, spec.height_m, spec.beacon_s)


def mesh_plan_hz(spec: MeshPlanSpec) -> Mapping[str, float]:
    """Return signal -> readings a second that vehicles send."""
    if spec.plan is not None:
        return spec.plan
    from server.mesh.uplink.plan import DEFAULT_RATES_HZ

    return DEFAULT_RATES_HZ


def uplink_config(spec: MeshPlanSpec, port: str) -> dict[str, Any]:
    """Return the table of the car's link to its radio."""
    table: dict[str, Any] = {"kind": "mesh_uplink", "port": port}
    if spec.plan is not None:
        table["signals"] = dict(spec.plan)
    if spec.bounds:
        table["bounds"] = dict(spec.bounds)
    for key, value in (
        ("period_s", spec.period_s),
        ("flush_s", spec.flush_s),
        ("duty_cycle_pct", spec.duty_cycle_pct),
        ("profile", None if spec.profile is None else str(spec.profile)),
    ):
        if value is not None:
            table[key] = value
    return table


def base_link_config(scenario: Scenario, port: str) -> dict[str, Any]:
    """Return the table of the base station's link to its radio: it knows the vehicles."""
    nodes = vehicle_nodes(scenario)
    vehicles = {f"!{node:08x}": name for name, node in nodes.items()}
    return {"kind": MESH, "port": port, "vehicles": vehicles}


def vehicle_nodes(scenario: Scenario) -> dict[str, int]:
    """Return vehicle -> number of its radio."""
    count = scenario.world.mesh.vehicles
    return {vehicle_name(n): vehicle_node(n) for n in range(1, count + 1)}


def ordinary_nodes(scenario: Scenario) -> dict[str, int]:
    """Return the devices that ordinary nodes are at the base station -> number of the radio."""
    numbers = [ordinary_node(n) for n in range(1, len(scenario.world.mesh.nodes) + 1)]
    return {f"node-{number:08x}": number for number in numbers}


def mesh_info(scenario: Scenario) -> MeshInfo:
    """Return what the record keeps of the radios."""
    spec = scenario.gateway.mesh
    return MeshInfo(
        nodes=vehicle_nodes(scenario),
        base=base_node(),
        period_s=DEFAULT_PERIOD_S if spec.period_s is None else spec.period_s,
        bounds=dict(spec.bounds),
    )
