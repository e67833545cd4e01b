"""What world and gateway are told about the bus and its doors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rig import assembly
from rig.can.setup import can_manifest
from rig.scenario import Scenario, expand_scenario
from rig.scenario.model import OBD
from server.can.signals import signal_id
from sim.can_setup import DoorSetup
from sim.slcan import PROFILES

pytest.importorskip("cantools", reason="the package cantools is not installed")

TEXT = """\
rig: 1
needs: [%s]
world: {can: {%s}, obd: {%s}}
gateway: {can: {signals: {EngineSpeed: 20 Hz, VehicleSpeed: all, CurrentGear: change}}}
phases: [{idle: 30 s}]
limits: {readings.lost: {equals: 0}}
"""
PORTS = {"can": "tcp://can.test:29536", "obd": "/dev/obd"}
URL = "postgresql:///a"


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Scenario]:
    """Load a scenario with these links and doors."""

    def load(needs: str = "can", can: str = "door: socketcand", obd: str = "") -> Scenario:
        path = tmp_path / "one.scenario.yaml"
        path.write_text(TEXT % (needs, can, obd))
        return expand_scenario(path)[0]

    return load


def test_a_door_over_tcp_is_reached_by_host_and_port(load: Callable[..., Scenario]) -> None:
    """And needs no serial port."""
    scenario = load()
    config = assembly.gateway_config(scenario, PORTS, URL, 0)["links"]["can"]
    assert assembly.gateway_ports(scenario) == []
    assert assembly.tcp_links(scenario) == ["can"]
    assert {key: config[key] for key in ("interface", "channel", "host", "port")} == {
        "interface": "socketcand", "channel": "can0", "host": "can.test", "port": 29536,
    }  # fmt: skip
    assert config["signals"] == {
        "EngineSpeed": 20.0,
        "VehicleSpeed": "all",
        "CurrentGear": "change",
    }


def test_obd_over_can_has_a_door_of_its_own(load: Callable[..., Scenario]) -> None:
    """No adapter is built, and the link has a table `can` instead of a port."""
    scenario = load("can, obd", obd="over: can, door: slcan, profile: canable, ecu_latency: 7 ms")
    setup = assembly.world_setup(scenario)
    config = assembly.gateway_config(scenario, PORTS, URL, 0)["links"][OBD]
    assert (setup.obd, setup.ecu_response_s) == (None, (0.007, 0.007))
    assert setup.can is not None
    assert setup.can.doors == {"can": DoorSetup("socketcand"), "obd": DoorSetup("slcan", "canable")}
    assert config["can"] == {
        "interface": "slcan",
        "channel": "/dev/obd",
        "bitrate": 500_000,
        "options": {"tty_baudrate": PROFILES["canable"].baud},
    }
    assert "port" not in config
    assert assembly.gateway_ports(scenario) == ["obd"]


def test_without_a_door_nothing_is_added_to_the_bus(load: Callable[..., Scenario]) -> None:
    """The traces of all other scenarios stay as they were."""
    scenario = load("obd, gps")
    assert assembly.world_setup(scenario).can is None
    assert can_manifest(scenario, "virtual") == {}
    assert assembly.lead_in_s(scenario) == assembly.LEAD_IN_S


def test_the_plan_is_what_the_signals_say(load: Callable[..., Scenario]) -> None:
    """None stands for each one, or each change; the manifest tells these apart."""
    scenario = load()
    found = can_manifest(scenario, "virtual")
    plan = {"EngineSpeed": 20.0, "VehicleSpeed": None, "CurrentGear": None}
    assert assembly.plan_of(scenario) == {"can": plan}
    assert found["can"].changes == ["CurrentGear"]
    assert found["signals"][signal_id("EngineSpeed")].resolution == 2.0


def test_a_configuration_is_the_same_wherever_its_files_lie(
    load: Callable[..., Scenario],
) -> None:
    """Ports, hosts and folders are left out of its hash."""
    scenario = load()

    def hashed(port: int) -> str:
        ports = {"can": f"tcp://127.0.0.1:{port}"}
        return assembly.config_hash([assembly.gateway_plan(scenario, "car", ports, URL)])

    assert hashed(1000) == hashed(2000)
