"""ISO-TP's time-outs N_As to N_Cr, own slowness, wait frames, and 29 bit identifiers."""

from __future__ import annotations

import pytest
import simpy

from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.can.isotp import IsoTpChannel, IsoTpOptions, Outcome

TESTER_ID, ECU_ID = 0x7E0, 0x7E8
TESTER_29, ECU_29 = 0x18DA10F1, 0x18DAF110
FLOOD_ID = 0x001


class Conversation:
    """Two endpoints; the tester's options and the ECU's are given."""

    def __init__(
        self,
        tester: IsoTpOptions | None = None,
        ecu: IsoTpOptions | None = None,
        is_extended: bool = False,
    ) -> None:
        self.env = simpy.Environment()
        self.bus = CanBus(self.env)
        self.frames: list[tuple[float, CanFrame]] = []
        self.bus.taps.append(lambda t_s, _sender, frame: self._tap(t_s, frame))
        self.heard: list[bytes] = []
        self.ended: list[Outcome] = []
        self.failed: list[Outcome] = []
        self.given_up = 0
        tester_id, ecu_id = (TESTER_29, ECU_29) if is_extended else (TESTER_ID, ECU_ID)
        self.tester = self._channel(tester_id, ecu_id, tester, is_extended)
        self.ecu = self._channel(ecu_id, tester_id, ecu, is_extended)
        self._flooder = self.bus.attach("flooder", lambda frame, t_s: None)
        self._flooding = False

    def _tap(self, t_s: float, frame: CanFrame) -> None:
        if frame.arbitration_id != FLOOD_ID:
            self.frames.append((t_s, frame))

    def _channel(
        self, tx_id: int, rx_id: int, options: IsoTpOptions | None, is_extended: bool
    ) -> IsoTpChannel:
        node = self.bus.attach(f"{tx_id:x}", lambda frame, t_s: channel.on_frame(frame, t_s))
        channel = IsoTpChannel(
            self.env, node, tx_id, rx_id, lambda payload, _f: self.heard.append(payload),
            options=options, is_extended=is_extended, on_reception_failed=self.failed.append,
            give_up=self._count,
        )  # fmt: skip
        return channel

    def _count(self) -> None:
        self.given_up += 1

    def flood(self) -> None:
        """Let frames of the highest priority take the whole bus from now on."""
        self._flooding = True
        for _ in range(2):
            self._again(0.0)

    def calm(self) -> None:
        """End the flood."""
        self._flooding = False

    def _again(self, _t_s: float) -> None:
        if self._flooding:
            self._flooder.send(CanFrame(FLOOD_ID, bytes(8)), self._again)

    def run(self, for_s: float) -> None:
        """Let time pass."""
        self.env.run(until=self.env.now + for_s)

    def kinds(self) -> str:
        """Return the first digit of each frame."""
        return "".join(f"{frame.data[0] >> 4:x}" for _t, frame in self.frames)


@pytest.mark.parametrize("payload", [b"\x3e\x00", bytes(20)])
def test_frame_that_does_not_get_on_the_bus_ends_after_n_as(payload: bytes) -> None:
    """Under a flood of higher priority the sender gives up after N_As, and once."""
    talk = Conversation(tester=IsoTpOptions(n_as_s=0.2))
    talk.flood()
    talk.run(0.01)
    talk.tester.send(payload, talk.ended.append)
    talk.run(0.19)
    assert talk.ended == []
    talk.run(0.02)
    assert talk.ended == [Outcome.TIMEOUT_AS]
    assert talk.given_up == 1
    talk.calm()
    talk.run(1.0)
    assert talk.ended == [Outcome.TIMEOUT_AS]
    assert not talk.tester.busy


def test_consecutive_frame_under_flood_ends_after_n_as() -> None:
    """The limit holds for each frame of a message."""
    talk = Conversation(tester=IsoTpOptions(n_as_s=0.2), ecu=IsoTpOptions(st_min=20))
    talk.tester.send(bytes(40), talk.ended.append)
    talk.run(0.03)
    talk.flood()
    talk.run(0.3)
    assert talk.ended == [Outcome.TIMEOUT_AS]


