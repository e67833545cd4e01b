"""Meshtastic radios alone, in wall time, for any client anywhere."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.device.board import MemoryFileError
from rig.device.link import DeviceLink, LinkError
from rig.device.port import DevicePort
from rig.device.speaker import Speaker
from rig.walltime.clock import WallClock
from rig.walltime.radio_door import RadioDoor
from sim.meshtastic.group import GroupSetup, RadioGroup
from sim.meshtastic.radio import Radio
from sim.meshtastic.settings import Flash
from sim.meshtastic.tcp_side import TCP_PORT
from sim.streams import RandomStreams

FORMAT = "telerig-mesh-1"


@dataclass(frozen=True, slots=True)
class RadioOptions:
    """What the command line says.

    Attributes:
        group: the radios and the nodes around them.
        link: symbolic link to the PTY; further radios get a number behind it.
        tcp: port of the loopback on which the first radio's API is served too (0: any free one);
            further radios get the ones behind it.
        memory: file that keeps what the radios remember.
    """

    group: GroupSetup
    link: Path | None = None
    tcp: int | None = None
    memory: Path | None = None
    seed: int = 0
    as_json: bool = False


class RadioDevice:
    """Radios with ports, and nodes around them. `run()` serves until `stop()`.

    Raises:
        MemoryFileError: the memory cannot be read.
    """

    def __init__(self, options: RadioOptions) -> None:
        self.options = options
        self.clock = WallClock()
        self.speaker = Speaker(options.as_json, clock=lambda: self.clock.env.now)
        self._flashes = {} if options.memory is None else _read_memory(options.memory)
        self.group = RadioGroup(
            self.clock.env,
            options.group,
            RandomStreams(options.seed),
            time.time_ns(),
            flashes=self._flashes,
            on_event=self._note,
        )

    def run(self) -> None:
        """Open the ports, say where they are, and serve; at the end ports and links are gone.

        Raises:
            LinkError: a link cannot be made.
            PortBusyError: a TCP port cannot be listened on.
            MemoryFileError: the memory cannot be written.
        """
        self._save()  # what cannot be written is told now, not at the end
        with contextlib.ExitStack() as stack:
            ports = [
                self._open(stack, number, radio) for number, radio in enumerate(self.group.radios)
            ]
            first = ports[0]
            told = {"serial": first["serial"], "tcp": first["tcp"], "link": first["link"]}
            self.speaker.ready("mesh", {**told, "radios": ports}, self._welcome(ports))
            try:
                self.clock.run()
            finally:
                for radio in self.group.radios:
                    radio.nodes.save()
                self._save()
                self.speaker.event("stopped", **dict(self.group.radios[0].counters))

    def stop(self) -> None:
        """End `run`; safe in a signal handler."""
        self.clock.stop()

    def _open(self, stack: contextlib.ExitStack, number: int, radio: Radio) -> dict[str, Any]:
        """Open one radio's ports; they are closed with `stack`."""
        options = self.options
        path = options.link
        if path is not None:
            path = path if number == 0 else path.with_name(f"{path.name}-{number + 1}")
            link = DeviceLink(path)
            link.claim()
            stack.callback(link.release)
        door = None
        if options.tcp is not None:
            tcp = options.tcp + number if options.tcp else 0
            door = RadioDoor(self.clock, radio, tcp, self.speaker)
            door.open()
            stack.callback(door.close)
        assert radio.line is not None
        try:
            port = DevicePort(self.clock, radio.line, path)
        except OSError as error:
            what = f"--link {path}" if path else "a PTY"
            raise LinkError(f"{what}: expected to make it, found: {error.strerror}") from error
        stack.callback(port.close)
        return {
            "id": f"!{radio.number:08x}",
            "name": str(radio.settings.owner.long_name),
            "serial": port.device_path,
            "tcp": door.port if door is not None else None,
            "link": str(path) if path is not None else None,
        }

    def _note(self, radio: Radio, _time_s: float, kind: str, detail: Mapping[str, Any]) -> None:
        self.speaker.event(kind, radio=f"!{radio.number:08x}", **detail)
        if kind == "settings" or kind == "boot":
            with contextlib.suppress(MemoryFileError):  # it is told at the end
                self._save()

    def _save(self) -> None:
        if self.options.memory is not None:
            _write_memory(self.options.memory, self._flashes)

    def _welcome(self, ports: list[dict[str, Any]]) -> str:
        setup = self.options.group
        lines = []
        for port in ports:
            at = port["link"] or port["serial"]
            tcp = "" if port["tcp"] is None else f" and at 127.0.0.1:{port['tcp']}"
            lines.append(f"radio {port['id']} ({port['name']}) ready at {at}{tcp}")
        lines.append(f"{setup.preset}, {setup.region}; {setup.nodes} further nodes on the channel")
        at = ports[0]["link"] or ports[0]["serial"]
        lines.append(f"try: meshtastic --port {at} --info")
        if ports[0]["tcp"] is not None:
            own = "" if ports[0]["tcp"] == TCP_PORT else f":{ports[0]['tcp']}"
            lines.append(f"     meshtastic --host localhost{own} --nodes")
        lines.append("Ctrl-C ends it")
        return "\n".join(lines)


def _read_memory(path: Path) -> dict[str, Flash]:
    try:
        kept = json.loads(path.read_text("utf-8"))
        if kept["format"] != FORMAT:
            raise ValueError(f"format {kept['format']!r}")
        return {
            str(node): {str(key): base64.b64decode(data) for key, data in flash.items()}
            for node, flash in kept["radios"].items()
        }
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unusable(path, error) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MemoryFileError(
            f"--memory {path}: expected radios' memory of format {FORMAT}, found: {error}; name "
            "another file, or one that is not there yet"
        ) from error


def _write_memory(path: Path, flashes: Mapping[str, Flash]) -> None:
    radios = {
        node: {key: base64.b64encode(data).decode() for key, data in flash.items()}
        for node, flash in flashes.items()
    }
    new = path.with_name(path.name + ".new")
    try:
        new.write_text(json.dumps({"format": FORMAT, "radios": radios}), encoding="utf-8")
        os.replace(new, path)
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> MemoryFileError:
    return MemoryFileError(
        f"--memory {path}: expected a file to read and write, found: {error.strerror}"
    )
