"""What the two gateways of a run are told about their radios."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig import assembly
from rig.mesh.setup import mesh_info
from rig.scenario import Scenario, expand_scenario

pytest.importorskip("meshtastic", reason="the package meshtastic is not installed")

TEXT = """\
rig: 1
needs: [gps, mesh]
world: {mesh: {vehicles: 2, nodes: [{at: 1 km}], transport: %s}}
gateway: {mesh: {plan: {LAT: 1 Hz, LON: 1 Hz}, period: 2 s, bounds: {LAT: 0.001}, flush: 9 s}}
phases: [{idle: 30 s}]
limits: {readings.lost: {equals: 0}}
"""
PORTS = {"gps": "/dev/gps", "mesh": "/dev/a", "mesh-base": "/dev/b"}


@pytest.fixture
def load(tmp_path: Path) -> Scenario:
    """A scenario with two vehicles and an ordinary node."""
    path = tmp_path / "one.scenario.yaml"
    path.write_text(TEXT % "serial")
    return expand_scenario(path)[0]


def test_each_gateway_has_its_own_configuration(load: Scenario) -> None:
    """The car's sends, the base station's receives and knows the vehicles by name."""
    car = assembly.gateway_plan(load, "car", PORTS, "postgresql:///a")
    base = assembly.gateway_plan(load, "base", PORTS, "postgresql:///b")
    assert list(car.config["links"]) == ["gps", "radio"]
    assert car.config["links"]["radio"] == {
        "kind": "mesh_uplink",
        "port": "/dev/a",
        "signals": {"LAT": 1.0, "LON": 1.0},
        "bounds": {"LAT": 0.001},
        "period_s": 2.0,
        "flush_s": 9.0,
    }
    assert base.config["links"] == {
        "mesh": {
            "kind": "mesh",
            "port": "/dev/b",
            "vehicles": {"!ca000001": "mesh", "!ca000002": "mesh-2"},
        }
    }
    assert (car.config["database"]["url"], base.config["database"]["url"]) == (
        "postgresql:///a",
        "postgresql:///b",
    )


def test_the_hash_covers_both_configurations(load: Scenario) -> None:
    """Ports and databases make no difference, a setting of either gateway does."""

    def plans(ports: dict[str, str], url: str) -> list[assembly.GatewayPlan]:
        return [assembly.gateway_plan(load, name, ports, url) for name in ("base", "car")]

    first = assembly.config_hash(plans(PORTS, "postgresql:///a"))
    other = {name: f"/dev/pts/{number}" for number, name in enumerate(PORTS)}
    assert assembly.config_hash(plans(other, "postgresql:///c")) == first
    changed = plans(PORTS, "postgresql:///a")
    changed[0].config["links"]["mesh"]["vehicles"]["!ca000003"] = "mesh-3"
    assert assembly.config_hash(changed) != first


def test_the_record_knows_whose_readings_are_whose(load: Scenario) -> None:
    """Vehicles make up the link, ordinary nodes and the base station do not."""
    assert assembly.devices(load) == {
        "mesh": "mesh",
        "mesh-2": "mesh",
        "node-0d0e0001": "nodes",
        "base": "base",
    }
    info = mesh_info(load)
    assert info.nodes == {"mesh": 0xCA000001, "mesh-2": 0xCA000002}
    assert (info.period_s, info.bounds) == (2.0, {"LAT": 0.001})


def test_over_tcp_there_is_no_serial_port(load: Scenario, tmp_path: Path) -> None:
    """The radios are reached by address."""
    assert assembly.gateway_ports(load) == ["gps", "mesh", "mesh-base"]
    assert assembly.tcp_radios(load) == []
    path = tmp_path / "tcp.scenario.yaml"
    path.write_text(TEXT % "tcp")
    (by_tcp,) = expand_scenario(path)
    assert assembly.gateway_ports(by_tcp) == ["gps"]
    assert assembly.tcp_radios(by_tcp) == ["mesh", "mesh-base"]
