"""The car's CAN bus beyond its diagnostics: who broadcasts, what is played, where one gets in.

One bus, several doors: each is a controller of its own on it, so that what a client sends at one is
heard at all the others.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import simpy

from sim.broadcast import BroadcastSender, Filler, OnSample, OnSent
from sim.can.bus import CanBus
from sim.can.confinement import ErrorState
from sim.can.faults import ErrorKind
from sim.can.frame import CanFrame
from sim.can.interface import CanInterface
from sim.can.node import CanNode
from sim.can_setup import SLCAN, CanSetup, DoorSetup, PlaySetup, channel_of
from sim.car import Car
from sim.serial_line import SerialLine
from sim.slcan import PROFILES, SlcanAdapter
from sim.socketcand.modes import RawMode
from sim.socketcand.server import SocketcandServer

if TYPE_CHECKING:
    from sim.can_log import LogPlayer

BUS_OFF = "bus_off"
BUS_ON = "bus_on"
LOG_TRUNCATED = "log_truncated"
PLAYER = "log"
FILLER = "filler"
DEFAULT_PROFILE = "canable"
"""A USB adapter that people have; the LAWICEL ones need an answer to each command."""
ENGINE = "engine"
ENGINE_UNIT = "PCM"
ANY_ERROR = "any"

Undo = Callable[[], None]
Note = Callable[[str, str], None]
"""Called as note(what, node): a controller has left the bus, or has come back."""


class Door(Protocol):
    """A way to the bus for one link."""

    @property
    def line(self) -> SerialLine:
        """The cable, or what stands for it."""

    @property
    def name(self) -> str:
        """Of its node on the bus."""

    @property
    def is_open(self) -> bool:
        """True while somebody hears the bus through it."""

    def connect(self) -> SerialLine | None:
        """Open a TCP connection; None where it takes none."""


class SlcanDoor:
    """A Lawicel adapter on a serial line; it lives on the power of its cable."""

    def __init__(
        self, env: simpy.Environment, bus: CanBus, link: str, setup: DoorSetup, note: Note
    ) -> None:
        self.name = channel_of(link)
        self.line = SerialLine(env, link, door_baud(setup))
        profile = PROFILES[setup.profile or DEFAULT_PROFILE]
        self.adapter = SlcanAdapter(
            env, bus, self.line, profile, name=self.name, on_event=self._event
        )
        self._note = note
        self.line.on_hang_up.append(self.adapter.power_off)
        self.line.on_replug.append(self.adapter.power_on)

    @property
    def is_open(self) -> bool:
        """True between the client's `O` and its `C`."""
        return self.adapter.channel.is_open

    def connect(self) -> SerialLine | None:
        """Refuse: it has a serial port."""
        return None

    def _event(self, _time_s: float, kind: str, detail: str) -> None:
        if kind == "can" and detail == BUS_OFF:
            self._note(BUS_OFF, self.name)


class SocketcandDoor:
    """A socketcand daemon with one bus. Its cable is the network: pulled, nobody reaches it."""

    def __init__(self, env: simpy.Environment, bus: CanBus, link: str, epoch_ns: int) -> None:
        self.name = channel_of(link)
        self.line = SerialLine(env, link, paced=False, frame_s=0.0)
        self.interface = CanInterface(bus, self.name)
        self.server = SocketcandServer(env, [self.interface], epoch_ns=epoch_ns)
        self.line.on_hang_up.append(self.server.go_down)
        self.line.on_replug.append(self.server.come_up)

    @property
    def is_open(self) -> bool:
        """True while a client is in raw mode."""
        return any(isinstance(client.mode, RawMode) for client in self.server.clients)

    def connect(self) -> SerialLine | None:
        """Open a connection; None while the daemon cannot be reached."""
        pipe = None if self.line.unreachable else self.server.connect()
        if pipe is not None:
            self.line.stands_for(pipe)
        return pipe


def door_baud(setup: DoorSetup) -> int:
    """Return the rate of an slcan adapter's line."""
    return setup.baud or PROFILES[setup.profile or DEFAULT_PROFILE].baud


