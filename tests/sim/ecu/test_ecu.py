"""One ECU on the bus: addressing, refusals, timing, queueing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.can.faults import ErrorKind
from sim.can.frame import CanFrame
from sim.ecu.ecu import MAX_QUEUED_REQUESTS, check_response_time

ECM_ID, TCM_ID, FUNCTIONAL_ID = 0x7E0, 0x7E1, 0x7DF


def test_answer_comes_within_the_response_time(bench: Any) -> None:
    """Each answer takes the given range plus the two frames, and the times differ."""
    times_s = []
    for _ in range(200):
        start_s = bench.env.now
        bench.ask("010C", wait_s=0.05)
        times_s.append(bench.answers[0][0] - start_s)
    assert min(times_s) >= 0.008
    assert max(times_s) <= 0.020 + 2 * 0.0003
    assert max(times_s) - min(times_s) > 0.008


def test_response_times_come_from_the_own_stream(make_bench: Any) -> None:
    """The same seed gives the same instants; requests to one ECU do not shift the other's."""
    first, second = make_bench(7), make_bench(7)
    for _ in range(5):
        second.ask("0101", TCM_ID)
    second_start_s = second.env.now
    first.ask("010C")
    second.ask("010C")
    first_s = first.answers[0][0]
    assert second.answers[0][0] - second_start_s == pytest.approx(first_s, abs=1e-9)


def test_value_is_sampled_when_the_answer_is_made(bench: Any) -> None:
    """A value is that of the response instant, not of the request."""
    bench.send("010C")
    bench.run(0.006)
    bench.car.state.rpm = 4000.0
    bench.run(0.1)
    assert bench.answers[0][2] == bytes.fromhex("410c3e80")
    t_s = bench.samples[0][0]
    assert 0.008 <= t_s <= 0.0205
    assert bench.answers[0][0] > t_s


@pytest.mark.parametrize(
    ("request_hex", "refusal"),
    [
        ("05", "7f0511"),
        ("22ffff", "7f2231"),
        ("23", "7f2311"),
        ("0108", "7f0112"),
        ("01", "7f0112"),
        ("0205", "7f0212"),
        ("020500", "7f0212"),
        ("0301", "7f0312"),
        ("06ff", "7f0612"),
        ("09ff", "7f0912"),
        ("090204", "7f0912"),
    ],
)
def test_unsupported_is_silent_to_all_and_refused_to_one(
    bench: Any, request_hex: str, refusal: str
) -> None:
    """What is not supported stays unanswered when everybody is asked, and is refused physically."""
    assert bench.ask(request_hex) == []
    assert bench.ask(request_hex, ECM_ID) == [bytes.fromhex(refusal)]


def test_clear_with_running_engine_is_refused_even_to_all(bench: Any) -> None:
    """Conditions that are not met are told to a functional request too."""
    assert bench.ask("04") == [bytes.fromhex("7f0422")] * 2


def test_slow_service_says_pending(bench: Any) -> None:
    """A service that takes long answers 7F xx 78 first, again every 4.5 s, and then the result."""
    bench.ecus.ecm.ecu.service_times_s[0x09] = 10.0
    bench.ask("0906", ECM_ID, wait_s=11.0)
    assert [payload[:3].hex() for _t, _id, payload in bench.answers] == [
        "7f0978", "7f0978", "7f0978", "490601",
    ]  # fmt: skip
    times_s = [t_s for t_s, _id, _payload in bench.answers]
    assert times_s[1] - times_s[0] == pytest.approx(4.5, abs=0.001)
    assert times_s[3] - times_s[0] == pytest.approx(10.0, abs=0.01)


def test_refusal_after_pending_is_said(bench: Any) -> None:
    """After "pending" even a functional request gets its refusal."""
    bench.ecus.ecm.ecu.service_times_s[0x01] = 0.1
    bench.send("01 0C")
    bench.run(0.05)
    del bench.ecus.ecm.pids[0x0C]
    bench.run(0.2)
    assert [payload.hex() for _t, _id, payload in bench.answers] == ["7f0178", "7f0112"]


def test_refusal_that_arises_late_stays_unsaid(bench: Any) -> None:
    """A functional request that turns out unsupported at the response instant stays unanswered."""
    bench.send("01 0C")
    bench.run(0.002)
    del bench.ecus.ecm.pids[0x0C]
    bench.run(0.2)
    assert bench.answers == []


