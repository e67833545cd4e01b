"""Error counters, states, and what they allow: numbers from ISO 11898-1, 12.1.4."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sim.can.bit_length import INTERFRAME_BITS, bit_length
from sim.can.confinement import ErrorState, after_reception, state_of
from sim.can.error_frame import DELIMITER_BITS, FLAG_BITS, SUSPEND_BITS
from sim.can.faults import Disturbance, ErrorKind
from sim.can.frame import CanFrame
from tests.sim.can.stations import Line, Station

FRAME = CanFrame(0x14, b"\x01")  # 55 bits; written out in test_error_frame.py
BIT_ERRORS_TO_BUS_OFF = 256 // 8


@pytest.mark.parametrize(
    ("tec", "rec", "state"),
    [
        (0, 0, ErrorState.ACTIVE),
        (95, 95, ErrorState.ACTIVE),
        (96, 0, ErrorState.WARNING),
        (0, 127, ErrorState.WARNING),
        (128, 0, ErrorState.PASSIVE),
        (0, 255, ErrorState.PASSIVE),
        (255, 0, ErrorState.PASSIVE),
        (256, 0, ErrorState.BUS_OFF),
    ],
)
def test_states_have_the_standards_limits(tec: int, rec: int, state: ErrorState) -> None:
    """Warning at 96, passive at 128, bus-off at a transmit counter of 256."""
    assert state_of(tec, rec) is state


@pytest.mark.parametrize(("before", "after"), [(0, 0), (1, 0), (127, 126), (128, 127), (200, 127)])
def test_reception_lowers_the_counter(before: int, after: int) -> None:
    """A frame received without error takes 1; from above 127 it goes back to 127 at once."""
    assert after_reception(before) == after


@pytest.mark.parametrize("kind", ErrorKind)
def test_error_is_repeated_and_counted(kind: ErrorKind) -> None:
    """Transmitter +8 and -1 for the repetition, receivers +1 and -1, one frame heard."""
    line = Line()
    sender, receiver = Station(line.bus, "sender"), Station(line.bus, "receiver")
    line.disturb(kind)
    sender.send(FRAME)
    line.run_bits(1000)
    assert [(who, what) for _t_s, who, what in line.errors] == [("sender", kind)]
    assert (sender.node.tec, receiver.node.rec) == (7, 0)
    assert [frame for _t_s, frame in receiver.seen] == [FRAME]
    assert (sender.sent, sender.lost) == ([b"\x01"], [])
    assert (line.bus.frame_count, line.bus.error_count) == (1, 1)


def test_error_frame_takes_its_bits() -> None:
    """Form error: 46 bits, 6 flag, 8 delimiter, 3 intermission; then the frame's 55."""
    line = Line()
    sender, receiver = Station(line.bus, "sender"), Station(line.bus, "receiver")
    line.disturb(ErrorKind.FORM)
    sender.send(FRAME)
    line.run_bits(1000)
    assert line.bits(line.errors[0][0]) == 46
    assert line.bits(receiver.seen[0][0]) == 46 + 6 + 8 + 3 + 55
    assert (line.bus.error_bits, line.bus.busy_bits) == (46 + 6 + 8, 55)


def test_eight_good_frames_pay_for_an_error() -> None:
    """The transmit counter goes down by 1 a frame."""
    line = Line()
    sender = Station(line.bus, "sender")
    Station(line.bus, "receiver")
    line.disturb(ErrorKind.BIT)
    counts = []
    for _ in range(8):
        sender.send(FRAME)
        line.run_bits(1000)
        counts.append(sender.node.tec)
    assert counts == [7, 6, 5, 4, 3, 2, 1, 0]


