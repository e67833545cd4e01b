"""OBD over CAN against the world's ECUs and against ECUs that misbehave, in virtual time."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.can.frame import EXTENDED, CanFrame
from server.can.options import PortOptions
from server.can.port import CanPort
from server.catalogue import by_name
from server.errors import LinkLost
from server.obd.backend import Trouble
from server.obd.can.backend import CanObd, Question
from server.obd.can.options import CanObdOptions
from tests.server.obd.can.can_bench import BITMAPS, ECU_S, VIN, CanBench, ScriptedEcu

NAMES = (
    "RPM",
    "SPEED",
    "COOLANT_TEMP",
    "THROTTLE_POS",
    "INTAKE_PRESSURE",
    "CONTROL_MODULE_VOLTAGE",
)
VALUES = [1726.0, 64.0, 83.0, 0x30 * 100 / 255, 100.0, 14.123]
PIDS = [0x0C, 0x0D, 0x05, 0x11, 0x0B, 0x42]
RPM = "04410C1AF8000000"
SPEED = "03410D4000000000"


def questions(backend: CanObd, *names: str) -> list[Question]:
    """Questions by name."""
    return [backend.question(by_name(name)) for name in names]


def ready(bench: CanBench, **options: object) -> CanObd:
    """A back end that knows its car."""
    backend = bench.connected(**options)
    backend.supported(PIDS)
    return backend


def asked_since(ecu: ScriptedEcu, work: Callable[[], object]) -> list[bytes]:
    """What the ECU was asked by `work`."""
    before = len(ecu.asked)
    work()
    return [request for _functional, request in ecu.asked[before:]]


# -- the world's car -------------------------------------------------------------------------------
def test_the_worlds_car_is_read(bench: CanBench) -> None:
    """VIN over several frames, bitmaps of both ECUs, and values, from the world's own ECUs."""
    bench.car()
    backend = bench.backend()
    backend.connect()
    assert backend.protocol == "11"
    assert backend.vin() == VIN
    known = backend.supported([0x0C, 0x0D, 0x50, 0x5C])
    assert known[0x0C] is True
    assert known[0x0D] is True
    assert known[0x50] is False
    rpm, speed = questions(backend, "RPM", "SPEED")
    assert backend.ask(rpm) == pytest.approx(2487.25)
    assert backend.ask(speed) == 108.0


def test_six_pids_take_one_question(bench: CanBench) -> None:
    """An answer of three frames brings six values in little more than the ECU's own time."""
    bench.car()
    backend = ready(bench)
    six = questions(backend, "RPM", "SPEED", "COOLANT_TEMP", "MAF", "THROTTLE_POS", "ENGINE_LOAD")
    sent, begun_s = len(bench.wire.sent), bench.env.now
    values = backend.ask_together(six)
    assert not any(isinstance(value, Trouble) for value in values)
    assert values[:3] == [pytest.approx(2487.25), 108.0, 90.0]
    assert bench.env.now - begun_s < ECU_S + 0.003
    request, flow = bench.wire.sent[sent:]
    assert request.data == bytes.fromhex("07010C0D05101104")
    assert flow.data == bytes.fromhex("3000000000000000")
    assert (request.id, flow.id) == (0x7E0, 0x7E0)


def test_a_question_takes_no_longer_than_the_ecu(bench: CanBench) -> None:
    """Nothing is polled: frame, response time, frame."""
    bench.car()
    backend = ready(bench)
    (rpm,) = questions(backend, "RPM")
    begun_s = bench.env.now
    for _ in range(10):
        assert backend.ask(rpm) is not None
    assert (bench.env.now - begun_s) / 10 == pytest.approx(ECU_S, abs=0.001)


def test_functional_questions_wait_for_the_other_ecus(bench: CanBench) -> None:
    """The engine's value is there at once; the next question lets the gearbox finish."""
    bench.car()
    backend = ready(bench, request_id=None, request="functional")
    rpm, speed = questions(backend, "RPM", "SPEED")
    for _ in range(5):
        assert backend.ask(rpm) == pytest.approx(2487.25)
        assert backend.ask(speed) == 108.0
    assert all(frame.id == 0x7DF for frame in bench.wire.sent[-4:])
    assert bench.counts["answers_stray"] == 0


