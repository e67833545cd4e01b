"""One modelled device alone, in wall time, for any client anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rig.device.board import BoardDoor
from rig.device.link import DeviceLink, LinkError
from rig.device.port import DevicePort
from rig.device.speaker import Speaker
from rig.device.world import DEVICES, DeviceOptions, device_world
from rig.walltime.clock import HastyClock, WallClock
from rig.walltime.tcp_door import TcpDoor

__all__ = ["DEVICES", "Device", "DeviceOptions"]


class Device:
    """A device with the car behind it. `run()` serves until `stop()`.

    Any number run side by side: each has a world, a clock and a port of its own.

    Raises:
        ValueError: the device cannot be what the options ask for.
    """

    def __init__(self, options: DeviceOptions) -> None:
        self.options = options
        hasty = options.unpaced and options.kind == "obd"
        self.clock: WallClock = HastyClock(self._is_busy) if hasty else WallClock()
        self.speaker = Speaker(options.as_json, clock=lambda: self.clock.env.now)
        self.world = device_world(self.clock.env, options)
        self.line = self.world.lines[options.kind]
        self.world.listeners.append(self._note)
        self.board_door: BoardDoor | None = None
        if options.kind == "esp32":
            self.board_door = BoardDoor(self.clock, self.world, options, self.speaker)

    def run(self) -> None:
        """Open the ports, say where they are, and serve; at the end ports and link are gone.

        Raises:
            LinkError: the link cannot be made.
            PortBusyError: the TCP port cannot be listened on.
            MemoryFileError: the board's memory cannot be read or written.
        """
        options = self.options
        link = None if options.link is None else DeviceLink(options.link)
        door = None
        if options.tcp is not None:
            door = TcpDoor(self.clock, self.line, options.tcp, self.speaker)
        try:
            if link is not None:
                link.claim()
            if door is not None:
                door.open()
            if self.board_door is not None:
                self.board_door.open()
            self._serve(door)
        finally:
            if self.board_door is not None:
                self.board_door.close()
            if door is not None:
                door.close()
            if link is not None:
                link.release()

    def stop(self) -> None:
        """End `run`; safe in a signal handler."""
        self.clock.stop()

    def _serve(self, door: TcpDoor | None) -> None:
        port = self._open_port()
        if door is not None:
            self._serve_both(port, door)
        self.line.on_replug.append(lambda: self.speaker.event("port", serial=port.device_path))
        ports = {
            "serial": port.device_path,
            "tcp": door.port if door else None,
            "link": str(self.options.link) if self.options.link else None,
        }
        if self.board_door is not None:
            ports["http"] = self.board_door.port
        try:
            self.speaker.ready(self.options.kind, ports, self._welcome(ports))
            if self.board_door is not None:
                self.board_door.switch_on()
            self.clock.run()
        finally:
            port.close()
            self.speaker.event(
                "stopped",
                sent_bytes=self.line.to_host.sent_bytes,
                received_bytes=self.line.to_device.sent_bytes,
                unread_bytes=port.overflow_bytes,
            )

    def _open_port(self) -> DevicePort:
        try:
            return DevicePort(self.clock, self.line, self.options.link)
        except OSError as error:
            what = f"--link {self.options.link}" if self.options.link else "a PTY"
            raise LinkError(f"{what}: expected to make it, found: {error.strerror}") from error

    def _serve_both(self, port: DevicePort, door: TcpDoor) -> None:
        """Let PTY and TCP hear the same; both may speak."""
        to_pty = self.line.to_host.receiver
        assert to_pty is not None

        def deliver(data: bytes) -> None:
            to_pty(data)
            door.deliver(data)

        self.line.attach_host(deliver)
        self.line.on_hang_up.append(door.drop)

    def _is_busy(self) -> bool:
        adapter = self.world.adapter
        return adapter is not None and adapter.busy

    def _note(
        self, _time_s: float, kind: str, name: str, phase: str, detail: Mapping[str, Any]
    ) -> None:
        short = {key: value for key, value in detail.items() if key != "traceback"}
        self.speaker.event(kind, **{**short, "name": name, "phase": phase})

    def _welcome(self, ports: Mapping[str, Any]) -> str:
        options, path, baud = self.options, ports["serial"], self.line.baud
        at = ports["link"] or path
        lines = [f"{options.kind} device ready at {at}" + (f" ({path})" if at != path else "")]
        if ports["tcp"] is not None:
            lines.append(f"also at socket://127.0.0.1:{ports['tcp']}")
        lines.append(f"{baud} baud" + (", unpaced" if options.unpaced else ""))
        if self.board_door is not None:
            lines += self.board_door.welcome()
        if options.kind == "obd":
            query = "print(c.query(obd.commands.RPM))"
            lines.append(f"""try: python -c "import obd; c = obd.OBD('{at}', {baud}); {query}\"""")
        else:
            lines.append(f"try: cat {at}")
        lines.append("Ctrl-C ends it")
        return "\n".join(lines)
