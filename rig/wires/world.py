"""Puts the wires of a record into a world, in the place of modelled devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rig.record.reader import RecordReader
from rig.scenario.model import OBD, Scenario
from rig.wires.exchanges import conversation
from rig.wires.line import PlayedLine
from rig.wires.players import Answerer, FramePlayer, Talker, speak
from rig.wires.source import BUS, Source, start_of, wire_info
from sim.world import World

if TYPE_CHECKING:  # needs packages that not every world has
    from sim.can_side import CanSide

Counters = Mapping[str, int]
EAR = "ear"


def play_wires(world: World, scenario: Scenario) -> PlayedWires | None:
    """Put the wires that a scenario's world plays into it; None where it plays none."""
    spec = scenario.world.wires
    if spec is None:
        return None
    record = RecordReader(spec.record)
    source = Source(record, start_of(record.manifest, scenario))
    return PlayedWires(world, source, spec.links, spec.answers)


class PlayedWires:
    """The recordings of a world. Made before its first event.

    Args:
        world: built without the devices that are played.
        source: their wires.
        links: that are played.
        answers: which of the recorded answers is given; see `rig.wires.players.Answerer`.

    Attributes:
        players: wire -> its player.
    """

    def __init__(self, world: World, source: Source, links: Sequence[str], answers: str) -> None:
        self._world = world
        self._answers = answers
        self._source = source
        self.players: dict[str, Talker | Answerer | FramePlayer] = {}
        for link in links:
            if link == BUS:
                assert world.can is not None
                self.players[BUS] = self._play_bus(world.can)
                continue
            for name in source.wires(link):
                self._play_wire(name, link)

    def counters(self) -> dict[str, dict[str, int]]:
        """Return what each player counted."""
        return {name: dict(player.counters) for name, player in self.players.items()}

    def unknown(self) -> dict[str, int]:
        """Return the requests that nobody made when it was recorded, and how often they came."""
        player = self.players.get(OBD)
        return dict(player.unknown) if isinstance(player, Answerer) else {}

    def _play_wire(self, name: str, link: str) -> None:
        env, source = self._world.env, self._source
        info = wire_info(source.record, name)
        line = PlayedLine(
            env, name, info.baud or 115200, paced=info.paced, frame_s=info.frame_us / 1e6
        )
        self._world.lines[name] = line
        if link == OBD:
            talk = conversation(source.chunks(name))
            self.players[name] = Answerer(
                env, line, talk, answers=self._answers, recorded_ns=source.time_ns
            )
            env.process(speak(env, line, [(source.time_s(t), data) for t, data in talk.banner]))
        else:
            self.players[name] = Talker(env, line, source.said(name))
        for start_s, end_s in source.outages(name):
            self._at(start_s, line, "hang_up")
            if end_s is not None:
                self._at(end_s, line, "replug")

    def _at(self, time_s: float, line: PlayedLine, action: str) -> None:
        world = self._world

        def act(_event: object) -> None:
            getattr(line, action)()
            world.note("wire", line.name, "gone" if action == "hang_up" else "back")

        callbacks = world.env.timeout(max(0.0, time_s - world.env.now)).callbacks
        assert callbacks is not None
        callbacks.append(act)

    def _play_bus(self, side: CanSide) -> FramePlayer:
        """Let the recorded traffic be all there is: the car's own control units say nothing."""
        from sim.can_side import PLAYER

        doors = {door.name for door in side.doors.values()}
        for node in side.bus.nodes:
            if node.name not in doors:
                node.detach()
        side.bus.attach(EAR, lambda _frame, _time_s: None)  # somebody has to acknowledge
        return FramePlayer(self._world.env, side.bus, PLAYER, self._source.frames())