def test_flow_control_that_does_not_get_on_the_bus_ends_after_n_ar() -> None:
    """The receiver gives up after N_Ar, long before N_Cr."""
    talk = Conversation(ecu=IsoTpOptions(n_ar_s=0.1, n_br_s=0.01))
    talk.tester.send(bytes(20), talk.ended.append)
    talk.run(0.005)
    talk.flood()
    talk.run(0.12)
    assert talk.failed == [Outcome.TIMEOUT_AR]
    assert talk.given_up == 1
    talk.run(1.0)
    assert talk.ended == [Outcome.TIMEOUT_BS]


def test_consecutive_frames_are_awaited_from_flow_control_on() -> None:
    """N_Cr does not count while the receiver itself holds the sender."""
    talk = Conversation(tester=IsoTpOptions(n_bs_s=1.0), ecu=IsoTpOptions(n_cr_s=0.05, n_br_s=0.5))
    talk.tester.send(bytes(20))
    talk.run(1.0)
    assert talk.failed == []
    assert talk.heard == [bytes(20)]


def test_slow_receiver_sends_flow_control_after_n_br() -> None:
    """Also before each further block."""
    talk = Conversation(ecu=IsoTpOptions(n_br_s=0.02, block_size=1))
    talk.tester.send(bytes(20))
    talk.run(1.0)
    assert talk.kinds() == "13232"
    times_s = [t_s for t_s, _frame in talk.frames]
    assert times_s[1] - times_s[0] == pytest.approx(0.0202, abs=0.0002)
    assert times_s[3] - times_s[2] == pytest.approx(0.0202, abs=0.0002)


def test_receiver_slower_than_n_bs_is_given_up() -> None:
    """The sender ends with N_Bs, and the late flow control changes nothing."""
    talk = Conversation(tester=IsoTpOptions(n_bs_s=0.1), ecu=IsoTpOptions(n_br_s=0.2))
    talk.tester.send(bytes(20), talk.ended.append)
    talk.run(2.0)
    assert talk.ended == [Outcome.TIMEOUT_BS]
    assert talk.kinds() == "13"
    assert talk.failed == [Outcome.TIMEOUT_CR]


def test_slow_sender_adds_n_cs_to_the_separation_time() -> None:
    """N_Cs comes on top of STmin; one slower than N_Cr loses its receiver."""
    talk = Conversation(tester=IsoTpOptions(n_cs_s=0.03), ecu=IsoTpOptions(st_min=10))
    talk.tester.send(bytes(20))
    talk.run(1.0)
    times_s = [t_s for t_s, _frame in talk.frames]
    assert times_s[2] - times_s[1] == pytest.approx(0.030, abs=0.0005)
    assert times_s[3] - times_s[2] == pytest.approx(0.040, abs=0.0005)
    talk = Conversation(tester=IsoTpOptions(n_cs_s=0.3), ecu=IsoTpOptions(n_cr_s=0.2))
    talk.tester.send(bytes(20))
    talk.run(2.0)
    assert talk.failed == [Outcome.TIMEOUT_CR]
    assert talk.heard == []


def test_wait_frames_are_sent_up_to_their_number() -> None:
    """Each block begins with them; a sender that takes fewer gives up."""
    talk = Conversation(ecu=IsoTpOptions(wait_frames=2, wait_gap_s=0.05))
    talk.tester.send(bytes(20))
    talk.run(1.0)
    assert talk.kinds() == "133322"
    assert [frame.data[0] for _t, frame in talk.frames[1:4]] == [0x31, 0x31, 0x30]
    assert talk.heard == [bytes(20)]
    talk = Conversation(
        tester=IsoTpOptions(wait_limit=1), ecu=IsoTpOptions(wait_frames=2, wait_gap_s=0.05)
    )
    talk.tester.send(bytes(20), talk.ended.append)
    talk.run(2.0)
    assert talk.ended == [Outcome.WAIT_OVERRUN]


