"""A world of two bare lines on which faults strike."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import simpy

from rig.faults import FAULT_KINDS, FaultSpec, install
from sim.serial_line import SerialLine
from sim.streams import RandomStreams


class Part:
    """A device that notes what is asked of it."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def power_cycle(self) -> None:
        """Note it."""
        self.calls.append(("power_cycle",))

    def low_voltage_reset(self) -> None:
        """Note it."""
        self.calls.append(("low_voltage_reset",))

    def brown_out(self) -> None:
        """Note it."""
        self.calls.append(("brown_out",))

    def refuse_writes(self, refuse: bool) -> None:
        """Note it."""
        self.calls.append(("refuse_writes", refuse))

    def add_outage(self, start_s: float, end_s: float, kind: str = "tunnel") -> None:
        """Note it."""
        self.calls.append((kind, start_s, end_s))

    def wifi_out(self, out: bool) -> None:
        """Note it."""
        self.calls.append(("wifi_out", out))

    def wifi_fade(self, fade_db: float) -> None:
        """Note it."""
        self.calls.append(("wifi_fade", fade_db))

    def wifi_loss(self, loss: float) -> None:
        """Note it."""
        self.calls.append(("wifi_loss", loss))

    def reset(self, reason: str) -> None:
        """Note it."""
        self.calls.append(("reset", reason))

    def reboot(self) -> None:
        """Note it."""
        self.calls.append(("reboot",))

    def freeze(self, frozen: bool) -> None:
        """Note it."""
        self.calls.append(("freeze", frozen))

    def fade(self, by_db: float) -> None:
        """Note it."""
        self.calls.append(("fade", by_db))


class BusPart(Part):
    """A bus that notes what is asked of it, and that it is undone."""

    def _asked(self, *call: Any) -> Callable[[], None]:
        self.calls.append(call)
        return lambda: self.calls.append(("undo", call[0]))

    def disturb(self, probability: float, error: str, rng: random.Random) -> Callable[[], None]:
        """Note it."""
        return self._asked("disturb", probability, error)

    def choke(self, node: str, link: str) -> Callable[[], None]:
        """Note it."""
        return self._asked("choke", node, link)

    def mute(self, muted: bool) -> None:
        """Note it."""
        self.calls.append(("mute", muted))

    def flood(self, load_pct: float) -> Callable[[], None]:
        """Note it."""
        return self._asked("flood", load_pct)

    def add_wrong_rate(self, bitrate_bps: int) -> Callable[[], None]:
        """Note it."""
        return self._asked("add_wrong_rate", bitrate_bps)


class BareWorld:
    """Lines, streams, notes; what arrives at each end is kept with its instant."""

    def __init__(self, *, paced: bool = False) -> None:
        self.env = simpy.Environment()
        self.streams = RandomStreams(7)
        self.lines: dict[str, SerialLine] = {}
        self.adapter: Part | None = Part()
        self.receiver: Part | None = Part()
        self.fleet: Part | None = Part()
        self.mesh: Part | None = Part()
        self.can: BusPart | None = BusPart()
        self.notes: list[tuple[float, str, str, str, Mapping[str, Any]]] = []
        self.at_host: list[tuple[float, bytes]] = []
        self.at_device: list[tuple[float, bytes]] = []
        for name in ("obd", "gps", "esp32", "mesh", "can"):
            line = SerialLine(self.env, name, 9600, paced=paced, frame_s=0.0)
            line.attach_host(lambda data: self.at_host.append((self.env.now, data)))
            line.attach_device(lambda data: self.at_device.append((self.env.now, data)))
            self.lines[name] = line

    @property
    def line(self) -> SerialLine:
        """The line of the link "obd"."""
        return self.lines["obd"]

    def note(self, *, kind: str, name: str, phase: str, detail: Mapping[str, Any]) -> None:
        """Keep the event."""
        self.notes.append((self.env.now, kind, name, phase, detail))

    def send(self, at_s: float, data: bytes, *, to_device: bool = False) -> None:
        """Let the device (or the host) write `data` at `at_s`."""
        write = self.line.feed if to_device else self.line.write
        event = self.env.timeout(at_s - self.env.now, data)
        event.callbacks.append(lambda fired: write(fired.value))

    def strike(
        self, kind: str, start_s: float, end_s: float, *, index: int = 0, **parameters: float | str
    ) -> None:
        """Install a fault with defaults filled in."""
        link = FAULT_KINDS[kind].links[0]
        defaults = {
            p.field: p.default for p in FAULT_KINDS[kind].parameters if p.default is not None
        }
        values = {**defaults, **parameters}
        fault = FaultSpec(kind, link, ((start_s, end_s),), values, f"{kind} on {link}")
        install(self, fault, index)


@pytest.fixture
def world() -> BareWorld:
    """Unpaced lines: a byte arrives at the instant at which it is sent."""
    return BareWorld()


@pytest.fixture
def make_world() -> Callable[..., BareWorld]:
    """Return the class, for a test that needs two worlds or a paced one."""
    return BareWorld
