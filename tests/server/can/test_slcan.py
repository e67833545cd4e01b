"""The gateway's client of slcan, against an adapter on a PTY."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import can
import pytest

from server.can.frame import ERROR, EXTENDED, REMOTE, Acceptance, CanFrame
from server.can.options import PortOptions
from server.can.port import CanPort
from server.can.slcan import SlcanBus, Stamps
from server.clock import SystemClock
from server.errors import LinkLost
from tests.server.can.fakes import Adapter, wait_for

MS = 1_000_000


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PTY answers at once."""
    monkeypatch.setattr("server.can.slcan.DRAIN_QUIET_S", 0.02)
    monkeypatch.setattr("server.can.slcan.ANSWER_TIMEOUT_S", 0.1)


@contextmanager
def opened(adapter: Adapter, bitrate: int = 500_000, **options: object) -> Iterator[CanPort]:
    """An open port that does not ask for the status."""
    further = {"status_s": 0.0, **options}
    port = CanPort(
        PortOptions("slcan", adapter.path, bitrate=bitrate, options=further), SystemClock()
    )
    port.open()
    try:
        yield port
    finally:
        port.close()


def received(port: CanPort, count: int) -> list[CanFrame]:
    """Wait for frames."""
    frames: list[CanFrame] = []
    end_s = time.monotonic() + 5
    while len(frames) < count and time.monotonic() < end_s:
        frames += port.receive()
    return frames


def test_opening_and_closing(adapter: Adapter) -> None:
    """The adapter gets its bit rate and goes on the bus; at the end it leaves it."""
    with opened(adapter, bitrate=250_000):
        assert adapter.heard == ["C", "S5", "O"]
    wait_for(lambda: adapter.heard[-1] == "C")


def test_an_adapter_that_is_closed_already(adapter: Adapter) -> None:
    """Its BEL to C, and its CR to an empty line, are not taken for answers to what follows."""
    adapter.refused = "C"
    with opened(adapter):
        assert adapter.heard == ["C", "S6", "O"]


def test_listening_only_with_time_stamps(adapter: Adapter) -> None:
    """The options choose the letters."""
    with opened(adapter, listen_only=True, timestamps=True):
        assert adapter.heard == ["C", "S6", "Z1", "L"]


def test_frames_of_all_four_kinds(adapter: Adapter) -> None:
    """11 and 29 bits, data and remote; in one piece or cut."""
    with opened(adapter) as port:
        adapter.send(b"t1232AABB\rT18DAF1100\rr0053\rR000000011\rt10")
        time.sleep(0.02)
        adapter.send(b"01FF\r")
        frames = received(port, 5)
    assert [(frame.can_id, frame.data.hex()) for frame in frames] == [
        (0x123, "aabb"),
        (EXTENDED | 0x18DAF110, ""),
        (REMOTE | 5, ""),
        (REMOTE | EXTENDED | 1, ""),
        (0x100, "ff"),
    ]
    assert all(frame.time_ns == frame.received_ns for frame in frames)


def test_unwanted_frames_are_left_out(adapter: Adapter) -> None:
    """By their first characters, also the last one of what came together; 29 bits are not 11."""
    with opened(adapter) as port:
        port.accept([Acceptance(0x124, 0x7FF), Acceptance(0x124, is_extended=True)])
        adapter.send(b"t1230\rt1240\rt1230\rT000001240\rT000001230\rr1250\rt1230\r")
        taken = received(port, 2)
        assert [frame.can_id for frame in taken] == [0x124, EXTENDED | 0x124]
        wait_for(lambda: not port.receive() and port.counters["frames_unwanted"] == 5)
        assert port.counters["frames_malformed"] == 0


