"""One controller shared by several programs, with the rules of SocketCAN."""

from __future__ import annotations

import pytest
import simpy

from sim.can.acceptance import Acceptance
from sim.can.bus import CanBus
from sim.can.confinement import ErrorState
from sim.can.errors import DetachedError
from sim.can.faults import ErrorKind
from sim.can.frame import CanFrame
from sim.can.interface import (
    ERR_ACK,
    ERR_BUS_ERROR,
    ERR_BUS_OFF,
    ERR_CONTROLLER,
    ERR_PROTOCOL,
    ERR_RESTARTED,
    SEND_QUEUE_FRAMES,
    CanInterface,
    CanSocket,
)


class Program:
    """Keeps what its socket hears."""

    def __init__(self, interface: CanInterface, **options: object) -> None:
        self.heard: list[tuple[int, float]] = []
        self.errors: list[tuple[int, bytes]] = []
        self.socket: CanSocket = interface.open(
            lambda frame, t_s: self.heard.append((frame.arbitration_id, t_s)),
            on_error=lambda error, data, _t_s: self.errors.append((error, data)),
            **options,  # type: ignore[arg-type]
        )

    @property
    def ids(self) -> list[int]:
        """Identifiers in the order in which they were heard."""
        return [arbitration_id for arbitration_id, _t_s in self.heard]


@pytest.fixture
def bus() -> CanBus:
    """A bus with one other node."""
    bus = CanBus(simpy.Environment())
    bus.attach("other", lambda _frame, _t_s: None)
    return bus


@pytest.fixture
def interface(bus: CanBus) -> CanInterface:
    """An interface on it."""
    return CanInterface(bus)


def test_sockets_hear_the_bus_and_each_other(bus: CanBus, interface: CanInterface) -> None:
    """At the instant at which a frame ends on the bus; not themselves, unless they want to."""
    one, two, own = (Program(interface, receive_own=n == 2) for n in range(3))
    other = bus.attach("ecu", lambda _frame, _t_s: None)
    ends: list[float] = []
    assert one.socket.send(CanFrame(0x100), ends.append)
    assert own.socket.send(CanFrame(0x101))
    other.send(CanFrame(0x102))
    bus.env.run()
    assert one.ids == [0x101, 0x102]
    assert two.ids == [0x100, 0x101, 0x102]
    assert own.ids == [0x100, 0x101, 0x102]
    assert ends == [two.heard[0][1]]
    assert ends[0] == pytest.approx(bus.frame_time_s(CanFrame(0x100)))


def test_frames_go_out_in_the_order_of_sending(bus: CanBus, interface: CanInterface) -> None:
    """A queue is no priority queue; other nodes get their turn between them."""
    heard: list[int] = []
    other = bus.attach("ecu", lambda frame, _t_s: heard.append(frame.arbitration_id))
    bus.attach("ear", lambda frame, _t_s: heard.append(frame.arbitration_id) if frame.data else 0)
    one, two = Program(interface), Program(interface)
    for number in range(4):
        one.socket.send(CanFrame(0x700 - number))
        two.socket.send(CanFrame(0x600 - number))
    bus.env.run(until=0.00001)
    other.send(CanFrame(0x500, b"1"))
    bus.env.run()
    assert heard == [0x700, 0x500, 0x600, 0x6FF, 0x5FF, 0x6FE, 0x5FE, 0x6FD, 0x5FD]


def test_without_loopback_nobody_beside_hears_it(bus: CanBus, interface: CanInterface) -> None:
    """The bus does; and the socket itself if it wants its own frames."""
    heard: list[int] = []
    bus.attach("ecu", lambda frame, _t_s: heard.append(frame.arbitration_id))
    quiet = Program(interface, loopback=False, receive_own=True)
    beside = Program(interface)
    quiet.socket.send(CanFrame(0x123))
    bus.env.run()
    assert (beside.ids, quiet.ids, heard) == ([], [0x123], [0x123])


def test_each_socket_has_filters(bus: CanBus, interface: CanInterface) -> None:
    """None takes all, an empty list none; they can be changed."""
    program = Program(interface, filters=[Acceptance(0x100, 0x700, False)])
    beside = Program(interface)
    for arbitration_id in (0x123, 0x200):
        beside.socket.send(CanFrame(arbitration_id))
    beside.socket.send(CanFrame(0x100, is_extended=True))
    bus.env.run()
    assert program.ids == [0x123]
    for filters, heard in ((None, 2), ([], 2)):
        program.socket.set_filters(filters)
        beside.socket.send(CanFrame(0x555))
        bus.env.run()
        assert len(program.ids) == heard


