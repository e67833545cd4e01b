"""One modelled device alone, in wall time, for any client anywhere."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rig.assembly import DEFAULT_COURSE, world_setup
from rig.errors import RigError
from rig.pty import PtyPort
from rig.scenario.model import Scenario
from rig.wallclock import WallClock
from sim.route import COURSES
from sim.serial_line import SerialLine
from sim.vehicle import Cruise, Drive, Idle, Phase
from sim.world import GpsSetup, ObdSetup, World, WorldSetup

DEVICES = ("obd", "gps")
DEFAULT_BAUD = {"obd": 38400, "gps": 9600}
# Without a scenario: a car that warms up, drives and stops, for a day.
ROUND_PHASES: tuple[Phase, ...] = (
    Idle("idle", 30.0),
    Cruise("town", 60.0, 50.0),
    Cruise("road", 120.0, 90.0),
    Idle("stop", 30.0),
)
ROUNDS_A_DAY = 360


@dataclass(frozen=True, slots=True)
class DeviceOptions:
    """What the command line says.

    Attributes:
        kind: "obd" or "gps".
        profile: name of an adapter or chip profile; None for the default.
        baud: of the serial line; None for the device's usual one.
        rate_hz: fixes per second of a GNSS receiver.
        unpaced: no UART pace and no ECU response time: as fast as the machine can.
        link: symbolic link to the PTY.
        tcp: also serve the line on this TCP port of the loopback interface (0: any free one).
        scenario: drives the car; None for a round trip that repeats for a day.
        as_json: speak JSON lines.
    """

    kind: str
    profile: str | None = None
    baud: int | None = None
    rate_hz: float = 1.0
    unpaced: bool = False
    link: Path | None = None
    tcp: int | None = None
    scenario: Scenario | None = None
    seed: int = 0
    as_json: bool = False


@dataclass(slots=True)
class Speaker:
    """Says what happens: text for people, JSON lines for scripts."""

    as_json: bool
    clock: Callable[[], float] = field(default=lambda: 0.0)

    def ready(self, kind: str, ports: Mapping[str, Any], text: str) -> None:
        """The first line."""
        self._print({"device": kind, "ports": dict(ports)} if self.as_json else text)

    def event(self, kind: str, **detail: Any) -> None:
        """Everything after it."""
        if self.as_json:
            self._print({"event": kind, "time_s": round(self.clock(), 6), **detail})
        else:
            words = "  ".join(f"{key}={value}" for key, value in detail.items())
            self._print(f"{self.clock():10.3f} s  {kind}  {words}")

    @staticmethod
    def _print(message: Any) -> None:
        print(message if isinstance(message, str) else json.dumps(message), flush=True)


class TcpDoor:
    """The host end of a line on a TCP port of the loopback interface; one client at a time."""

    def __init__(self, clock: WallClock, line: SerialLine, port: int, speaker: Speaker) -> None:
        self._clock = clock
        self._line = line
        self._speaker = speaker
        self._client: socket.socket | None = None
        try:
            self._server = socket.create_server(("127.0.0.1", port))
        except OSError as error:
            raise RigError(
                f"--tcp {port}: expected a free port: {error.strerror}; try another, or 0"
            ) from error
        self._server.setblocking(False)
        self.port: int = self._server.getsockname()[1]
        clock.watch_port(self._server.fileno(), self._accept)

    def deliver(self, data: bytes) -> None:
        """Bytes from the device; lost while nobody is connected, as on an open cable."""
        if self._client is not None:
            try:
                self._client.send(data)
            except BlockingIOError:
                self._speaker.event("overflow", lost_bytes=len(data))
            except OSError:
                self._drop()

    def _accept(self) -> None:
        client, address = self._server.accept()
        if self._client is not None:
            client.close()
            self._speaker.event("refused", client=address[1], reason="another client is connected")
            return
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = client
        self._clock.watch_port(client.fileno(), self._read)
        self._speaker.event("connected", client=address[1])

    def _read(self) -> None:
        assert self._client is not None
        try:
            data = self._client.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._line.feed(data)
        else:
            self._drop()

    def _drop(self) -> None:
        if self._client is not None:
            self._clock.unwatch_port(self._client.fileno())
            self._client.close()
            self._client = None
            self._speaker.event("disconnected")


class Device:
    """A device with the car behind it. `run()` serves until `clock.stop()`."""

    def __init__(self, options: DeviceOptions) -> None:
        self.options = options
        self.clock = WallClock()
        self.speaker = Speaker(options.as_json, clock=lambda: self.clock.env.now)
        self.world = World(
            self.clock.env, _setup(options), seed=options.seed, epoch_ns=time.time_ns()
        )
        self.line = self.world.lines[options.kind]
        if options.link is not None and options.link.exists() and not options.link.is_symlink():
            raise RigError(f"--link {options.link}: expected a free name, found a file there")
        try:
            self.port = PtyPort(self.clock, self.line, options.link, hold_open=False)
        except OSError as error:
            raise RigError(
                f"--link {options.link}: expected a name that can be made: {error.strerror}"
            ) from error
        self.door: TcpDoor | None = None
        if options.tcp is not None:
            self.door = TcpDoor(self.clock, self.line, options.tcp, self.speaker)
            pty, door = self.line.to_host.receiver, self.door
            assert pty is not None
            self.line.attach_host(lambda data: (pty(data), door.deliver(data))[0])
        self.world.listeners.append(
            lambda _time_s, kind, name, phase, detail: self.speaker.event(
                kind, name=name, phase=phase, **detail
            )
        )

    def run(self) -> None:
        """Serve until stopped; the port and its link are taken away at the end."""
        path = self.port.device_path
        tcp = self.door.port if self.door else None
        ports = {"serial": path, "tcp": tcp, "link": self._link_text()}
        self.speaker.ready(self.options.kind, ports, self._welcome(path, tcp))
        try:
            self.clock.run()
        finally:
            self.port.close()
            self.speaker.event(
                "stopped",
                sent_bytes=self.line.to_host.sent_bytes,
                received_bytes=self.line.to_device.sent_bytes,
            )

    def _link_text(self) -> str | None:
        return str(self.options.link) if self.options.link else None

    def _welcome(self, path: str, tcp: int | None) -> str:
        options = self.options
        at = self._link_text() or path
        lines = [f"{options.kind} device ready at {at}" + (f" ({path})" if at != path else "")]
        if tcp is not None:
            lines.append(f"also at socket://127.0.0.1:{tcp}")
        lines.append(f"baud {self.line.baud}" + (", unpaced" if options.unpaced else ""))
        if options.kind == "obd":
            lines.append(f"try:  python -c \"import obd; c = obd.OBD('{at}', {self.line.baud}); ")
            lines[-1] += 'print(c.query(obd.commands.RPM))"'
        else:
            lines.append(f"try:  cat {at}")
        lines.append("Ctrl-C ends it")
        return "\n".join(lines)


def _setup(options: DeviceOptions) -> WorldSetup:
    if options.scenario is not None:
        setup = world_setup(options.scenario)
    else:
        setup = WorldSetup(drive=Drive(_round_trips()), course=COURSES[DEFAULT_COURSE])
    baud = options.baud or DEFAULT_BAUD[options.kind]
    if options.kind == "obd":
        obd = setup.obd if options.scenario and setup.obd else ObdSetup(baud=baud)
        if options.profile:
            obd = replace(obd, profile=options.profile)
        if options.baud:
            obd = replace(obd, baud=baud)
        if options.unpaced:
            obd = replace(obd, paced=False, ecu_response_s=(0.0, 0.0), frame_s=0.0)
        return replace(setup, obd=obd, gps=None)
    gps = setup.gps if options.scenario and setup.gps else GpsSetup(baud=baud, rate_hz=options.rate_hz)
    if options.profile:
        gps = replace(gps, profile=options.profile)
    if options.baud:
        gps = replace(gps, baud=baud)
    if options.unpaced:
        gps = replace(gps, paced=False, frame_s=0.0)
    return replace(setup, obd=None, gps=gps)


def _round_trips() -> list[Phase]:
    return [
        replace(phase, name=f"{phase.name}-{number}")
        for number in range(1, ROUNDS_A_DAY + 1)
        for phase in ROUND_PHASES
    ]


