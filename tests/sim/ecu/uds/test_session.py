"""Sessions, S3, reset, tester present, communication and code setting."""

from __future__ import annotations

import random
from typing import Any

import pytest

from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.ecu.uds.session import BOOT_S
from sim.ecu.uds.state import Session

BCM_ID, ABS_ID = 0x726, 0x760


def session_of(bench: Any, name: str = "ecm") -> Session:
    """Return the active session."""
    return bench.ecus.named(name).diagnostics.state.session  # type: ignore[no-any-return]


@pytest.fixture
def parked(bench: Any) -> Any:
    """A car that stands with its engine off."""
    bench.car.state.engine_on = False
    bench.car.state.speed_mps = 0.0
    return bench


def test_session_answer_tells_the_times(bench: Any) -> None:
    """P2 is 50 ms and P2* 5 s, in the units of the standard: 1 ms and 10 ms."""
    assert bench.talk("1003") == "5003003201f4"
    assert session_of(bench) is Session.EXTENDED
    assert bench.talk("22f186") == "62f18603"


@pytest.mark.parametrize(
    ("request_hex", "answer"),
    [
        ("10", "7f1013"),
        ("1004", "7f1012"),
        ("100300", "7f1013"),
        ("1002", "7f1022"),  # the engine runs
        ("3e", "7f3e13"),
        ("3e01", "7f3e12"),
        ("3e0000", "7f3e13"),
        ("1101", "7f1122"),
        ("1104", "7f1112"),
        ("28", "7f287f"),
        ("8502", "7f857f"),
        ("2701", "7f277f"),
        ("2ef198", "7f2e7f"),
        ("3e00", "7e00"),
        ("3e80", ""),
        ("1083", ""),
    ],
)
def test_answers_while_driving(bench: Any, request_hex: str, answer: str) -> None:
    """Each refusal carries the code of ISO 14229-1 that is due; suppressed answers stay away."""
    assert bench.talk(request_hex) == answer


def test_session_ends_without_a_tester(bench: Any) -> None:
    """Five seconds after the last answer the default session is back, and no sooner."""
    bench.talk("1003", wait_s=4.9)
    assert session_of(bench) is Session.EXTENDED
    bench.run(0.2)
    assert session_of(bench) is Session.DEFAULT


@pytest.mark.parametrize("keep", ["3e80", "3e00", "22f190", "22ffff"])
def test_any_request_keeps_the_session(bench: Any, keep: str) -> None:
    """Not tester present alone, and a refused one, too."""
    bench.talk("1003")
    for _ in range(4):
        bench.talk(keep, wait_s=4.0)
    assert session_of(bench) is Session.EXTENDED


def test_functional_tester_present_keeps_every_session(bench: Any) -> None:
    """3E 80 to all reaches ECUs that answer no OBD, and nobody says a word."""
    for ecu in (0x7E0, BCM_ID, ABS_ID):
        bench.talk("1003", ecu)
    for _ in range(3):
        assert bench.ask("3e80", wait_s=4.0) == []
    assert {session_of(bench, name) for name in ("ecm", "bcm", "abs")} == {Session.EXTENDED}
    assert session_of(bench, "tcm") is Session.DEFAULT


def test_functional_tester_present_is_answered_by_all(bench: Any) -> None:
    """3E 00 to everybody brings an answer of each ECU of the car."""
    assert bench.ask("3e00") == [b"\x7e\x00"] * 6


def test_what_is_not_supported_stays_unsaid_to_a_functional_request(bench: Any) -> None:
    """11, 12, 31, 7E and 7F are suppressed; other refusals are said."""
    for request in ("23", "3e01", "22ffff", "2701", "8502"):
        assert bench.ask(request) == []
    assert bench.ask("1101")[0] == bytes.fromhex("7f1122")
    assert bench.ask("10")[0] == bytes.fromhex("7f1013")


def test_subfunction_of_another_session_has_its_own_code(parked: Any) -> None:
    """Security for programming asked in the extended session is refused with 7E."""
    parked.talk("1003")
    assert parked.talk("2711") == "7f277e"


def test_reset_is_answered_and_then_silent(parked: Any) -> None:
    """The ECU answers, hears nothing while it boots, and is back in the default session."""
    parked.talk("1003")
    assert parked.talk("1101", wait_s=0.05) == "5101"
    assert parked.talk("22f190", wait_s=0.3) == ""
    assert parked.ask("0100", wait_s=0.3) == [parked.ask("0100", 0x7E1)[0]]
    parked.run(BOOT_S[0x01])
    assert parked.talk("22f186") == "62f18601"


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_each_reset_takes_its_time(parked: Any, kind: int) -> None:
    """Hard, key off on and soft differ in how long the ECU is away."""
    assert parked.talk(f"110{kind}", wait_s=0.05) == f"510{kind}"
    parked.run(BOOT_S[kind] - 0.1)
    assert parked.talk("3e00", wait_s=0.02) == ""
    parked.run(0.1)
    assert parked.talk("3e00") == "7e00"