def test_states_follow_the_errors_until_bus_off() -> None:
    """12 errors warn, 16 make passive, 32 bus-off; the frame is lost, and told."""
    line = Line()
    sender, receiver = Station(line.bus, "sender"), Station(line.bus, "receiver")
    line.disturb(*[ErrorKind.BIT] * 100)
    sender.send(FRAME)
    line.run_bits(100_000)
    errors_s = [t_s for t_s, _who, _what in line.errors]
    assert len(errors_s) == BIT_ERRORS_TO_BUS_OFF
    assert sender.states == [
        (ErrorState.WARNING, errors_s[96 // 8 - 1]),
        (ErrorState.PASSIVE, errors_s[128 // 8 - 1]),
        (ErrorState.BUS_OFF, errors_s[256 // 8 - 1]),
    ]
    assert (receiver.node.rec, receiver.node.state) == (32, ErrorState.ACTIVE)
    assert (sender.lost, sender.node.lost_frames, sender.node.bus_off_count) == ([b"\x01"], 1, 1)
    assert not sender.send(FRAME)
    assert sender.node.refused_frames == 1


def test_bus_off_node_hears_and_acknowledges_nothing() -> None:
    """Without the node that is bus-off the other one stands alone."""
    line = Line()
    first, second = Station(line.bus, "first"), Station(line.bus, "second")
    line.disturb(*[ErrorKind.BIT] * BIT_ERRORS_TO_BUS_OFF)
    first.send(FRAME)
    line.run_bits(10_000)
    assert first.node.is_bus_off
    second.send(FRAME)
    line.run_bits(1_000)
    assert first.seen == []
    assert {kind for _t_s, who, kind in line.errors if who == "second"} == {ErrorKind.ACK}


def test_lone_node_goes_passive_and_never_off() -> None:
    """Without acknowledge it repeats for ever: 16 attempts at 8 each, then the counter stands.

    An attempt takes 47 bits to the end of the ACK slot, 14 of error frame and 3 of intermission;
    from the moment at which the node is passive it suspends for 8 bits more.
    """
    line = Line()
    lone = Station(line.bus, "lone")
    lone.send(FRAME)
    line.run_bits(100_000)
    assert lone.states == [
        (ErrorState.WARNING, line.errors[11][0]),
        (ErrorState.PASSIVE, line.errors[15][0]),
    ]
    assert lone.node.tec == 128
    assert {kind for _t_s, _who, kind in line.errors} == {ErrorKind.ACK}
    times = [line.bits(t_s) for t_s, _who, _kind in line.errors]
    gaps = [round(later - earlier, 2) for earlier, later in itertools.pairwise(times)]
    assert times[0] == 47
    assert set(gaps[:15]) == {47 + 14 + 3}
    assert set(gaps[15:]) == {47 + 14 + 3 + 8}
    assert len(times) == 16 + (100_000 - int(times[15])) // 72


@pytest.mark.parametrize(
    ("receiver_rec", "state"), [(0, ErrorState.BUS_OFF), (128, ErrorState.PASSIVE)]
)
def test_missing_acknowledge_is_excused_where_nobody_flags(
    receiver_rec: int, state: ErrorState
) -> None:
    """A passive sender counts if a dominant flag meets its own; among passive nodes it does not.

    The acknowledges are destroyed on the wire, which active receivers answer with their flag.
    """
    line = Line()
    sender, receiver = Station(line.bus, "sender"), Station(line.bus, "receiver")
    receiver.node._count(0, receiver_rec)
    line.disturb(*[ErrorKind.ACK] * 40)
    sender.send(FRAME)
    line.run_bits(39 * 72)
    assert sender.node.state is state


def test_lone_node_is_relieved_by_a_newcomer() -> None:
    """As soon as somebody acknowledges the frame passes."""
    line = Line()
    lone = Station(line.bus, "lone")
    lone.send(FRAME)
    line.run_bits(5_000)
    newcomer = Station(line.bus, "newcomer")
    line.run_bits(1_000)
    assert [frame for _t_s, frame in newcomer.seen] == [FRAME]
    assert (lone.sent, lone.node.tec, lone.node.state) == ([b"\x01"], 127, ErrorState.WARNING)


def test_acknowledge_that_leaves_in_the_middle_of_the_frame_is_missed() -> None:
    """A frame whose only receiver is gone before the ACK slot gets no acknowledge."""
    line = Line()
    sender, receiver = Station(line.bus, "sender"), Station(line.bus, "receiver")
    sender.send(FRAME)
    line.run_bits(30)
    receiver.node.detach()
    line.run_bits(30)
    assert [line.bits(t_s) for t_s, _who, _kind in line.errors] == [47]


def test_acknowledge_that_was_given_stays_given() -> None:
    """A receiver that leaves after the ACK slot has acknowledged."""
    line = Line()
    sender, receiver = Station(line.bus, "sender"), Station(line.bus, "receiver")
    sender.send(FRAME)
    line.run_bits(50)
    receiver.node.detach()
    line.run_bits(30)
    assert (line.errors, sender.sent) == ([], [b"\x01"])


def test_listen_only_node_hears_and_does_nothing_else() -> None:
    """It neither acknowledges nor counts errors nor sends; it hears what others acknowledge."""
    line = Line()
    sender = Station(line.bus, "sender")
    monitor = Station(line.bus, "monitor", listen_only=True)
    assert not monitor.send(FRAME)
    assert monitor.node.refused_frames == 1
    sender.send(FRAME)
    line.run_bits(5_000)
    assert monitor.seen == []
    assert (monitor.node.rec, monitor.node.state) == (0, ErrorState.ACTIVE)
    Station(line.bus, "receiver")
    line.run_bits(500)
    assert [frame for _t_s, frame in monitor.seen] == [FRAME]
    monitor.node.set_listen_only(False)
    assert monitor.send(FRAME)


def test_passive_sender_lets_the_others_go_first() -> None:
    """It suspends 8 bits past the intermission, so a higher identifier overtakes it."""
    line = Line()
    sender, other = Station(line.bus, "sender"), Station(line.bus, "other")
    line.disturb(*[ErrorKind.BIT] * 17)
    sender.send(FRAME)
    while len(line.errors) < 17:
        line.run_bits(1)
    assert sender.node.is_passive
    other.send(CanFrame(0x7FF))
    line.run_bits(400)
    assert [frame.arbitration_id for _t_s, frame in sender.seen] == [0x7FF]
    frame_starts = line.bits(other.seen[0][0]) - bit_length(FRAME)
    other_ends = line.bits(sender.seen[0][0])
    assert frame_starts == pytest.approx(other_ends + INTERFRAME_BITS)


def test_suspension_has_eight_bits() -> None:
    """Alone with its frames a passive sender repeats 8 bits later than an active one."""
    line = Line()
    sender = Station(line.bus, "sender")
    Station(line.bus, "receiver")
    line.disturb(*[Disturbance(ErrorKind.FORM)] * 17)
    sender.send(FRAME)
    line.run_bits(5_000)
    times = [line.bits(t_s) for t_s, _who, _kind in line.errors]
    attempt = 46 + FLAG_BITS + DELIMITER_BITS + INTERFRAME_BITS
    assert times[1] - times[0] == pytest.approx(attempt)
    assert times[16] - times[15] == pytest.approx(attempt + SUSPEND_BITS)


def test_one_identifier_from_two_nodes_ends_as_published() -> None:
    """16 collisions make both passive; then the dominant one passes, and the other after it.

    So Cho and Shin describe it (CCS 2016, "Error Handling of In-vehicle Networks Makes Them
    Vulnerable"): both transmit counters rise together; the node with the recessive bit then falls
    silent at +8, and its frame follows at -1.
    """
    line = Line()
    first, second = Station(line.bus, "recessive"), Station(line.bus, "dominant")
    listener = Station(line.bus, "listener")
    first.send(CanFrame(0x14, b"\x03"))
    second.send(CanFrame(0x14, b"\x01"))
    line.run_bits(10_000)
    assert [kind for _t_s, _who, kind in line.errors] == [ErrorKind.BIT] * 16
    assert [frame.data for _t_s, frame in listener.seen] == [b"\x01", b"\x03"]
    assert (second.node.tec, first.node.tec) == (128 - 1, 128 + 8 - 1)
    (first_s, _), (second_s, last) = listener.seen
    pause = line.bits(second_s - first_s) - bit_length(last)
    assert pause == pytest.approx(INTERFRAME_BITS + SUSPEND_BITS)
    assert first.seen == []  # it was in its passive flag while the other's frame passed
    assert [frame.data for _t_s, frame in second.seen] == [b"\x03"]


def test_queue_overflow_is_counted_over_the_bus() -> None:
    """The bus sums what the nodes' queues did not take."""
    line = Line()
    lone = Station(line.bus, "lone")
    taken = [lone.send(FRAME) for _ in range(300)]
    assert taken.count(False) == line.bus.dropped_frames == 300 - 256


attempts = st.lists(
    st.one_of(
        st.none(),
        st.sampled_from(list(ErrorKind)),
        st.builds(Disturbance, st.sampled_from(list(ErrorKind)), st.integers(1, 140)),
    ),
    max_size=120,
)


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 0.003), st.integers(0, 2)), min_size=1, max_size=30),
    attempts,
    st.booleans(),
)
def test_no_frame_is_lost_in_silence_or_doubled(
    plan: list[tuple[float, int]], faults: list[ErrorKind | Disturbance | None], recover: bool
) -> None:
    """Whatever errors come: each frame passes once for all, or is told as lost once."""
    line = Line()
    line.bus.auto_recover_s = 0.001 if recover else None
    stations = [Station(line.bus, name) for name in "abc"]
    listener = Station(line.bus, "listener", listen_only=True)
    line.disturb(*faults)
    given_frames = []
    for number, (at_s, who) in enumerate(sorted(plan)):
        line.env.run(until=max(at_s, 1e-9 + line.env.now))
        data = bytes((number,))
        if stations[who].send(CanFrame(0x100 + who, data)):
            given_frames.append(data)
    line.run_bits(200_000)
    sent = [data for station in stations for data in station.sent]
    lost = [data for station in stations for data in station.lost]
    waiting = sum(station.node.pending_frames for station in stations)
    assert len(sent) + len(lost) + waiting == len(given_frames)
    assert waiting == 0 or sum(not station.node.is_bus_off for station in stations) < 2
    assert len({*sent, *lost}) == len(sent) + len(lost)
    assert sorted(frame.data for _t_s, frame in listener.seen) == sorted(sent)
    for station in stations:
        assert station.node.lost_frames == len(station.lost)


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=12), attempts)
def test_bits_add_up_to_the_time(
    payloads: list[bytes], faults: list[ErrorKind | Disturbance | None]
) -> None:
    """On a bus that never rests, frames, errors, intermissions and suspensions are all the time."""
    line = Line()
    sender = Station(line.bus, "sender")
    receiver = Station(line.bus, "receiver")
    line.disturb(*faults[:12])  # too few to be passive
    for payload in payloads:
        sender.send(CanFrame(0x100, payload))
    line.env.run(until=1.0)
    assert len(receiver.seen) == len(payloads)
    pauses = (line.bus.frame_count + line.bus.error_count - 1) * INTERFRAME_BITS
    taken = line.bus.busy_bits + line.bus.error_bits + pauses
    assert line.bits(receiver.seen[-1][0]) == pytest.approx(taken, abs=0.01)


