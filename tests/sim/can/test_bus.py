"""The bus: time, order, delivery."""

from __future__ import annotations

from collections.abc import Generator

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from sim.can.acceptance import Acceptance
from sim.can.bit_length import INTERFRAME_BITS, bit_length
from sim.can.bus import MAX_PENDING_FRAMES, CanBus, CanNode, arbitration_key
from sim.can.errors import DetachedError
from sim.can.frame import CanFrame

BITRATE_BPS = 500_000


class Listener:
    """Notes what a node receives."""

    def __init__(self, bus: CanBus, name: str = "listener", ids: set[int] | None = None) -> None:
        self.seen: list[tuple[float, CanFrame]] = []
        self.node = bus.attach(name, lambda frame, t_s: self.seen.append((t_s, frame)), ids)

    @property
    def ids(self) -> list[int]:
        """Identifiers in the order of arrival."""
        return [frame.arbitration_id for _t_s, frame in self.seen]


@pytest.fixture
def env() -> simpy.Environment:
    """A world that begins at 0 s."""
    return simpy.Environment()


@pytest.fixture
def bus(env: simpy.Environment) -> CanBus:
    """A bus at the diagnostic bit rate."""
    return CanBus(env, BITRATE_BPS)


def send_at(
    env: simpy.Environment, at_s: float, node: CanNode, frame: CanFrame
) -> Generator[simpy.Event, None, None]:
    """Send `frame` at `at_s` seconds."""
    yield env.timeout(at_s)
    node.send(frame)


def mute(bus: CanBus, name: str = "sender") -> CanNode:
    """A node that hears nothing."""
    return bus.attach(name, lambda frame, t_s: None, ())


def test_frame_arrives_after_its_own_time(env: simpy.Environment, bus: CanBus) -> None:
    """A frame on an idle bus arrives when its last bit has passed."""
    listener, sender = Listener(bus), mute(bus)
    frame = CanFrame(0x7DF, b"\x02\x01\x0c\x00\x00\x00\x00\x00")
    sender.send(frame)
    env.run()
    assert listener.seen == [(bit_length(frame) / BITRATE_BPS, frame)]


def test_sender_does_not_hear_itself(env: simpy.Environment, bus: CanBus) -> None:
    """A node gets the frames of the others only."""
    first, second = Listener(bus), Listener(bus)
    first.node.send(CanFrame(0x123))
    env.run()
    assert (len(first.seen), len(second.seen)) == (0, 1)


def test_lower_identifier_goes_first(env: simpy.Environment, bus: CanBus) -> None:
    """Frames that wait for a busy bus go out by identifier, not by age."""
    listener = Listener(bus)
    for index, arbitration_id in enumerate((0x700, 0x300, 0x200, 0x100)):
        mute(bus, f"n{index}").send(CanFrame(arbitration_id))
        env.run(until=env.now + 1e-6)
    env.run()
    assert listener.ids == [0x700, 0x100, 0x200, 0x300]


def test_same_instant_is_decided_by_arbitration(env: simpy.Environment, bus: CanBus) -> None:
    """Of two nodes that start in the same bit the lower identifier wins, whoever came first."""
    listener = Listener(bus)
    mute(bus, "late").send(CanFrame(0x7E9, b"\x01"))
    mute(bus, "early").send(CanFrame(0x7E8, b"\x02"))
    env.run()
    assert listener.ids == [0x7E8, 0x7E9]
    assert bus.frame_count == 2


def test_same_node_keeps_its_order_for_one_identifier(env: simpy.Environment, bus: CanBus) -> None:
    """Frames with the same identifier keep the order in which they were given."""
    listener, sender = Listener(bus), mute(bus)
    for number in range(5):
        sender.send(CanFrame(0x123, bytes((number,))))
    env.run()
    assert [frame.data[0] for _t_s, frame in listener.seen] == [0, 1, 2, 3, 4]


