"""What the boards sent, byte by byte: how small it was, and whether all of it is in the store.

Read from the wire: the bodies of a board's HTTP requests, and the frames on its console; each
attempt counts, whether it got through or not. The packets are unpacked here with the wire codec's
own decoder, so the figures rest on what was sent and not on the gateway's word. A profile that a
board names by its hash alone is one that a board of the record sends in full, or one that the
package carries.

* bytes sent: HTTP bodies, or whole frames, in the direction of the gateway. HTTP's own headers, TCP
  and the radio do not count: they are the same for every codec, and differ by client.
* plain record: for each row a protobuf message with a millisecond timestamp (7 bytes) and a float
  field for each reading (5 bytes, from the 16th signal on 6).
* A window takes the packets that were first sent in it, and all bytes sent in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from rig.measures.arrays import Ints, Readings
from rig.measures.compacted import UNSEEN
from rig.measures.windows import Window
from rig.record.reader import RecordReader
from rig.record.streams import http_stream_name
from server.ingest.shipped_profiles import shipped_profiles
from server.wire import frame
from server.wire.codec.checks import content_hash
from server.wire.codec.decoder import Decoded, Decoder, PacketError
from server.wire.codec.profile import Profile
from server.wire.telemetry_pb2 import Downlink, Hello, TimeBase, Uplink

LINK = "esp32"
UPLINK_MEASURES = ("compression_ratio", "suppression_ratio", "bits_per_reading", "queue_max")

TIMESTAMP_BYTES = 7
FIELD_BYTES = 5
LATE_FIELD_BYTES = 6
EARLY_FIELDS = 15
PACKET_SHIFT = 16
"""A reading's number is its packet's times 65536, plus 1, plus its place in the packet."""

Key = tuple[int, int, int]
"""A packet's device, boot and number."""
PacketListener = Callable[[int, int, int, TimeBase, Profile, Decoded], None]
"""Takes device, boot, instant sent, the message's time base, profile and what a packet says."""


@dataclass(frozen=True, slots=True)
class Packet:
    """What the rig found in a packet when it was first sent."""

    sent_ns: int
    readings: int
    plain_bytes: int
    transmitted: int
    suppressed: int


@dataclass(slots=True)
class _Traffic:
    """All that went to and fro.

    Attributes:
        sent: (instant, bytes) of each attempt.
        queues: (instant, packets that waited) as the boards counted them.
        packets: those that could be unpacked.
        acknowledged: (device, boot) -> packets that the gateway said are committed.
        given_up: packets that the board said will never come, or the gateway refused for good.
    """

    sent: list[tuple[int, int]] = field(default_factory=list)
    queues: list[tuple[int, int]] = field(default_factory=list)
    packets: dict[Key, Packet] = field(default_factory=dict)
    acknowledged: dict[tuple[int, int], _Acks] = field(default_factory=dict)
    given_up: set[Key] = field(default_factory=set)


@dataclass(slots=True)
class _Acks:
    below: int = 0
    also: set[int] = field(default_factory=set)


