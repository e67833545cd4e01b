"""Faults from Python and from Hypothesis: the catalogue's words, units and bounds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rig.faults import FaultError, FaultSpec, add_faults, fault
from rig.faults.strategies import fault_entries, faults

LINKS = ["obd", "gps"]
OF_BYTES = ["drop", "delay", "corrupt", "truncate", "duplicate", "reorder", "mute", "stall", "nul"]


def test_a_fault_from_python_strikes_as_one_of_a_file(world: Any) -> None:
    """Parameters with units, defaults filled in, the name in the notes."""
    spec = fault("delay", "obd", at_s=5.0, for_s=5.0, name="late", time="300 ms")
    assert spec.parameters == {"time_s": 0.3, "jitter_s": 0.0, "direction": "to_host"}
    add_faults(world, spec, fault("reset", "obd", at_s=8.0))
    world.send(6.0, b"x")
    world.env.run(until=20.0)
    assert world.at_host == [(pytest.approx(6.3), b"x")]
    assert world.adapter.calls == [("power_cycle",)]
    assert [name for _, _, name, _, _ in world.notes if name != "late"] == ["reset on obd"] * 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fault("dorp", "obd", at_s=0.0), r"expected a kind of fault of drop, .*'dorp'"),
        (lambda: fault("reset", "gps", at_s=0.0), r"reset: expected on= one of obd, found 'gps'"),
        (lambda: fault("mute", "obd", at_s=0.0), "mute: expected for_s above 0, found for_s=0"),
        (lambda: fault("reset", "obd", at_s=0.0, for_s=2.0), "it happens at an instant"),
        (lambda: fault("drop", "obd", at_s=0.0, for_s=1.0), "expected probability=, found none"),
        (
            lambda: fault("drop", "obd", at_s=0.0, for_s=1.0, probability="2"),
            r"expected a percentage .*'2' without a unit",
        ),
        (
            lambda: fault("drop", "obd", at_s=0.0, for_s=1.0, probability="200 %"),
            "expected probability from 0 to 100 %, found '200 %'",
        ),
        (lambda: fault("mute", "obd", at_s=0.0, for_s=1.0, rate="2"), "found rate"),
        (
            lambda: fault("mute", "obd", at_s=0.0, for_s=1.0, direction="up"),
            "expected direction of to_host, to_device, both, found 'up'",
        ),
    ],
)
def test_a_mistake_is_one_line(make: Callable[[], FaultSpec], message: str) -> None:
    """What was expected, what came."""
    with pytest.raises(FaultError, match=message):
        make()


def test_a_target_that_the_run_lacks_is_refused_and_one_that_it_has_is_struck(world: Any) -> None:
    """A gateway is no link: it is handed over."""

    class Gateway:
        def __init__(self) -> None:
            self.calls: list[str] = []

        def pause(self) -> None:
            self.calls.append("pause")

        def go_on(self) -> None:
            self.calls.append("go on")

    spec = fault("gateway_pause", "gateway", at_s=1.0, for_s=2.0)
    with pytest.raises(FaultError, match="expected a run that can strike its gateway, found none"):
        add_faults(world, spec)
    with pytest.raises(FaultError, match="expected targets of gateway, database"):
        add_faults(world, car=object())
    gateway = Gateway()
    add_faults(world, spec, gateway=gateway)
    world.env.run(until=5.0)
    assert gateway.calls == ["pause", "go on"]
    assert {detail["link"] for *_, detail in world.notes} == {""}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=faults(LINKS, duration_s=20.0, kinds=OF_BYTES))
def test_whatever_hypothesis_draws_a_line_ends_clean(
    make_world: Callable[..., Any], drawn: list[FaultSpec]
) -> None:
    """Each fault ends within the drive, and takes its hooks away."""
    world = make_world()
    add_faults(world, *drawn)
    for second in range(20):
        world.send(second + 0.05, b"reply")
        world.send(second + 0.07, b"ask", to_device=True)
    world.env.run(until=40.0)
    assert all(fault.windows[0][1] <= 20.2 for fault in drawn)
    for line in world.lines.values():
        assert line.to_host.faults == line.to_device.faults == []


@given(drawn=fault_entries(LINKS, duration_s=20.0))
def test_entries_are_plain_yaml(drawn: list[dict[str, Any]]) -> None:
    """At most three, on the links."""
    assert len(drawn) <= 3
    assert yaml.safe_load(yaml.safe_dump(drawn)) == drawn
    assert all(entry["on"] in LINKS for entry in drawn)


@given(data=st.data())
def test_faults_shrink_to_few(data: st.DataObject) -> None:
    """None at all is the smallest."""
    assert len(data.draw(faults(LINKS, duration_s=20.0, most=2))) <= 2


def test_the_rig_runs_without_hypothesis() -> None:
    """Whoever writes scenarios need not have it."""
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import rig.faults, rig.faults.draw, rig.scenario, rig.commands\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
