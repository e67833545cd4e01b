"""A daemon on a bus, and clients that keep each piece that they are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import simpy

from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.can.interface import CanInterface
from sim.socketcand.server import SocketcandServer

EPOCH_NS = 1_700_000_000_000_000_000


class Client:
    """The far end of a connection."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        pipe = daemon.server.connect()
        assert pipe is not None
        self.pipe = pipe
        self.pieces: list[str] = []
        pipe.attach_host(lambda data: self.pieces.append(data.decode()))

    def say(self, *commands: str, for_s: float = 0.0) -> list[str]:
        """Send commands, each in a piece of its own; return what came since the last time."""
        for command in commands:
            self.pipe.feed(command.encode())
        return self.wait(for_s)

    def wait(self, for_s: float) -> list[str]:
        """Let the world go on; return what came since the last time."""
        self._daemon.run(for_s)
        pieces, self.pieces = self.pieces, []
        return pieces

    def raw(self, bus: str = "can0") -> Client:
        """Open a bus in raw mode."""
        assert self.wait(0.0) == ["< hi >"]
        assert self.say(f"< open {bus} >", "< rawmode >", for_s=0.1) == ["< ok >", "< ok >"]
        return self

    def bcm(self, bus: str = "can0") -> Client:
        """Open a bus."""
        assert self.say(f"< open {bus} >") == ["< hi >", "< ok >"]
        return self


class Daemon:
    """A daemon with two buses, and an ECU on the first one that keeps what it hears."""

    def __init__(self) -> None:
        self.env = simpy.Environment()
        self.buses = [CanBus(self.env), CanBus(self.env)]
        self.interfaces = [
            CanInterface(bus, name) for bus, name in zip(self.buses, ("can0", "can1"), strict=True)
        ]
        self.events: list[tuple[int, str, Mapping[str, Any]]] = []
        self.server = SocketcandServer(
            self.env,
            self.interfaces,
            epoch_ns=EPOCH_NS,
            on_event=lambda *event: self.events.append(event),
        )
        self.heard: list[CanFrame] = []
        self.ecu = self.buses[0].attach("ecu", lambda frame, _t_s: self.heard.append(frame))
        self.buses[1].attach("other", lambda *_: None)

    @property
    def told(self) -> list[str]:
        """What kinds of events there were."""
        return [kind for _number, kind, _detail in self.events]

    def run(self, for_s: float) -> None:
        """Let the world go on; with 0 what is due now is done."""
        self.env.run(until=self.env.now + for_s + 1e-9)

    def client(self) -> Client:
        """Connect."""
        return Client(self)

    def send(self, arbitration_id: int, data: bytes = b"", **more: Any) -> None:
        """Let the ECU send."""
        assert self.ecu.send(CanFrame(arbitration_id, data, **more))


@pytest.fixture
def daemon() -> Daemon:
    """A daemon at the beginning of time."""
    return Daemon()
