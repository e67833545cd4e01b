"""One car's ECUs on two CAN segments: one state behind both, and no frame passes from one."""

from __future__ import annotations

import random
from typing import Any

import pytest

from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.can.isotp import IsoTpChannel

FUNCTIONAL_ID = 0x7DF
ECM_ANSWERS = 0x7E8


class SecondSegment:
    """A bus on which the bench's ECUs answer, too, and a tester that asks them there."""

    def __init__(self, bench: Any) -> None:
        self.env = bench.env
        self.bus = CanBus(self.env, name="can1")
        self.samples: list[tuple[Any, ...]] = []
        bench.ecus.attach(
            self.bus,
            lambda name: random.Random(f"second/{name}"),
            on_sample=lambda *sample: self.samples.append(sample),
        )
        self.frames: list[CanFrame] = []
        self.bus.taps.append(lambda _t_s, _sender, frame: self.frames.append(frame))
        self.answers: list[bytes] = []
        node = self.bus.attach("tester", lambda frame, t_s: self._channel.on_frame(frame, t_s))
        self._node = node
        self._channel = IsoTpChannel(
            self.env, node, ECM_ANSWERS - 8, ECM_ANSWERS,
            lambda payload, _functional: self.answers.append(payload),
        )  # fmt: skip

    def send(self, request: str) -> None:
        """Put a request to everybody on this segment."""
        payload = bytes.fromhex(request)
        self._node.send(CanFrame(FUNCTIONAL_ID, bytes((len(payload),)) + payload))

    def ask(self, request: str) -> list[bytes]:
        """Return what the ECM answers on this segment."""
        self.answers.clear()
        self.send(request)
        self.env.run(until=self.env.now + 0.2)
        return list(self.answers)


@pytest.fixture
def second(bench: Any) -> SecondSegment:
    """The bench's car seen from its second segment."""
    return SecondSegment(bench)


def test_codes_cleared_on_one_segment_are_cleared_on_the_other(bench: Any, second: Any) -> None:
    """There is one memory behind both, whichever side asks to clear it."""
    for clear in (lambda: bench.ask_ecm("04"), lambda: second.ask("04")[0]):
        bench.car.state.engine_on = False
        bench.ecus.ecm.dtcs.inject("P0301", confirmed=True)
        assert second.ask("03") == [bench.ask_ecm("03")] == [b"\x43\x01\x03\x01"]
        bench.ecus.ecm.dtcs.heal("P0301")
        assert clear() == b"\x44"
        assert second.ask("03") == [bench.ask_ecm("03")] == [b"\x43\x00"]


def test_both_segments_tell_of_the_same_car(bench: Any, second: Any) -> None:
    """VIN, parameters that are supported, engine speed."""
    for request in ("0902", "0100", "010C"):
        (answer,) = second.ask(request)
        assert answer == bench.ask_ecm(request)
    bench.car.state.rpm = 900.0
    assert second.ask("010C") == [b"\x41\x0c\x0e\x10"]


def test_frames_of_one_segment_never_appear_on_the_other(bench: Any, second: Any) -> None:
    """Neither requests nor answers, though both sides are busy at the same time."""
    passed: list[CanFrame] = []
    bench.bus.taps.append(lambda _t_s, _sender, frame: passed.append(frame))
    for _ in range(20):
        bench.send("010C")
        second.send("010D")
        bench.run(0.05)
    assert {frame.data[2] for frame in passed} == {0x0C}
    assert {frame.data[2] for frame in second.frames} == {0x0D}
    assert len(passed) == len(second.frames) == 40


def test_a_value_is_told_to_whom_its_segment_belongs(bench: Any, second: Any) -> None:
    """So that a record can tell adapter and board apart."""
    bench.ask("010C")
    second.ask("010D")
    assert [sample[2] for sample in bench.samples] == [0x0C]
    assert [sample[1:3] for sample in second.samples] == [("ecm", 0x0D)]


def test_a_question_on_one_segment_does_not_delay_the_answer_on_the_other(make_bench: Any) -> None:
    """Each has its queue and its own random stream: the first is as if alone."""
    times_s = []
    for busy in (False, True):
        bench = make_bench(1)
        second = SecondSegment(bench)
        for _ in range(10):
            if busy:
                second.send("010D")
            bench.ask("010C")
            times_s.append([t_s for t_s, _id, _payload in bench.answers])
    assert times_s[:10] == times_s[10:]


def test_without_ignition_both_segments_are_silent(bench: Any, second: Any) -> None:
    """And with it both answer again."""
    bench.ecus.set_awake(False)
    assert bench.ask("0100") == second.ask("0100") == []
    bench.ecus.set_awake(True)
    assert len(second.ask("0100")) == len(bench.ask("0100")) - 1 == 1


def test_a_muted_ecu_says_nothing_on_any_segment(bench: Any, second: Any) -> None:
    """The mute of one of its units is that of one segment."""
    bench.ecus.ecm.muted = True
    assert bench.ask("010C") == second.ask("010C") == []
    bench.ecus.ecm.muted = False
    bench.ecus.ecm.ecu.muted = True
    assert bench.ask("010C") == []
    assert len(second.ask("010C")) == 1


def test_a_slow_service_is_slow_on_both_segments(bench: Any, second: Any) -> None:
    """It is the same work."""
    bench.ecus.ecm.ecu.service_times_s[0x01] = 0.1
    assert second.ask("010C")[0] == b"\x7f\x01\x78"