def test_a_question_to_all_waits_for_the_slowest(bench, ecu) -> None:
    """The engine's value comes at once; the next question not before the gearbox has answered."""
    gearbox = ScriptedEcu(bench, request_id=0x7E1)
    gearbox.script = lambda request: [
        (wait_s + 0.03, data) for wait_s, data in gearbox.normal(request)
    ]
    backend = ready(bench, request="functional")
    rpm, speed = questions(backend, "RPM", "SPEED")
    begun_s = bench.env.now
    assert backend.ask(rpm) == 1726.0
    assert bench.env.now - begun_s < ECU_S + 0.002
    assert backend.ask(speed) == 64.0
    assert gearbox.asked_s[-1] - gearbox.asked_s[-2] > ECU_S + 0.03


def test_an_ecu_fallen_silent_holds_nobody_up_for_long(bench, ecu) -> None:
    """The gearbox answers no more: a question to all waits P2 for it, and then goes on."""
    gearbox = ScriptedEcu(bench, request_id=0x7E1)
    backend = ready(bench, request="functional")
    rpm, speed = questions(backend, "RPM", "SPEED")
    gearbox.script = lambda request: []
    begun_s = bench.env.now
    assert [backend.ask(question) for question in (rpm, speed)] == [1726.0, 64.0]
    assert bench.env.now - begun_s == pytest.approx(0.1 + ECU_S, abs=0.002)
    for _ in range(3):
        backend.ask(rpm)
    begun_s = bench.env.now
    for _ in range(10):
        backend.ask(rpm)
    assert bench.env.now - begun_s == pytest.approx(10 * ECU_S, abs=0.01)


def test_a_sleeping_car_is_no_car(bench: CanBench) -> None:
    """Without an answer in 11 and in 29 bit, the reason says what was tried and where."""
    with pytest.raises(LinkLost) as caught:
        bench.backend().connect()
    assert str(caught.value) == (
        "expected a car that answers 0100 at virtual bench, found no answer to 7DF (11 bit) and"
        " 18DB33F1 (29 bit) (ignition off? wrong bit rate?)"
    )
    asked = [frame.can_id for frame in bench.wire.sent]
    assert asked == [0x7DF, 0x7DF, 0x18DB33F1 | EXTENDED, 0x18DB33F1 | EXTENDED]


# -- identifiers -----------------------------------------------------------------------------------
def test_29_bit_identifiers_are_found(bench: CanBench) -> None:
    """A car that knows only 29 bit is found after 11 bit has failed, and first the next time."""
    ScriptedEcu(bench, request_id=0x18DA10F1, is_extended=True)
    backend = ready(bench)
    assert backend.protocol == "29"
    assert backend.vin() == "WF0DXXGAKDDK12345"
    assert backend.ask_together(questions(backend, *NAMES)) == pytest.approx(VALUES)
    assert bench.wire.sent[-1].can_id == 0x18DA10F1 | EXTENDED
    backend = bench.backend("29")
    backend.connect()
    assert bench.wire.sent[0].can_id == 0x18DB33F1 | EXTENDED


def test_each_29_bit_ecu_has_its_own_request(bench: CanBench) -> None:
    """The gearbox of a 29 bit car, 18: asked with 18DA18F1, flow control included."""
    ScriptedEcu(bench, request_id=0x18DA18F1, is_extended=True)
    backend = ready(bench)
    assert backend.ask_together(questions(backend, *NAMES)) == pytest.approx(VALUES)
    assert {frame.id for frame in bench.wire.sent[-2:]} == {0x18DA18F1}


def test_an_answer_with_other_identifiers_is_not_the_cars(bench: CanBench) -> None:
    """While 11 bit is tried, a 29 bit answer to somebody else finds no car."""
    bench.queue(0x18DAF110 | EXTENDED, "0641001838000000", after_s=0.05)
    with pytest.raises(LinkLost, match="no answer"):
        bench.backend().connect()


def test_a_damaged_bitmap_denies_no_pid(bench: CanBench, ecu: ScriptedEcu) -> None:
    """slcan has no checksum: what is denied there is asked once more."""
    damaged = iter(["0641000000000100", None, None])
    ecu.script = lambda request: (
        [(ECU_S, data)] if request == b"\x01\x00" and (data := next(damaged, None)) else None
    )
    options = CanObdOptions(PortOptions("slcan", "/dev/ttyX"))
    backend = CanObd(options, bench, None, bench.counts)
    backend.connect()
    assert backend.supported([0x0C, 0x50, 0x42]) == {0x0C: True, 0x50: False, 0x42: True}