def test_intermission_lies_between_frames(env: simpy.Environment, bus: CanBus) -> None:
    """The next frame starts three bits after the last one ended."""
    listener, sender = Listener(bus), mute(bus)
    frame = CanFrame(0x123, b"\x55" * 8)
    sender.send(frame)
    sender.send(frame)
    env.run()
    (first_s, _), (second_s, _) = listener.seen
    bits = (second_s - first_s) * BITRATE_BPS
    assert bits == pytest.approx(bit_length(frame) + INTERFRAME_BITS)


def test_frame_given_within_the_intermission_waits(env: simpy.Environment, bus: CanBus) -> None:
    """An answer sent as a frame arrives starts three bits later, and still by identifier."""
    listener = Listener(bus)
    high, low = mute(bus, "high"), mute(bus, "low")

    def reply(frame: CanFrame, t_s: float) -> None:
        if frame.arbitration_id == 0x7DF:
            high.send(CanFrame(0x7E9))
            low.send(CanFrame(0x7E8))

    bus.attach("replier", reply)
    mute(bus, "tester").send(CanFrame(0x7DF))
    env.run()
    assert listener.ids == [0x7DF, 0x7E8, 0x7E9]
    start_bits = listener.seen[1][0] * BITRATE_BPS - bit_length(CanFrame(0x7E8))
    assert start_bits == pytest.approx(listener.seen[0][0] * BITRATE_BPS + INTERFRAME_BITS)


@given(
    st.lists(
        st.tuples(st.floats(0, 0.002), st.integers(0, 0x7FF), st.binary(max_size=8)),
        min_size=1,
        max_size=40,
        unique_by=lambda one: one[1],  # one node, one identifier: as the standard wants it
    )
)
def test_every_frame_arrives_once_and_none_overlap(
    plan: list[tuple[float, int, bytes]],
) -> None:
    """Whatever is sent whenever: each frame arrives once, and the wire carries one at a time."""
    env = simpy.Environment()
    bus = CanBus(env, BITRATE_BPS)
    listener = Listener(bus)
    sent = []
    for index, (at_s, arbitration_id, data) in enumerate(plan):
        node, frame = mute(bus, f"n{index}"), CanFrame(arbitration_id, data)
        sent.append(frame)
        env.process(send_at(env, at_s, node, frame))
    env.run()
    received = [frame for _t_s, frame in listener.seen]
    assert sorted(received, key=repr) == sorted(sent, key=repr)
    end_bits = -float(INTERFRAME_BITS)
    for t_s, frame in listener.seen:
        start_bits = t_s * BITRATE_BPS - bit_length(frame)
        assert start_bits >= end_bits + INTERFRAME_BITS - 1e-6
        end_bits = t_s * BITRATE_BPS
    assert bus.busy_bits == sum(map(bit_length, sent))


def test_filter_keeps_foreign_identifiers_away(env: simpy.Environment, bus: CanBus) -> None:
    """A node with an acceptance filter gets only what passes it."""
    listener, sender = Listener(bus, ids={0x7E0}), mute(bus)
    for arbitration_id in (0x7DF, 0x7E0, 0x7E1):
        sender.send(CanFrame(arbitration_id))
    env.run()
    assert listener.ids == [0x7E0]


def test_detached_node_hears_and_sends_nothing(env: simpy.Environment, bus: CanBus) -> None:
    """A node that left gets no frame, what it had waiting is withdrawn, and sending is refused."""
    listener, sender, leaver = Listener(bus), mute(bus), Listener(bus, "leaver")
    sender.send(CanFrame(0x100))
    leaver.node.send(CanFrame(0x200))
    leaver.node.detach()
    env.run()
    assert listener.ids == [0x100]
    assert leaver.seen == []
    with pytest.raises(DetachedError, match="leaver"):
        leaver.node.send(CanFrame(0x200))


