"""A vehicle's uplink and a base, in one loop of plain time: what tests drive."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from server.catalogue import by_name
from server.mesh.uplink.uplink import Outgoing, Uplink, UplinkSettings
from server.readings import Reading, State
from server.wire import air
from server.wire.codec.decoder import BadPacket, Decoder, NeedKey
from server.wire.codec.profile import Profile

NODE = 0xA1B2C3D4
START_NS = 1_800_000_000_000_000_000
Values = Callable[[float], dict[str, float]]


def reading(name: str, time_s: float, value: float, state: State = State.MEASURED) -> Reading:
    """Make a reading `time_s` after the start."""
    time_ns = START_NS + round(time_s * 1e9)
    return Reading(by_name(name).id, time_ns, value, time_ns, state)


class Base:
    """What a base keeps of one vehicle, without a gateway: rows, acknowledgements.

    Attributes:
        rows: row number -> signal name's id -> steps.
        hellos, parts: how many came.
        asks: added to `wants` of each acknowledgement.
    """

    def __init__(self, profile: Profile | None) -> None:
        self.profile = profile
        self.hello: air.Hello | None = None
        self.hellos = 0
        self.parts: dict[int, bytes] = {}
        self.asks = 0
        self.done: set[int] = set()
        self.next = 0
        self.readings: dict[tuple[int, int], int] = {}  # (row, id) -> steps
        self.row_bytes = 0
        self.voids = 0
        self.bad = 0
        self._decoder: Decoder | None = None
        self.needs_key = False

    def forget_states(self) -> None:
        """Lose what packets continue from, as a base with a new database."""
        assert self.hello is not None
        assert self.profile is not None
        self._decoder = Decoder(self.profile, self.hello.boot)

    def take(self, payload: bytes) -> None:
        """Take what arrives."""
        message = air.read(payload)
        if isinstance(message, air.Hello):
            self._hello(message)
        elif isinstance(message, air.ProfilePart):
            self.parts[message.index] = message.part
            if len(self.parts) == message.count:
                data = b"".join(self.parts[index] for index in range(message.count))
                self.profile = Profile.from_bytes(data)
        elif isinstance(message, air.Data):
            self._data(message)

    def _hello(self, hello: air.Hello) -> None:
        self.hellos += 1
        if self.hello is None or self.hello.boot != hello.boot:
            self.hello = hello
            self._decoder = None
            self.done, self.next = set(), 0

    def _data(self, data: air.Data) -> None:
        if self.hello is None or self.profile is None or data.stream != self.hello.stream:
            return
        if self._decoder is None:
            self._decoder = Decoder(self.profile, self.hello.boot)
        try:
            decoded = self._decoder.decode(data.packet)
        except NeedKey:
            self.needs_key = True
            return
        except BadPacket:
            self.bad += 1
            return
        self._decoder.commit(decoded)
        for row, values in enumerate(decoded.rows, decoded.first_row):
            for index, value in zip(self.profile.due(row), values, strict=True):
                if value is not None:
                    self.readings[row, self.profile.signals[index].id] = value
        self.done.add(decoded.seq)
        for seq in range(self.next, decoded.seq - data.back):
            self.voids += seq not in self.done
            self.done.add(seq)
        while self.next in self.done:
            self.next += 1

    def ack(self, node: int = NODE) -> bytes:
        """Give what it would send now."""
        wants = self.asks
        if self.needs_key:
            wants |= air.WANT_KEY
            self.needs_key = False
        if self.hello is None:
            wants |= air.WANT_HELLO
        elif self.profile is None:
            wants |= air.WANT_PROFILE
        seen = sum(1 << bit for bit in range(air.SEEN_BITS) if self.next + 1 + bit in self.done)
        stream = 0 if self.hello is None else self.hello.stream
        return air.Acks([air.Ack(node, stream, wants, self.next, seen)]).to_bytes()


class Loop:
    """Second after second: readings, sending, arriving, acknowledging.

    Attributes:
        sent: (second, message) of all that the radio got.
        levels: the ladder's step in each second.
    """

    def __init__(
        self,
        settings: UplinkSettings,
        values: Values,
        *,
        preset: str = "LONG_FAST",
        region_duty_pct: float = 10.0,
        boot: int = 0x1234,
        knows_profile: bool = True,
    ) -> None:
        self.uplink = Uplink(settings, boot, NODE)
        self.uplink.radio(preset, region_duty_pct=region_duty_pct)
        self.base = Base(settings.profile if knows_profile else None)
        self.values = values
        self.now_s = 0.0
        self.sent: list[tuple[float, Outgoing]] = []
        self.levels: list[str] = []
        self.offered: dict[tuple[int, int], float] = {}  # (second, id) -> value
        self.ack_each_s = 60.0
        self.hears_vehicle = True
        self.hears_base = True
        self.loss = 0.0
        self.queue_free = 16
        self.utilisation_pct = 0.0
        self.refusal = 0
        self.clock_offset_s = 0.0
        self.utc_ns = START_NS
        self._rng = random.Random(7)

    def run(self, seconds: int) -> None:
        """Go on for so long."""
        for _ in range(seconds):
            self._second()

    def _second(self) -> None:
        time_s = self.now_s
        batch = [reading(name, time_s, value) for name, value in self.values(time_s).items()]
        for one in batch:
            self.offered[round(time_s), one.signal] = one.value
        self.uplink.offer(batch)
        self.now_s += 1.0
        self.send()
        self.levels.append(self.uplink.level.value)
        if self.ack_each_s and self.now_s % self.ack_each_s == 0 and self.hears_base:
            self.uplink.take(self.base.ack(), self.now_s)

    def send(self) -> None:
        """Hand over what may go now."""
        while True:
            now_ns = START_NS + round((self.now_s + self.clock_offset_s) * 1e9)
            message = self.uplink.next(
                now_ns,
                self.now_s,
                queue_free=self.queue_free,
                utilisation_pct=self.utilisation_pct,
            )
            if message is None:
                return
            if self.refusal:
                self.uplink.refused(message, self.refusal, self.now_s)
                continue
            self.sent.append((self.now_s, message))
            if self.hears_vehicle and self._rng.random() >= self.loss:
                self.base.take(message.payload)

    def airtime_pct(self, since_s: float = 0.0) -> float:
        """Give the share of time on the air."""
        spent_s = sum(message.airtime_s for at, message in self.sent if at >= since_s)
        return 100 * spent_s / (self.now_s - since_s)

    def kinds(self) -> list[str]:
        """Give the kinds of what was sent."""
        return [message.kind for _, message in self.sent]


def seqs(messages: Sequence[tuple[float, Outgoing]]) -> list[int]:
    """Give the numbers of the data among messages."""
    return [message.seq for _, message in messages if message.seq is not None]