def test_python_can_makes_messages_of_what_is_wanted_alone(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full bus most frames are nobody's: a message is made of one of a hundred of them."""
    made: list[float] = []
    real = can.Message
    monkeypatch.setattr(
        "can.interfaces.slcan.Message", lambda **keys: made.append(0) or real(**keys)
    )
    with opened(adapter) as port:
        port.accept([Acceptance(0x124, 0x7FF)])
        adapter.send(b"t1230\r" * 100 + b"t1240\r")
        assert [frame.can_id for frame in received(port, 1)] == [0x124]
        assert port.counters["frames_unwanted"] == 100
    assert len(made) < 20  # the last one of each read, too, and a read may end anywhere


def test_time_stamps_keep_the_distances(adapter: Adapter) -> None:
    """Frames that were read together lie as far apart as the adapter says, none ahead."""
    with opened(adapter) as port:
        adapter.send(b"t1230EA5F\rt12300005\r")  # 59999 ms, then 5 ms: 6 ms later
        first, second = received(port, 2)
    assert second.time_ns - first.time_ns == 6 * MS
    assert second.time_ns == second.received_ns


class StillClock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.s = 100.0

    def now_ns(self) -> int:
        raise NotImplementedError

    def monotonic_s(self) -> float:
        return self.s


def test_stamps_over_silent_minutes() -> None:
    """The adapter's minute turns unseen; the distance is right all the same."""
    clock = StillClock()
    stamps = Stamps(clock)
    began_s = stamps.time_s(59_990)
    minutes = 0
    for more, stamp in ((1, 59_995), (2, 0), (5, 10)):
        minutes += more
        clock.s = 100.02 + 60 * minutes
        assert 0 <= stamps.time_s(stamp) - began_s - 60 * minutes <= 0.02


def test_an_error_among_stamped_frames(adapter: Adapter) -> None:
    """It has no stamp of its own, and takes none from the frames."""
    with opened(adapter) as port:
        adapter.send(b"t12300001\rF20\rt1230000B\r")
        first, error, second = received(port, 3)
        assert port.is_stamped
    assert error.can_id == ERROR | 0x04
    assert error.time_ns == error.received_ns
    assert second.time_ns - first.time_ns == 10 * MS


@pytest.mark.parametrize(
    "nonsense",
    [b"t12\r", b"t1239\r", b"tXYZ0\r", b"t1232AA\r", b"t1232AABBC\r", b"q\r", b"FZZ\r", b"t8000\r"],
)
def test_malformed_lines_are_counted(adapter: Adapter, nonsense: bytes) -> None:
    """A line that is none costs itself and nothing else."""
    with opened(adapter) as port:
        adapter.send(nonsense + b"t1231FF\r")
        assert [frame.data for frame in received(port, 1)] == [b"\xff"]
        assert port.counters["frames_malformed"] == 1


def test_endless_noise_is_dropped(adapter: Adapter) -> None:
    """A wrong baud rate gives no line ends; nothing grows."""
    with opened(adapter) as port:
        adapter.send(b"\x80" * 500)
        wait_for(lambda: port.receive() == [] and port.counters["frames_malformed"])
        adapter.send(b"\rt1231FF\r")
        assert received(port, 1)[0].data == b"\xff"


def test_status_flags_become_error_frames(adapter: Adapter) -> None:
    """Error passive (20) and an overrun (08) are told as SocketCAN tells them."""
    adapter.status = "F28"
    with opened(adapter, status_s=0.01) as port:
        overflow, passive = received(port, 2)[:2]
    assert overflow.can_id == passive.can_id == ERROR | 0x04
    assert (overflow.data[1], passive.data[1]) == (0x03, 0x30)


def test_an_adapter_without_status_is_not_asked_for_ever(adapter: Adapter) -> None:
    """After three refusals of F there is no fourth."""
    adapter.refused = "F"
    with opened(adapter, status_s=0.001) as port:
        for _ in range(40):
            port.receive(0.01)
    assert adapter.heard.count("F") == 3
    assert port.counters["slcan_refused"] == 0


def test_sending(adapter: Adapter) -> None:
    """A frame is a line; its answer z is no frame, a BEL is counted."""
    with opened(adapter) as port:
        port.send(CanFrame(0x7DF, bytes.fromhex("02010C")))
        port.send(CanFrame(EXTENDED | 0x18DB33F1, b"\x01"))
        port.send(CanFrame(REMOTE | 0x100, b""))
        wait_for(lambda: len(adapter.heard) == 6)
        assert adapter.heard[3:] == ["t7DF302010C", "T18DB33F1101", "r1000"]
        adapter.refused = "t"
        port.send(CanFrame(0x7DF, b""))
        wait_for(lambda: port.receive(0.01) == [] and port.counters["slcan_refused"] == 1)
        assert port.counters["frames_malformed"] == 0


def test_a_mute_adapter_is_taken_as_it_is(adapter: Adapter) -> None:
    """Some firmware answers nothing; its frames come."""
    adapter.mute = True
    with opened(adapter) as port:
        adapter.send(b"t1230\r")
        assert received(port, 1)[0].can_id == 0x123


@pytest.mark.parametrize(("letter", "message"), [("S", "take S6"), ("O", "go on the bus")])
def test_refusals_at_opening(adapter: Adapter, letter: str, message: str) -> None:
    """BEL to the bit rate, or to opening, is told."""
    adapter.refused = letter
    with pytest.raises(LinkLost, match=message), opened(adapter):
        pass


def test_an_adapter_that_noise_or_a_reset_closed(
    monkeypatch: pytest.MonkeyPatch, adapter: Adapter
) -> None:
    """Silence: it is opened anew, again and again, until it says something."""
    monkeypatch.setattr("server.can.slcan.SILENCE_S", 0.2)
    adapter.mute = True
    with opened(adapter) as port:
        wait_for(lambda: port.receive(0.05) == [] and adapter.heard.count("O") == 3)
        assert adapter.heard[-3:] == ["C", "S6", "O"]
        assert port.counters["slcan_reopened"] == 2
        adapter.send(b"t1230\r")
        assert received(port, 1)


def test_flags_tell_that_a_quiet_bus_is_heard(
    monkeypatch: pytest.MonkeyPatch, adapter: Adapter
) -> None:
    """An adapter that answers F is on the bus, however quiet that is."""
    monkeypatch.setattr("server.can.slcan.SILENCE_S", 0.2)
    with opened(adapter, status_s=0.05) as port:
        end_s = time.monotonic() + 0.6
        while time.monotonic() < end_s:
            port.receive(0.05)
        assert port.counters["slcan_reopened"] == 0


def test_no_such_port(adapter: Adapter) -> None:
    """An adapter that is not plugged in."""
    adapter.unplug()
    with pytest.raises(LinkLost, match="expected a serial port at"), opened(adapter):
        pass


def test_a_port_that_another_program_holds(adapter: Adapter) -> None:
    """It is told, and the other one stays on the bus."""
    with opened(adapter):
        with pytest.raises(LinkLost, match="another program holds it"), opened(adapter):
            pass
        assert adapter.heard == ["C", "S6", "O"]


def test_a_pulled_cable(adapter: Adapter) -> None:
    """The port goes away while it is read, and while it is written."""
    with opened(adapter) as port:
        adapter.unplug()
        with pytest.raises(LinkLost, match="went away"):
            received(port, 1)
        with pytest.raises(LinkLost, match="sends nothing"):
            port.send(CanFrame(1, b""))


def test_a_pulled_adapter_is_closed(adapter: Adapter) -> None:
    """Its descriptor does not stay open when it cannot be told any more."""
    with opened(adapter) as port:
        bus = port._wire._bus
        adapter.unplug()
    assert isinstance(bus, SlcanBus)
    assert not bus.serialPortOrig.is_open


def test_a_port_without_a_descriptor(monkeypatch: pytest.MonkeyPatch, adapter: Adapter) -> None:
    """Where select does not help, it is polled; nothing that is there waits for more."""

    def fileno(self: object) -> int:
        raise NotImplementedError

    monkeypatch.setattr(SlcanBus, "fileno", fileno)
    with opened(adapter) as port:
        adapter.send(b"t1230\rt1231FF\r")
        assert [frame.data for frame in received(port, 2)] == [b"", b"\xff"]
        assert port.receive(0.01) == []