def test_sender_learns_when_its_frame_is_through(env: simpy.Environment, bus: CanBus) -> None:
    """`on_sent` is called at the end of the frame."""
    listener, sender = Listener(bus), mute(bus)
    done: list[float] = []
    sender.send(CanFrame(0x100), done.append)
    env.run()
    assert done == [listener.seen[0][0]]


def test_queue_is_bounded(env: simpy.Environment, bus: CanBus) -> None:
    """A node refuses, and counts, what its queue cannot hold; the rest still goes out."""
    listener, sender = Listener(bus), mute(bus)
    taken = [sender.send(CanFrame(0x100)) for _ in range(MAX_PENDING_FRAMES + 3)]
    env.run()
    assert taken.count(False) == sender.dropped_frames == 3
    assert len(listener.seen) == MAX_PENDING_FRAMES
    assert sender.pending_frames == 0


def test_taps_and_load_see_every_frame(env: simpy.Environment, bus: CanBus) -> None:
    """A tap gets instant, sender and frame; the load is the share of busy bits."""
    seen: list[tuple[float, str, CanFrame]] = []
    bus.taps.append(lambda t_s, sender, frame: seen.append((t_s, sender, frame)))
    frame = CanFrame(0x100, b"\x01")
    mute(bus, "tester")
    mute(bus, "ecm").send(frame)
    env.run(until=1.0)
    assert seen == [(bus.frame_time_s(frame), "ecm", frame)]
    assert bus.load_pct == pytest.approx(100 * bit_length(frame) / BITRATE_BPS)


def test_arbitration_order_of_formats() -> None:
    """Data before remote, standard before extended with the same base identifier."""
    ordered = [
        CanFrame(0x0FF),
        CanFrame(0x100),
        CanFrame(0x100, is_remote=True),
        CanFrame(0x100 << 18, is_extended=True),
        CanFrame(0x100 << 18, is_extended=True, is_remote=True),
        CanFrame(0x100 << 18 | 1, is_extended=True),
        CanFrame(0x101),
    ]
    keys = [arbitration_key(frame) for frame in ordered]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


def test_wrong_bit_rate_is_refused(env: simpy.Environment) -> None:
    """A bit rate of zero is refused with what was expected."""
    with pytest.raises(ValueError, match="expected more than 0, got 0"):
        CanBus(env, 0)


@given(
    st.lists(
        st.tuples(st.floats(0, 0.002), st.integers(0, 0x7FF)),
        min_size=2,
        max_size=40,
        unique_by=lambda one: one[1],
    )
)
def test_ends_come_in_the_order_of_arbitration(plan: list[tuple[float, int]]) -> None:
    """Of the frames that waited when one began none with a lower identifier ends after it."""
    env = simpy.Environment()
    bus = CanBus(env, BITRATE_BPS)
    listener = Listener(bus)
    asked_s = {}
    for index, (at_s, arbitration_id) in enumerate(plan):
        frame = CanFrame(arbitration_id, bytes((index,)))
        asked_s[index] = at_s
        env.process(send_at(env, at_s, mute(bus, f"n{index}"), frame))
    env.run(until=0.1)
    assert len(listener.seen) == len(plan)
    for place, (t_s, frame) in enumerate(listener.seen):
        began_s = t_s - bus.frame_time_s(frame)
        for _, later in listener.seen[place + 1 :]:
            if asked_s[later.data[0]] < began_s - 1e-9:
                assert arbitration_key(later) >= arbitration_key(frame)


def test_frame_on_the_wire_is_not_heard_by_a_node_that_joins(
    env: simpy.Environment, bus: CanBus
) -> None:
    """Who is attached in the middle of a frame hears the next one."""
    Listener(bus)
    sender = mute(bus)
    sender.send(CanFrame(0x100))
    sender.send(CanFrame(0x101))
    env.run(until=50e-6)
    late = Listener(bus, "late")
    assert late.node in bus.nodes
    env.run()
    assert late.ids == [0x101]