def test_a_full_queue_refuses_and_tells_when_there_is_room(
    bus: CanBus, interface: CanInterface
) -> None:
    """Each socket has its own; a program that floods does not take another one's place."""
    program, beside = Program(interface), Program(interface)
    room: list[int] = []
    program.socket.on_room = lambda: room.append(program.socket.pending_frames)
    taken = [program.socket.send(CanFrame(number)) for number in range(SEND_QUEUE_FRAMES + 5)]
    assert taken == [True] * SEND_QUEUE_FRAMES + [False] * 5
    assert program.socket.refused_frames == 5
    assert not program.socket.has_room
    assert beside.socket.send(CanFrame(0x7FF))
    bus.env.run()
    assert room == [SEND_QUEUE_FRAMES // 2]
    assert len(beside.ids) == SEND_QUEUE_FRAMES
    assert program.socket.pending_frames == 0


def test_a_closed_socket_is_silent_and_deaf(bus: CanBus, interface: CanInterface) -> None:
    """What it sent before still goes out."""
    program, beside = Program(interface), Program(interface)
    program.socket.send(CanFrame(0x100))
    program.socket.close()
    program.socket.close()
    beside.socket.send(CanFrame(0x101))
    assert not program.socket.send(CanFrame(0x102))
    bus.env.run()
    assert (program.ids, beside.ids) == ([], [0x100])
    assert interface.sockets == (beside.socket,)


def test_counters_are_those_of_the_interface(bus: CanBus, interface: CanInterface) -> None:
    """An own frame is counted as sent, whoever hears it."""
    program = Program(interface)
    Program(interface)
    other = bus.attach("ecu", lambda _frame, _t_s: None)
    program.socket.send(CanFrame(0x100, b"123"))
    other.send(CanFrame(0x101, b"12345"))
    bus.env.run()
    assert (interface.sent_frames, interface.sent_bytes) == (1, 3)
    assert (interface.received_frames, interface.received_bytes) == (1, 5)


def test_error_frames_follow_the_controller_to_bus_off_and_back(
    bus: CanBus, interface: CanInterface
) -> None:
    """Warning, passive, bus-off, restarted: classes and bytes of error.h; the frame is lost."""
    program = Program(interface)
    lost: list[float] = []
    bus.faults.append(lambda _t_s, sender, _frame: ErrorKind.FORM if sender == "can0" else None)
    program.socket.send(CanFrame(0x100), None, lost.append)
    bus.env.run(until=0.1)
    assert interface.node.state is ErrorState.BUS_OFF
    assert len(lost) == 1
    assert program.socket.pending_frames == 0
    bus_errors = [data for error, data in program.errors if error == ERR_PROTOCOL | ERR_BUS_ERROR]
    assert len(bus_errors) == 32
    assert bus_errors[0][2:4] == b"\x82\x00"  # form, in sending
    states = [(error, data[1]) for error, data in program.errors if not error & ERR_BUS_ERROR]
    assert states == [(ERR_CONTROLLER, 0x08), (ERR_CONTROLLER, 0x20), (ERR_BUS_OFF, 0)]
    assert not program.socket.send(CanFrame(0x100))
    bus.faults.clear()
    interface.node.recover()
    bus.env.run(until=0.2)
    assert program.errors[-1] == (ERR_RESTARTED, bytes(8))
    assert program.socket.send(CanFrame(0x100))


def test_a_missing_acknowledge_is_told() -> None:
    """An interface alone on a bus."""
    bus = CanBus(simpy.Environment())
    program = Program(CanInterface(bus))
    program.socket.send(CanFrame(0x100))
    bus.env.run(until=0.01)
    assert program.errors[0][0] == ERR_ACK | ERR_BUS_ERROR


def test_bus_errors_can_be_left_out(bus: CanBus) -> None:
    """As most drivers do: then only the states are told."""
    program = Program(CanInterface(bus, "can0", bus_errors=False))
    bus.faults.append(lambda _t_s, sender, _frame: ErrorKind.BIT if sender == "can0" else None)
    program.socket.send(CanFrame(0x100))
    bus.env.run(until=0.1)
    assert [error for error, _data in program.errors] == [
        ERR_CONTROLLER,
        ERR_CONTROLLER,
        ERR_BUS_OFF,
    ]


def test_listening_only_it_sends_nothing(bus: CanBus) -> None:
    """It hears all the same."""
    program = Program(CanInterface(bus, "can0", listen_only=True))
    bus.attach("ecu", lambda _frame, _t_s: None).send(CanFrame(0x100))
    bus.env.run()
    assert program.ids == [0x100]
    assert not program.socket.send(CanFrame(0x101))


def test_an_interface_that_is_gone_refuses(bus: CanBus, interface: CanInterface) -> None:
    """Its sockets are closed; the node itself raises."""
    program = Program(interface)
    interface.detach()
    assert program.socket.closed
    assert not program.socket.send(CanFrame(0x100))
    with pytest.raises(DetachedError):
        interface.node.send(CanFrame(0x100))
