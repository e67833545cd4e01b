"""The `world: {esp32: …}` section."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firmware_stubs.plan import Plan
from rig import assembly
from rig.scenario import Scenario, ScenarioError
from rig.scenario.model import Esp32Spec
from rig.worker.boards import plan_settings

Load = Callable[..., Scenario]
Refuse = Callable[..., ScenarioError]

NEEDS = "needs: [esp32]\n"
LIMITS = "limits:\n  readings.lost: {equals: 0}\n"

WHOLE = """\
needs: [esp32]
world:
  esp32:
    count: 3
    segment: own
    transport: serial
    flush: 5 s
    gps: {profile: ublox_m9, rate: 5 Hz, cold_start: 20 s}
    wifi: {latency: [20 ms, 0.2 s], loss: 5 %}
    provisioned: false
    plan: {RPM: 10 Hz, SPEED: 30/min}
    bounds: {RPM: 10}
"""


def test_every_key_is_read(load: Load) -> None:
    """In the units of the fields' names."""
    scenario = load(WHOLE)
    spec = scenario.world.esp32
    setup = assembly.world_setup(scenario).esp32
    assert setup is not None
    assert (setup.count, setup.own_segment, setup.board.wifi.loss) == (3, True, 0.05)
    assert (spec.count, spec.transport, spec.provisioned, spec.flush_s) == (3, "serial", False, 5.0)
    assert (spec.gps.profile, spec.gps.rate_hz, spec.gps.cold_start_s) == ("ublox_m9", 5.0, 20.0)
    assert (spec.wifi.latency_s, spec.wifi.loss_pct) == ((0.02, 0.2), 5.0)
    assert (spec.plan, spec.bounds) == ({"RPM": 10.0, "SPEED": 0.5}, {"RPM": 10.0})


@pytest.mark.parametrize(
    ("needs", "inner", "own"),
    [
        ("[esp32]", "{}", False),
        ("[obd, esp32]", "{}", True),
        ("[obd, esp32]", "{segment: shared}", False),
        ("[esp32]", "{segment: own}", True),
    ],
)
def test_beside_an_adapter_a_board_has_a_segment_of_its_own(
    load: Load, needs: str, inner: str, own: bool
) -> None:
    """Unless the scenario wants to see two testers disturb each other."""
    setup = assembly.world_setup(load(f"needs: {needs}\nworld:\n  esp32: {inner}\n")).esp32
    assert setup is not None
    assert setup.own_segment is own


def test_without_the_section_a_board_samples_what_the_adapter_would(load: Load) -> None:
    """And its receiver, once a second; over Wi-Fi."""
    scenario = load(NEEDS)
    assert scenario.world.esp32.transport == "wifi"
    assert dict(scenario.world.esp32.plan) == dict(scenario.gateway.plan)
    assert assembly.plan_of(scenario)["esp32"]["LAT"] == 1.0


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("{count: 0}", "1"),
        ("{count: 501}", "500"),
        ("{segment: same}", "'shared' or 'own', found 'same'"),
        ("{transport: lora}", "a transport, found 'lora'"),
        ("{profile: nothing.bin}", "a file with a trained codec profile, found no such file"),
        ("{profile: one.scenario.yaml}", "a profile begins with TRP1"),
        ("{flush: 0.5 s}", "1 s"),
        ("{wifi: {loss: 95 %}}", "90 %"),
        ("{wifi: {latency: [2 s, 1 s]}}", "one duration, or [shortest, longest]"),
        ("{wifi: {range: 3 m}}", "a key of 'wifi', found 'range'"),
        ("{gps: {baud: 9600}}", "a key of 'gps' of 'esp32', found 'baud'"),
        ("{gps: {rate: 300 Hz}}", "300 Hz"),
        ("{plan: {}}", "at least one signal"),
        ("{plan: {RMP: 5 Hz}}", "did you mean 'RPM'?"),
        ("{plan: {RPM: 3 Hz}}", "nearest: 3.33333 Hz"),
        ("{plan: {RPM: 50 Hz}}", "a plan that the firmware takes, found RPM: a rate above 0"),
        ("{bounds: {RPM: -1}}", "0"),
        ("{bounds: {boost: 1}}", "a signal that boards can sample, found 'boost'"),
        ("{provisioned: perhaps}", "'provisioned'"),
    ],
)
def test_what_no_board_can_be_is_refused_with_its_line(
    refuse: Refuse, inner: str, expected: str
) -> None:
    """What was expected, what stands there."""
    error = refuse(NEEDS + f"world:\n  esp32: {inner}\n")
    assert expected in str(error)
    assert ":7:" in str(error)


def test_a_trained_profile_must_be_of_the_plan(load: Load, refuse: Refuse, tmp_path: Path) -> None:
    """It is a file beside the scenario; of another plan the board would not use it."""
    plan = Plan(Esp32Spec(plan={"RPM": 5.0}).wish)
    path = tmp_path / "city.profile"
    path.write_bytes(plan.profile(None).to_bytes())
    inner = "world:\n  esp32: {profile: city.profile, plan: {RPM: %s Hz}}\n"
    spec = load(NEEDS + inner % 5).world.esp32
    assert plan_settings(spec)["profile"] == path.read_bytes()
    assert "the same signals, rates and bounds" in str(refuse(NEEDS + inner % 2))


def test_a_fault_of_boards_needs_the_link(refuse: Refuse) -> None:
    """It could never strike."""
    error = refuse("needs: [obd]\nfaults: [{at: 5 s, on: esp32, wifi_outage: 5 s}]\n")
    assert "a link that the scenario needs: obd" in str(error)


def test_the_gateway_has_a_port_for_each_board_on_a_cable_and_none_for_those_on_wifi(
    load: Load,
) -> None:
    """It reads a cable as a link of its own; what comes over Wi-Fi finds its HTTP server."""
    wired = load(WHOLE)
    ports = {name: f"/dev/{name}" for name in assembly.gateway_ports(wired)}
    assert list(ports) == ["esp32", "esp32-2", "esp32-3"]
    links: Any = assembly.gateway_config(wired, ports, "postgresql://x/", 0)["links"]
    assert {link["kind"] for link in links.values()} == {"esp32"}
    assert assembly.gateway_ports(load(NEEDS)) == []


def test_only_a_gateway_that_meets_boards_gets_a_secret(load: Load) -> None:
    """The configuration of every other scenario stays what it was."""
    assert "api" in assembly.gateway_config(load(NEEDS), {}, "postgresql://x/", 0)
    assert "api" not in assembly.gateway_config(load(""), {}, "postgresql://x/", 0)


def test_the_lead_out_is_as_long_as_the_last_packet_may_take(load: Load) -> None:
    """Only where there are boards."""
    assert assembly.lead_out_s(load("")) == assembly.LEAD_OUT_S
    assert assembly.lead_out_s(load(WHOLE)) == 5.0 + assembly.BOARD_LEAD_OUT_S