def test_stuff_error_within_the_identifier_costs_the_transmitter_nothing() -> None:
    """Its counter stands; the receivers count as ever."""
    line = Line()
    sender, receiver = Station(line.bus, "sender"), Station(line.bus, "receiver")
    line.disturb(Disturbance(ErrorKind.STUFF, 6))
    sender.send(FRAME)
    line.run_bits(30)
    assert (sender.node.tec, receiver.node.rec) == (0, 1)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 3), st.integers(0x100, 0x103)),
        st.tuples(
            st.sampled_from(["withdraw", "recover", "detach", "attach", "listen", "take part"]),
            st.integers(0, 3),
            st.just(0),
        ),
        st.tuples(
            st.just("rate"), st.integers(0, 3), st.sampled_from([125_000, 500_000, 1_000_000])
        ),
        st.tuples(st.just("wait"), st.just(0), st.integers(1, 400)),
    ),
    max_size=60,
)


@hypothesis_settings(max_examples=80, deadline=None)
@given(steps, attempts)
def test_whatever_happens_to_the_nodes_each_frame_has_one_fate(
    plan: list[tuple[str, int, int]], faults: list[ErrorKind | Disturbance | None]
) -> None:
    """Nodes come, go, fall silent, change their rate: a frame passes, is lost, or still waits."""
    line = Line()
    line.bus.auto_recover_s = 0.002
    listener = Station(line.bus, "listener")
    stations = [Station(line.bus, name) for name in "abcd"]
    gone: list[Station] = []
    line.disturb(*faults)
    taken = []
    for number, (what, who, value) in enumerate(plan):
        station = stations[who]
        node = station.node
        if what == "wait":
            line.run_bits(value)
        elif what == "attach":
            gone.append(station)
            node.detach()
            stations[who] = Station(line.bus, station.node.name)
        elif what == "detach":
            node.detach()
        elif what == "withdraw":
            node.withdraw()
        elif what == "recover":
            node.recover()
        elif what == "rate":
            node.set_bitrate(value)
        elif what == "send":
            data = bytes((number,))
            if node.attached and station.send(CanFrame(value, data)):
                taken.append(data)
        else:
            node.set_listen_only(what == "listen")
    line.run_bits(3_000)
    everyone = [*stations, *gone]
    sent = [data for station in everyone for data in station.sent]
    lost = [data for station in everyone for data in station.lost]
    waiting = sum(station.node.pending_frames for station in everyone)
    assert len(taken) == len(sent) + len(lost) + waiting
    assert len({*sent, *lost}) == len(sent) + len(lost)
    heard = [frame.data for _t_s, frame in listener.seen]
    assert len(set(heard)) == len(heard)
    assert set(heard) <= set(sent)
    assert line.bus.busy_bits + line.bus.error_bits <= line.bits(line.env.now) + 40


