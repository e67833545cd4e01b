"""The sections `world: {mesh: …}` and `gateway: {mesh: …}`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import pytest

from rig.scenario import MissingExtraError, Scenario, ScenarioError
from rig.scenario.model import MeshPlanSpec, RadioPlaceSpec

pytest.importorskip("meshtastic", reason="the package meshtastic is not installed")

Load = Callable[..., Scenario]
Refuse = Callable[..., ScenarioError]

NEEDS = "needs: [gps, mesh]\n"
WHOLE = """\
needs: [obd, gps, mesh]
world:
  mesh:
    preset: SHORT_FAST
    region: EU_866
    transport: tcp
    vehicles: 3
    base: {at: 2 km, beside: -30 m, height: 20 m}
    relays: [{at: 4 km}, {at: 5 km, beside: 1 km, height: 150 m}]
    nodes: [{at: 1 km, every: 30 s}]
    power: 14 dBm
    role: CLIENT_MUTE
    hop_limit: 5
    clutter: 12 dB
    shadowing: 3 dB
gateway:
  mesh:
    plan: {RPM: 1 Hz, LAT: 30/min, BOOST: 1 Hz}
    bounds: {RPM: 10}
    period: 2 s
    flush: 30 s
    duty_cycle: 2 %
"""


def test_every_key_is_read(load: Load) -> None:
    """In the units of the fields' names."""
    scenario = load(WHOLE)
    mesh, plan = scenario.world.mesh, scenario.gateway.mesh
    assert (mesh.preset, mesh.region, mesh.transport) == ("SHORT_FAST", "EU_866", "tcp")
    assert (mesh.vehicles, mesh.role, mesh.hop_limit) == (3, "CLIENT_MUTE", 5)
    assert mesh.base == RadioPlaceSpec(2000.0, -30.0, 20.0)
    assert mesh.relays == (
        RadioPlaceSpec(4000.0, 500.0, 90.0),
        RadioPlaceSpec(5000.0, 1000.0, 150.0),
    )
    assert mesh.nodes == (RadioPlaceSpec(1000.0, 200.0, 3.0, beacon_s=30.0),)
    assert (mesh.power_dbm, mesh.clutter_db, mesh.shadowing_db) == (14.0, 12.0, 3.0)
    assert plan == MeshPlanSpec(
        plan={"RPM": 1.0, "LAT": 0.5, "BOOST": 1.0},
        bounds={"RPM": 10.0},
        period_s=2.0,
        flush_s=30.0,
        duty_cycle_pct=2.0,
    )


def test_a_mesh_has_two_gateways(load: Load) -> None:
    """Any other scenario has one."""
    assert load(NEEDS).gateways == ("car", "base")
    assert load("needs: [gps]\n").gateways == ("car",)


@pytest.mark.parametrize(
    ("more", "line", "words"),
    [
        ("world:\n  mesh: {preset: LONG_FASTER}\n", 7, "did you mean 'LONG_FAST'?"),
        ("world:\n  mesh: {region: EU}\n", 7, "a region"),
        ("world:\n  mesh: {transport: bluetooth}\n", 7, "known: serial, tcp"),
        ("world:\n  mesh: {vehicles: 0}\n", 7, "from 1 to 200"),
        ("world:\n  mesh: {power: 20 dB}\n", 7, "a power such as '20 dBm'"),
        ("world:\n  mesh: {hop_limit: 8}\n", 7, "from 1 to 7"),
        ("world:\n  mesh: {base: {at: 2 km, every: 3 s}}\n", 7, "a key of a place"),
        ("world:\n  mesh: {relays: {at: 2 km}}\n", 7, "a list of places"),
        ("gateway:\n  mesh: {plan: {RPMS: 1 Hz}}\n", 7, "did you mean 'RPM'?"),
        ("gateway:\n  mesh: {plan: {}}\n", 7, "an empty plan"),
        ("gateway:\n  mesh: {bounds: {LON: 1}, plan: {LAT: 1 Hz}}\n", 7, "the gateway takes"),
        ("gateway:\n  mesh: {profile: none}\n", 7, "a trained codec profile"),
        ("gateway:\n  config: {links: {radio: {port: x}}}\n", 7, "the rig sets it"),
        (
            "world:\n  mesh: {transport: tcp}\n"
            "faults:\n  - {at: 10 s, on: mesh, garbage: 100 B/s, for: 5 s}\n",
            9,
            "a fault that can strike a radio over TCP",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(
    refuse: Refuse, more: str, line: int, words: str
) -> None:
    """What was expected, what stands there."""
    error = refuse(NEEDS + more)
    assert words in str(error)
    assert error.line == line


def test_without_its_package_a_scenario_is_refused(
    refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs it."""
    real = importlib.util.find_spec

    def find_spec(name: str, *more: Any) -> Any:
        return None if name == "meshtastic" else real(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    error = refuse(NEEDS)
    assert isinstance(error, MissingExtraError)
    assert str(error).endswith(
        ":5: expected the package 'meshtastic' for the link 'mesh', found none; "
        "pip install 'telerig[mesh]'"
    )
