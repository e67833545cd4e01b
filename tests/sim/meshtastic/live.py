"""Radios in wall time, in a thread of this process, for clients that nobody here wrote."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rig.device.port import DevicePort
from rig.device.speaker import Speaker
from rig.walltime.clock import WallClock
from rig.walltime.radio_door import RadioDoor
from sim.meshtastic.group import GroupSetup, RadioGroup
from sim.meshtastic.radio import Radio
from sim.streams import RandomStreams

PATIENCE_S = 20.0


class LiveGroup:
    """A group of radios that runs `pace` times as fast as the wall; `close()` it.

    Attributes:
        serial: path of each radio's PTY.
        tcp: port of the first radio's API.
    """

    def __init__(self, pace: float = 40.0, **setup: Any) -> None:
        self.pace = pace
        self.clock = WallClock(pace)
        self.events: list[tuple[float, str, Any]] = []
        self.group = RadioGroup(
            self.clock.env,
            GroupSetup(**setup),
            RandomStreams(7),
            time.time_ns(),
            on_event=lambda _radio, *event: self.events.append(event),
        )
        self._ports = []
        self.serial: list[str] = []
        for radio in self.group.radios:
            assert radio.line is not None
            port = DevicePort(self.clock, radio.line, None)
            self._ports.append(port)
            self.serial.append(port.device_path)
        self._door = RadioDoor(
            self.clock, self.radio, 0, Speaker(True, clock=lambda: self.clock.env.now)
        )
        self._door.open()
        self.tcp = self._door.port
        self._calls: deque[Callable[[], None]] = deque()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK)
        self.clock.watch_port(self._bell, self._answer)
        self._thread = threading.Thread(target=self.clock.run, name="radios", daemon=True)
        self._thread.start()

    @property
    def radio(self) -> Radio:
        """The first radio."""
        return self.group.radios[0]

    def do(self, action: Callable[[], Any]) -> Any:
        """Run `action` in the radios' thread, and return what it returns."""
        done = threading.Event()
        result: list[Any] = []

        def call() -> None:
            try:
                result.append(action())
            finally:
                done.set()

        self._calls.append(call)
        os.eventfd_write(self._bell, 1)
        assert done.wait(PATIENCE_S)
        return result[0]

    def pause(self, simulated_s: float) -> None:
        """Let the radios' time pass."""
        time.sleep(simulated_s / self.pace)

    def close(self) -> None:
        """Stop the radios and take their ports away."""
        self.clock.stop()
        self._thread.join(PATIENCE_S)
        for port in self._ports:
            port.close()
        self._door.close()
        os.close(self._bell)

    def _answer(self) -> None:
        os.eventfd_read(self._bell)
        while self._calls:
            self._calls.popleft()()


def until(condition: Callable[[], Any], what: str = "it") -> Any:
    """Wait until something is true, and return it."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        found = condition()
        if found:
            return found
        time.sleep(0.005)
    raise AssertionError(f"expected {what} within {PATIENCE_S:g} s")


def repository() -> Path:
    """Return the folder of the project."""
    return Path(__file__).parents[3]