def test_faults_are_asked_once_for_each_attempt() -> None:
    """Also where a frame loses the arbitration in its first bit, or the nodes change."""
    line = Line()
    asked = []
    line.bus.faults.append(lambda _t_s, sender, frame: asked.append(frame.arbitration_id))
    low, high = Station(line.bus, "low"), Station(line.bus, "high")
    low.send(CanFrame(0x200))
    high.send(CanFrame(0x100))
    Station(line.bus, "late")
    line.run_bits(1_000)
    assert sorted(asked) == [0x100, 0x200]


def test_detached_sender_does_not_repeat() -> None:
    """A frame that an error destroys after its node has left is lost."""
    line = Line()
    sender, receiver = Station(line.bus, "sender"), Station(line.bus, "receiver")
    line.disturb(ErrorKind.FORM)
    sender.send(FRAME)
    line.run_bits(10)
    sender.node.detach()
    line.run_bits(1_000)
    assert (sender.lost, receiver.seen) == ([b"\x01"], [])


def test_bit_rate_of_a_node_is_that_of_the_bus_or_its_own() -> None:
    """Without one of its own a node has the bus' bit rate; it must be positive."""
    line = Line()
    node = Station(line.bus, "node").node
    assert node.has_bus_rate
    with pytest.raises(ValueError, match="expected more than 0, got -1"):
        node.set_bitrate(-1)
    with pytest.raises(ValueError, match="CAN node 'bad': expected more than 0, got 0"):
        Station(line.bus, "bad", bitrate_bps=0)
