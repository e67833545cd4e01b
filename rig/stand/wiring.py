"""What a bench makes of a scenario: the world without what is real, the gateway's way to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import msgspec

from rig import assembly
from rig.bench import DRIVE, MODEL, REAL, Bench, Place
from rig.errors import RigError
from rig.mesh.setup import mesh_info
from rig.record.manifest import MeshInfo
from rig.scenario.gateway import UPLINK
from rig.scenario.model import BASE, CAN, CAR, MESH, OBD, Scenario
from rig.walltime.can_interfaces import CanInterfaceSpec
from sim.mesh_setup import BASE_LINE, vehicle_name
from sim.world import ESP32, WorldSetup

SOCKETCAND = "socketcand"
_INTERFACE_KEYS = ("interface", "channel", "host", "port", "bitrate")
_DOOR_OPTIONS = ("tty_baudrate",)
_ADAPTER_KEYS = ("port", "baud", "can")
NOWHERE = "tcp://127.0.0.1:1"
"""Stands in a plan until the bench's own place takes its place."""


class BenchError(RigError):
    """The scenario cannot run on this bench."""

    usage = True


class Wiring:
    """The links of one run on one bench.

    Args:
        bench: what stands on the desk.
        scenario: what is to happen.

    Attributes:
        nodes: "mesh", "mesh-base" -> number of the real radio there, once it is known.

    Raises:
        BenchError: they do not fit.
    """

    def __init__(self, bench: Bench, scenario: Scenario) -> None:
        self.bench = bench
        self.scenario = scenario
        reason = bench.lacks(scenario) or self._lacks_a_radio()
        self.nodes: dict[str, int] = {}
        if reason is not None:
            raise BenchError(f"{bench.path}: {reason}")

    @property
    def places(self) -> dict[str, Place]:
        """The lines of the world that are not as a scenario alone has them -> what is there."""
        names = [*self.scenario.needs]
        if MESH in self.scenario.needs:
            names.append(BASE_LINE)
        return {name: self.bench.at(name) for name in names if self.bench.at(name).kind != MODEL}

    @property
    def real(self) -> dict[str, Place]:
        """Those with a real device."""
        return {name: place for name, place in self.places.items() if place.kind == REAL}

    @property
    def driven(self) -> dict[str, Place]:
        """Those whose model drives a real port."""
        return {name: place for name, place in self.places.items() if place.kind == DRIVE}

    def world_setup(self) -> WorldSetup:
        """Return the world without the devices that are real, and without doors that are not."""
        setup = assembly.world_setup(self.scenario)
        changes: dict[str, Any] = {
            device: None for device in (OBD, "gps", ESP32) if device in self.real
        }
        if setup.can is not None:
            doors = {
                link: door
                for link, door in setup.can.doors.items()
                if link not in self.places or self.places[link].can is None
            }
            is_empty = not doors and CAN not in self.driven and OBD not in self.driven
            changes["can"] = None if is_empty else dataclasses.replace(setup.can, doors=doors)
        if MESH in self.real and BASE_LINE in self.real:
            changes["mesh"] = None
        return dataclasses.replace(setup, **changes)

    def adapted(self, plan: assembly.GatewayPlan, ports: Mapping[str, str]) -> assembly.GatewayPlan:
        """Return the plan of a gateway here with the bench's places in it.

        Args:
            plan: as the scenario alone would have it.
            ports: line -> what the gateway opens for a serial one.
        """
        links = {name: dict(table) for name, table in plan.config["links"].items()}
        for line, place in self.places.items():
            name = _link_of(line, plan.name)
            if name not in links:
                continue
            if place.can is not None:
                links[name] = _on_interface(name, links[name], place.can)
            else:
                links[name] = _on_port(links[name], place, ports[line])
            if line == ESP32 and place.kind == REAL:
                links[name]["device"] = ESP32  # whatever it calls itself: so it is registered
            if line == BASE_LINE and MESH in self.nodes:
                links[name]["vehicles"] = {f"!{self.nodes[MESH]:08x}": vehicle_name(1)}
        return dataclasses.replace(plan, config={**plan.config, "links": links})

    def mesh_info(self) -> MeshInfo | None:
        """Return what figures need of real radios; None where they are simulated."""
        if MESH not in self.nodes:
            return None
        return msgspec.structs.replace(
            mesh_info(self.scenario),
            nodes={vehicle_name(1): self.nodes[MESH]},
            base=self.nodes.get(BASE_LINE, 0),
        )

    def _lacks_a_radio(self) -> str | None:
        """Say why real and simulated radios do not go together."""
        if MESH not in self.scenario.needs:
            return None
        real = [line for line in (MESH, BASE_LINE) if line in self.real]
        if not real:
            return None
        if len(real) == 1:
            other = BASE_LINE if real == [MESH] else MESH
            return (
                f"{self.real[real[0]].place}: expected a real radio at {other!r} too, found a "
                "simulated one: they do not hear each other"
            )
        count = self.scenario.world.mesh.vehicles
        if count > 1:
            return f"the scenario has {count} vehicles with radios, the bench one"
        return None


def _link_of(line: str, gateway: str) -> str:
    """Return what a gateway calls the link that leads to a line; "" where it has none."""
    if line == MESH:
        return UPLINK if gateway == CAR else ""
    if line == BASE_LINE:
        return MESH if gateway == BASE else ""
    return line


def _on_port(table: dict[str, Any], place: Place, port: str) -> dict[str, Any]:
    table = {key: value for key, value in table.items() if key != "can"} | {"port": port}
    if place.baud is not None:
        table["baud"] = place.baud
    return table


def _on_interface(link: str, table: dict[str, Any], spec: CanInterfaceSpec) -> dict[str, Any]:
    keys = interface_keys(spec)
    if link == OBD:
        return {key: value for key, value in table.items() if key not in _ADAPTER_KEYS} | {
            "can": keys
        }
    kept = {key: value for key, value in table.items() if key not in _INTERFACE_KEYS}
    options = {
        key: value for key, value in table.get("options", {}).items() if key not in _DOOR_OPTIONS
    }
    if spec.interface not in ("slcan",):
        options.pop("timestamps", None)  # a switch of Lawicel adapters
    options |= keys.pop("options", {})
    kept.pop("options", None)
    return {**kept, **keys, **({"options": options} if options else {})}


def interface_keys(spec: CanInterfaceSpec) -> dict[str, Any]:
    """Return the keys that name an interface in a gateway's configuration."""
    options = dict(spec.options)
    keys: dict[str, Any] = {
        "interface": spec.interface,
        "channel": spec.channel,
        "bitrate": spec.bitrate_bps,
    }
    if spec.interface == SOCKETCAND:
        keys |= {key: options.pop(key) for key in ("host", "port") if key in options}
    return {**keys, **({"options": options} if options else {})}