class CanSide:
    """Senders, player and doors on the bus of the world's own car.

    Args:
        env: the world's clock.
        setup: what to build.
        car: whose bus it is.
        stream: gives a random stream by its name.
        epoch_ns: UTC nanoseconds at env time 0.
        note: told when a controller leaves the bus because of its errors, or comes back.

    Attributes:
        bus: the car's.
        doors: link -> its door.
        lines: link -> its cable.
        sender: the car's control units that broadcast; None before they begin, or if they do not.
        on_sample, on_sent: the sender's hooks, see `sim.broadcast`.
        player: of the log; None before it begins, or where there is none.
        strangers: names of nodes that send frames of which nobody knows the truth.
        offered: link -> frames of others that passed while its door was open.
    """

    def __init__(
        self,
        env: simpy.Environment,
        setup: CanSetup,
        car: Car,
        stream: Callable[[str], random.Random],
        epoch_ns: int,
        note: Note,
    ) -> None:
        self.env = env
        self.setup = setup
        self.bus = car.bus
        self.sender: BroadcastSender | None = None
        self.on_sample: OnSample | None = None
        self.on_sent: OnSent | None = None
        self.player: LogPlayer | None = None
        self.strangers = frozenset({PLAYER, FILLER})
        self._note = note
        self._silences = 0
        self.doors: dict[str, Door] = {
            link: self._door(link, door, epoch_ns) for link, door in setup.doors.items()
        }
        self.lines = {link: door.line for link, door in self.doors.items()}
        self.offered = dict.fromkeys(self.doors, 0)
        self.bus.taps.append(self._count)
        self._at(setup.start_s, lambda: self._begin(car, stream("broadcast")))

    def connect(self, link: str) -> SerialLine | None:
        """Open a TCP connection to the door of `link`; None where it takes none."""
        return self.doors[link].connect()

    # -- what can go wrong -------------------------------------------------------------------------
    def disturb(self, probability: float, error: str, rng: random.Random) -> Undo:
        """Destroy each transmission with `probability`, until the returned function is called."""
        kinds = list(ErrorKind) if error == ANY_ERROR else [ErrorKind(error)]

        def fault(_time_s: float, _sender: str, _frame: CanFrame) -> ErrorKind | None:
            return rng.choice(kinds) if rng.random() < probability else None

        return self._fault(fault)

    def choke(self, node: str, link: str) -> Undo:
        """Destroy all that one controller sends: the engine's, or that of the door of `link`."""
        name = ENGINE_UNIT if node == ENGINE else self.doors[link].name

        def fault(_time_s: float, sender: str, _frame: CanFrame) -> ErrorKind | None:
            return ErrorKind.BIT if sender == name else None

        return self._fault(fault)

    def mute(self, muted: bool) -> None:
        """Let the control units broadcast nothing, or again."""
        self._silences += 1 if muted else -1
        if self.sender is not None:
            for unit in self.sender.nodes:
                self.sender.mute(unit, self._silences > 0)

    def flood(self, load_pct: float) -> Undo:
        """Let a node send frames of the highest priority."""
        return Filler(self.env, self.bus, load_pct, highest_priority=True).stop

    def add_wrong_rate(self, bitrate_bps: int) -> Undo:
        """Put a node on the bus that runs at another bit rate, and sends now and then."""
        node = self.bus.attach("wrong rate", lambda _frame, _t: None, bitrate_bps=bitrate_bps)
        return node.detach

    def _fault(self, fault: Callable[[float, str, CanFrame], ErrorKind | None]) -> Undo:
        faults = self.bus.faults
        faults.append(fault)

        def undo() -> None:
            faults[:] = [other for other in faults if other is not fault]

        return undo

    # -- building ----------------------------------------------------------------------------------
    def _begin(self, car: Car, rng: random.Random) -> None:
        """Let the traffic begin."""
        setup = self.setup
        if setup.broadcast:
            self.sender = self._broadcast(car, rng)
        if setup.load_pct is not None:
            Filler(self.env, self.bus, setup.load_pct, until_s=setup.until_s)
        if setup.play is not None:
            self._play(setup.play)

    def _broadcast(self, car: Car, rng: random.Random) -> BroadcastSender:
        sender = BroadcastSender(
            self.env,
            self.bus,
            car.vehicle,
            rng,
            vin=car.vin,
            heading_deg=lambda distance_m: car.course.at(car.start_m + distance_m).heading_deg,
            sampled_signals=self.setup.sampled_signals,
            until_s=self.setup.until_s,
        )
        sender.on_sample, sender.on_sent = self.on_sample, self.on_sent
        for node in sender.nodes.values():
            node.auto_recover_s = self.setup.auto_recovery_s
            self._watch(node)
        return sender

    def _door(self, link: str, setup: DoorSetup, epoch_ns: int) -> Door:
        if setup.kind == SLCAN:
            return SlcanDoor(self.env, self.bus, link, setup, self._note)
        door = SocketcandDoor(self.env, self.bus, link, epoch_ns)
        door.interface.node.auto_recover_s = self.setup.auto_recovery_s
        self._watch(door.interface.node)
        return door

    def _watch(self, node: CanNode) -> None:
        was_off = False

        def changed(state: ErrorState, _time_s: float) -> None:
            nonlocal was_off
            is_off = state is ErrorState.BUS_OFF
            if is_off != was_off:
                was_off = is_off
                self._note(BUS_OFF if is_off else BUS_ON, node.name)

        node.on_state.append(changed)

    def _play(self, setup: PlaySetup) -> None:
        from sim.can_log import play_log

        self.player = play_log(
            self.env,
            self.bus.attach(PLAYER, lambda _frame, _t: None),
            setup.path,
            offset_s=setup.offset_s,
            start_s=self.env.now,
            loop=setup.loop,
            only=setup.only,
            without=setup.without,
            on_end=self._log_ended,
        )
        if self.setup.until_s is not None:
            self._at(self.setup.until_s, self.player.stop)

    def _log_ended(self, player: LogPlayer) -> None:
        if player.is_truncated:
            self._note(LOG_TRUNCATED, PLAYER)

    def _at(self, time_s: float, action: Callable[[], None]) -> None:
        callbacks = self.env.timeout(max(0.0, time_s - self.env.now)).callbacks
        assert callbacks is not None
        callbacks.append(lambda _event: action())

    def _count(self, _time_s: float, sender: str, _frame: CanFrame) -> None:
        for link, door in self.doors.items():
            if door.is_open and sender != door.name:
                self.offered[link] += 1