def test_groups_that_are_not_announced_are_not_asked(bench, ecu) -> None:
    """0100 without the bit of 20: nothing above is asked, and nothing there is supported."""
    ecu.script = lambda request: [(ECU_S, "0641001838000000")] if request == b"\x01\x00" else None
    backend = bench.backend()
    backend.connect()
    assert backend.supported([0x0C, 0x33, 0x42]) == {0x0C: True, 0x33: False, 0x42: False}
    assert {request for _functional, request in ecu.asked} == {b"\x01\x00"}


def test_fixed_identifiers_are_kept(bench: CanBench) -> None:
    """`id_bits` is not searched, and an ECU by its number is asked with that alone."""
    ScriptedEcu(bench, request_id=0x7E2)
    with pytest.raises(LinkLost, match=r"no answer to 18DB33F1 \(29 bit\) \("):
        bench.backend(id_bits=29).connect()
    backend = ready(bench, request_id=0x7E2, request="physical", id_bits=11)
    assert backend.vin() == "WF0DXXGAKDDK12345"
    assert backend.ask(questions(backend, "RPM")[0]) == 1726.0
    assert {frame.can_id for frame in bench.wire.sent} == {0x7E2}


def test_an_ecu_deaf_to_its_own_number_is_asked_with_the_others(bench, ecu) -> None:
    """No answer to 7E0: the questions go to 7DF, as every car must take them."""
    heard = ecu._heard
    ecu._node.on_frame = lambda frame, t_s: (
        heard(frame, t_s)
        if frame.arbitration_id == 0x7DF or frame.data[0] >> 4 == 3  # but flow control it hears
        else None
    )
    backend = ready(bench)
    assert backend.ask_together(questions(backend, *NAMES)) == pytest.approx(VALUES)
    assert ecu.asked[-1] == (True, bytes((1, *PIDS)))


def test_the_engine_without_its_usual_number_is_the_one_with_most_pids(bench: CanBench) -> None:
    """Two ECUs, neither at 7E8: the one that has more is asked."""
    small = ScriptedEcu(bench, request_id=0x7E3)
    small.script = lambda request: [(ECU_S, "0641000010000000")] if request == b"\x01\x00" else []
    large = ScriptedEcu(bench, request_id=0x7E5)
    backend = ready(bench)
    assert backend.ask(questions(backend, "RPM")[0]) == 1726.0
    assert large.asked[-1] == (False, b"\x01\x0c")


def test_a_pid_of_another_ecu_is_asked_there(bench, ecu) -> None:
    """What the engine lacks and the gearbox has is known and asked of the gearbox."""
    gearbox = ScriptedEcu(bench, request_id=0x7E1)
    ecu.script = lambda request: [(ECU_S, "0641001800000000")] if request == b"\x01\x00" else None
    backend = bench.backend()
    backend.connect()
    assert backend.supported([0x05, 0x0C]) == {0x05: True, 0x0C: True}
    rpm, coolant = questions(backend, "RPM", "COOLANT_TEMP")
    assert backend.ask_together([coolant, rpm]) == [83.0, 1726.0]
    assert ecu.asked[-1] == (False, b"\x01\x05")
    assert gearbox.asked[-1] == (False, b"\x01\x0c")


# -- several at once -------------------------------------------------------------------------------
@pytest.mark.parametrize("several", [1, 2, 3])
def test_a_car_that_takes_fewer_is_asked_for_fewer(bench, ecu, several: int) -> None:
    """What was left out is asked alone at once, so that no value is missing, and then less."""
    ecu.several = several
    backend = ready(bench)
    six = questions(backend, *NAMES)
    assert backend.ask_together(six) == pytest.approx(VALUES)
    assert backend.most_at_once == several
    assert asked_since(ecu, lambda: backend.ask_together(six[:several])) == [
        bytes((1, *PIDS[:several]))
    ]


@pytest.mark.parametrize("refusal", ["037F011300000000", None])
def test_a_car_that_takes_one_is_asked_for_one(bench, ecu, refusal: str | None) -> None:
    """Refused, or not answered at all: after a few attempts one PID at a time."""

    def script(request: bytes):
        if len(request) <= 2:
            return None
        return [(ECU_S, refusal)] if refusal is not None else []

    ecu.script = script
    backend = ready(bench)
    six = questions(backend, *NAMES)
    for _ in range(12):
        assert backend.ask_together(six[: backend.most_at_once])[0] == 1726.0
    assert backend.most_at_once == 1
    assert [backend.ask(question) for question in six] == pytest.approx(VALUES)


