"""One stream of a vehicle at the base: from messages of the air to uplinks, and what is missing.

A stream is one boot of a vehicle. Its packets wait here until they are committed or void; they are
bounded, as all is that a stranger can send. Nothing here is needed after a restart: what is
committed is in the database, and the rest comes again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from server.wire import air
from server.wire.codec.packet import CONTINUED, BadPacket, Header
from server.wire.telemetry_pb2 import Downlink, Uplink

HELD = 64
"""Packets that wait; what is pushed out the vehicle keeps, and sends again."""
AT_A_TIME = 16
"""Packets of one uplink, so that others get their turn."""
VOIDS_AT_A_TIME = 2048
MOST_VOIDS = 4097
"""Of a longer gap only its end is written as void: then the store gives up what lies before
(`server.ingest.uplink_state.ABOVE_LIMIT`). One packet may claim a gap of 2^32."""
SEEN = 1024
"""Numbers beyond a gap that are remembered; the vehicle keeps 128."""
TAIL_BYTES = 4
TAILS = 256
"""Packets whose ends are remembered: another packet of the same number is another boot's."""
FIRMWARE = "telerig mesh"
_NUMBERS = (1 << 32) - 1


@dataclass(slots=True)
class _Held:
    """A packet that is not committed.

    Attributes:
        low: nothing below this number comes any more, says the packet.
        reference: the packet that it continues from; None: it stands alone.
        is_stuck: it is of no use to try it again as things are.
        is_bad: it was refused for what it is.
        is_doubtful: it was refused again, after a hello.
        repeats: how often the same has come since it was refused.
    """

    packet: bytes
    low: int
    reference: int | None
    is_stuck: bool = False
    is_bad: bool = False
    is_doubtful: bool = False
    repeats: int = 0


