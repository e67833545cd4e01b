"""A real port that a model drives: bytes both ways, its end, and its return."""

from __future__ import annotations

import contextlib
import os
import time
import tty
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from rig.stand.driven_port import DrivenPort, is_uart
from rig.walltime.clock import WallClock
from sim.serial_line import SerialLine

LIMIT_S = 20.0


class Cable:
    """A PTY whose one end is the driven port's; the other is this test's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plug_in()

    def plug_in(self) -> None:
        """Be there."""
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.path.symlink_to(os.ttyname(self.slave))

    def pull(self) -> None:
        """Hang up."""
        self.path.unlink(missing_ok=True)
        for descriptor in (self.slave, self.master):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def read(self) -> bytes:
        """Return what has come."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self.master, 4096)
        return b""


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    """One that is plugged in."""
    cable = Cable(tmp_path / "port")
    yield cable
    cable.pull()


def until(clock: WallClock, condition: Callable[[], bool]) -> None:
    """Run the world until something has happened; a busy machine takes its time."""
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen"
        clock.run(until_s=clock.env.now + 0.02)


def test_bytes_pass_both_ways(cable: Cable) -> None:
    """What the model says comes out at the other end; what is written there reaches the model."""
    clock = WallClock()
    line = SerialLine(clock.env, "obd", 115200)
    heard, told = bytearray(), bytearray()
    line.attach_device(heard.extend)
    port = DrivenPort(clock, line, str(cable.path), 115200, lambda *_: None)
    line.write(b"hello")
    os.write(cable.master, b"010C\r")

    def passed() -> bool:
        told.extend(cable.read())
        return len(told) == 5 and len(heard) == 5

    until(clock, passed)
    assert (bytes(told), bytes(heard)) == (b"hello", b"010C\r")
    port.close()
    port.close()


def test_a_cable_that_is_pulled_is_told_and_found_again(cable: Cable) -> None:
    """The world goes on; what the model says meanwhile is lost, and heard again afterwards."""
    clock = WallClock()
    line = SerialLine(clock.env, "obd", 115200)
    events: list[tuple[str, Mapping[str, Any]]] = []
    told = bytearray()

    def keep(_time_ns: int, kind: str, detail: Mapping[str, Any]) -> None:
        events.append((kind, detail))

    def heard() -> bool:
        told.extend(cable.read())
        return len(told) >= 5

    port = DrivenPort(clock, line, str(cable.path), 115200, keep)
    cable.pull()
    until(clock, lambda: bool(events))
    line.write(b"nobody hears this")
    until(clock, lambda: line.to_host.free_at_s < clock.env.now)
    cable.plug_in()
    until(clock, lambda: len(events) == 2)
    line.write(b"hello")
    until(clock, heard)
    assert [kind for kind, _ in events] == ["gone", "back"]
    assert events[0][1]["reason"]
    assert bytes(told) == b"hello"
    port.close()


def test_only_a_uart_takes_its_time(cable: Cable) -> None:
    """A PTY and a network do not: there the model keeps the pace."""
    assert not is_uart(str(cable.path))
    assert not is_uart("socket://box:1")