def test_a_bad_moment_does_not_shorten_questions(bench, ecu) -> None:
    """Only what happens several times in a row is the car's way."""
    backend = ready(bench)
    six = questions(backend, *NAMES)
    for _ in range(4):
        ecu.script = lambda request: None if len(request) == 2 else []
        assert backend.ask_together(six)[1:] == [Trouble.NO_DATA] * 5
        assert backend.ask_together(six)[1:] == [Trouble.NO_DATA] * 5
        ecu.script = lambda request: None
        assert backend.ask_together(six) == pytest.approx(VALUES)
    assert backend.most_at_once == 6


def test_noise_does_not_shorten_questions_that_were_answered(bench, ecu) -> None:
    """Once six PIDs came in one answer the car can do it, however bad the line is for a while."""
    backend = ready(bench)
    six = questions(backend, *NAMES)
    assert backend.ask_together(six) == pytest.approx(VALUES)
    for bad in ([(ECU_S, "05410C1AF8FD4000")], [], [(ECU_S, "037F011200000000")]):
        ecu.script = lambda request, bad=bad: None if len(request) == 2 else bad
        for _ in range(5):
            assert backend.ask_together(six)[0] == 1726.0
    ecu.script = lambda request: []
    backend.ask_together(six)
    ecu.script = lambda request: None
    for _ in range(2):  # what was missing was asked alone once
        assert backend.ask_together(six) == pytest.approx(VALUES)
    assert asked_since(ecu, lambda: backend.ask_together(six)) == [bytes((1, *PIDS))]


def test_several_can_be_switched_off(bench, ecu) -> None:
    """`several = false` asks one PID at a time from the start."""
    assert ready(bench, several=False).most_at_once == 1


def test_a_missing_pid_does_not_shorten_questions(bench, ecu) -> None:
    """One that the bitmap promises and the car lacks is asked alone from then on."""
    backend = ready(bench)
    absent = questions(backend, "ENGINE_LOAD")
    group = questions(backend, "RPM", "SPEED") + absent
    assert backend.ask_together(group) == [1726.0, 64.0, Trouble.NO_DATA]
    assert backend.most_at_once == 6
    assert asked_since(ecu, lambda: backend.ask_together(group)) == [b"\x01\x04", b"\x01\x0c\x0d"]


# -- slow and refusing ECUs ------------------------------------------------------------------------
def test_response_pending_is_waited_for(bench, ecu) -> None:
    """7F 01 78, three times, then the value: all within P2* of each other."""
    pending = (2.0, "037F017800000000")
    backend = ready(bench)
    ecu.script = lambda request: [(0.02, pending[1]), pending, pending, (4.9, RPM)]
    assert backend.ask(questions(backend, "RPM")[0]) == 1726.0
    assert bench.counts["answers_pending"] == 3


def test_pending_for_ever_is_a_lost_answer(bench, ecu) -> None:
    """After P2* the question is given up; the next one is answered."""
    backend = ready(bench)
    ecu.script = lambda request: [(0.02, "037F017800000000")]
    (rpm,) = questions(backend, "RPM")
    begun_s = bench.env.now
    assert backend.ask(rpm) is None
    assert backend.trouble is Trouble.LOST
    assert bench.env.now - begun_s == pytest.approx(5.1, abs=0.1)
    ecu.script = lambda request: None
    assert backend.ask(rpm) == 1726.0


@pytest.mark.parametrize("reason", ["11", "12", "22", "31"])
def test_a_refusal_is_told_from_silence(bench, ecu, reason: str) -> None:
    """A negative response is counted as such, at once."""
    backend = ready(bench)
    ecu.script = lambda request: [(ECU_S, f"037F01{reason}00000000")]
    begun_s = bench.env.now
    assert backend.ask(questions(backend, "RPM")[0]) is None
    assert backend.trouble is Trouble.REFUSED
    assert bench.env.now - begun_s < 2 * ECU_S