def test_masks_take_11_and_29_bit_frames_apart(env: simpy.Environment, bus: CanBus) -> None:
    """A filter compares the masked bits, and the format if it names one."""
    sender = mute(bus)
    plan = {
        "standard": [Acceptance(0x7E0, 0x7F0, False)],
        "extended": [Acceptance(0x18DA0000, 0x1FFF0000, True)],
        "either": [Acceptance(0x7E8, 0x7FF)],
        "two": [Acceptance(0x100, 0x7FF, False), Acceptance(0x18DAF110, 0x1FFFFFFF, True)],
        "none": [],
    }
    listeners = {}
    for name, filters in plan.items():
        listener = listeners[name] = Listener(bus, name)
        listener.node.set_filters(filters)
    for arbitration_id, is_extended in ((0x100, False), (0x7E8, False), (0x18DAF110, True)):
        sender.send(CanFrame(arbitration_id, b"", is_extended))
    sender.send(CanFrame(0x7E8, is_extended=True))
    env.run()
    assert {name: sorted(listener.ids) for name, listener in listeners.items()} == {
        "standard": [0x7E8],
        "extended": [0x18DAF110],
        "either": [0x7E8, 0x7E8],
        "two": [0x100, 0x18DAF110],
        "none": [],
    }


def test_filters_can_be_changed_on_the_way(env: simpy.Environment, bus: CanBus) -> None:
    """New filters count from the next frame, in place of the identifiers given at first."""
    listener, sender = Listener(bus, ids={0x100}), mute(bus)
    for filters in (None, [Acceptance(0x200, 0x7FF)], None):
        if filters is not None or listener.seen:
            listener.node.set_filters(filters)
        for arbitration_id in (0x100, 0x200):
            sender.send(CanFrame(arbitration_id))
        env.run()
    assert listener.ids == [0x100, 0x200, 0x100, 0x200]


def test_remote_frame_arrives_with_its_length_code(env: simpy.Environment, bus: CanBus) -> None:
    """A remote frame carries no data, but the length that it asks for; data goes before it."""
    listener = Listener(bus)
    mute(bus, "a").send(CanFrame(0x100, is_remote=True, requested_bytes=5))
    mute(bus, "b").send(CanFrame(0x100, b"\xff"))
    env.run()
    assert [(frame.is_remote, frame.dlc) for _t_s, frame in listener.seen] == [
        (False, 1),
        (True, 5),
    ]


def test_senders_of_one_and_the_same_frame_do_not_notice(
    env: simpy.Environment, bus: CanBus
) -> None:
    """Two equal frames in the same bit are one frame on the wire; both senders are done."""
    listener = Listener(bus)
    done: list[float] = []
    for name in ("a", "b"):
        assert mute(bus, name).send(CanFrame(0x100, b"\x01"), done.append)
    env.run()
    assert len(done) == 2
    assert listener.ids == [0x100]
    assert (bus.frame_count, bus.error_count) == (1, 0)


def test_without_pace_frames_take_no_time(env: simpy.Environment) -> None:
    """A bus without pace keeps order and loses nothing, and the clock stands."""
    bus = CanBus(env, paced=False)
    listener = Listener(bus)
    for name in ("a", "b"):
        node = mute(bus, name)
        for number in range(20):
            node.send(CanFrame(0x100, bytes((number,))))
    env.run()
    assert env.now == 0
    assert len(listener.seen) == 40


def test_withdrawn_frames_are_told(env: simpy.Environment, bus: CanBus) -> None:
    """What waits is given up and told as lost; what is on the wire still arrives."""
    listener, sender = Listener(bus), mute(bus)
    sent: list[float] = []
    lost: list[float] = []
    for number in range(3):
        sender.send(CanFrame(0x100 + number), sent.append, lost.append)
    env.run(until=10e-6)
    assert sender.withdraw() == 2
    env.run()
    assert listener.ids == [0x100]
    assert (len(sent), len(lost), sender.lost_frames, sender.pending_frames) == (1, 2, 2, 0)
