"""Routines: long ones with "response pending", and one in the background."""

from __future__ import annotations

from typing import Any

import pytest

from sim.ecu.uds import key_of
from sim.ecu.uds.build import ERASE_S, FAN_TEST_S, SELF_TEST_S


@pytest.fixture
def parked(bench: Any) -> Any:
    """A car that stands with its engine off."""
    bench.car.state.engine_on = False
    bench.car.state.speed_mps = 0.0
    return bench


def test_self_test_is_pending_and_then_tells_the_codes(parked: Any) -> None:
    """Response pending at once and every 4.5 s; the result at the end, and asked for later."""
    parked.ecus.named("abs").dtcs.inject("C0031", confirmed=True)
    assert parked.talk("31030202", 0x760) == "7f3124"
    assert parked.talk("31010202", 0x760, SELF_TEST_S + 0.1) == "7f3178 7f3178 7101020201"
    times_s = [t_s for t_s, _id, _payload in parked.answers]
    assert times_s[2] - times_s[0] == pytest.approx(SELF_TEST_S, abs=0.001)
    assert parked.talk("31030202", 0x760) == "7103020201"
    assert parked.talk("31020202", 0x760) == "7f3112"


def test_suppression_ends_with_pending(parked: Any) -> None:
    """A suppressed start whose work takes long is answered after all (7.5.5)."""
    assert parked.talk("31810202", wait_s=7.0) == "7f3178 7f3178 7101020200"


def test_session_outlives_long_work(parked: Any) -> None:
    """S3 stands still while the ECU works, though the work takes longer than it."""
    parked.talk("1003")
    parked.send("31010202", 0x7E0)
    parked.run(0.5)
    parked.send("3e80", 0x7E0)
    parked.run(SELF_TEST_S + 1)
    assert parked.talk("22f186") == "62f18603"


def test_requests_wait_for_the_end_of_long_work(parked: Any) -> None:
    """Another request amid it is answered after it; tester present needs no answer."""
    parked.send("31010202", 0x7E0)
    parked.run(1.0)
    parked.send("3e80", 0x7E0)
    parked.send("22f186", 0x7E0)
    parked.run(SELF_TEST_S)
    assert [payload.hex() for _t, _id, payload in parked.answers][-2:] == ["7101020200", "62f18601"]


def test_ignition_off_ends_long_work(parked: Any) -> None:
    """An ECU that sleeps before its work is done never answers."""
    parked.send("31010202", 0x7E0)
    parked.run(1.0)
    parked.ecus.set_awake(False)
    parked.run(10.0)
    assert [payload.hex() for _t, _id, payload in parked.answers] == ["7f3178"]


def test_driving_forbids_routines(bench: Any) -> None:
    """Conditions are checked before anything is started."""
    assert bench.talk("31010202") == "7f3122"
    bench.talk("1003")
    assert bench.talk("31010301") == "7f3122"


@pytest.mark.parametrize(
    ("request_hex", "answer"),
    [
        ("31", "7f3113"),
        ("3101", "7f3113"),
        ("310102", "7f3113"),
        ("31040202", "7f3112"),
        ("31019999", "7f3131"),
        ("31010301", "7f3131"),  # not in the default session
        ("3101ff00", "7f3131"),
        ("3101020200", "7f3113"),
    ],
)
def test_refusals(parked: Any, request_hex: str, answer: str) -> None:
    """Length, subfunction, routine and session are checked in the standard's order."""
    assert parked.talk(request_hex) == answer


def test_background_routine_runs_beside_everything(parked: Any) -> None:
    """Start, results while it runs, stop, results again; out of order is 24."""
    parked.talk("1003")
    assert parked.talk("31020301") == "7f3124"
    assert parked.talk("31030301") == "7f3124"
    assert parked.talk("31010301") == "7101030101"
    assert parked.ecus.ecm.diagnostics.fan.running
    assert parked.talk("31010301") == "7f3124"
    parked.run(2.0)
    assert parked.talk("31030301") == "71030301010002"
    assert parked.talk("31020301") == "7102030102"
    assert parked.talk("31030301") == "71030301020002"


def test_background_routine_ends_by_itself_or_with_the_session(parked: Any) -> None:
    """Completed after its time; stopped when the tester has gone."""
    parked.talk("1003")
    parked.talk("31010301")
    for _ in range(8):
        parked.talk("3e80", wait_s=FAN_TEST_S / 7)
    assert parked.talk("31030301") == "7103030103001e"
    parked.talk("31010301")
    parked.run(6.0)
    assert not parked.ecus.ecm.diagnostics.fan.running


def test_erasing_needs_programming_session_and_its_own_level(parked: Any) -> None:
    """Locked, 33; unlocked, pending and done; with a faulty memory, 72."""
    assert parked.talk("1002") == "5002003201f4"
    assert parked.talk("3101ff00") == "7f3133"
    seed = bytes.fromhex(parked.talk("2711"))[2:]
    assert parked.talk("2712" + key_of(seed, 0x11).hex()) == "6712"
    assert parked.talk("3101ff00", wait_s=ERASE_S + 0.1) == "7f3178 7f3178 7f3178 7101ff0000"
    parked.ecus.ecm.diagnostics.memory.faulty = True
    assert parked.talk("3101ff00", wait_s=ERASE_S + 0.1).endswith("7f3172")
    assert parked.talk("3103ff00") == "7f3124"  # what was before does not count any more
