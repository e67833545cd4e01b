"""The thread that reads, and its queue."""

from __future__ import annotations

import threading
import time
from collections import Counter
from types import SimpleNamespace

import pytest

from server.can.frame import CanFrame
from server.can.options import PortOptions
from server.can.port import CanPort
from server.can.reader import BUSY_FRAMES, UNSTAMPED_PAUSE_S, FrameReader
from server.clock import SystemClock
from server.errors import LinkLost
from tests.server.can.fakes import wait_for


class Port(CanPort):
    """Gives what a test has put there."""

    def __init__(self) -> None:
        super().__init__(PortOptions("socketcand", "can0"), SystemClock())
        self.batches: list[list[CanFrame]] = []
        self.error: Exception | None = None
        self.opening: Exception | None = None
        self.closed_by = ""
        self.received = 0
        self.stamped = True

    @property
    def is_stamped(self) -> bool:
        return self.stamped

    def open(self) -> None:
        if self.opening is not None:
            raise self.opening

    def receive(self, timeout_s: float = 0.25) -> list[CanFrame]:
        if self.error is None:
            self.received += 1
        if self.batches:
            return self.batches.pop(0)
        if self.error is not None:
            raise self.error
        time.sleep(0.001)
        return []

    def close(self) -> None:
        self.closed_by = threading.current_thread().name


def frames(*numbers: int) -> list[CanFrame]:
    """Frames with these identifiers."""
    return [CanFrame(number, b"") for number in numbers]


def reader_of(port: Port, queue_frames: int = 100) -> tuple[FrameReader, Counter[str]]:
    """A reader without pauses."""
    counts: Counter[str] = Counter()
    return FrameReader(port, queue_frames=queue_frames, batch_s=0.0, counters=counts), counts


def test_frames_come_through_in_order() -> None:
    """Several batches are taken at once."""
    port = Port()
    port.batches = [frames(1, 2), frames(3)]
    reader, _ = reader_of(port)
    reader.start()
    wait_for(lambda: not port.batches)
    taken: list[CanFrame] = []
    wait_for(lambda: taken.extend(reader.take(0.05)) or len(taken) == 3)
    assert [frame.can_id for frame in taken] == [1, 2, 3]
    reader.stop()
    assert port.closed_by.startswith("can socketcand can0")


def test_a_full_queue_drops_the_oldest() -> None:
    """And counts them."""
    port = Port()
    port.batches = [frames(1, 2, 3), frames(4, 5)]
    reader, counts = reader_of(port, queue_frames=3)
    reader.start()
    wait_for(lambda: counts["frames_dropped"] == 2)
    assert [frame.can_id for frame in reader.take(0.05)] == [3, 4, 5]
    reader.stop()


def test_the_last_frames_come_before_the_error() -> None:
    """What was read before the interface went away is not lost."""
    port = Port()
    port.batches, port.error = [frames(1)], LinkLost("gone")
    reader, _ = reader_of(port)
    reader.start()
    wait_for(lambda: port.closed_by)
    assert [frame.can_id for frame in reader.take(0.05)] == [1]
    with pytest.raises(LinkLost, match="gone"):
        reader.take(0.05)


def test_an_interface_that_does_not_open() -> None:
    """Its error comes out of `take`."""
    port = Port()
    port.opening = LinkLost("not there")
    reader, _ = reader_of(port)
    reader.start()
    with pytest.raises(LinkLost, match="not there"):
        wait_for(lambda: reader.take(0.05))
    assert not reader.is_open


@pytest.mark.parametrize(("is_stamped", "pause_s"), [(True, 0.01), (False, UNSTAMPED_PAUSE_S)])
def test_pauses_between_batches(
    monkeypatch: pytest.MonkeyPatch, is_stamped: bool, pause_s: float
) -> None:
    """Frames that bring their time may wait for others; else reading is their time."""
    pauses: list[float] = []
    monkeypatch.setattr("server.can.reader.time", SimpleNamespace(sleep=pauses.append))
    port = Port()
    port.stamped = is_stamped
    port.batches = [frames(1), frames(*range(BUSY_FRAMES)), frames(2), frames()]
    reader = FrameReader(port, queue_frames=1000, batch_s=0.01, counters=Counter())
    reader.start()
    wait_for(lambda: not port.batches and len(pauses) >= 3)
    port.error = LinkLost("gone")
    reader.stop()
    # None after a batch that shows a backlog; one after frames that were all left out.
    assert pauses[:3] == [pause_s] * 3
    assert len(pauses) == port.received - 1


def test_waiting_ends() -> None:
    """Without frames `take` gives none after its time."""
    reader, _ = reader_of(Port())
    reader.start()
    assert reader.take(0.01) == []
    reader.stop()