def test_a_busy_ecu_is_asked_again(bench, ecu) -> None:
    """7F 01 21 means later: twice busy still gives a value, for ever busy is an error."""
    backend = ready(bench)
    busy = [[(ECU_S, "037F012100000000")]] * 2
    ecu.script = lambda request: busy.pop() if busy else None
    (rpm,) = questions(backend, "RPM")
    assert backend.ask(rpm) == 1726.0
    assert min(ecu.asked_s[-1] - ecu.asked_s[-2], ecu.asked_s[-2] - ecu.asked_s[-3]) >= 0.05
    ecu.script = lambda request: [(ECU_S, "037F012100000000")]
    assert backend.ask(rpm) is None
    assert backend.trouble is Trouble.ERROR


# -- a bus that loses frames -----------------------------------------------------------------------
def lose_once(bench: CanBench, matches: Callable[[CanFrame], bool]) -> None:
    """Lose the first frame that matches."""
    lost: list[CanFrame] = []

    def lose(frame: CanFrame) -> bool:
        if lost or not matches(frame):
            return False
        lost.append(frame)
        return True

    bench.lose = lose


@pytest.mark.parametrize("lost", [0x7E0, 0x7E8])
def test_a_lost_frame_costs_time_and_no_value(bench, ecu, lost: int) -> None:
    """Question or answer lost: after P2 it is asked once more."""
    backend = ready(bench)
    (rpm,) = questions(backend, "RPM")
    assert backend.ask(rpm) == 1726.0
    lose_once(bench, lambda frame: frame.can_id == lost)
    begun_s = bench.env.now
    assert backend.ask(rpm) == 1726.0
    assert 0.1 < bench.env.now - begun_s < 0.15
    assert bench.counts["retries"] == 1


def test_a_mute_ecu_is_no_data(bench, ecu) -> None:
    """Silence is what an ELM327 calls NO DATA; after the first time it costs P2 alone."""
    backend = ready(bench)
    (rpm,) = questions(backend, "RPM")
    ecu.script = lambda request: []
    for _ in range(3):
        begun_s = bench.env.now
        assert backend.ask(rpm) is None
        assert backend.trouble is Trouble.NO_DATA
        assert bench.env.now - begun_s == pytest.approx(0.1, abs=0.001)


def test_lost_flow_control_is_a_cut_answer(bench, ecu) -> None:
    """The ECU waits for a flow control frame that got lost: given up soon, asked again later."""
    backend = ready(bench)
    six = questions(backend, *NAMES)
    lose_once(bench, lambda frame: frame.can_id == 0x7E0 and frame.data[0] == 0x30)
    begun_s = bench.env.now
    values = backend.ask_together(six)
    assert values == [1726.0, *[Trouble.CUT] * 5]  # the first was asked alone
    assert bench.env.now - begun_s < 0.3
    assert backend.ask_together(six) == pytest.approx(VALUES)
    assert backend.most_at_once == 6


@pytest.mark.parametrize(
    ("number", "trouble", "within_s"), [(0x21, Trouble.UNREADABLE, 0.03), (0x22, Trouble.CUT, 0.3)]
)
def test_a_lost_consecutive_frame_gives_no_wrong_value(
    bench, ecu, number: int, trouble: Trouble, within_s: float
) -> None:
    """A gap in the sequence is seen at once, a missing end after a wait; no value of the pieces."""
    backend = ready(bench)
    six = questions(backend, *NAMES)
    lose_once(bench, lambda frame: frame.can_id == 0x7E8 and frame.data[0] == number)
    begun_s = bench.env.now
    assert backend.ask_together(six) == [1726.0, *[trouble] * 5]
    assert bench.env.now - begun_s < within_s
    assert backend.ask_together(six) == pytest.approx(VALUES)


@pytest.mark.parametrize("lost", [0x7E0, 0x7E8])
def test_a_lost_frame_costs_no_value_of_several(bench, ecu, lost: int) -> None:
    """The whole question is asked once more."""
    backend = ready(bench)
    six = questions(backend, *NAMES)
    assert backend.ask_together(six) == pytest.approx(VALUES)
    lose_once(bench, lambda frame: frame.can_id == lost)
    assert backend.ask_together(six) == pytest.approx(VALUES)
    assert bench.counts["retries"] == 1


def test_the_late_end_of_an_answer_is_not_the_next_one(bench, ecu) -> None:
    """Consecutive frames of a question that was given up come during the next one."""
    backend = ready(bench)
    four = questions(backend, *NAMES[:4])

    def script(request: bytes):
        ecu.after_flow = [(0.22, "2105001100000000")]
        return [(ECU_S, "10 0A 41 0C 00 00 0D 00")] if len(request) > 2 else [(0.05, RPM)]

    ecu.script = script
    assert backend.ask_together(four) == [1726.0, *[Trouble.CUT] * 3]


