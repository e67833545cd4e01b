"""The control units that broadcast: each message at its own time, encoded from the vehicle.

Every message has a phase of its own, every control unit a crystal of its own (so that phases wander
against each other, as in a car), every frame a little jitter from the unit's other work. A message
whose last frame still waits for the bus is left out and counted: a mailbox holds one frame. With
the engine off the car goes to sleep after `AFTERRUN_S`, and wakes up when it is cranked.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

import simpy

from sim.broadcast.bends import Bends
from sim.broadcast.database import load_database
from sim.broadcast.encoding import MessageEncoder, Samples
from sim.broadcast.readings import Reading, ignition
from sim.can.bus import CanBus, CanNode
from sim.can.frame import CanFrame
from sim.vehicle import Vehicle, VehicleState

if TYPE_CHECKING:
    from cantools.database.can import Message

OnSample = Callable[[float, str, Mapping[str, tuple[float | None, float]]], None]
OnSent = Callable[[float, str, float], None]

AFTERRUN_S = 10.0  # [assumed] control units stay awake so long after the engine was switched off
WATCH_S = 0.1  # how often the body control module looks at the ignition switch
TASK_S = 0.001  # control units send from a task that runs at this pace
CRYSTAL_PPM = 50.0  # [assumed] a control unit's clock is at most so far off
JITTER_S = 0.0003  # [assumed] the most by which other work delays a frame
JITTER_SHARE = 0.02  # of the cycle time, if that is less
REACTION_S = (0.002, 0.006)  # [assumed] from a message that tells of a change to the one it causes
# A message that changes in it -> the message on change that another control unit sends of it.
CAUSES = {"Pedals": ("BrakeSwitch", "ExteriorLights")}
ON_IGNITION = ("IgnitionSwitch", "BodyStatus")


class BroadcastSender:
    """Every control unit of the car that broadcasts, on one bus.

    Args:
        env: the world's clock.
        bus: where the nodes are attached, one a control unit.
        vehicle: what they read.
        rng: stream for phases, crystals and jitter.
        vin: 17 characters, for the message that carries it.
        heading_deg: direction of the road at a distance driven in metres; None drives straight on.
        sampled_signals: names for `on_sample`; None gives all.
        until_s: the instant from which on nobody broadcasts; None never ends.

    Attributes:
        nodes: name of the control unit -> its node on the bus.
        on_sample, on_sent: hooks for the record, see `sim.broadcast`.
        awake: whether the car's control units send.
        missed_cycles: messages left out because their last frame was still waiting.
        refused_frames: frames that the node did not take (bus-off, full queue).
        lost_frames: frames that the node took and gave up (bus-off).
    """

    def __init__(
        self,
        env: simpy.Environment,
        bus: CanBus,
        vehicle: Vehicle,
        rng: random.Random,
        *,
        vin: str = "",
        heading_deg: Callable[[float], float] | None = None,
        sampled_signals: Collection[str] | None = None,
        until_s: float | None = None,
    ) -> None:
        self.on_sample: OnSample | None = None
        self.on_sent: OnSent | None = None
        self.missed_cycles = 0
        self.refused_frames = 0
        self.lost_frames = 0
        self.env = env
        self._vehicle = vehicle
        self._vin = vin
        self._bends = None if heading_deg is None else Bends(heading_deg)
        self._until_s = float("inf") if until_s is None else until_s
        self._muted: set[str] = set()
        self.nodes: dict[str, CanNode] = {}
        self._messages: dict[str, _Broadcast] = {}
        clocks: dict[str, float] = {}
        for message in load_database().messages:
            unit = message.senders[0]
            if unit not in self.nodes:
                self.nodes[unit] = bus.attach(unit, _ignore, ())
                clocks[unit] = 1.0 + 1e-6 * CRYSTAL_PPM * (2.0 * rng.random() - 1.0)
            self._messages[message.name] = _Broadcast(
                self,
                message,
                self.nodes[unit],
                clocks[unit],
                random.Random(rng.getrandbits(64)),
                sampled_signals,
            )
        state = vehicle.at(env.now)
        self._ignition = ignition(state)
        self._off_since_s = env.now
        self.awake = state.engine_on or state.rpm > 0.0
        if self.awake:
            self._wake()
        self._watch_later()

    def mute(self, unit: str, muted: bool = True) -> None:
        """Silence a control unit, or let it speak again: its software hangs, its node is well."""
        if unit not in self.nodes:
            raise ValueError(f"control unit: expected one of {sorted(self.nodes)}, got {unit!r}")
        if muted:
            self._muted.add(unit)
        else:
            self._muted.discard(unit)

    # -- used by _Broadcast ----------------------------------------------------------------------
    def read(self) -> Reading:
        """Return what the control units read now."""
        state = self._vehicle.at(self.env.now)
        return Reading(state, self._vehicle.spec, self._vin, self._bends)

    def may_send(self, unit: str) -> bool:
        """Whether `unit` sends at all now."""
        return unit not in self._muted and self.env.now < self._until_s

    def react(self, name: str) -> None:
        """Send the message `name` out of its turn."""
        self._messages[name].send_on_change()

    # -- awake and asleep ------------------------------------------------------------------------
    def _watch_later(self) -> None:
        event = self.env.timeout(WATCH_S)
        event.callbacks.append(self._watch)

    def _watch(self, event: simpy.Event) -> None:
        now_s = self.env.now
        if now_s >= self._until_s:
            return
        state: VehicleState = self._vehicle.at(now_s)
        if state.engine_on or state.rpm > 0.0:
            self._off_since_s = now_s
            if not self.awake:
                self._wake()
        elif self.awake and now_s - self._off_since_s >= AFTERRUN_S:
            self.awake = False
        switched = ignition(state)
        if switched != self._ignition:
            self._ignition = switched
            if self.awake:
                for name in ON_IGNITION:
                    self.react(name)
        self._watch_later()

    def _wake(self) -> None:
        self.awake = True
        for message in self._messages.values():
            message.start()


class _Broadcast:
    """One message: when it is due, and its frame on the way."""

    __slots__ = (
        "_cause", "_changes_reach", "_clock", "_delay_s", "_due", "_due_s", "_encoder", "_flag",
        "_frame", "_last_s", "_node", "_period_s", "_phase_s", "_reaction", "_rng", "_sampled_s",
        "_sender", "_sent_count", "_unit", "_waiting", "name",
    )  # fmt: skip

    def __init__(
        self,
        sender: BroadcastSender,
        message: Message,
        node: CanNode,
        clock: float,
        rng: random.Random,
        sampled_signals: Collection[str] | None,
    ) -> None:
        self.name = message.name
        self._sender = sender
        self._node = node
        self._unit = message.senders[0]
        self._encoder = MessageEncoder(message, sampled_signals)
        self._rng = rng
        cycle_ms = message.cycle_time
        assert cycle_ms, f"{message.name}: a cycle time is expected in the DBC"
        self._period_s = 0.001 * cycle_ms * clock
        tasks = round(0.001 * cycle_ms / TASK_S)
        self._phase_s = TASK_S * (rng.randrange(tasks) + rng.random())
        self._delay_s = _delay_s(message)
        self._due_s = 0.0
        self._due: simpy.Event | None = None
        self._reaction: simpy.Event | None = None
        self._frame: CanFrame | None = None
        self._sampled_s = 0.0
        self._last_s = float("-inf")
        self._sent_count = 0
        self._waiting = False
        self._flag: float | None = None
        self._cause, self._changes_reach = CAUSES.get(self.name, ("", ""))

    def start(self) -> None:
        """Begin the cycle anew: the first frame comes one phase from now."""
        self._due_s = self._sender.env.now + self._phase_s
        self._sleep_until_due()

    def send_on_change(self) -> None:
        """Send soon, and not before the delay that the DBC asks for; the cycle goes on."""
        if self._reaction is not None:
            return
        low_s, high_s = REACTION_S
        now_s = self._sender.env.now
        due_s = now_s + low_s + (high_s - low_s) * self._rng.random()
        due_s = max(due_s, self._last_s + self._delay_s)
        self._reaction = self._sender.env.timeout(due_s - now_s)
        self._reaction.callbacks.append(self._on_reaction)

    def _sleep_until_due(self) -> None:
        env = self._sender.env
        jitter_s = min(JITTER_S, JITTER_SHARE * self._period_s) * self._rng.random()
        event = env.timeout(max(0.0, self._due_s + jitter_s - env.now))
        event.callbacks.append(self._on_due)
        self._due = event

    def _on_due(self, event: simpy.Event) -> None:
        if event is not self._due or not self._sender.awake:
            return  # the cycle began anew, or the car sleeps
        self._due_s += self._period_s
        self._sleep_until_due()
        self._send()

    def _on_reaction(self, event: simpy.Event) -> None:
        self._reaction = None
        if self._sender.awake:
            self._send()

    def _send(self) -> None:
        sender = self._sender
        if not sender.may_send(self._unit):
            return
        if self._waiting:
            sender.missed_cycles += 1
            return
        samples: Samples | None = None if sender.on_sample is None else {}
        reading = sender.read()
        encoder = self._encoder
        count = self._sent_count
        data = encoder.encode(reading, count, count % encoder.parts, samples)
        frame = self._frame
        if frame is None or frame.data != data:
            frame = self._frame = CanFrame(encoder.arbitration_id, data)
        now_s = sender.env.now
        self._waiting = True
        if not self._node.send(frame, self._on_sent, self._on_lost):
            self._waiting = False
            sender.refused_frames += 1
            return
        self._sampled_s = self._last_s = now_s
        self._sent_count = count + 1
        if sender.on_sample is not None and samples is not None:
            sender.on_sample(now_s, self.name, samples)

    def _on_sent(self, t_s: float) -> None:
        self._waiting = False
        if self._cause:
            self._tell_of_change()
        if self._sender.on_sent is not None:
            self._sender.on_sent(t_s, self.name, self._sampled_s)

    def _on_lost(self, t_s: float) -> None:
        self._waiting = False
        self._sender.lost_frames += 1

    def _tell_of_change(self) -> None:
        frame = self._frame
        assert frame is not None
        flag = self._encoder.raw(self._cause, frame.data)
        if self._flag is not None and flag != self._flag:
            self._sender.react(self._changes_reach)
        self._flag = flag


def _delay_s(message: Message) -> float:
    attributes = {} if message.dbc is None else message.dbc.attributes
    delay = attributes.get("GenMsgDelayTime")
    return 0.0 if delay is None else 0.001 * float(delay.value)


def _ignore(frame: CanFrame, t_s: float) -> None:
    """Broadcasting units read nothing here: their diagnostics are nodes of their own."""
