"""Packets on flash until the gateway has them: a ring of sectors that survives any power cut.

A sector begins with a header (magic, generation, CRC); then come records, each with length, kind, a
byte that is cleared once the record is done, and a CRC. A STATE record says of which boot the
packets behind it are, with which profile, and what was known of time; every sector begins with
one, so each can be read alone. Sectors are used in turn, which spreads wear evenly. When the ring
is full, the oldest sector is erased and what still waited in it is counted as given up.

A flash that takes no more (worn out, write-protected) makes the board forgetful and no more: what
comes then is kept in RAM until it is sent, or a reset comes.

A cut while a record is written leaves a record with a wrong CRC: the sector is closed, and the next
one opened. A cut while a sector is erased leaves one without a valid header, or old records that
are sent again, which changes nothing at the gateway.
"""

import binascii
import struct

from firmware_stubs.hal import SECTOR_BYTES, Hal

TYPE_CHECKING = False  # MicroPython has no typing; a checker takes this name for True
if TYPE_CHECKING:
    from collections.abc import Sequence

STATE = 1
PACKET = 2
LONGEST_PACKET_BYTES = 1024
MOST_DROPPED = 256
SPARE_SECTORS = 8

_MAGIC = b"TRQ1"
_HEADER_BYTES = 12
_RECORD_BYTES = 8
_FLAGS_AT = 3
_STATE_FORMAT = "<I8sIQB"
_NUMBERS_BYTES = 6  # of a packet's record: seq and rows
_PENDING = 0xFF
_FREE = b"\xff\xff\xff\xff\xff\xff\xff\xff"


class State:
    """Of which boot and profile packets are, and what was known of time when they were packed.

    Attributes:
        boot, profile_hash: as in the codec.
        row, utc_ms, source: as in TimeBase.
    """

    def __init__(self, boot: int, profile_hash: bytes, row: int, utc_ms: int, source: int) -> None:
        self.boot = boot
        self.profile_hash = profile_hash
        self.row = row
        self.utc_ms = utc_ms
        self.source = source

    def to_bytes(self) -> bytes:
        """Give the record's payload."""
        return struct.pack(
            _STATE_FORMAT, self.boot, self.profile_hash, self.row, self.utc_ms, self.source
        )


def _read_state(data: bytes) -> State:
    boot, profile_hash, row, utc_ms, source = struct.unpack(_STATE_FORMAT, data)
    return State(boot, bytes(profile_hash), row, utc_ms, source)


class Entry:
    """A packet that waits.

    Attributes:
        is_spare: in RAM, because the flash did not take it.
    """

    def __init__(self, offset: int, generation: int, payload: bytes) -> None:
        self.is_spare = False
        self.offset = offset
        self.generation = generation
        self.seq, self.rows = struct.unpack("<IH", payload[:_NUMBERS_BYTES])
        self.packet = payload[_NUMBERS_BYTES:]


