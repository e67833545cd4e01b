"""A light vehicle: which packets wait, what goes to the gateway, what its answer means.

Without I/O: whoever drives it asks `wake_s`, takes the request of `request`, and tells what came of
it (`answered`, `failed`). It keeps to what `firmware_stubs.uplink` does, seen from the wire: a
packet leaves the store when the gateway has it or refuses it for good, one message is under way at
a time, pauses after failures double with jitter, a hello names profile and templates by hash until
the gateway asks for more. What it leaves out: counters, logs, results of commands, and heartbeats
between two batches.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from functools import cache

from firmware_stubs.commands import templates, templates_hash
from firmware_stubs.hal import SECTOR_BYTES
from firmware_stubs.links import HttpLink
from firmware_stubs.logger import FIRMWARE
from firmware_stubs.packer import WAIT_ROWS
from firmware_stubs.uplink import (
    FIRST_PAUSE_MS,
    LEAST_BATCH_BYTES,
    LONGEST_PAUSE_MS,
    MOST_PACKETS,
    MOST_VOIDS,
    PROFILE,
    REFUSED_PAUSE_MS,
    TEMPLATES,
)
from server.wire.codec import varint
from server.wire.messages import GNSS, Hello, TimeBase
from server.wire.telemetry_pb2 import Downlink
from sim.fleet.crc import difference
from sim.fleet.packets import MADE_FOR_BOOT, Model

STORE_BYTES = 64 * SECTOR_BYTES
"""What a vehicle keeps of packets that are not acknowledged: the boards' partition."""
LEAST_BOOT, MOST_BOOT = 1, 2**32 - 1

Entry = tuple[int, int, bool]
"""A packet that waits: lap, number, whether it continues from the one before."""


class Listener:
    """Told what became of packets; every method may be left as it is."""

    def acknowledged(self, vehicle: Vehicle, lap: int, seq: int, now_s: float) -> None:
        """The gateway has answered for a packet."""

    def refused(self, vehicle: Vehicle, lap: int, seq: int, reason: str) -> None:
        """The gateway will never take a packet."""

    def dropped(self, vehicle: Vehicle, lap: int, seq: int) -> None:
        """The store was full: a packet was given up."""


