"""ISO-TP between two endpoints of our own, and against hand-written frames."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.can.bus import MAX_PENDING_FRAMES, CanBus
from sim.can.errors import IsoTpBusyError, IsoTpLengthError
from sim.can.frame import CanFrame
from sim.can.isotp import (
    IsoTpChannel,
    IsoTpOptions,
    Outcome,
    st_min_s,
)

TESTER_ID, ECU_ID, FUNCTIONAL_ID = 0x7E0, 0x7E8, 0x7DF


class Conversation:
    """A tester and an ECU on a bus, with everything that they said and heard."""

    def __init__(self, tester: IsoTpOptions | None = None, ecu: IsoTpOptions | None = None) -> None:
        self.env = simpy.Environment()
        self.bus = CanBus(self.env)
        self.frames: list[tuple[float, CanFrame]] = []
        self.bus.taps.append(lambda t_s, _sender, frame: self.frames.append((t_s, frame)))
        self.heard: list[tuple[bytes, bool]] = []
        self.failed: list[Outcome] = []
        self.replies: list[bytes] = []
        self.ended: list[Outcome] = []
        ecu_node = self.bus.attach("ecu", self._ignore)
        self.ecu = IsoTpChannel(
            self.env, ecu_node, ECU_ID, TESTER_ID,
            lambda payload, functional: self.heard.append((payload, functional)),
            functional_id=FUNCTIONAL_ID, options=ecu, on_reception_failed=self.failed.append,
        )  # fmt: skip
        ecu_node.on_frame = self.ecu.on_frame
        self.node = self.bus.attach("tester", self._ignore)
        self.tester = IsoTpChannel(
            self.env, self.node, TESTER_ID, ECU_ID,
            lambda payload, _functional: self.replies.append(payload), options=tester,
        )  # fmt: skip
        self.node.on_frame = self.tester.on_frame

    @staticmethod
    def _ignore(_frame: CanFrame, _t_s: float) -> None:
        """Stand in until the channel exists."""

    def deaf_tester(self) -> None:
        """Let the tester send frames by hand and react to nothing."""
        self.node.on_frame = self._ignore

    def put(self, text: str, arbitration_id: int = TESTER_ID) -> None:
        """Send one frame written in hex, and let it pass."""
        self.node.send(CanFrame(arbitration_id, bytes.fromhex(text)))
        self.env.run(until=self.env.now + 0.001)

    def from_ecu(self) -> list[str]:
        """Frames that the ECU sent, in hex."""
        return [frame.data.hex(" ") for _t, frame in self.frames if frame.arbitration_id == ECU_ID]


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [(0, 0), (0x7F, 0.127), (0xF1, 0.0001), (0xF9, 0.0009), (0x80, 0.127), (0xFA, 0.127)],
)
def test_separation_time_byte(raw: int, seconds: float) -> None:
    """STmin counts milliseconds, then 100 us each; reserved values mean the longest."""
    assert st_min_s(raw) == pytest.approx(seconds)


options = st.builds(
    IsoTpOptions,
    block_size=st.integers(0, 255),
    st_min=st.sampled_from([0, 1, 5, 0xF1, 0xF9, 0x80]),
    padding=st.sampled_from([None, 0x00, 0xAA, 0xCC]),
    wait_frames=st.integers(0, 3),
)


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=4095), options, options)
def test_any_payload_arrives(payload: bytes, tester: IsoTpOptions, ecu: IsoTpOptions) -> None:
    """Any 1-4095 bytes arrive unchanged under any block size, separation, padding and waiting."""
    talk = Conversation(tester, ecu)
    talk.tester.send(payload, talk.ended.append)
    talk.env.run()
    assert talk.heard == [(payload, False)]
    assert talk.ended == [Outcome.OK]
    assert talk.failed == []


@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=8, max_size=600), st.binary(min_size=8, max_size=600))
def test_both_directions_at_once(there: bytes, back: bytes) -> None:
    """Two messages cross each other unharmed."""
    talk = Conversation()
    talk.tester.send(there)
    talk.ecu.send(back)
    talk.env.run()
    assert talk.heard == [(there, False)]
    assert talk.replies == [back]


@pytest.mark.parametrize("length", [1, 7, 8, 13, 14, 4095])
def test_lengths_at_the_edges(length: int) -> None:
    """The lengths at which the number of frames changes arrive whole."""
    talk = Conversation()
    payload = bytes(index & 0xFF for index in range(length))
    talk.tester.send(payload)
    talk.env.run()
    assert talk.heard == [(payload, False)]
    frames = [frame for _t, frame in talk.frames if frame.arbitration_id == TESTER_ID]
    assert len(frames) == (1 if length <= 7 else 1 + -(-(length - 6) // 7))
    assert all(len(frame.data) == 8 for frame in frames)


def test_frames_of_a_message_are_those_of_the_standard() -> None:
    """First frame, flow control and consecutive frames look as ISO 15765-2 writes them."""
    talk = Conversation(tester=IsoTpOptions(padding=0xAA))
    talk.tester.send(bytes(range(1, 17)))
    talk.env.run()
    assert [frame.data.hex(" ") for _t, frame in talk.frames] == [
        "10 10 01 02 03 04 05 06",
        "30 00 00 00 00 00 00 00",
        "21 07 08 09 0a 0b 0c 0d",
        "22 0e 0f 10 aa aa aa aa",
    ]


def test_separation_time_is_kept() -> None:
    """The gap between consecutive frames is at least STmin, from end to start."""
    talk = Conversation(ecu=IsoTpOptions(st_min=20))
    talk.tester.send(bytes(30))
    talk.env.run()
    consecutive = [(t, f) for t, f in talk.frames if f.data[0] >> 4 == 2]
    assert len(consecutive) == 4
    for (before_s, _), (after_s, frame) in pairwise(consecutive):
        assert after_s - talk.bus.frame_time_s(frame) - before_s == pytest.approx(0.020)


def test_block_size_asks_for_leave_again() -> None:
    """After each block the receiver sends another flow control frame, and none after the last."""
    talk = Conversation(ecu=IsoTpOptions(block_size=2))
    talk.tester.send(bytes(6 + 7 * 4))
    talk.env.run()
    kinds = [frame.data[0] >> 4 for _t, frame in talk.frames]
    assert kinds == [1, 3, 2, 2, 3, 2, 2]
    assert len(talk.heard) == 1


def test_no_flow_control_ends_the_transmission() -> None:
    """Without flow control the sender gives up N_Bs after its first frame."""
    talk = Conversation()
    talk.deaf_tester()
    talk.ecu.send(bytes(20), talk.ended.append)
    talk.env.run()
    assert talk.ended == [Outcome.TIMEOUT_BS]
    assert talk.env.now == pytest.approx(talk.frames[0][0] + 1.0)
    assert not talk.ecu.busy


def test_missing_consecutive_frame_ends_the_reception() -> None:
    """Without the next consecutive frame the receiver gives up after N_Cr and listens anew."""
    talk = Conversation()
    talk.deaf_tester()
    talk.put("10 14 49 02 01 57 46 30")
    talk.env.run(until=2.0)
    assert talk.failed == [Outcome.TIMEOUT_CR]
    talk.put("02 01 0c 00 00 00 00 00")
    assert talk.heard == [(b"\x01\x0c", False)]


def test_wait_frames_hold_the_sender() -> None:
    """Each wait frame starts N_Bs anew; more than the limit end the transmission."""
    talk = Conversation(ecu=IsoTpOptions(wait_limit=2))
    talk.deaf_tester()
    talk.ecu.send(bytes(20), talk.ended.append)
    talk.env.run(until=0.9)
    talk.put("31 00 00")
    talk.env.run(until=1.8)
    talk.put("31 00 00")
    assert talk.ended == []
    talk.put("31 00 00")
    assert talk.ended == [Outcome.WAIT_OVERRUN]


def test_each_consecutive_frame_starts_the_limit_anew() -> None:
    """A slow sender whose frames come within N_Cr of each other is heard to the end."""
    talk = Conversation()
    talk.deaf_tester()
    talk.put("10 14 01 02 03 04 05 06")
    for number in (1, 2):
        talk.env.run(until=talk.env.now + 0.8)
        talk.put(f"2{number} 00 00 00 00 00 00 00")
    assert len(talk.heard) == 1


def test_flow_control_out_of_turn_is_ignored() -> None:
    """Flow control amid a block neither hurries nor doubles consecutive frames."""
    talk = Conversation()
    talk.deaf_tester()
    talk.put("30 00 00")
    talk.ecu.send(bytes(20), talk.ended.append)
    talk.put("30 00 00")  # wins the bus: passes before the first frame
    assert len(talk.from_ecu()) == 1
    talk.put("30 00 14")
    talk.put("30 00 00")
    talk.put("32 00 00")
    talk.env.run(until=1.0)
    assert [frame[:2] for frame in talk.from_ecu()] == ["10", "21", "22"]
    assert talk.ended == [Outcome.OK]
    first_s, second_s = (t_s for t_s, frame in talk.frames if frame.data[0] >> 4 == 2)
    assert second_s - first_s > 0.020


def test_overflow_ends_the_transmission() -> None:
    """A receiver whose buffer is too small says so, and the sender stops."""
    talk = Conversation(ecu=IsoTpOptions(receive_bytes=100))
    talk.tester.send(bytes(101), talk.ended.append)
    talk.env.run()
    assert talk.from_ecu() == ["32 00 00 00 00 00 00 00"]
    assert talk.ended == [Outcome.OVERFLOW]
    assert talk.heard == []


def test_escaped_length_is_refused_with_overflow() -> None:
    """A message of 4096 bytes or more (32 bit length) is answered with overflow."""
    talk = Conversation()
    talk.deaf_tester()
    talk.put("10 00 00 00 10 00 01 02")
    assert talk.from_ecu() == ["32 00 00 00 00 00 00 00"]


def test_invalid_flow_status_ends_the_transmission() -> None:
    """A flow status that does not exist ends the transmission."""
    talk = Conversation()
    talk.deaf_tester()
    talk.ecu.send(bytes(20), talk.ended.append)
    talk.env.run(until=0.01)
    talk.put("33 00 00")
    assert talk.ended == [Outcome.INVALID_FLOW_STATUS]


def test_wrong_sequence_number_ends_the_reception() -> None:
    """A consecutive frame out of order ends the reception."""
    talk = Conversation()
    talk.deaf_tester()
    talk.put("10 14 01 02 03 04 05 06")
    talk.put("22 00 00 00 00 00 00 00")
    assert talk.failed == [Outcome.WRONG_SEQUENCE]
    talk.put("21 00 00 00 00 00 00 00")
    talk.put("22 00 00 00 00 00 00 00")
    assert talk.heard == []


@pytest.mark.parametrize(
    ("frame", "heard"),
    [("02 01 0c 00 00 00 00 00", [(b"\x01\x0c", False)]), ("10 08 01 02 03 04 05 06", [])],
)
def test_new_message_replaces_an_unfinished_one(frame: str, heard: list[object]) -> None:
    """A single or first frame amid a reception ends that one and begins its own."""
    talk = Conversation()
    talk.deaf_tester()
    talk.put("10 14 01 02 03 04 05 06")
    talk.put(frame)
    assert talk.failed == [Outcome.UNEXPECTED]
    assert talk.heard == heard


@pytest.mark.parametrize(
    "frame",
    [
        "21 01 02 03 04 05 06 07",  # consecutive without first
        "30 00 00 00 00 00 00 00",  # flow control without transmission
        "00 01 02 03 04 05 06 07",  # single frame of length 0
        "08 01 02 03 04 05 06 07",  # single frame of length 8
        "05 01 02",  # shorter than it says
        "10 07 01 02 03 04 05 06",  # first frame that would fit a single one
        "10 14 01 02 03",  # short first frame
        "40 01 02 03 04 05 06 07",  # unknown kinds
        "f0",
    ],
)
def test_unexpected_frames_are_ignored(frame: str) -> None:
    """What the standard tells to ignore leaves no trace."""
    talk = Conversation()
    talk.deaf_tester()
    talk.put(frame)
    assert talk.heard == []
    assert talk.from_ecu() == []
    assert talk.failed == []


def test_short_consecutive_frame_is_ignored() -> None:
    """A consecutive frame with fewer bytes than its place needs does not count."""
    talk = Conversation()
    talk.deaf_tester()
    talk.put("10 0e 01 02 03 04 05 06")
    talk.put("21 07 08")
    talk.put("21 07 08 09 0a 0b 0c 0d")
    talk.put("22 0e")
    assert talk.heard == [(bytes(range(1, 15)), False)]


def test_functional_requests_are_single_frames_only() -> None:
    """A functional single frame is heard as such; a functional first frame is not answered."""
    talk = Conversation()
    talk.deaf_tester()
    talk.put("02 01 0c", FUNCTIONAL_ID)
    talk.put("10 14 01 02 03 04 05 06", FUNCTIONAL_ID)
    assert talk.heard == [(b"\x01\x0c", True)]
    assert talk.from_ecu() == []


def test_functional_request_leaves_a_reception_alone() -> None:
    """A functional request amid a physical reception does not end it."""
    talk = Conversation()
    talk.deaf_tester()
    talk.put("10 08 01 02 03 04 05 06")
    talk.put("02 01 0c", FUNCTIONAL_ID)
    talk.put("21 07 08")
    assert talk.heard == [(b"\x01\x0c", True), (bytes(range(1, 9)), False)]


def test_second_message_is_refused_while_one_is_under_way() -> None:
    """Sending amid a segmented message raises and leaves the first one unharmed."""
    talk = Conversation()
    talk.tester.send(bytes(20))
    with pytest.raises(IsoTpBusyError, match="0x7e0"):
        talk.tester.send(b"\x01")
    talk.env.run()
    assert talk.heard == [(bytes(20), False)]


def test_given_up_message_stops() -> None:
    """A message that its owner gives up sends no more frames, and another can follow at once."""
    talk = Conversation(ecu=IsoTpOptions(st_min=10))
    talk.tester.send(bytes(100), talk.ended.append)
    talk.env.run(until=0.025)
    talk.tester.abort_sending()
    talk.tester.send(b"\x3e\x00")
    talk.env.run(until=0.5)
    assert talk.ended == [Outcome.REPLACED]
    assert talk.heard == [(b"\x3e\x00", False)]


def test_full_queue_ends_the_transmission() -> None:
    """A message whose frames the controller does not take ends as not sent, and blocks nothing."""
    talk = Conversation()
    for payload in (b"\x3e", bytes(20)):
        for _ in range(MAX_PENDING_FRAMES):
            talk.node.send(CanFrame(0x001))
        talk.tester.send(payload, talk.ended.append)
        assert talk.ended.pop() is Outcome.NOT_SENT
        assert not talk.tester.busy
        talk.env.run()
    talk.tester.send(bytes(20), talk.ended.append)
    talk.env.run()
    assert talk.ended == [Outcome.OK]


@pytest.mark.parametrize("length", [0, 4096])
def test_impossible_lengths_are_refused(length: int) -> None:
    """An empty message and one above 4095 bytes are refused with the length."""
    talk = Conversation()
    with pytest.raises(IsoTpLengthError, match=f"got {length}"):
        talk.tester.send(bytes(length))


def test_wrong_options_are_refused() -> None:
    """Options outside of a byte are refused by name."""
    with pytest.raises(ValueError, match="block_size"):
        IsoTpOptions(block_size=256)
    with pytest.raises(ValueError, match="padding"):
        replace(IsoTpOptions(), padding=-1)


random_frames = st.lists(
    st.tuples(
        st.sampled_from([TESTER_ID, ECU_ID, FUNCTIONAL_ID, 0x123]),
        st.one_of(
            st.binary(max_size=8),
            st.builds(
                lambda pci, rest: bytes((pci,)) + rest,
                st.sampled_from([0x10, 0x21, 0x22, 0x30, 0x31, 0x32, 0x02, 0x07]),
                st.binary(max_size=7),
            ),
        ),
        st.booleans(),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(random_frames, st.integers(0, 2))
def test_random_frames_never_crash(plan: list[tuple[int, bytes, bool]], block_size: int) -> None:
    """Any frames in any order, amid an own transmission, neither crash nor jam an endpoint."""
    talk = Conversation(ecu=IsoTpOptions(block_size=block_size))
    talk.deaf_tester()
    talk.ecu.send(bytes(40), talk.ended.append)
    stranger = talk.bus.attach("stranger", lambda frame, t_s: None)
    for arbitration_id, data, is_extended in plan:
        stranger.send(CanFrame(arbitration_id, data, is_extended))
        talk.env.run(until=talk.env.now + 0.0003)
    talk.env.run(until=talk.env.now + 60)
    assert not talk.ecu.busy
    assert len(talk.ended) == 1
    talk.heard.clear()
    talk.put("02 01 0c")
    assert talk.heard == [(b"\x01\x0c", False)]