class Batch:
    """Packets of one boot and one time base, in order."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.entries: list[Entry] = []
        self.bytes = 0


class _Record:
    """What stands at one place of a sector."""

    def __init__(self, at: int, kind: int, pending: bool, payload: bytes) -> None:
        self.at = at
        self.kind = kind
        self.pending = pending
        self.payload = payload


class _Walk:
    """Goes through the records of a sector.

    Attributes:
        at: the place behind the last record.
        torn: records with a wrong CRC.
    """

    def __init__(self, hal: "Hal | RamFlash", sector: int) -> None:
        self.at = _HEADER_BYTES
        self.torn = 0
        self._hal = hal
        self._base = sector * SECTOR_BYTES

    def next(self) -> _Record | None:
        """Give the next whole record, None at the end."""
        while self.at + _RECORD_BYTES <= SECTOR_BYTES:
            head = self._hal.flash_read(self._base + self.at, _RECORD_BYTES)
            if head == _FREE:
                return None
            length, kind, flags, crc = struct.unpack("<HBBI", head)
            at = self.at
            self.at += _size(length)
            if self.at > SECTOR_BYTES:
                break
            payload = self._hal.flash_read(self._base + at + _RECORD_BYTES, length)
            if crc == binascii.crc32(payload, binascii.crc32(head[:_FLAGS_AT])):
                return _Record(at, kind, flags == _PENDING, payload)
            self.torn += 1
        if self.at > SECTOR_BYTES:
            self.torn += 1
            self.at = SECTOR_BYTES
        return None


def _size(length: int) -> int:
    return _RECORD_BYTES + (length + 3) // 4 * 4


class Queue:
    """The ring.

    Attributes:
        packets, bytes: waiting now.
        rows_dropped: given up because the ring was full.
        dropped: (boot, seq) of the packets last given up, for the gateway to know; the oldest of
            more than 256 are forgotten.
        torn: records that a power cut left, passed over.
    """

    def __init__(self, hal: "Hal | RamFlash") -> None:
        self.packets = 0
        self.bytes = 0
        self.rows_dropped = 0
        self.dropped: list[tuple[int, int]] = []
        self.torn = 0
        self._hal = hal
        self._sectors = hal.flash_size() // SECTOR_BYTES
        self._state = State(0, bytes(8), 0, 0, 0)
        self._sector = -1  # that is written
        self._generation = 0
        self._at = SECTOR_BYTES  # next free byte in it
        self._oldest = 0  # the sector where reading begins
        self._spare: Queue | None = None  # for what the flash refuses
        self._done: list[tuple[int, int]] = []  # (offset, generation): it refused their flag

    # --- after a reset ---

    def open(self) -> None:
        """Find what waits from before the reset."""
        if self._sectors < 2:
            raise ValueError("the queue needs at least 2 sectors of flash")
        for sector in range(self._sectors):
            generation = self._generation_of(sector)
            if generation > self._generation:
                self._generation = generation
                self._sector = sector
        self._oldest = self._next(self._sector)
        if self._sector < 0:
            return
        for sector in self._in_order():
            self._count(sector)
        self._at = self._end_of(self._sector)

    def _count(self, sector: int) -> None:
        if not self._generation_of(sector):
            return
        walk = _Walk(self._hal, sector)
        record = walk.next()
        while record is not None:
            if record.kind == PACKET and record.pending:
                self.packets += 1
                self.bytes += len(record.payload) - _NUMBERS_BYTES
            record = walk.next()
        self.torn += walk.torn

    def _end_of(self, sector: int) -> int:
        """Give where writing goes on: nowhere in a sector that is not clean."""
        walk = _Walk(self._hal, sector)
        while walk.next() is not None:
            pass
        at = walk.at
        while at < SECTOR_BYTES and not walk.torn:
            size = min(256, SECTOR_BYTES - at)
            if self._hal.flash_read(sector * SECTOR_BYTES + at, size) != b"\xff" * size:
                walk.torn += 1
            at += size
        return SECTOR_BYTES if walk.torn else walk.at

    def _generation_of(self, sector: int) -> int:
        """Give the generation of a sector, 0 when it has no valid header."""
        header = self._hal.flash_read(sector * SECTOR_BYTES, _HEADER_BYTES)
        generation, crc = struct.unpack("<II", header[4:])
        valid = header[:4] == _MAGIC and crc == binascii.crc32(header[:8])
        return generation if valid else 0

    def _next(self, sector: int) -> int:
        return (sector + 1) % self._sectors

    def _in_order(self) -> list[int]:
        """Give the sectors from the oldest that may hold something to the one that is written."""
        if self._sector < 0:
            return []
        count = (self._sector - self._oldest) % self._sectors + 1
        return [(self._oldest + place) % self._sectors for place in range(count)]

    # --- writing ---

    def begin(self, state: State) -> None:
        """Say of which boot, and at which time base, the packets are that come now."""
        self._state = state
        if self._spare is not None:
            self._spare.begin(state)
        data = state.to_bytes()
        try:
            if self._at + _size(len(data)) > SECTOR_BYTES:
                self._open_sector()  # which writes the state
            else:
                self._write(STATE, data)
        except OSError:
            self._at = SECTOR_BYTES  # the next sector that can be opened begins with it

    def put(self, seq: int, rows: int, packet: bytes) -> None:
        """Keep a packet until it is done."""
        if len(packet) > LONGEST_PACKET_BYTES:
            raise ValueError("a packet is too long for the queue")
        data = struct.pack("<IH", seq, rows) + packet
        try:
            if self._at + _size(len(data)) > SECTOR_BYTES:
                self._open_sector()
            self._write(PACKET, data)
        except OSError:
            self._at = SECTOR_BYTES
            self._put_in_ram(seq, rows, packet)
            return
        self.packets += 1
        self.bytes += len(packet)

    def _put_in_ram(self, seq: int, rows: int, packet: bytes) -> None:
        """The flash takes no more (worn out, write-protected): a reset loses what is kept now."""
        spare = self._spare
        if spare is None:
            spare = self._spare = Queue(RamFlash(SPARE_SECTORS))
            spare.begin(self._state)
        packets, size = spare.packets, spare.bytes
        spare.put(seq, rows, packet)
        self.packets += spare.packets - packets
        self.bytes += spare.bytes - size
        self.rows_dropped += spare.rows_dropped
        self.dropped = (self.dropped + spare.dropped)[-MOST_DROPPED:]
        spare.rows_dropped = 0
        spare.dropped = []

    def _write(self, kind: int, data: bytes) -> None:
        head = struct.pack("<HB", len(data), kind)
        crc = binascii.crc32(data, binascii.crc32(head))
        record = head + bytes((_PENDING,)) + struct.pack("<I", crc) + data
        self._hal.flash_write(self._sector * SECTOR_BYTES + self._at, record)
        self._at += _size(len(data))

    def _open_sector(self) -> None:
        sector = self._next(self._sector)
        if self._sector >= 0 and sector == self._oldest:
            self._give_up(sector)
            self._oldest = self._next(sector)
        self._hal.flash_erase(sector * SECTOR_BYTES)
        self._sector = sector
        self._generation += 1
        header = _MAGIC + struct.pack("<I", self._generation)
        header += struct.pack("<I", binascii.crc32(header))
        self._hal.flash_write(sector * SECTOR_BYTES, header)
        self._at = _HEADER_BYTES
        self._write(STATE, self._state.to_bytes())

    def _give_up(self, sector: int) -> None:
        """Count what waits in a sector as lost."""
        if not self._generation_of(sector):
            return
        walk = _Walk(self._hal, sector)
        generation = self._generation_of(sector)
        boot = 0
        record = walk.next()
        while record is not None:
            if record.kind == STATE:
                boot = _read_state(record.payload).boot
            elif record.pending and not self._is_done(sector, record, generation):
                entry = Entry(0, 0, record.payload)
                self.packets -= 1
                self.bytes -= len(entry.packet)
                self.rows_dropped += entry.rows
                self.dropped.append((boot, entry.seq))
                if len(self.dropped) > MOST_DROPPED:
                    self.dropped.pop(0)
            record = walk.next()

    # --- reading ---

    def batch(
        self, most_bytes: int, most_packets: int, skipped: "Sequence[tuple[int, int]]" = ()
    ) -> Batch | None:
        """Give the oldest packets that wait and go together; None when none waits.

        Those of `skipped`, as (boot, seq), are left out.
        """
        batch = self._batch(most_bytes, most_packets, skipped)
        if batch is None and self._spare is not None:
            batch = self._spare.batch(most_bytes, most_packets, skipped)
            for entry in batch.entries if batch is not None else ():
                entry.is_spare = True
        return batch

    def _batch(
        self, most_bytes: int, most_packets: int, skipped: "Sequence[tuple[int, int]]"
    ) -> Batch | None:
        batch: Batch | None = None
        waits = False
        for sector in self._in_order():
            generation = self._generation_of(sector)
            state = None
            walk = _Walk(self._hal, sector)
            record = walk.next() if generation else None
            while record is not None:
                if record.kind == STATE:
                    state = _read_state(record.payload)
                elif record.pending and self._is_done(sector, record, generation):
                    waits = True  # its sector is not free
                elif record.pending and skipped and _is_one_of(skipped, state, record):
                    waits = True
                elif record.pending and state is not None:
                    offset = sector * SECTOR_BYTES + record.at
                    if batch is None:
                        batch = Batch(state)
                    if not _fits(batch, state, record, most_bytes, most_packets):
                        return self._with_time(batch)
                    batch.entries.append(Entry(offset, generation, record.payload))
                    batch.bytes += len(record.payload) - _NUMBERS_BYTES
                record = walk.next()
            if batch is None and not waits and sector != self._sector:
                self._oldest = self._next(sector)
        return self._with_time(batch) if batch is not None else None

    def _with_time(self, batch: Batch) -> Batch:
        """Look for what was learned of time later in the same boot, when it was not known yet."""
        if batch.state.source:
            return batch
        for sector in self._in_order():
            walk = _Walk(self._hal, sector)
            record = walk.next() if self._generation_of(sector) else None
            while record is not None:
                if record.kind == STATE:
                    state = _read_state(record.payload)
                    if state.boot == batch.state.boot and state.source:
                        batch.state = state
                        return batch
                record = walk.next()
        return batch

    def _is_done(self, sector: int, record: _Record, generation: int) -> bool:
        """Tell whether only the flash does not know that a packet is done."""
        place = (sector * SECTOR_BYTES + record.at, generation)
        return bool(self._done) and place in self._done

    def done(self, entry: Entry) -> bool:
        """Take note that a packet need not be kept; False when it is gone already."""
        if not entry.is_spare:
            return self._mark(entry)
        if self._spare is None or not self._spare._mark(entry):
            return False
        self.packets -= 1
        self.bytes -= len(entry.packet)
        return True

    def _mark(self, entry: Entry) -> bool:
        if self._generation_of(entry.offset // SECTOR_BYTES) != entry.generation:
            return False
        if self._hal.flash_read(entry.offset + _FLAGS_AT, 1)[0] != _PENDING:
            return False
        place = (entry.offset, entry.generation)
        if place in self._done:
            return False
        try:
            self._hal.flash_write(entry.offset + _FLAGS_AT, b"\x00")
        except OSError:
            self._done.append(place)
            if len(self._done) > MOST_DROPPED:
                self._done.pop(0)
        self.packets -= 1
        self.bytes -= len(entry.packet)
        return True

    def profiles(self) -> list[bytes]:
        """Give the hashes of the profiles that waiting packets need."""
        found: list[bytes] = [] if self._spare is None else self._spare.profiles()
        for sector in self._in_order():
            state = None
            walk = _Walk(self._hal, sector)
            record = walk.next() if self._generation_of(sector) else None
            while record is not None:
                if record.kind == STATE:
                    state = _read_state(record.payload)
                elif record.pending and state and state.profile_hash not in found:
                    found.append(state.profile_hash)
                record = walk.next()
        return found


def _is_one_of(skipped: "Sequence[tuple[int, int]]", state: State | None, record: _Record) -> bool:
    seq = struct.unpack("<I", record.payload[:4])[0]
    return state is not None and (state.boot, seq) in skipped


def _fits(batch: Batch, state: State, record: _Record, most_bytes: int, most_packets: int) -> bool:
    """Tell whether a packet may go with those before it."""
    if not batch.entries:
        return True
    same = state.to_bytes() == batch.state.to_bytes()
    room = batch.bytes + len(record.payload) <= most_bytes
    return same and room and len(batch.entries) < most_packets


class RamFlash:
    """Stands in for the partition on a board that has none: packets do not survive a reset."""

    def __init__(self, sectors: int) -> None:
        self._memory = bytearray(b"\xff" * (sectors * SECTOR_BYTES))

    def flash_size(self) -> int:
        """Give its size."""
        return len(self._memory)

    def flash_read(self, offset: int, n: int) -> bytes:
        """Give bytes."""
        return bytes(self._memory[offset : offset + n])

    def flash_write(self, offset: int, data: bytes) -> None:
        """Clear bits."""
        for place in range(len(data)):
            self._memory[offset + place] &= data[place]

    def flash_erase(self, offset: int) -> None:
        """Set the bits of a sector."""
        self._memory[offset : offset + SECTOR_BYTES] = b"\xff" * SECTOR_BYTES