def test_a_vin_survives_a_lost_frame(bench, ecu) -> None:
    """What is asked once is asked again."""
    backend = bench.backend()
    backend.connect()
    lose_once(bench, lambda frame: frame.data[0] == 0x22)
    assert backend.vin() == "WF0DXXGAKDDK12345"


def test_a_search_survives_a_lost_frame(bench, ecu) -> None:
    """0100 is asked twice before the other identifiers are tried."""
    lose_once(bench, lambda frame: True)
    backend = bench.backend()
    backend.connect()
    assert backend.protocol == "11"


def test_the_engine_is_not_overlooked_for_a_lost_frame(bench, ecu) -> None:
    """Only the gearbox is heard at first: it alone is not the car."""
    gearbox = ScriptedEcu(bench, request_id=0x7E1)
    gearbox.script = lambda request: [(ECU_S, "0641008000000100")]
    lose_once(bench, lambda frame: frame.can_id == 0x7E8)
    backend = bench.backend()
    backend.connect()
    assert backend.supported([0x0C]) == {0x0C: True}
    assert backend.ask(questions(backend, "RPM")[0]) == 1726.0


def test_a_bitmap_that_never_comes_leaves_the_pid_open(bench, ecu) -> None:
    """Unknown is not absent: the PID is asked."""
    ecu.script = lambda request: [] if request == b"\x01\x40" else None
    backend = bench.backend()
    backend.connect()
    assert backend.supported([0x0C, 0x42]) == {0x0C: True, 0x42: None}
    assert backend.ask(questions(backend, "CONTROL_MODULE_VOLTAGE")[0]) == 14.123


# -- others on the bus, and nonsense ---------------------------------------------------------------
def test_another_testers_answers_are_not_ours(bench, ecu) -> None:
    """Answers to somebody else, single and of several frames, before ours: no value, no flow."""
    backend = ready(bench)
    (rpm,) = questions(backend, "RPM")
    ecu.script = lambda request: [
        (0.001, SPEED),
        (0.001, "037F221200000000"),
        (0.001, "1014490201574630"),
        (0.001, "2144585847414B44"),
        (0.001, "22444B3132333435"),
        (0.001, "0462F40C1AF80000"),
        (0.001, RPM),
    ]
    assert backend.ask(rpm) == 1726.0
    assert ecu.flows == []
    assert bench.counts["answers_stray"] == 4


def test_another_answer_inside_ours_does_not_break_it(bench, ecu) -> None:
    """A single frame for somebody else between two of our own frames."""
    backend = ready(bench)
    six = questions(backend, *NAMES)
    normal = ecu.normal

    def script(request: bytes):
        frames = normal(request)
        ecu.after_flow.insert(1, (0.0, "037F221200000000"))
        return frames

    ecu.script = script
    assert backend.ask_together(six) == pytest.approx(VALUES)


def test_what_came_while_nobody_asked_is_dropped(bench, ecu) -> None:
    """An answer to another tester that has waited at the interface is old."""
    backend = ready(bench)
    (rpm,) = questions(backend, "RPM")
    bench.queue(0x7E8, "04410C0000000000", after_s=0.01)
    backend.rest(1.0)
    assert bench.counts["answers_stray"] == 1
    assert backend.ask(rpm) == 1726.0


@pytest.mark.parametrize(
    "noise",
    [
        "",
        "00",
        "08410C1AF8000000",  # eight bytes in a single frame of seven
        "0441",
        "04410C1A",  # longer than its frame
        "FF410C1AF8000000",
        "3000000000000000",
        "2F11223344556677",
        "1000000000000000",
        "100000000FFF0C1A",
        "02410C0000000000",  # no value
        "03410C1A00000000",  # half of it
    ],
)
def test_noise_is_no_value_and_no_crash(bench, ecu, noise: str) -> None:
    """Frames that make no answer: no value from them, and the next question is answered."""
    backend = ready(bench)
    (rpm,) = questions(backend, "RPM")
    ecu.script = lambda request: [(ECU_S, noise)]
    assert backend.ask(rpm) is None
    ecu.script = lambda request: None
    assert backend.ask(rpm) == 1726.0