class Vehicle:
    """One vehicle.

    Attributes:
        number: in the fleet, from 0.
        device: its id at the gateway.
        key: its key there.
        model: what it drives, lap after lap.
        start_s: when its first row is taken, on the driver's clock.
        queue: packets that wait, the oldest first.
        requests, failures: counters.
    """

    path = "/api/v1/uplink"
    """Where its messages go."""

    __slots__ = (
        "_acked_lap", "_acked_s", "_acked_seq", "_batch_bytes", "_boot_seed", "_difference",
        "_difference_boot", "_epoch_ms", "_known_boot", "_lap", "_listener", "_made", "_needs_key",
        "_offline_until_s", "_parts", "_pause_s", "_paused_until_s", "_queued_bytes", "_rng",
        "_sent", "_sent_hello", "_told_voids", "_until_s", "_vin", "_voids", "device", "failures",
        "key", "model", "number", "queue", "requests", "start_s",
    )  # fmt: skip

    def __init__(
        self,
        number: int,
        device: str,
        key: str,
        model: Model,
        *,
        start_s: float,
        epoch_ms: int,
        rng: random.Random,
        listener: Listener,
        vin: str = "",
    ) -> None:
        self.number = number
        self.device = device
        self.key = key
        self.model = model
        self.start_s = start_s
        self.queue: list[Entry] = []
        self.requests = 0
        self.failures = 0
        self._vin = vin
        self._epoch_ms = epoch_ms
        self._rng = rng
        self._listener = listener
        self._boot_seed = rng.randrange(LEAST_BOOT, MOST_BOOT)
        self._until_s = math.inf
        self._lap = 0
        self._made = 0  # packets of this lap
        self._queued_bytes = 0
        self._acked_lap, self._acked_seq, self._acked_s = -1, -1, -math.inf
        self._needs_key = False
        self._sent: Sequence[Entry] = ()  # under way
        self._sent_hello = False
        self._known_boot = 0  # whose hello the gateway has
        self._parts = 0
        self._voids: tuple[tuple[int, int], ...] = ()
        self._told_voids = 0
        self._pause_s = FIRST_PAUSE_MS / 1000.0
        self._paused_until_s = self._offline_until_s = -math.inf
        self._batch_bytes = HttpLink.BATCH_BYTES
        self._difference = self._difference_boot = 0

    # -- time --------------------------------------------------------------------------------------
    def boot(self, lap: int) -> int:
        """Return the boot number of a lap."""
        return (self._boot_seed + lap - LEAST_BOOT) % MOST_BOOT + LEAST_BOOT

    @property
    def laps(self) -> int:
        """Laps that were begun."""
        return self._lap + 1

    def lap_start_s(self, lap: int) -> float:
        """Return when the first row of a lap is taken."""
        return self.start_s + lap * self.model.lap_s

    def base_ms(self, lap: int) -> int:
        """Return UTC of the first row of a lap, in milliseconds: as the time base says it."""
        return self._epoch_ms + round(self.lap_start_s(lap) * 1000.0)

    def closed_s(self, lap: int, seq: int) -> float:
        """Return when a packet is closed: one period after its last row was taken."""
        each_s = self.model.rows_each * self.model.profile.period_ms / 1000.0
        return self.lap_start_s(lap) + (seq + 1) * each_s

    def stop(self, at_s: float) -> None:
        """Close no packet after `at_s`; those that wait are still sent."""
        self._until_s = at_s

    def wake_s(self, now_s: float) -> float:
        """Return when there is something to do, if no answer comes before; infinite: never."""
        due_s = self.closed_s(self._lap, self._made)
        if due_s > self._until_s:
            due_s = math.inf
        if self.queue and not self._sent:
            due_s = min(due_s, max(now_s, self._paused_until_s, self._offline_until_s))
        return due_s

    # -- packets -----------------------------------------------------------------------------------
    def close_due(self, now_s: float) -> None:
        """Close the packets that are full by now."""
        model = self.model
        while True:
            closed_s = self.closed_s(self._lap, self._made)
            if closed_s > now_s or closed_s > self._until_s:
                return
            self._keep((self._lap, self._made, self._is_continued(closed_s)))
            self._made += 1
            if self._made == model.packets:
                self._lap += 1
                self._made = 0
                self._needs_key = False

    def _is_continued(self, closed_s: float) -> bool:
        """Tell whether the packet before was acknowledged before this one had to be opened.

        The firmware holds back some rows for it (`WAIT_ROWS`).
        """
        if self._needs_key:
            self._needs_key = False
            return False
        if self._acked_lap != self._lap or self._acked_seq != self._made - 1:
            return False
        model = self.model
        not_held = max(0, model.rows_each - WAIT_ROWS)
        return self._acked_s <= closed_s - not_held * model.profile.period_ms / 1000.0

    def _size(self, entry: Entry) -> int:
        _, seq, continued = entry
        model = self.model
        return (model.continued if continued else model.alone)[seq].size_bytes

    def _keep(self, entry: Entry) -> None:
        self.queue.append(entry)
        self._queued_bytes += self._size(entry)
        while self._queued_bytes > STORE_BYTES and self.queue[0] not in self._sent:
            lap, seq, _ = dropped = self.queue.pop(0)
            self._queued_bytes -= self._size(dropped)
            self._void(lap, seq)
            self._listener.dropped(self, lap, seq)

    def _void(self, lap: int, seq: int) -> None:
        self._voids = (*self._voids, (lap, seq))[-MOST_VOIDS:]

    # -- sending -----------------------------------------------------------------------------------
    @property
    def is_sending(self) -> bool:
        """Whether a message is under way."""
        return bool(self._sent)

    def request(self, now_s: float) -> list[bytes] | None:
        """Return the body of the message that is to go now, in pieces; None: there is none."""
        self.close_due(now_s)
        if self._sent or not self.queue:
            return None
        if now_s < self._paused_until_s or now_s < self._offline_until_s:
            return None
        self._sent = sent = self._chosen()
        self.requests += 1
        return self._message(sent[0][0], sent)

    def _chosen(self) -> list[Entry]:
        """Return what goes into the next message: packets of one boot, the oldest first."""
        lap = self.queue[0][0]
        size = 0
        chosen: list[Entry] = []
        for entry in self.queue:
            size += self._size(entry)
            is_full = size > self._batch_bytes or len(chosen) == MOST_PACKETS
            if entry[0] != lap or (chosen and is_full):
                break
            chosen.append(entry)
        return chosen

    def _message(self, lap: int, sent: Sequence[Entry]) -> list[bytes]:
        boot = self.boot(lap)
        out = bytearray(b"\x0a")
        device = self.device.encode()
        varint.put(out, len(device))
        out += device
        out.append(2 << 3)
        varint.put(out, boot)
        self._sent_hello = boot != self._known_boot
        if self._sent_hello:
            _put(out, 3, self._hello().to_bytes())
        _put(out, 4, TimeBase(row=0, utc_ms=self.base_ms(lap), source=GNSS).to_bytes())
        model = self.model
        if boot != self._difference_boot:
            self._difference_boot = boot
            self._difference = difference(boot, MADE_FOR_BOOT, model.profile.hash)
        by = self._difference
        pieces = [bytes(out)]
        pieces += [
            (model.continued if continued else model.alone)[seq].for_boot(by)
            for _, seq, continued in sent
        ]
        voids = [seq for of, seq in self._voids if of == lap]
        self._told_voids = len(voids)
        if voids:
            packed = bytearray()
            for seq in voids:
                varint.put(packed, seq)
            tail = bytearray()
            _put(tail, 6, bytes(packed))
            pieces.append(bytes(tail))
        return pieces

    def _hello(self) -> Hello:
        profile = self.model.profile
        hello = Hello(
            firmware=FIRMWARE,
            vin=self._vin,
            reset_reason="power-on",
            profile_hash=profile.hash,
            templates_hash=_templates_hash(),
        )
        if self._parts & PROFILE:
            hello.profile = profile.to_bytes()
        if self._parts & TEMPLATES:
            hello.templates = templates()
        return hello

    # -- the answer --------------------------------------------------------------------------------
    def failed(self, now_s: float, status: int = 0) -> None:
        """Take note that there was no answer that could be used; 0: none at all."""
        self._sent = ()
        self.failures += 1
        if status == 413:
            self._batch_bytes = max(LEAST_BATCH_BYTES, self._batch_bytes // 2)
        self._pause(now_s, REFUSED_PAUSE_MS / 1000.0 if status in (401, 403) else 0.0)

    def _pause(self, now_s: float, at_least_s: float = 0.0) -> None:
        """Wait half to all of the pause, so that fleets do not march (`firmware_stubs.backoff`)."""
        pause_s = max(self._pause_s, at_least_s)
        self._paused_until_s = now_s + pause_s * (0.5 + 0.5 * self._rng.random())
        self._pause_s = min(self._pause_s * 2.0, LONGEST_PAUSE_MS / 1000.0)

    def _calm(self) -> None:
        """All is well: the next failure has the first pause again."""
        self._pause_s = FIRST_PAUSE_MS / 1000.0
        self._paused_until_s = -math.inf

    def offline_until(self, until_s: float) -> None:
        """There is no network before `until_s`: nothing is tried."""
        self._offline_until_s = until_s

    def answered(self, now_s: float, body: bytes) -> None:
        """Take the gateway's answer to the message under way."""
        try:
            answer = Downlink.FromString(body)
        except ValueError:  # DecodeError is one
            self.failed(now_s)
            return
        sent = self._sent
        if not sent or answer.boot != self.boot(sent[0][0]):
            self.failed(now_s)
            return
        self._sent = ()
        self._batch_bytes = min(HttpLink.BATCH_BYTES, self._batch_bytes * 2)
        self._forget_voids(sent[0][0])
        moved = self._settle(answer, sent, now_s)
        wishes, in_vain = self._take_wishes(answer, sent[0][0])
        stuck = in_vain or not (moved or wishes)
        if moved or not stuck:
            self._calm()
        if stuck:
            self._pause(now_s)

    def _forget_voids(self, lap: int) -> None:
        told = self._told_voids
        kept: list[tuple[int, int]] = []
        for void in self._voids:
            if void[0] == lap and told:
                told -= 1
            else:
                kept.append(void)
        self._voids = tuple(kept)

    def _take_wishes(self, answer: Downlink, lap: int) -> tuple[bool, bool]:
        parts = (PROFILE if answer.need_profile else 0) | (
            TEMPLATES if answer.need_templates else 0
        )
        if answer.need_hello and self._sent_hello:
            parts = PROFILE | TEMPLATES
        in_vain = self._sent_hello and parts & self._parts != 0
        wishes = parts != 0 or answer.need_hello
        self._parts = parts
        if wishes:
            self._known_boot = 0
        elif self._sent_hello:
            self._known_boot = self.boot(lap)
        return wishes, in_vain

    def _settle(self, answer: Downlink, sent: Sequence[Entry], now_s: float) -> bool:
        """Let packets go as the answer says; tell whether any did."""
        ack = answer.ack
        acked = answer.acked
        lost = set(answer.need_key)
        refused = {refusal.seq: refusal.reason for refusal in answer.refused}
        listener, queue = self._listener, self.queue
        silent = []
        for entry in sent:
            lap, seq, _ = entry
            if seq in lost or seq in refused:
                self._void(lap, seq)
                self._needs_key = self._needs_key or (seq in lost and lap == self._lap)
                listener.refused(self, lap, seq, refused.get(seq, "need key"))
            elif seq < ack or seq in acked:
                if (lap, seq) > (self._acked_lap, self._acked_seq):
                    self._acked_lap, self._acked_seq, self._acked_s = lap, seq, now_s
                listener.acknowledged(self, lap, seq, now_s)
            else:
                silent.append(entry)
                continue
            self._queued_bytes -= self._size(entry)
        if len(silent) == len(sent):
            return False
        # Those under way are the oldest ones: `_keep` drops none of them.
        queue[: len(sent)] = silent
        return True


@cache
def _templates_hash() -> bytes:
    return templates_hash()


def _put(out: bytearray, number: int, data: bytes) -> None:
    out.append(number << 3 | 2)
    varint.put(out, len(data))
    out += data
