"""The wires of a record as ports for any client, in wall time and without a gateway."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rig.device.link import LinkError
from rig.device.port import DevicePort
from rig.device.speaker import Speaker
from rig.device.world import round_trip
from rig.record.reader import RecordReader
from rig.walltime.clock import WallClock
from rig.walltime.pipe_door import PipeDoor
from rig.wires.players import ORDER
from rig.wires.scenario_file import chosen_links, last_ns
from rig.wires.source import BUS, Source
from rig.wires.world import PlayedWires
from sim.can_setup import CanSetup, DoorSetup, channel_of
from sim.world import World

BEFORE_S = 1.0  # until the recording begins: who waits for the ports can open them
AFTER_S = 1.0


class Offer:
    """Ports behind which the devices of a record speak. `run()` serves until its end or `stop()`.

    Args:
        record: of a run or a capture.
        folder: in which the links to the PTYs stand; it is made.
        links: that are offered; none: all that can be played.
        answers: see `rig.wires.players.Answerer`; None: in order.

    Raises:
        PlayError: there is nothing to play.
    """

    def __init__(
        self,
        record: RecordReader,
        folder: Path,
        *,
        links: Sequence[str] = (),
        answers: str | None = None,
    ) -> None:
        self._folder = folder
        chosen = chosen_links(record, links)
        zero_ns = record.manifest.epoch_ns - round(BEFORE_S * 1e9)
        self._end_s = (last_ns(record) - zero_ns) / 1e9 + AFTER_S
        self._clock = WallClock()
        setup = round_trip()
        if BUS in chosen:
            setup = replace(setup, can=CanSetup({BUS: DoorSetup()}))
        self._world = World(self._clock.env, setup, seed=0, epoch_ns=zero_ns)
        source = Source(record, zero_ns)
        self.wires = PlayedWires(self._world, source, chosen, answers or ORDER)
        self._has_bus = BUS in chosen

    def run(self, *, as_json: bool = False) -> None:
        """Open the ports, say where they are, and serve; at the end they are gone.

        Raises:
            LinkError: a link cannot be made.
            PortBusyError: a TCP port cannot be listened on.
        """
        speaker = Speaker(as_json, clock=lambda: self._clock.env.now)
        with contextlib.ExitStack() as stack:
            ports = self._open(stack)
            speaker.ready("wires", ports, _welcome(ports))
            self._clock.run(self._end_s)
            for name, counters in self.wires.counters().items():
                speaker.event("played", wire=name, **counters)

    def stop(self) -> None:
        """End `run`; safe in a signal handler."""
        self._clock.stop()

    def _open(self, stack: contextlib.ExitStack) -> dict[str, Any]:
        ports: dict[str, Any] = {}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for name, line in self._world.lines.items():
                if name != BUS:
                    path = self._folder / name
                    stack.callback(DevicePort(self._clock, line, path).close)
                    ports[name] = str(path)
        except OSError as error:
            raise LinkError(
                f"--ports {self._folder}: expected a folder for links to PTYs, found: "
                f"{error.strerror}; name another one"
            ) from error
        if self._has_bus:
            door = PipeDoor(self._clock, 0, lambda: self._world.connect(BUS))
            door.open()
            stack.callback(door.close)
            ports[BUS] = {"host": "127.0.0.1", "port": door.port, "channel": channel_of(BUS)}
        return ports


def _welcome(ports: dict[str, Any]) -> str:
    lines = []
    for name, place in ports.items():
        if name == BUS:
            place = f"socketcand {place['host']}:{place['port']}, {place['channel']}"
        lines.append(f"{name} is offered at {place}")
    return "\n".join([*lines, "Ctrl-C ends it"])
