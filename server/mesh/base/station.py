"""The vehicles that a base station hears, and what it tells them by radio, within its airtime.

    take()  a packet of the air -> the stream that it belongs to
    acks()  -> an ACKS message when one is due

One message acknowledges for as many vehicles as fit. It goes after `ack_packets` packets or `ack_s`
seconds; soon, when something is asked for or missing, and then ever more seldom while the vehicle
does not react. Nothing here does I/O or asks a clock.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from server.mesh.air.airtime import PRESETS, Preset, payload_airtime_s
from server.mesh.air.budget import Budget
from server.mesh.base.stream import Stream
from server.mesh.radio.packets import Packet, RadioInfo, node_id
from server.wire import air

MOST_VEHICLES = 512
"""Beyond them the one that was silent for longest is forgotten; those configured never are."""
STREAMS = 3
"""Of a vehicle: the present boot, and those before whose packets come late."""
RECENT_PACKETS = 4096
SETTLE_S = 2.0
"""The vehicle may be about to send more: it hears nothing meanwhile."""
FIRST_PAUSE_S = 10.0
LAST_PAUSE_S = 300.0
"""Between two messages to a vehicle that does not react."""
GAP_PAUSE_S = 20.0
"""At most, while more packets come and the gap stays: the message itself may have been lost."""
PAUSE_AFTER_REFUSAL_S = 60.0
SHARE_PCT = 5.0
"""Most of the time that the base may send by default, and half of what the region allows."""


@dataclass(slots=True)
class Told:
    """A vehicle's stream that has something to be told.

    Attributes:
        since_s: when that began; None: there is nothing.
        is_urgent: whether it is asked for something, or lacks the acknowledgement.
        at_s: when it was told last.
        pause_s: until it may be told again.
        last: what it was told.
        repeats: how often it was told the same before, without any reaction.
    """

    since_s: float | None = None
    is_urgent: bool = False
    at_s: float = -1e9
    pause_s: float = 0.0
    last: tuple[int, int, int] = (-1, 0, 0)
    repeats: int = 0


@dataclass(slots=True)
class Vehicle:
    """A node that sends messages of the air.

    Attributes:
        device: its name in the store.
        channel: where it was heard last.
        hops: how far away it was; None: it does not tell.
    """

    node: int
    device: str
    channel: int = 0
    hops: int | None = None
    streams: OrderedDict[int, Stream] = field(default_factory=OrderedDict)
    told: dict[int, Told] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """What the base is to send."""

    payload: bytes
    channel: int
    hop_limit: int
    airtime_s: float
    entries: tuple[air.Ack, ...]


class Station:
    """The base of some vehicles.

    Args:
        names: device of each node that the configuration names.
        only_listed: whether others are passed over.
        ack_packets, ack_s: an acknowledgement is due after so many packets or seconds.
        duty_cycle_pct: airtime of the base's own messages; None: from the region.

    Attributes:
        counts: of anything worth seeing.
        utilisation_pct: how busy the channel is.
        work: streams that something came for, until they have been looked after.
    """

    def __init__(
        self,
        names: Mapping[int, str],
        *,
        only_listed: bool,
        ack_packets: int,
        ack_s: float,
        duty_cycle_pct: float | None,
    ) -> None:
        self.counts: Counter[str] = Counter(messages=0, acks_sent=0)
        self.utilisation_pct = 0.0
        self.work: dict[tuple[int, int], tuple[Vehicle, Stream]] = {}
        self._names = names
        self._only_listed = only_listed
        self._ack_packets = ack_packets
        self._ack_s = ack_s
        self._duty_pct = duty_cycle_pct
        self._vehicles: OrderedDict[int, Vehicle] = OrderedDict()
        self._recent: OrderedDict[tuple[int, int], None] = OrderedDict()
        self._preset = PRESETS["LONG_FAST"]
        self._hop_limit = 3
        self._fresh = 0  # packets since the last message
        self._budget = Budget(SHARE_PCT, self._airtime_s(air.BROADCAST_BYTES))
        self._blocked_s = 0.0  # no airtime before then

    def radio(self, info: RadioInfo) -> None:
        """Take what the base's radio is set to."""
        self._preset = PRESETS.get(info.preset) or _own(info)
        self._hop_limit = info.hop_limit
        wanted = self._duty_pct
        if wanted is None:
            wanted = min(SHARE_PCT, info.duty_cycle_pct / 2)
        duty_pct = min(wanted, info.duty_cycle_pct)
        self._budget.set(duty_pct, self._airtime_s(air.BROADCAST_BYTES))

    # -- who ---------------------------------------------------------------------------------------
    @property
    def vehicles(self) -> int:
        """How many vehicles are known."""
        return len(self._vehicles)

    def device_of(self, node: int) -> str | None:
        """Give the device of a node; None where it is none of ours."""
        name = self._names.get(node)
        if name is None and not self._only_listed:
            return f"node-{node_id(node)[1:]}"
        return name

    def is_new(self, packet: Packet) -> bool:
        """Tell whether a packet was not here before; the radio itself forgets soon."""
        if not packet.id:
            return True
        key = (packet.sender, packet.id)
        if key in self._recent:
            self.counts["packets_again"] += 1
            return False
        self._recent[key] = None
        if len(self._recent) > RECENT_PACKETS:
            self._recent.popitem(last=False)
        return True

    # -- what comes --------------------------------------------------------------------------------
    def take(self, packet: Packet, device: str, now_s: float) -> tuple[Vehicle, Stream] | None:
        """Take a message of the air; give whose it is. None: it is none, or for others."""
        try:
            message = air.read(packet.payload)
        except air.AirError:
            self.counts["messages_bad"] += 1
            return None
        if isinstance(message, air.Acks):
            self.counts["messages_of_bases"] += 1
            return None
        self.counts["messages"] += 1
        vehicle = self._vehicle(packet, device)
        stream = self._stream(vehicle, message.stream)
        told = vehicle.told[stream.stream]
        duplicates, damaged = stream.duplicates, stream.damaged
        if isinstance(message, air.Hello):
            self.counts["hellos"] += 1
            stream.hello(message)
        elif isinstance(message, air.ProfilePart):
            self.counts["profile_parts"] += 1
            stream.profile(message)
        else:
            self._fresh += stream.data(message)
        self.counts["data_damaged"] += stream.damaged - damaged
        if stream.damaged > damaged and not stream.boot:
            self._due(told, now_s, is_urgent=True)  # it may be another vehicle's idea of a stream
        if stream.duplicates > duplicates:
            self.counts["data_duplicate"] += 1
            self._due(told, now_s, is_urgent=True)
        self.work[vehicle.node, stream.stream] = vehicle, stream
        return vehicle, stream

    def changed(self, vehicle: Vehicle, stream: Stream, now_s: float) -> None:
        """The stream was looked after: tell the vehicle, if there is something to tell."""
        self.work.pop((vehicle.node, stream.stream), None)
        told = vehicle.told[stream.stream]
        ack = stream.ack(vehicle.node)
        if (ack.wants, ack.next, ack.seen) != told.last or stream.wants:
            self._due(told, now_s, is_urgent=bool(stream.wants or stream.has_gap))

    # -- what goes ---------------------------------------------------------------------------------
    def acks(self, now_s: float) -> Message | None:
        """Give the message that is due; None where there is none, or no airtime for it."""
        self._budget.count(now_s, self.utilisation_pct)
        if now_s < self._blocked_s:
            return None
        due, others = [], []
        for item in self._dirty():
            if self._due_s(item[2]) <= now_s:
                due.append(item)
            elif now_s - item[2].at_s >= FIRST_PAUSE_S:
                others.append(item)
        if not due:
            return None
        # However many strangers there are: the configured vehicles are spoken to first.
        due.sort(key=lambda item: item[0].node not in self._names)
        channel = due[0][0].channel
        entries: list[air.Ack] = []
        size = 1
        told: list[tuple[Vehicle, Told, air.Ack]] = []
        for vehicle, stream, state in (*due, *others):
            if vehicle.channel != channel:
                continue
            ack = stream.ack(vehicle.node)
            more = len(air.Acks([ack]).to_bytes()) - 1
            if size + more > air.BROADCAST_BYTES:
                break
            size += more
            entries.append(ack)
            told.append((vehicle, state, ack))
        airtime_s = self._airtime_s(size)
        if not self._budget.allows(airtime_s):
            self.counts["acks_delayed"] += 1
            self._blocked_s = now_s + min(30.0, max(1.0, airtime_s))
            return None
        self._budget.pay(airtime_s)
        for _, state, ack in told:
            _note(state, ack, now_s)
        ways = [(vehicle.hops, state.repeats) for vehicle, state, _ in told]
        self._fresh = 0
        self.counts["acks_sent"] += 1
        self.counts["airtime_ms"] += round(airtime_s * 1000)
        return Message(
            air.Acks(entries).to_bytes(),
            channel,
            self._hops(ways),
            airtime_s,
            tuple(entries),
        )

    def unsent(self, message: Message, now_s: float, *, is_limit: bool = False) -> None:
        """The radio did not send it; `is_limit`: its region's duty cycle is exhausted."""
        self.counts["acks_sent"] -= 1
        self.counts["acks_unsent"] += 1
        self.counts["airtime_ms"] -= round(message.airtime_s * 1000)
        self._budget.pay_back(message.airtime_s)
        if is_limit:
            self._budget.pause(now_s + PAUSE_AFTER_REFUSAL_S)
            self._blocked_s = now_s + PAUSE_AFTER_REFUSAL_S
        for entry in message.entries:
            vehicle = self._vehicles.get(entry.node)
            state = vehicle.told.get(entry.stream) if vehicle is not None else None
            if state is not None:
                state.last = (-1, 0, 0)
                self._due(state, now_s, is_urgent=state.is_urgent)

    def wait_s(self, now_s: float) -> float | None:
        """Give the seconds until `acks` is worth a call by itself; None: something must come."""
        due = [self._due_s(state) for _, _, state in self._dirty()]
        if not due:
            return None
        return max(0.0, min(due) - now_s, self._blocked_s - now_s)

    # -- helpers -----------------------------------------------------------------------------------
    def _vehicle(self, packet: Packet, device: str) -> Vehicle:
        vehicle = self._vehicles.get(packet.sender)
        if vehicle is None:
            vehicle = self._vehicles[packet.sender] = Vehicle(packet.sender, device)
            self.counts["vehicles_new"] += 1
            if len(self._vehicles) > MOST_VEHICLES:
                self._forget_one()
        self._vehicles.move_to_end(packet.sender)
        vehicle.channel = packet.channel
        vehicle.hops = packet.hops
        return vehicle

    def _forget_one(self) -> None:
        for node in self._vehicles:
            if node not in self._names:
                for number in self._vehicles.pop(node).streams:
                    self.work.pop((node, number), None)
                self.counts["vehicles_forgotten"] += 1
                return

    def _stream(self, vehicle: Vehicle, number: int) -> Stream:
        stream = vehicle.streams.get(number)
        if stream is None:
            stream = vehicle.streams[number] = Stream(number)
            vehicle.told[number] = Told()
            if len(vehicle.streams) > STREAMS:
                oldest, _ = vehicle.streams.popitem(last=False)
                del vehicle.told[oldest]
                self.work.pop((vehicle.node, oldest), None)
        vehicle.streams.move_to_end(number)
        return stream

    def _dirty(self) -> Iterator[tuple[Vehicle, Stream, Told]]:
        for vehicle in self._vehicles.values():
            for number, state in vehicle.told.items():
                if state.since_s is not None:
                    yield vehicle, vehicle.streams[number], state

    @staticmethod
    def _due(state: Told, now_s: float, *, is_urgent: bool) -> None:
        if state.since_s is None:
            state.since_s = now_s
            state.is_urgent = False
        state.is_urgent |= is_urgent

    def _due_s(self, state: Told) -> float:
        assert state.since_s is not None, "asked of those that have something to be told"
        is_soon = state.is_urgent or self._fresh >= self._ack_packets
        due_s = state.since_s + (SETTLE_S if is_soon else self._ack_s)
        return max(due_s, state.at_s + state.pause_s)

    def _hops(self, ways: list[tuple[int | None, int]]) -> int:
        """Give how often the message is to be relayed: no farther than to the farthest vehicle.

        Each relay costs the airtime of a vehicle. The way back may be longer than the way here: one
        hop more for each time that a vehicle did not react.
        """
        farthest = 0
        for hops, repeats in ways:
            farthest = max(farthest, self._hop_limit if hops is None else hops + repeats)
        return min(self._hop_limit, farthest)

    def _airtime_s(self, payload_bytes: int) -> float:
        return payload_airtime_s(self._preset, payload_bytes)


def _note(state: Told, ack: air.Ack, now_s: float) -> None:
    """Note what a vehicle was told; the same again means that it does not react."""
    what = (ack.wants, ack.next, ack.seen)
    is_same = (what[0], what[1]) == (state.last[0], state.last[1])
    state.repeats = state.repeats + 1 if is_same else 0
    longest_s = LAST_PAUSE_S if what[2] == state.last[2] else GAP_PAUSE_S
    state.pause_s = min(longest_s, state.pause_s * 2) if is_same else FIRST_PAUSE_S
    state.pause_s = max(state.pause_s, FIRST_PAUSE_S)
    state.last = what
    state.at_s = now_s
    state.since_s = None
    state.is_urgent = False


def _own(info: RadioInfo) -> Preset:
    """Give the settings of a radio that has no preset; LONG_FAST where they make no sense."""
    if info.bandwidth_khz > 0 and 5 <= info.spreading <= 12 and 5 <= info.coding <= 8:
        return Preset(info.bandwidth_khz, info.spreading, info.coding)
    return PRESETS["LONG_FAST"]