def test_29_bit_conversation_ignores_11_bit_frames() -> None:
    """Normal fixed addressing carries the longest message, and the kinds do not mix."""
    talk = Conversation(ecu=IsoTpOptions(block_size=16), is_extended=True)
    payload = bytes(index % 251 for index in range(4095))
    talk.tester.send(payload, talk.ended.append)
    talk.run(2.0)
    assert talk.heard == [payload]
    assert talk.ended == [Outcome.OK]
    assert all(frame.is_extended for _t, frame in talk.frames)
    talk.ecu.on_frame(CanFrame(0x7E0, b"\x02\x3e\x00"))
    assert len(talk.heard) == 1


def test_receiver_that_may_not_receive_grants_nothing() -> None:
    """A first frame to a sleeping endpoint stays without flow control."""
    env = simpy.Environment()
    bus = CanBus(env)
    frames: list[CanFrame] = []
    bus.taps.append(lambda _t, _sender, frame: frames.append(frame))
    node = bus.attach("ecu", lambda frame, t_s: None)
    channel = IsoTpChannel(
        env, node, ECU_ID, TESTER_ID, lambda payload, _f: None, may_receive=lambda: False
    )
    channel.on_frame(CanFrame(TESTER_ID, bytes.fromhex("1014010203040506")))
    env.run(until=1.0)
    assert frames == []


def test_reset_forgets_both_directions() -> None:
    """What was on its way in or out is gone; both directions work at once anew."""
    talk = Conversation(ecu=IsoTpOptions(st_min=10), tester=IsoTpOptions(st_min=10))
    talk.tester.send(bytes(60), talk.ended.append)
    talk.ecu.send(bytes(60))
    talk.run(0.03)
    talk.tester.reset()
    talk.ecu.reset()
    talk.run(2.0)
    assert talk.ended == [Outcome.REPLACED]
    assert talk.failed == []
    talk.tester.send(bytes(9), talk.ended.append)
    talk.run(0.1)
    assert talk.heard == [bytes(9)]


@pytest.mark.parametrize("name", ["n_as_s", "n_br_s", "wait_gap_s"])
def test_negative_times_are_refused(name: str) -> None:
    """By name; what is not a number too."""
    for value in (-1.0, float("nan")):
        with pytest.raises(ValueError, match=name):
            IsoTpOptions(**{name: value})  # type: ignore[arg-type]


def test_flow_control_that_the_controller_does_not_take_ends_the_reception() -> None:
    """A full queue on the receiver's side fails at once, and blocks nothing."""
    talk = Conversation(ecu=IsoTpOptions(n_br_s=0.01))
    talk.tester.send(bytes(20), talk.ended.append)
    talk.run(0.005)
    talk.flood()
    ecu_node = next(node for node in talk.bus.nodes if node.name == f"{ECU_ID:x}")
    while ecu_node.send(CanFrame(0x7FF)):
        pass
    talk.run(0.006)
    assert talk.failed == [Outcome.NOT_SENT]
    talk.calm()
    talk.run(2.0)
    assert talk.ended == [Outcome.TIMEOUT_BS]
    talk.tester.send(bytes(20), talk.ended.append)
    talk.run(1.0)
    assert talk.heard == [bytes(20)]


def test_each_block_has_its_wait_frames() -> None:
    """A sender counts them in a row, and a receiver's N_Cr does not count while it waits itself."""
    talk = Conversation(
        tester=IsoTpOptions(wait_limit=2),
        ecu=IsoTpOptions(block_size=1, wait_frames=2, wait_gap_s=0.05, n_cr_s=0.04),
    )
    talk.tester.send(bytes(27), talk.ended.append)
    talk.run(2.0)
    assert talk.ended == [Outcome.OK]
    assert talk.heard == [bytes(27)]
    assert talk.kinds() == "1" + "3332" * 3
