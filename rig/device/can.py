"""A car's CAN bus alone, in wall time, with any number of doors to it at once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import simpy

from rig.assembly import shifted_faults, world_setup
from rig.device.can_options import CanOptions
from rig.device.link import DeviceLink, LinkError
from rig.device.port import DevicePort
from rig.device.speaker import Speaker
from rig.device.world import keep_up, round_trip
from rig.errors import RigError
from rig.faults.install import install_all
from rig.walltime.can_beacon import CanBeacon
from rig.walltime.can_bridge import CanBridge
from rig.walltime.clock import WallClock
from rig.walltime.pipe_door import PipeDoor
from sim.can.faults import ErrorKind
from sim.can.frame import CanFrame
from sim.can_setup import CanSetup, DoorSetup
from sim.can_side import SocketcandDoor
from sim.serial_line import USB_FRAME_S, SerialLine
from sim.slcan import SlcanAdapter
from sim.world import World

if TYPE_CHECKING:
    from sim.can_log import LogPlayer

CAN = "can"
SLCAN_NODE = "slcan0"


class CanFileError(RigError):
    """A log cannot be played, or not be written."""

    usage = True


class CanDevice:
    """A car with its bus, and doors to it. `run()` serves until `stop()`.

    Every door is a controller of its own on the one bus: what is sent at one is heard at all the
    others, in the order in which the frames end on the bus.

    Raises:
        CanFileError: the log that is to be played cannot be.
    """

    def __init__(self, options: CanOptions) -> None:
        self.options = options
        self.clock = WallClock()
        self.epoch_ns = time.time_ns()
        self.speaker = Speaker(options.as_json, clock=lambda: self.clock.env.now)
        self.world = _world(self.clock.env, options, self.epoch_ns)
        self.world.listeners.append(self._note)
        assert self.world.can is not None
        door = self.world.can.doors[CAN]
        assert isinstance(door, SocketcandDoor)
        self.socketcand = door
        door.server.on_event = self._client_event
        self.bus = self.world.bus
        self.adapter: SlcanAdapter | None = None
        self.bridges = [self._bridge(number) for number in range(len(options.interfaces))]
        if options.slcan:
            self.adapter = self._adapter()
        if options.play is not None:
            self._play(options.play)

    def run(self) -> None:
        """Open the doors, say where they are, and serve; at the end doors and links are gone.

        Raises:
            LinkError: the link to the PTY cannot be made.
            PortBusyError: the TCP port cannot be listened on.
            CanDoorError: an interface cannot be opened.
            CanFileError: the frames cannot be recorded.
        """
        with contextlib.ExitStack() as stack:
            if self.options.record is not None:
                stack.callback(self._record(self.options.record))
            told = self._open(stack)
            self.speaker.ready(CAN, told, self._welcome(told))
            try:
                self.clock.run()
            finally:
                self.speaker.event("stopped", **self._counts())

    def stop(self) -> None:
        """End `run`; safe in a signal handler."""
        self.clock.stop()

    # -- doors -----------------------------------------------------------------------------------
    def _open(self, stack: contextlib.ExitStack) -> dict[str, Any]:
        options = self.options
        told: dict[str, Any] = {"serial": None, "tcp": None, "link": None, "interfaces": []}
        for bridge in self.bridges:
            bridge.open()
            stack.callback(bridge.close)
            told["interfaces"].append(str(bridge.spec))
        if options.tcp is not None:
            door = PipeDoor(self.clock, options.tcp, self.socketcand.connect, option="--tcp")
            door.open()
            stack.callback(door.close)
            told["tcp"] = door.port
            beacon = CanBeacon(self.clock, door.port, list(self.socketcand.server.interfaces))
            beacon.open()
            stack.callback(beacon.close)
        if self.adapter is not None:
            if options.link is not None:
                link = DeviceLink(options.link)
                link.claim()
                stack.callback(link.release)
                told["link"] = str(options.link)
            port = self._open_port(self.adapter.line)
            stack.callback(port.close)
            told["serial"] = port.device_path
        return told

    def _open_port(self, line: SerialLine) -> DevicePort:
        link = self.options.link
        try:
            return DevicePort(self.clock, line, link)
        except OSError as error:
            what = f"--link {link}" if link else "a PTY"
            raise LinkError(f"{what}: expected to make it, found: {error.strerror}") from error

    def _adapter(self) -> SlcanAdapter:
        options = self.options
        line = SerialLine(
            self.clock.env,
            SLCAN_NODE,
            options.slcan_baud,
            paced=not options.unpaced,
            frame_s=0.0 if options.unpaced else USB_FRAME_S,
        )
        return SlcanAdapter(
            self.clock.env,
            self.bus,
            line,
            options.slcan_profile,
            name=SLCAN_NODE,
            on_event=self._adapter_event,
        )

    def _bridge(self, number: int) -> CanBridge:
        def event(kind: str, detail: Mapping[str, Any]) -> None:
            self.speaker.event(kind, **detail)

        return CanBridge(self.clock, self.bus, self.options.interfaces[number], event)

    # -- logs ------------------------------------------------------------------------------------
    def _play(self, path: Path) -> None:
        from sim.can_log import CanLogError, play_log

        node = self.bus.attach("log", lambda _frame, _t_s: None, ())
        try:
            play_log(self.clock.env, node, path, on_error=self._log_stopped, on_end=self._log_ended)
        except (CanLogError, OSError) as error:
            raise CanFileError(f"--play {error}") from error

    def _log_stopped(self, error: ValueError) -> None:
        self.speaker.event("log_stopped", error=str(error))

    def _log_ended(self, player: LogPlayer) -> None:
        counts = {
            "refused": player.refused_frames,
            "late": player.late_frames,
            "unsorted": player.unsorted_frames,
            "error_frames_skipped": player.error_frames,
            "fd_frames_skipped": player.fd_frames,
            "other_channels_skipped": player.other_channel_frames,
        }
        told = {name: count for name, count in counts.items() if count}
        self.speaker.event(
            "log_ended", frames=player.played_frames, truncated=player.is_truncated, **told
        )

    def _record(self, path: Path) -> Callable[[], None]:
        """Write every frame from now on; return what finishes the file."""
        from rig.record.can_log import CanLogWriter

        try:
            writer = CanLogWriter(path)
        except (ValueError, OSError) as error:
            raise CanFileError(f"--record {path}: {error}") from error
        epoch_ns = self.epoch_ns

        def write(time_s: float, can_id: int, data: bytes = b"", **more: Any) -> None:
            try:
                writer.write(epoch_ns + round(time_s * 1e9), can_id, data, **more)
            except OSError as error:  # a full disk ends the recording, not the bus
                finish(str(error))

        def frame_passed(time_s: float, _sender: str, frame: CanFrame) -> None:
            write(
                time_s,
                frame.arbitration_id,
                frame.data,
                is_extended=frame.is_extended,
                is_remote=frame.is_remote,
                dlc=frame.dlc,
            )

        def error_seen(time_s: float, _sender: str, _kind: ErrorKind, _frame: CanFrame) -> None:
            write(time_s, 0, is_error=True)

        self.bus.taps.append(frame_passed)
        self.bus.error_taps.append(error_seen)

        def finish(reason: str = "") -> None:
            if frame_passed not in self.bus.taps:
                return
            self.bus.taps.remove(frame_passed)
            self.bus.error_taps.remove(error_seen)
            try:
                writer.close()
            except OSError as error:
                reason = reason or str(error)
            if reason:
                self.speaker.event("record_stopped", file=str(path), reason=reason)

        return finish

    # -- what it says ----------------------------------------------------------------------------
    def _note(
        self, _time_s: float, kind: str, name: str, phase: str, detail: Mapping[str, Any]
    ) -> None:
        self.speaker.event(kind, **{**detail, "name": name, "phase": phase})

    def _adapter_event(self, _time_s: float, kind: str, detail: str) -> None:
        if self.adapter is not None:  # it has its power already while it is made
            self.speaker.event(kind, door="slcan", detail=detail)

    def _client_event(self, client: int, kind: str, detail: Mapping[str, Any]) -> None:
        self.speaker.event(kind, door="socketcand", client=client, **detail)

    def _counts(self) -> dict[str, Any]:
        bus, server = self.bus, self.socketcand.server
        counts: dict[str, Any] = {
            "frames": bus.frame_count,
            "error_frames": bus.error_count,
            "bus_load_pct": round(bus.load_pct, 1),
            "socketcand": dict(server.counters),
        }
        if self.adapter is not None:
            counts["slcan"] = {k: n for k, n in self.adapter.counters.as_dict().items() if n}
        for bridge in self.bridges:
            counts[str(bridge.spec)] = dict(bridge.counters)
        return counts

    def _welcome(self, told: Mapping[str, Any]) -> str:
        options = self.options
        lines = ["CAN bus can0 at 500 kbit/s" + (", unpaced" if options.unpaced else "")]
        hints = []
        if told["serial"] is not None:
            at = told["link"] or told["serial"]
            behind = "" if at == told["serial"] else f" ({told['serial']})"
            about = f"{options.profile}, {options.slcan_baud} baud"
            lines.append(f"  slcan at {at}{behind}: {about}")
            hints.append(f"python -m can.logger -i slcan -c {at} -b 500000")
        if told["tcp"] is not None:
            lines.append(f"  socketcand at 127.0.0.1:{told['tcp']}, bus can0")
            bus = f"host=127.0.0.1 port={told['tcp']}"
            hints.append(f"python -m can.logger -i socketcand -c can0 --bus-kwargs {bus}")
        for spec in options.interfaces:
            only = "; for threads of this very process" if spec.interface == "virtual" else ""
            lines.append(f"  {spec.interface}, channel {spec.channel}{only}")
        if hints:
            lines.append("try: " + "\n     ".join(hints))
        lines.append("Ctrl-C ends it")
        return "\n".join(lines)


def _world(env: simpy.Environment, options: CanOptions, epoch_ns: int) -> World:
    base = round_trip() if options.scenario is None else world_setup(options.scenario)
    can = CanSetup(
        doors={CAN: DoorSetup()},
        broadcast=options.broadcast,
        load_pct=options.load_pct,
        paced=not options.unpaced,
    )
    setup = replace(base, obd=None, gps=None, esp32=None, mesh=None, can=can)
    if options.unpaced:
        setup = replace(setup, ecu_response_s=(0.0, 0.0))
    world = World(env, setup, seed=options.seed, epoch_ns=epoch_ns)
    if options.scenario is not None:
        install_all(world, [f for f in shifted_faults(options.scenario) if f.link == CAN])
    env.process(keep_up(world))
    return world