def test_a_cut_answer_is_counted_as_one(bench, ecu) -> None:
    """41 0C with one byte of two."""
    backend = ready(bench)
    ecu.script = lambda request: [(ECU_S, "03410C1A00000000")]
    assert backend.ask(questions(backend, "RPM")[0]) is None
    assert backend.trouble is Trouble.CUT


def test_a_flood_of_ecus_is_bounded(bench: CanBench) -> None:
    """256 identifiers answer: a few are listened to."""
    first = ScriptedEcu(bench, request_id=0x18DA10F1, is_extended=True)
    for source in range(256):
        bench.queue(0x18DAF100 | source | EXTENDED, "064100FFFFFFFF00", after_s=0.21)
    backend = bench.backend(id_bits=29)
    bench.sleep(0.15)
    backend.connect()
    assert len(backend._bitmaps) <= 16
    assert first.asked


@pytest.mark.parametrize("vin", ["0000000000000000000000", "49 6e 6f 20 56 49 4e"])
def test_a_nonsense_vin_is_none(bench, ecu, vin: str) -> None:
    """No vehicle is better than a wrong one."""
    backend = bench.backend()
    backend.connect()
    text = bytes.fromhex(vin).ljust(17, b"\x00").hex()

    def script(request: bytes):
        if request != b"\x09\x02":
            return None
        ecu.after_flow = [(0.0, "21" + text[6:20]), (0.0, "22" + text[20:34])]
        return [(ECU_S, "1014490201" + text[:6])]

    ecu.script = script
    assert backend.vin() is None


# -- the interface ---------------------------------------------------------------------------------
@pytest.mark.parametrize("when", ["ask", "rest"])
def test_a_dead_interface_loses_the_link(bench, ecu, when: str) -> None:
    """Gone in the middle of a question, or of a pause."""
    backend = ready(bench)
    (rpm,) = questions(backend, "RPM")
    bench.dead = True
    with pytest.raises(LinkLost, match="went away"):
        backend.ask(rpm) if when == "ask" else backend.rest(1.0)
    backend.close()
    assert bench.is_closed


def test_an_interrupt_ends_a_wait(bench, ecu) -> None:
    """A stop in the middle of a wait of 5 s ends it at the next look."""
    backend = ready(bench)
    ecu.script = lambda request: [(0.02, "037F017800000000")]
    timer = bench.env.timeout(0.5)
    timer.callbacks.append(lambda _event: backend.interrupt())
    with pytest.raises(LinkLost, match="stopped"):
        backend.ask(questions(backend, "RPM")[0])
    assert bench.env.now < 2.0


def test_error_frames_of_the_interface_are_counted(bench, ecu) -> None:
    """They are no answer."""
    backend = ready(bench)
    receive = bench.wire.receive
    bench.wire.receive = lambda timeout_s, wanted: [
        CanFrame(0x2000_0004, bytes(8)),
        *receive(timeout_s, wanted),
    ]
    assert backend.ask(questions(backend, "RPM")[0]) == 1726.0
    assert bench.counts["bus_errors"] >= 1


def test_the_scripted_car_has_what_its_bitmaps_say(bench, ecu) -> None:
    """The double itself: PIDs with a value are announced."""
    announced = {
        group + 1 + i for group, bits in BITMAPS.items() for i in range(32) if bits >> (31 - i) & 1
    }
    assert announced >= set(PIDS)


# -- anything at all -------------------------------------------------------------------------------
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.binary(max_size=8), max_size=10), st.booleans())
def test_any_frames_are_survived(monkeypatch, frames: list[bytes], together: bool) -> None:
    """Whatever an ECU says instead of an answer: values or troubles, and afterwards the truth."""
    bench = CanBench()
    monkeypatch.setattr(CanPort, "_connect", lambda _port: bench.plug())
    monkeypatch.setattr(time, "sleep", bench.sleep)
    ecu = ScriptedEcu(bench)
    backend = ready(bench)
    six = questions(backend, *NAMES)
    said = [(0.001, frame.hex()) for frame in frames]
    ecu.script = lambda request: said
    if together:
        assert len(backend.ask_together(six)) == 6
    else:
        value = backend.ask(six[0])
        assert (value is None) or 0 <= value <= 16383.75
    ecu.script = lambda request: None
    bench.sleep(0.2)
    backend.rest(0.001)
    assert [backend.ask(question) for question in six] == pytest.approx(VALUES)