def test_muted_and_sleeping_ecus_say_nothing(bench: Any) -> None:
    """A muted ECU, or one without ignition, answers nothing until it is back."""
    bench.ecus.ecm.ecu.muted = True
    assert bench.ask("010C") == []
    bench.ecus.ecm.ecu.muted = False
    bench.ecus.set_awake(False)
    assert bench.ask("0100") == []
    bench.ecus.set_awake(True)
    assert len(bench.ask("0100")) == 2


def test_requests_queue_up_to_a_bound(bench: Any) -> None:
    """Requests that come amid one are answered in order; beyond the bound they are dropped."""
    for pid in ("0C", "0D", "05", "0F", "11", "04", "2F"):
        bench.send(f"01{pid}", ECM_ID)
    bench.run(0.5)
    answered = [payload[1] for _t, _id, payload in bench.answers]
    assert answered == [0x0C, 0x0D, 0x05, 0x0F, 0x11][: 1 + MAX_QUEUED_REQUESTS]
    assert bench.ecus.ecm.ecu.dropped_requests == 2


def test_new_request_ends_an_answer_without_flow_control(bench: Any) -> None:
    """A tester that sends no flow control and asks on gets its next answer at once."""
    bench.node.on_frame = lambda frame, t_s: bench.frames.append((t_s, frame))
    bench.send("0902")
    bench.run(0.05)
    bench.send("010C")
    bench.run(0.05)
    assert [line[:9] for line in bench.lines()] == ["7E8101449", "7E804410C"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0x7DF, 0x7E0, 0x7E1, 0x7E8]), st.binary(max_size=8)),
        max_size=40,
    )
)
def test_random_frames_never_crash_an_ecu(make_bench: Any, plan: list[tuple[int, bytes]]) -> None:
    """Any frames on any address leave the ECUs able to answer."""
    bench = make_bench(1)
    for arbitration_id, data in plan:
        bench.node.send(CanFrame(arbitration_id, data))
        bench.run(0.0005)
    bench.run(30.0)
    assert bench.ask("010C", ECM_ID)[-1][:2] == b"\x41\x0c"


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=1, max_size=7), st.booleans())
def test_any_request_is_answered_in_form(
    make_bench: Any, request_bytes: bytes, functional: bool
) -> None:
    """An answer is positive with the service's number, or a refusal that names it, or nothing.

    Nothing comes of functional requests that are not supported, and where UDS suppresses it.
    """
    bench = make_bench(1)
    answers = bench.ask(request_bytes.hex(), FUNCTIONAL_ID if functional else ECM_ID)
    may_be_suppressed = request_bytes[0] > 0x0F and request_bytes[1:2] >= b"\x80"
    assert functional or may_be_suppressed or len(answers) == 1
    for answer in answers:
        assert answer[0] == request_bytes[0] + 0x40 or answer[:2] == b"\x7f" + request_bytes[:1]


def test_wrong_response_time_is_refused() -> None:
    """Response times must be an interval of non-negative seconds."""
    with pytest.raises(ValueError, match=r"'ecm'.*got 0\.02 and 0\.01"):
        check_response_time("ecm", (0.02, 0.01))


def test_no_event_is_spent_on_foreign_requests(bench: Any) -> None:
    """A functional request that an ECU does not know costs it nothing."""
    bench.ask("010C")
    assert bench.ecus.tcm.ecu.request_count == 0


def test_an_answer_that_is_too_late_is_taken_back(bench: Any) -> None:
    """What did not get on the bus within N_As is withdrawn: no stale value comes after a flood."""
    flooder = bench.bus.attach("flooder", lambda frame, t_s: None)

    def again(_t_s: float) -> None:
        if bench.env.now < 2.0:
            flooder.send(CanFrame(0x001, bytes(8)), again)

    bench.send("010C", ECM_ID)
    bench.run(0.005)
    for _ in range(2):
        again(0.0)
    bench.run(3.0)
    assert bench.answers == []
    assert bench.ask("010C", ECM_ID) == [bytes.fromhex("410c26dd")]


def test_an_ecu_that_errors_drove_off_the_bus_comes_back(bench: Any) -> None:
    """Its answers are destroyed until it is bus-off; a tenth of a second later it answers again."""
    bench.bus.faults.append(
        lambda _t_s, sender, _frame: ErrorKind.FORM if sender == "ecm" else None
    )
    assert bench.ask("010C", ECM_ID) == []
    bench.bus.faults.clear()
    bench.run(0.5)
    assert bench.ask_ecm("010C")[:2] == bytes.fromhex("410C")