class Uplinks:
    """The boards' traffic with the gateway in one record; read when it is first asked for."""

    def __init__(self, record: RecordReader, on_packet: PacketListener | None = None) -> None:
        self._record = record
        self._on_packet = on_packet

    def figure(self, name: str, window: Window | None) -> tuple[float | None, str]:
        """Return one of `UPLINK_MEASURES` with its unit; `window` None: all that was ever sent."""
        traffic = self._traffic
        if name == "queue_max":
            return _largest([n for t, n in traffic.queues if inside(window, t)]), ""
        packets = [p for p in traffic.packets.values() if inside(window, p.sent_ns)]
        readings = sum(packet.readings for packet in packets)
        if name == "suppression_ratio":
            suppressed = sum(packet.suppressed for packet in packets)
            all_of_them = suppressed + sum(packet.transmitted for packet in packets)
            return (suppressed / all_of_them if all_of_them else None), ""
        sent_bytes = sum(size for t, size in traffic.sent if inside(window, t))
        if name == "bits_per_reading":
            return (8.0 * sent_bytes / readings if readings else None), "bit"
        plain_bytes = sum(packet.plain_bytes for packet in packets)
        return (plain_bytes / sent_bytes if sent_bytes and plain_bytes else None), "x"

    def lost(self, stored: Readings, published: Readings) -> int | None:
        """Return the readings in acknowledged packets that are not in the store.

        None where nothing was ever acknowledged. A packet that could not be unpacked here and was
        acknowledged counts as one reading lost: nobody knows what was in it.
        """
        if not self._traffic.acknowledged:
            return None
        due: dict[Key, int] = {}
        for (device, boot), acks in self._traffic.acknowledged.items():
            numbers = {*range(acks.below), *acks.also}
            for key in ((device, boot, number) for number in numbers):
                if key not in self._traffic.given_up:
                    packet = self._traffic.packets.get(key)
                    due[key] = packet.readings if packet is not None else 1
        return count_missing(due, stored, published)

    def follow(self) -> None:
        """Read all of it now: `on_packet` hears of each packet that can be unpacked."""
        _ = self._traffic

    @cached_property
    def _traffic(self) -> _Traffic:
        traffic = _Traffic()
        profiles = dict(shipped_profiles())
        followers = [
            _Follower(self._record, device, number, traffic, profiles, self._on_packet)
            for number, (device, link) in enumerate(self._record.manifest.devices.items(), 1)
            if link == LINK
        ]
        for follower in followers:
            follower.find_profiles()
        for follower in followers:
            follower.follow()
        return traffic


class _Follower:
    """Reads one board's messages in the order of time.

    `profiles` is of all boards: what one has sent, the others only name.
    """

    def __init__(
        self,
        record: RecordReader,
        device: str,
        number: int,
        traffic: _Traffic,
        profiles: dict[bytes, Profile],
        on_packet: PacketListener | None = None,
    ) -> None:
        self._record = record
        self._on_packet = on_packet
        self._device = device
        self._number = number
        self._traffic = traffic
        self._profiles = profiles
        self._decoders: dict[int, list[tuple[Profile, Decoder]]] = {}

    def find_profiles(self) -> None:
        """Keep the profiles that the board has sent in full."""
        for _, _, to_host, body in self._messages():
            message = Uplink()
            if to_host and _parsed(message, body) and message.hello.profile:
                try:
                    profile = Profile.from_bytes(bytes(message.hello.profile))
                except ValueError:
                    continue
                self._profiles[profile.hash] = profile

    def follow(self) -> None:
        """Take everything into the traffic."""
        for time_ns, size, to_host, body in self._messages():
            if to_host:
                self._traffic.sent.append((time_ns, size))
                message = Uplink()
                if _parsed(message, body):
                    self._uplink(time_ns, message)
            else:
                answer = Downlink()
                if _parsed(answer, body):
                    self._downlink(answer)

    def _messages(self) -> Iterator[tuple[int, int, bool, bytes]]:
        """Yield (instant, bytes on the wire, direction, message)."""
        for chunk in self._record.wire(http_stream_name(self._device)):
            yield chunk.time_ns, len(chunk.text), chunk.direction == ">", chunk.data
        readers = {">": frame.Decoder(), "<": frame.Decoder()}
        for chunk in self._record.wire(self._device):
            for kind, payload in readers[chunk.direction].feed(chunk.data):
                if kind in (frame.UPLINK, frame.DOWNLINK):
                    size = len(payload) + frame.OVERHEAD_BYTES
                    yield chunk.time_ns, size, kind == frame.UPLINK, payload

    def _uplink(self, time_ns: int, message: Uplink) -> None:
        traffic, boot = self._traffic, message.boot
        if message.HasField("hello"):
            self._profile(boot, message.hello)
        if message.HasField("counters"):
            traffic.queues.append((time_ns, message.counters.queue_packets))
        traffic.given_up.update((self._number, boot, seq) for seq in message.voids)
        for data in message.packets:
            decoded = self._decoded(boot, bytes(data))
            if decoded is None:
                continue
            profile, packet = decoded
            if self._on_packet is not None:
                self._on_packet(self._number, boot, time_ns, message.time, profile, packet)
            key = (self._number, boot, packet.seq)
            if key not in traffic.packets:
                traffic.packets[key] = counted(time_ns, profile, packet)

    def _profile(self, boot: int, hello: Hello) -> None:
        data = bytes(hello.profile)
        named = content_hash(data) if data else bytes(hello.profile_hash)
        profile = self._profiles.get(named)
        known = self._decoders.setdefault(boot, [])
        if profile is not None and all(other.hash != profile.hash for other, _ in known):
            known.insert(0, (profile, Decoder(profile, boot)))

    def _decoded(self, boot: int, data: bytes) -> tuple[Profile, Decoded] | None:
        for profile, decoder in self._decoders.get(boot, ()):
            try:
                packet = decoder.decode(data)
            except PacketError:
                continue
            decoder.commit(packet)
            return profile, packet
        return None

    def _downlink(self, answer: Downlink) -> None:
        acks = self._traffic.acknowledged.setdefault((self._number, answer.boot), _Acks())
        acks.below = max(acks.below, answer.ack)
        acks.also.update(answer.acked)
        refused = (refusal.seq for refusal in answer.refused)
        self._traffic.given_up.update((self._number, answer.boot, seq) for seq in refused)


