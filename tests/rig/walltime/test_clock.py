"""Wall time: events at their instants, ports served at once, an end from outside."""

from __future__ import annotations

import os
import threading
import time

import pytest

from rig.walltime.clock import WallClock


def test_events_keep_their_order_and_instants() -> None:
    """Events come in the world's order, never early; the world's time ends where it was told."""
    clock = WallClock(pace=10.0)
    seen: list[tuple[float, float]] = []
    start_s = time.monotonic()

    def tick() -> object:
        for _ in range(5):
            yield clock.env.timeout(0.2)
            seen.append((clock.env.now, (time.monotonic() - start_s) * 10.0))

    clock.env.process(tick())  # type: ignore[arg-type]
    clock.run(until_s=1.5)
    assert [round(now_s, 9) for now_s, _ in seen] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert all(wall_s >= now_s for now_s, wall_s in seen)
    assert clock.env.now == 1.5


def test_a_port_is_served_when_it_speaks() -> None:
    """A descriptor's pump runs at the world's present, between events, without waiting for one."""
    clock = WallClock()
    reader, writer = os.pipe()
    heard: list[tuple[float, bytes]] = []

    def pump() -> None:
        heard.append((clock.env.now, os.read(reader, 100)))
        clock.stop()

    clock.watch_port(reader, pump)
    timer = threading.Timer(0.05, os.write, (writer, b"word"))
    timer.start()
    clock.run(until_s=60.0)
    timer.join()
    os.close(reader)
    os.close(writer)
    ((now_s, word),) = heard
    assert word == b"word"
    assert 0.0 < now_s < 60.0


def test_stop_from_another_thread_and_before_the_start() -> None:
    """`stop()` wakes a world in which nothing happens, and a stopped one does not start."""
    clock = WallClock()
    timer = threading.Timer(0.05, clock.stop)
    timer.start()
    clock.run()
    timer.join()
    assert clock.stopped
    clock.run()  # returns at once, else the test would hang


def test_lateness_is_counted() -> None:
    """What the machine did too late is told, so that nobody takes it for the model's delay."""
    clock = WallClock()
    clock.env.timeout(0.01)
    time.sleep(0.05)
    clock.run(until_s=0.06)
    assert clock.late_events >= 1
    assert clock.worst_lateness_s >= 0.03


@pytest.mark.parametrize("pace", [0.0, -1.0, float("nan")])
def test_a_pace_that_is_none(pace: float) -> None:
    """A world that stands still or goes back is refused."""
    with pytest.raises(ValueError, match="expected a positive number"):
        WallClock(pace)


def test_an_unwatched_port_is_looked_at_no_more() -> None:
    """After `unwatch_port` nothing is read; doing it twice is harmless."""
    clock = WallClock()
    reader, writer = os.pipe()
    clock.watch_port(reader, lambda: pytest.fail("read"))
    os.write(writer, b"x")
    clock.unwatch_port(reader)
    clock.unwatch_port(reader)
    clock.run(until_s=0.02)
    os.close(reader)
    os.close(writer)


def test_a_wait_below_a_millisecond_is_no_spin() -> None:
    """A bus with a frame in each half millisecond does not cost a core for looking at the clock."""
    clock = WallClock()
    ticks = 0

    def tick() -> object:
        nonlocal ticks
        while True:
            yield clock.env.timeout(0.0005)
            ticks += 1

    waits = 0
    wait = clock._wait

    def counted(wait_s: float) -> list[tuple[int, int]]:
        nonlocal waits
        waits += 1
        return wait(wait_s)

    clock._wait = counted  # type: ignore[method-assign]
    clock.env.process(tick())  # type: ignore[arg-type]
    clock.run(until_s=0.3)
    assert ticks == 599 or ticks == 600
    assert waits <= 2 * ticks, "each tick is waited for once, or missed"


def test_a_port_wakes_a_wait_below_a_millisecond() -> None:
    """What a client says is heard at once, whatever is due next; a full pipe is not written to."""
    clock = WallClock()
    reader, writer = os.pipe()
    heard: list[float] = []
    waits: list[float] = []

    def pump() -> None:
        heard.append(clock.env.now)
        os.read(reader, 100)
        clock.stop()

    wait = clock._wait

    def speaks_meanwhile(wait_s: float) -> list[tuple[int, int]]:
        waits.append(wait_s)
        os.write(writer, b"x")
        return wait(wait_s)

    clock._wait = speaks_meanwhile  # type: ignore[method-assign]
    clock.env.timeout(0.0009)
    clock.watch_port(reader, pump)
    clock.run(until_s=1.0)
    os.close(reader)
    os.close(writer)
    assert len(waits) == 1
    assert heard[0] < 0.0009 or waits[0] <= 0