class Stream:
    """What is known of one stream, and what waits.

    Attributes:
        boot: 0 while it is not known.
        is_sure: whether `boot` comes from the vehicle itself, or a packet was decoded with it. Two
            boots may have one short name: until then nobody is told that packets are here.
        next: every packet below is committed or void.
        wants: what the vehicle is to be asked for.
        damaged, duplicates, committed, refused, voided, pushed_out: counts of packets.
    """

    def __init__(self, stream: int) -> None:
        self.stream = stream
        self.boot = 0
        self.is_sure = False
        self.next = 0
        self.wants = air.WANT_HELLO
        self.damaged = self.duplicates = self.committed = 0
        self.refused = self.voided = self.pushed_out = 0
        self._hello: air.Hello | None = None
        self._is_hello_new = False
        self._is_told = False  # the boot, by a hello
        self._is_probe = False  # ask what the store has of the boot, before any packet
        self._known_readings = 0  # of the boot, in the store
        self._ack = 0  # as the store told last
        self._tails: OrderedDict[int, bytes] = OrderedDict()  # ends of the last packets committed
        self._is_blocked = False  # the gateway needs a hello or a profile before any packet
        self._low = 0
        self._seen: set[int] = set()
        self._held: dict[int, _Held] = {}
        self._given_up: set[int] = set()  # refused for good: to be void
        self._void: set[int] = set()  # what the store was told of, beyond what it acknowledges
        self._parts: dict[int, bytes] = {}
        self._part_count = 0
        self._sent: list[int] = []  # of the uplink that is on its way
        self._sent_voids: list[int] = []

    # -- from the air ------------------------------------------------------------------------------
    def data(self, message: air.Data) -> bool:
        """Take a packet; tell whether it is one that is not here yet."""
        try:
            header = Header(message.packet)
        except BadPacket:
            self.damaged += 1
            return False
        seq = header.seq
        if seq >= _NUMBERS:
            self.damaged += 1
            return False
        before = self._held.get(seq)
        is_other = before is not None and before.is_bad and before.packet != message.packet
        if self._tails.get(seq, message.packet[-TAIL_BYTES:]) != message.packet[-TAIL_BYTES:]:
            # Another packet of this number is committed: the stream may be of another boot.
            self.is_sure = False
            self.wants |= air.WANT_HELLO
            return False
        if seq < self.next or seq in self._seen or (before is not None and not is_other):
            self.duplicates += 1
            if before is not None:
                before.repeats += before.is_bad
                if not before.is_bad or before.is_doubtful:
                    before.is_stuck = False  # the vehicle thinks that it is worth another try
            return False
        reference = header.reference if header.kind == CONTINUED else None
        self._held[seq] = _Held(message.packet, seq - message.back, reference)
        while len(self._held) > HELD:
            del self._held[next(iter(self._held))]
            self.pushed_out += 1
        return True

    def hello(self, message: air.Hello) -> None:
        """Take what the stream is."""
        if self.boot and message.boot != self.boot:
            self._start_anew()
        if self._hello is None or _differ(self._hello, message) or self.wants & air.WANT_HELLO:
            self._hello = message
            self._is_hello_new = True
            self._is_blocked = False
            for held in self._held.values():
                held.is_stuck = False
        self.boot = message.boot
        self.is_sure = self._is_told = True
        self._is_probe = False
        self.wants &= ~air.WANT_HELLO

    def found(self, boot: int) -> None:
        """Take a boot that the store has for this stream; a packet's check sum is to prove it."""
        if not self.boot:
            self.boot = boot
            self._is_probe = True

    def profile(self, message: air.ProfilePart) -> None:
        """Take a part of a profile, if it was asked for."""
        if not self.wants & air.WANT_PROFILE:
            return
        if message.count != self._part_count:
            self._parts.clear()
            self._part_count = message.count
        self._parts[message.index] = message.part
        if self._whole_profile():
            self._is_blocked = False

    # -- to the gateway ----------------------------------------------------------------------------
    @property
    def has_work(self) -> bool:
        """Whether an uplink would change anything."""
        if not self.boot or self._is_blocked:
            return False
        if self._is_probe or self._is_hello_new:
            return True
        return bool(self._whole_profile() or self._ready() or self._voids())

    def uplink(self, device: str) -> bytes:
        """Make the uplink of what waits; `answered` or `not_taken` follows."""
        message = Uplink(device=device, boot=self.boot)
        hello = self._hello
        if hello is not None:
            if self._is_hello_new or self._parts:
                message.hello.firmware = FIRMWARE
                # What cannot be a VIN would refuse the whole uplink.
                message.hello.vin = hello.vin if hello.vin.isalnum() else ""
                message.hello.profile_hash = hello.profile_hash
                message.hello.profile = self._whole_profile()
            message.time.row = 0
            message.time.utc_ms = hello.utc_ms
            message.time.source = hello.source  # type: ignore[assignment]
        self._sent = [] if self._is_probe else self._ready()
        message.packets.extend(self._held[seq].packet for seq in self._sent)
        self._sent_voids = self._voids()
        message.voids.extend(self._sent_voids)
        data: bytes = message.SerializeToString()
        return data

    def answered(self, answer: Downlink) -> bool:
        """Take the answer to the uplink; tell whether anything was committed by it."""
        before = self.next
        self._is_hello_new = False
        if not self._prove(answer):
            return False
        if not answer.need_profile:
            self._forget_parts()
        self._ack = answer.ack
        self.next = max(self.next, answer.ack)
        acked = set(answer.acked)
        done = [seq for seq in self._sent if seq < answer.ack or seq in acked]
        for seq in done:
            held = self._held.pop(seq)
            self._low = max(self._low, held.low)
            self._tails[seq] = held.packet[-TAIL_BYTES:]
            self._note(seq)
        while len(self._tails) > TAILS:
            self._tails.popitem(last=False)
        self.committed += len(done)
        for seq in self._sent_voids:
            self._held.pop(seq, None)
            self._given_up.discard(seq)
            self._note(seq)
        self.voided += len(self._sent_voids)
        self._void.update(self._sent_voids)
        for refusal in answer.refused:
            self._refuse(refusal.seq)
        for waiting in self._held.values():
            if waiting.reference in done:
                waiting.is_stuck = False
        self._is_blocked = answer.need_hello or answer.need_profile
        if not self._is_blocked:
            is_moving = bool(done or self._sent_voids)
            for seq in self._sent:
                # What is left over is tried again only while it goes on at all.
                if seq in self._held and (seq in answer.need_key or not is_moving):
                    self._held[seq].is_stuck = self._held[seq].reference not in done
        self._settle()
        self._want(answer)
        return bool(done) or self.next > before

    def not_taken(self) -> None:
        """The uplink was refused for good: what was in it will not be better next time."""
        self._is_hello_new = False
        self._forget_parts()
        self.refused += len(self._sent)
        for seq in self._sent:
            self._held.pop(seq, None)

    # -- for the vehicle ---------------------------------------------------------------------------
    @property
    def has_gap(self) -> bool:
        """Whether a packet is missing before one that is here."""
        return bool(self._seen)

    @property
    def waiting(self) -> int:
        """How many packets are not committed."""
        return len(self._held)

    def ack(self, node: int) -> air.Ack:
        """Give what the vehicle is told."""
        if not self.is_sure:
            return air.Ack(node, self.stream, self.wants | air.WANT_HELLO, 0, 0)
        seen = 0
        for seq in self._seen:
            ahead = seq - self.next - 1
            if 0 <= ahead < air.SEEN_BITS:
                seen |= 1 << ahead
        return air.Ack(node, self.stream, self.wants, self.next, seen)

    # -- helpers -----------------------------------------------------------------------------------
    def _start_anew(self) -> None:
        """Another boot has taken the stream's number: nothing that was known holds."""
        self.next = self._low = self._ack = 0
        self._seen.clear()
        self._tails.clear()
        self._given_up.clear()
        self._void.clear()
        self._hello = None
        self._forget_parts()
        for held in self._held.values():
            held.is_stuck = held.is_bad = held.is_doubtful = False

    def _prove(self, answer: Downlink) -> bool:
        """Tell whether the boot is the right one, as far as this answer can say.

        Numbers that the store has are no proof: those of any other boot are the same. A packet
        that was decoded is.
        """
        readings = answer.tally.readings
        if self._is_probe:
            self._is_probe = False
            self._known_readings = readings
            return False
        if self.is_sure or self._is_told:
            return True
        if readings > self._known_readings:
            self.is_sure = True
            self.wants &= ~air.WANT_HELLO
            return True
        self.wants |= air.WANT_HELLO
        if answer.refused or answer.need_hello or answer.need_profile:
            self.boot = 0  # the store's boot with this short name is another one
        for seq in self._sent:
            if seq in self._held:
                self._held[seq].is_stuck = bool(self.boot)
        return False

    def _ready(self) -> list[int]:
        return sorted(seq for seq, held in self._held.items() if not held.is_stuck)[:AT_A_TIME]

    def _voids(self) -> list[int]:
        """Give the numbers that will never come: below what the vehicle keeps, and neither here
        nor about to be tried."""
        voids = self._given_up - self._void
        begin, end = self._ack, max(self.next, self._low)
        if end - begin > MOST_VOIDS and not self._is_tried_below(end):
            begin = end - MOST_VOIDS
        for seq in range(begin, end):
            held = self._held.get(seq)
            is_here = seq in self._seen or seq in self._void
            if not is_here and (held is None or held.is_stuck):
                voids.add(seq)
                if len(voids) >= VOIDS_AT_A_TIME:
                    break
        return sorted(voids)

    def _is_tried_below(self, end: int) -> bool:
        """Tell whether a packet before that number is about to be tried."""
        return any(seq < end and not held.is_stuck for seq, held in self._held.items())

    def _refuse(self, seq: int) -> None:
        held = self._held.get(seq)
        if held is None:
            return
        if not held.is_bad:
            # Damaged on the way to here, or the stream is not what it was said to be.
            held.is_bad = held.is_stuck = True
            self.wants |= air.WANT_HELLO
        elif not held.repeats:
            # Whoever sent it does not mean it: one of another boot, late or replayed, whose number
            # a packet of this boot will have.
            held.is_stuck = held.is_doubtful = True
        else:
            del self._held[seq]
            self._given_up.add(seq)
            self.refused += 1

    def _note(self, seq: int) -> None:
        if seq >= self.next:
            self._seen.add(seq)

    def _settle(self) -> None:
        """Forget what lies below `next`."""
        while self.next in self._seen:
            self._seen.remove(self.next)
            self.next += 1
        if len(self._seen) > SEEN:
            self._seen = set(sorted(self._seen)[:SEEN])
        self._seen = {seq for seq in self._seen if seq >= self.next}
        for seq in [seq for seq in self._held if seq < self.next]:
            del self._held[seq]
        self._given_up = {seq for seq in self._given_up if seq >= self.next}
        self._void = {seq for seq in self._void if seq >= self._ack}

    def _want(self, answer: Downlink) -> None:
        if answer.need_hello:
            self.wants |= air.WANT_HELLO
        # A state that is not known and whose packet will not come: only a key packet helps.
        lacks_key = any(
            held.is_stuck
            and not held.is_bad
            and held.reference is not None
            and not self._may_come(held.reference)
            for held in self._held.values()
        )
        for is_wanted, want in (
            (answer.need_profile, air.WANT_PROFILE),
            (lacks_key, air.WANT_KEY),
        ):
            self.wants = self.wants | want if is_wanted else self.wants & ~want

    def _may_come(self, seq: int) -> bool:
        return seq >= max(self.next, self._low) and seq not in self._seen

    def _whole_profile(self) -> bytes:
        if not self._part_count or len(self._parts) < self._part_count:
            return b""
        return b"".join(self._parts[index] for index in range(self._part_count))

    def _forget_parts(self) -> None:
        self._parts.clear()
        self._part_count = 0


def _differ(one: air.Hello, other: air.Hello) -> bool:
    return one.to_bytes() != other.to_bytes()