def _parsed(message: Uplink | Downlink, body: bytes) -> bool:
    try:
        message.ParseFromString(body)
    except Exception:  # noqa: BLE001  protobuf's own error class has no stable name; no message
        return False
    return True


def counted(time_ns: int, profile: Profile, packet: Decoded) -> Packet:
    """Return what is in a packet that was first sent at `time_ns`."""
    readings = plain_bytes = 0
    for row_number, row in enumerate(packet.rows, packet.first_row):
        taken = [index for index, value in zip(profile.due(row_number), row, strict=True)
                 if value is not None]  # fmt: skip
        if taken:
            late = sum(index >= EARLY_FIELDS for index in taken)
            plain_bytes += TIMESTAMP_BYTES + FIELD_BYTES * len(taken)
            plain_bytes += (LATE_FIELD_BYTES - FIELD_BYTES) * late
            readings += len(taken)
    return Packet(time_ns, readings, plain_bytes, packet.transmitted, packet.suppressed)


def count_missing(due: Mapping[Key, int], stored: Readings, published: Readings) -> int:
    """Return how many readings of packets are not in the store.

    A compacted reading that no client saw may belong to any packet of its device and start, of
    which as many readings were not seen.

    Args:
        due: packet -> readings that are in it.
    """
    kept, shown = by_packet(stored), by_packet(published)
    unseen = stored.where(stored.seq == UNSEEN)
    spare = Counter(zip(unseen.device.tolist(), unseen.boot.tolist(), strict=True))
    missing = 0
    for key, readings in due.items():
        hidden = min(spare[key[:2]], max(0, readings - max(kept.get(key, 0), shown.get(key, 0))))
        spare[key[:2]] -= hidden
        missing += max(0, readings - kept.get(key, 0)) - hidden
    return missing


def by_packet(readings: Readings) -> dict[Key, int]:
    """Return how many different readings there are of each packet."""
    readings = readings.where(readings.seq != UNSEEN)
    numbers: Ints = np.stack((readings.device, readings.boot, readings.seq), axis=1)
    numbers = np.unique(numbers, axis=0)
    numbers[:, 2] = (numbers[:, 2] - 1) >> PACKET_SHIFT
    packets, counts = np.unique(numbers, axis=0, return_counts=True)
    keys = [(int(device), int(boot), int(seq)) for device, boot, seq in packets.tolist()]
    return dict(zip(keys, counts.tolist(), strict=True))


def inside(window: Window | None, time_ns: int) -> bool:
    """Return whether an instant lies in the window; None holds every instant."""
    return window is None or any(start <= time_ns < end for start, end in window.spans)


def _largest(values: list[int]) -> float | None:
    return float(max(values)) if values else None
