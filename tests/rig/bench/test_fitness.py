"""Which scenarios can run on which bench, and why the others cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rig.bench import ALL_MODELLED, Bench
from rig.bench.desk import BROKEN, Desk, lack_without_bench
from rig.scenario import load_scenario
from rig.scenario.model import Scenario

POWER = "power: {off: ['true'], on: ['true']}"
MakeBench = Callable[..., Bench]


@pytest.fixture
def scenario(tmp_path: Path) -> Callable[..., Scenario]:
    """Return `scenario(needs, more)`: a short drive."""

    def make(needs: str, more: str = "") -> Scenario:
        path = tmp_path / "drive.scenario.yaml"
        text = f"rig: 1\nneeds: [{needs}]\nphases: [{{idle: 20 s}}]\n"
        limits = "limits: {readings.lost: {equals: 0}}\n"
        path.write_text(f"{text}{more}{limits}", encoding="utf-8")
        return load_scenario(path)

    return make


def test_features(scenario: Callable[..., Scenario], make_bench: MakeBench) -> None:
    """Words of `needs` that are no links must stand on the bench."""
    wanted = scenario("obd, sky, ignition")
    assert (wanted.needs, wanted.features) == (("obd",), ("sky", "ignition"))
    sky = make_bench("", "features: [sky]")
    assert sky.lacks(wanted) == "bench 'desk' lacks 'ignition'"
    assert make_bench("", "features: [ignition, sky]").lacks(wanted) is None
    assert "'sky' and 'ignition'" in lack_without_bench(wanted)
    assert lack_without_bench(scenario("obd")) == ""
    assert "lacks 'sky' and 'ignition'" in str(ALL_MODELLED.lacks(wanted))


@pytest.mark.parametrize(
    ("fault", "link", "reason"),
    [
        ("{at: 1 s, on: obd, drop: 2 %, for: 2 s}", "{real: /dev/a}", "cannot be made to fail"),
        ("{at: 1 s, on: obd, hang_up: 2 s}", "{real: /dev/a}", "a power switch could: `power:"),
        ("{at: 1 s, on: obd, hang_up: 2 s}", f"{{real: /dev/a, {POWER}}}", ""),
        ("{at: 1 s, on: obd, reset: true}", f"{{real: /dev/a, {POWER}}}", ""),
        ("{at: 1 s, on: obd, drop: 2 %, for: 2 s}", f"{{real: /dev/a, {POWER}}}", "made to fail"),
        ("{at: 1 s, on: obd, drop: 2 %, for: 2 s}", "{drive: /dev/a}", "no gateway at its other"),
        ("{at: 1 s, on: gps, drop: 2 %, for: 2 s}", "{real: /dev/a}", ""),
    ],
)
def test_faults(
    scenario: Callable[..., Scenario], make_bench: MakeBench, fault: str, link: str, reason: str
) -> None:
    """A real link cannot be made to fail, but for what a power switch does; ours can."""
    wanted = scenario("obd, gps", f"faults: [{fault}]\n")
    found = make_bench(f"  obd: {link}").lacks(wanted)
    assert (reason in found) if found else not reason


def test_a_gateway_elsewhere(scenario: Callable[..., Scenario], make_bench: MakeBench) -> None:
    """It reaches what is real or driven, and not a PTY of this box."""
    at = "gateway: {at: 'http://box:8000'}"
    wanted = scenario("obd, gps")
    half = make_bench("  obd: {real: /dev/a}", at)
    assert "http://box:8000, which cannot reach the simulated 'gps' here" in str(half.lacks(wanted))
    assert make_bench("  obd: {real: /dev/a}\n  gps: {drive: /dev/b}", at).lacks(wanted) is None
    assert "cannot reach the simulated 'esp32'" in str(make_bench("", at).lacks(scenario("esp32")))
    lossy = scenario("obd", "faults: [{at: 1 s, on: obd, drop: 2 %, for: 2 s}]\n")
    assert make_bench("  obd: {drive: /dev/a}", at).lacks(lossy) is None  # our model can be struck


def test_what_stands_there_is_of_another_sort(
    scenario: Callable[..., Scenario], make_bench: MakeBench
) -> None:
    """A scenario of OBD over CAN needs an interface, one with an adapter an ELM327."""
    pytest.importorskip("can", reason="telerig[can] is not installed")
    adapter = make_bench("  obd: {real: /dev/a}")
    over_can = scenario("obd", "world: {obd: {over: can}}\n")
    assert "where the scenario has a CAN interface" in str(adapter.lacks(over_can))
    bus = make_bench("  obd: {real: {interface: socketcan, channel: can0}}")
    assert bus.lacks(over_can) is None
    assert "where the scenario has an ELM327" in str(bus.lacks(scenario("obd")))
    board = make_bench("  esp32: {real: /dev/a}")
    assert "over wifi" in str(board.lacks(scenario("esp32")))
    cable = scenario("esp32", "world: {esp32: {transport: serial}}\n")
    assert board.lacks(cable) is None


def test_a_desk_is_looked_at_once(
    scenario: Callable[..., Scenario],
    make_bench: MakeBench,
    stand_in: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Then its ports alone: one that was pulled out stops what needs it, and nothing else."""
    obd = stand_in("elm327", 38_400)
    desk = Desk(make_bench(f"  obd: {{real: {obd}}}"))
    assert desk.obstacle(scenario("obd")) == ""
    assert desk.properties()["rig.bench.obd.ATI"] == "ELM327 v1.5"
    assert desk.properties()["rig.bench.obd"] == f"real {obd}"
    monkeypatch.setattr("rig.bench.desk.check_bench", None)  # whoever calls it again fails
    obd.unlink()
    assert desk.obstacle(scenario("gps")) == ""
    assert desk.trouble == ""
    assert desk.obstacle(scenario("obd")).startswith(f"{BROKEN}obd: ")
    assert "found none; plug it in" in desk.trouble