def test_suppressed_reset_happens(parked: Any) -> None:
    """11 81 says nothing and restarts all the same."""
    parked.talk("1003")
    assert parked.talk("1181") == ""
    parked.run(1.0)
    assert session_of(parked) is Session.DEFAULT


def test_reset_drops_what_waits(parked: Any) -> None:
    """Requests that came before the reset was through are not answered after it."""
    for request in ("1101", "22f190", "22f190"):
        parked.send(request, 0x7E0)
    parked.run(3.0)
    assert [payload.hex() for _t, _id, payload in parked.answers] == ["5101"]


def test_reset_amid_a_message_forgets_it(parked: Any) -> None:
    """A message whose first frame came before the restart is not completed after it."""
    parked.node.on_frame = lambda frame, t_s: None
    parked.send("1103", 0x7E0)
    parked.node.send(CanFrame(0x7E0, bytes.fromhex("100922f190f190f1")))
    parked.run(0.1)
    assert parked.ecus.ecm.diagnostics.state.restarting
    parked.run(0.4)
    parked.node.send(CanFrame(0x7E0, bytes.fromhex("2190f18600000000")))
    parked.run(2.0)
    assert parked.ecus.ecm.ecu.answer_count == 1


def test_reset_drops_what_another_bus_asked(parked: Any) -> None:
    """A request on a second segment that was under way is not answered, then or later."""
    bus = CanBus(parked.env, name="can1")
    unit = parked.ecus.ecm.attach(bus, random.Random(1))
    unit.response_time_s = (0.05, 0.05)
    heard: list[CanFrame] = []
    node = bus.attach("tester", lambda frame, _t_s: heard.append(frame))
    parked.send("1101", 0x7E0)
    node.send(CanFrame(0x7E0, bytes.fromhex("023e00")))
    parked.run(3.0)
    assert heard == []
    node.send(CanFrame(0x7E0, bytes.fromhex("023e00")))
    parked.run(0.1)
    assert [frame.data[:3].hex() for frame in heard] == ["027e00"]


def test_suppression_ends_with_response_pending(bench: Any) -> None:
    """Once "pending" was said the answer is due, wished for or not."""
    bench.ecus.ecm.ecu.service_times_s[0x10] = 0.1
    assert bench.talk("1083", wait_s=0.3) == "7f1078 5003003201f4"


def test_ignition_off_ends_the_session(bench: Any) -> None:
    """And asleep no ECU sends flow control either."""
    bench.talk("1003")
    bench.ecus.set_awake(False)
    bench.frames.clear()
    assert bench.talk("22f190f18cf187f188") == ""
    assert not [frame for _t, frame in bench.frames if frame.arbitration_id == 0x7E8]
    bench.ecus.set_awake(True)
    bench.run(1.5)
    assert bench.talk("22f186") == "62f18601"


def test_communication_control_switches_normal_frames(bench: Any) -> None:
    """What broadcast senders ask for changes with 28, and comes back with the default session."""
    state = bench.ecus.named("bcm").diagnostics.state
    bench.talk("1003", BCM_ID)
    seen = []
    for subfunction in ("00", "01", "02", "03"):
        assert bench.talk(f"28{subfunction}01", BCM_ID) == f"68{subfunction}"
        seen.append((state.hears_normal, state.sends_normal))
    assert seen == [(True, True), (True, False), (False, True), (False, False)]
    assert bench.talk("2800f3", BCM_ID) == "6800"
    for kind in ("00", "04", "11", "f4"):
        assert bench.talk(f"2801{kind}", BCM_ID) == "7f2831"
    assert bench.talk("2801", BCM_ID) == "7f2813"
    bench.talk("280303", BCM_ID)
    bench.talk("1001", BCM_ID)
    assert (state.hears_normal, state.sends_normal) == (True, True)


def test_code_setting_off_stores_no_fault(bench: Any) -> None:
    """85 02 holds the store; the fault is found when it is on again."""
    bench.talk("1003")
    assert bench.talk("8502") == "c502"
    bench.ecus.ecm.dtcs.inject("P0301")
    bench.run(3.0)
    assert bench.ecus.ecm.dtcs.pending == []
    assert bench.talk("8501") == "c501"
    bench.run(1.1)
    assert bench.ecus.ecm.dtcs.pending == ["P0301"]
    bench.talk("8502")
    assert bench.talk("8502ffffff") == "7f8531"
    bench.run(6.0)
    assert bench.ecus.ecm.dtcs.setting_on


def test_forced_refusal(bench: Any) -> None:
    """A fault can let a service answer any code."""
    from sim.ecu.errors import Nrc

    bench.ecus.ecm.diagnostics.server.refusals[0x22] = Nrc.GENERAL_REJECT
    assert bench.talk("22f190") == "7f2210"


def test_uds_requests_do_not_shift_obd_answers(make_bench: Any) -> None:
    """Even of the same ECU: their response times come from a stream of their own."""
    times_s = []
    for request in ("", "22f190", "1101"):
        bench = make_bench(5)
        if request:
            bench.ask(request)
        else:
            bench.run(0.2)
        start_s = bench.env.now
        bench.ask("010C", 0x7E0)
        times_s.append(round(bench.answers[0][0] - start_s, 9))
    assert len(set(times_s)) == 1
