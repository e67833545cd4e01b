"""What the gateway keeps of one boot of an edge logger, and its form in the database.

It is written in the transaction of the readings that it follows from (`device_boots.state`), so
that a gateway that starts again continues exactly where the committed readings end: no keyframe
is needed, and the same packets again are known.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import structlog

from server.errors import StoreError
from server.wire.codec.decoder import Decoder
from server.wire.codec.profile import Profile

log = structlog.get_logger("telerig.ingest")

VERSION = 1
ABOVE_LIMIT = 4096
"""Packets that are committed beyond a missing one. A device with so many newer ones acknowledged
has not kept the missing one."""
SEQ_LIMIT = 2**32 - 1
"""Numbers of packets are smaller: `ack` is one more than the greatest, and has 32 bits."""


class TimeBase(msgspec.Struct, frozen=True, array_like=True):
    """Row `row` was taken at `utc_ms`; `source` as in telemetry.proto."""

    row: int
    utc_ms: int
    source: int

    def time_ns(self, row: int, period_ms: int) -> int:
        """Give the instant of a row."""
        return (self.utc_ms + (row - self.row) * period_ms) * 1_000_000


class Tally(msgspec.Struct):
    """Totals over what is committed of a boot."""

    readings: int = 0
    transmitted: int = 0
    suppressed: int = 0
    bytes_plain: int = 0
    bytes_sent: int = 0


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    version: int
    profile: bytes
    ack: int
    above: list[int]
    base: TimeBase | None
    decoder: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Saved)


class Acks:
    """Which packets are done with: committed, or void.

    Attributes:
        ack: all packets with a smaller number are.
    """

    def __init__(self, ack: int = 0, above: Iterable[int] = ()) -> None:
        self.ack = ack
        self._above = set(above)

    def __contains__(self, seq: int) -> bool:
        return seq < self.ack or seq in self._above

    @property
    def above(self) -> list[int]:
        """The packets beyond a missing one."""
        return sorted(self._above)

    def add(self, seq: int) -> bool:
        """Note a packet; tell whether that is new."""
        if seq in self or not 0 <= seq < SEQ_LIMIT:
            return False
        self._above.add(seq)
        if len(self._above) > ABOVE_LIMIT:
            log.warning("packets given up", first=self.ack, before=min(self._above))
            self.ack = min(self._above)
        while self.ack in self._above:
            self._above.remove(self.ack)
            self.ack += 1
        return True


class UplinkState:
    """One boot of a device, while it is in memory.

    Attributes:
        profile: told by the device's hello; None: the hello is missing, or names a profile that
            is not known.
        wanted: hash of the profile that is to be asked for; empty for none.
        decoder: of its packets.
        acks: its packets that are done with.
        base: instants of its rows; None: not told yet.
        tally: totals over what is committed.
        vin: vehicle, as told by the hello.
        turn: of the commit that it is the state after; 0: nothing is committed of the boot.
    """

    def __init__(self, boot: int) -> None:
        self.boot = boot
        self.turn = 0
        self.profile: Profile | None = None
        self.wanted = b""
        self.decoder: Decoder | None = None
        self.acks = Acks()
        self.base: TimeBase | None = None
        self.tally = Tally()
        self.vin = ""

    def use(self, profile: Profile) -> bool:
        """Take the profile of a hello; tell whether it is another one than before."""
        self.wanted = b""
        if self.profile is not None and self.profile.hash == profile.hash:
            return False
        self.profile = profile
        self.decoder = Decoder(profile, self.boot)
        return True

    def want(self, profile_hash: bytes) -> None:
        """Wait for a profile that a hello has named: packets cannot be read before it is there."""
        self.profile = None
        self.decoder = None
        self.wanted = profile_hash

    def save(self) -> bytes:
        """Give the form that is stored."""
        profile, decoder = self.profile, self.decoder
        return _encoder.encode(
            _Saved(
                VERSION,
                profile.hash if profile is not None else b"",
                self.acks.ack,
                self.acks.above,
                self.base,
                decoder.state_bytes() if decoder is not None else b"",
            )
        )

    @staticmethod
    def profile_hash(saved: bytes) -> bytes:
        """Give the hash of the profile that a stored form needs; empty for none.

        Raises:
            StoreError: it was not made by this version.
        """
        return _read(saved).profile

    def restore(self, saved: bytes, profile: Profile | None) -> None:
        """Continue from a stored form.

        Raises:
            StoreError: it was not made by this version.
        """
        content = _read(saved)
        self.acks = Acks(content.ack, content.above)
        self.base = content.base
        if profile is None:
            return  # the hello will be asked for; what is acknowledged stays so
        self.profile = profile
        try:
            self.decoder = Decoder.restore(profile, self.boot, content.decoder)
        except ValueError as error:
            raise StoreError(f"expected states of the codec in device_boots: {error}") from error


def _read(saved: bytes) -> _Saved:
    try:
        content = _decoder.decode(saved)
    except msgspec.DecodeError as error:
        raise StoreError(f"expected the state of an uplink in device_boots: {error}") from error
    if content.version != VERSION:
        raise StoreError(
            f"expected version {VERSION} of the state of an uplink, got {content.version}: "
            "the database was used by a newer telerig"
        )
    return content
