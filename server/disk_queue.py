"""A queue of records in files: append, read, forget; survives a kill at any moment.

    <folder>/0000000001.q …     records: header with CRC, then the body
    <folder>/state              two slots, written in turn: how far it is read, and the counts

A file is only ever appended to, and deleted as a whole when it is read to its end, or when there
is no more room (the oldest goes first; what was not read is counted as dropped). A record that is
not whole is found by its CRC: at the end of the last file it is cut off, elsewhere it is skipped
to the next whole one. The slots are of a fixed size and there from the start, so that progress can
be written on a full disk.

A killed process loses nothing. What a machine that loses power must not lose is forced to the
disk by `sync()`: the journal does (`server.journal`). What waits to be forwarded is put in again
from the database instead (`server.forward.stream`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from server.errors import ServerError

MAGIC = b"TRQ1"
SEGMENT_BYTES = 4 * 1024 * 1024
SEGMENTS = 8
"""A queue has room for so many files at least: the oldest that is dropped is but a part of it."""
BODY_BYTES = 16 * 1024 * 1024
READ_BYTES = 256 * 1024
SLOT_BYTES = 512
BOOTS = 16
"""Boots whose highest number is kept; all of it fits into a slot."""

_HEADER = struct.Struct("<4sIIQQQQIB")
"""Magic, CRC of all that follows, bytes of the body, boot, first and last number, instant of
writing, readings, bytes of the vehicle's number (which comes before the body)."""
_CRC_FROM = 8
_SLOT = struct.Struct("<IH")


class QueueError(ServerError):
    """The queue's folder cannot be used."""


class Record(msgspec.Struct, frozen=True):
    """Readings of one boot, as they stand in a row of the hot log.

    Attributes:
        boot: of the device.
        seq_first: number of the first reading.
        seq_last: of the last.
        written_ns: instant at which it was known to be stored.
        readings: how many.
        vin: vehicle, where it is known.
        body: `server.store.body`.
    """

    boot: int
    seq_first: int
    seq_last: int
    written_ns: int
    readings: int
    vin: str
    body: bytes

    def pack(self) -> bytes:
        """Give header and body."""
        vin = self.vin.encode("ascii", "replace")[:255]
        header = _HEADER.pack(
            MAGIC,
            0,
            len(self.body),
            self.boot,
            self.seq_first,
            self.seq_last,
            self.written_ns,
            self.readings,
            len(vin),
        )
        rest = header[_CRC_FROM:] + vin + self.body
        return header[:4] + zlib.crc32(rest).to_bytes(4, "little") + rest


class Place(msgspec.Struct, frozen=True, order=True):
    """A place in the queue: behind a record, or at the beginning of a file."""

    file: int
    offset: int


class Counts(msgspec.Struct, array_like=True):
    """Readings, since the queue was made.

    Attributes:
        sent: answered by the far gateway; stored + duplicates + refused.
        stored: new there.
        duplicates: there already.
        refused: refused there.
        dropped: given up here, because there was no more room.
        missed: never came into the queue: the disk was full for longer than the database keeps
            them in its log.
        damaged: bytes that were no whole record.
    """

    sent: int = 0
    stored: int = 0
    duplicates: int = 0
    refused: int = 0
    dropped: int = 0
    missed: int = 0
    damaged: int = 0


class _Saved(msgspec.Struct, array_like=True):
    generation: int
    file: int
    offset: int
    watermark_ns: int
    last: dict[int, int]
    counts: Counts


class _File:
    """One file: what is in it, and where the unread part begins."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.size = 0
        self.records = 0
        self.readings = 0
        self.oldest_ns = 0


class Queue:
    """The queue of one device.

    Args:
        folder: made where it is not there.
        max_bytes: room for records that are not read.
        new_ns: the watermark where the queue is new.
        drops_oldest: without room the oldest are dropped; False: the newest is refused.

    Attributes:
        counts: of readings.
        records: not read.
        readings: in them.
        size_bytes: of them, and of what is in the same files.
        watermark_ns: records up to this instant of writing are here, or were.
        last: of the last boots that were read from, the highest number.
        torn: whether the last run ended within a record.
    """

    def __init__(
        self, folder: Path, max_bytes: int, new_ns: int, *, drops_oldest: bool = True
    ) -> None:
        self._drops_oldest = drops_oldest
        self.counts = Counts()
        self.records = 0
        self.readings = 0
        self.watermark_ns = new_ns
        self.last: dict[int, int] = {}
        self.torn = False
        self._folder = folder
        self._max_bytes = max_bytes
        self._segment_bytes = max(1, min(SEGMENT_BYTES, max_bytes // SEGMENTS))
        self._files: list[_File] = []
        self._done = Place(0, 0)
        self._generation = 0
        self._state = -1
        self._tail = -1
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._open_state()
            self._scan()
            self._save()
        except OSError as error:
            self.close()
            raise QueueError(
                f"expected a folder for the queue at {folder}, got: {error.strerror or error}"
            ) from error

    @property
    def size_bytes(self) -> int:
        """Bytes of the files."""
        return sum(file.size for file in self._files)

    @property
    def oldest_ns(self) -> int | None:
        """Instant of writing of the oldest record that is not read, about; None: there is none."""
        for file in self._files:
            if file.records:
                return file.oldest_ns
        return None

    @property
    def done(self) -> Place:
        """Where the first record stands that is not read."""
        return self._done

    # -- writing --------------------------------------------------------------------------------
    def append(self, record: Record) -> None:
        """Add a record; the oldest are dropped where there is no room.

        Raises:
            OSError: it is not in the queue; without `drops_oldest` also where it is full.
        """
        packed = record.pack()
        is_full = self.size_bytes + len(packed) > self._max_bytes
        if is_full and self.records and not self._drops_oldest:
            raise OSError(errno.EDQUOT, "the queue is full")
        self._make_room(len(packed))
        try:
            self._write(packed)
        except OSError:
            if self.records or not self._files:
                raise
            # All of it is read: on a full disk its own last file is room for what comes.
            self._done = Place(self._files[-1].number + 1, 0)
            self._forget(self._files[-1])
            self._save_quietly()
            self._write(packed)
        file = self._files[-1]
        self._count(file, record)
        file.size += len(packed)
        self.watermark_ns = max(self.watermark_ns, record.written_ns)

    def sync(self) -> None:
        """Force what was appended to the disk.

        Raises:
            OSError: it may not be there.
        """
        if self._tail >= 0:
            os.fdatasync(self._tail)

    def _write(self, packed: bytes) -> None:
        """Put a record behind the others, all of it or nothing."""
        if not self._files or self._files[-1].size >= self._segment_bytes or self._tail < 0:
            self._new_file()
        file = self._files[-1]
        try:
            written = os.write(self._tail, packed)
            if written < len(packed):
                # What is left of it will say why no more has room.
                os.write(self._tail, packed[written:])
                if os.fstat(self._tail).st_size != file.size + len(packed):
                    raise OSError(28, "No space left on device")
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._tail, file.size)
            raise

    def _count(self, file: _File, record: Record) -> None:
        if not file.records:
            file.oldest_ns = record.written_ns
        file.records += 1
        file.readings += record.readings
        self.records += 1
        self.readings += record.readings

    def _make_room(self, size: int) -> None:
        while self._files and self.size_bytes + size > self._max_bytes:
            oldest = self._files[0]
            self.counts.dropped += oldest.readings
            self._forget(oldest)
            self._done = max(self._done, Place(oldest.number + 1, 0))
            self._save_quietly()

    def _forget(self, file: _File) -> None:
        self.records -= file.records
        self.readings -= file.readings
        if file is self._files[-1]:
            self._close_tail()
        self._files.remove(file)
        with contextlib.suppress(FileNotFoundError):
            self._path(file.number).unlink()

    def _new_file(self) -> None:
        self._close_tail()
        number = max(self._done.file, self._files[-1].number if self._files else 0) + 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._tail = os.open(self._path(number), flags, 0o600)
        self._files.append(_File(number))
        self._drop_read()

    def _drop_read(self) -> None:
        """Delete files that are read to their end, but for the last, which is written to."""
        while len(self._files) > 1 and not self._files[0].records:
            self._forget(self._files[0])

    # -- reading --------------------------------------------------------------------------------
    def read(self, at: Place) -> Iterator[tuple[Record, Place]]:
        """Give the records from a place on, each with the place behind it.

        What is damaged is skipped; what is dropped meanwhile comes no more.
        """
        for number in [file.number for file in self._files]:
            if number < at.file:
                continue
            offset = at.offset if number == at.file else 0
            for record, end in self._records(number, offset):
                yield record, Place(number, end)

    def _records(self, number: int, offset: int) -> Iterator[tuple[Record, int]]:
        try:
            stream = self._path(number).open("rb", buffering=0)
        except FileNotFoundError:
            return
        with stream:
            for record, end, _ in _whole_records(stream.fileno(), offset):
                yield record, end

    def advance(self, done: Sequence[tuple[Record, Place]]) -> None:
        """Take note that these records, the first ones that are not read, are done with."""
        files = {file.number: file for file in self._files}
        for record, place in done:
            self._remember(record)
            file = files.get(place.file)
            if file is None:
                # Dropped while it was on its way: it has arrived, so it was not lost.
                self.counts.dropped -= record.readings
                continue
            file.records -= 1
            file.readings -= record.readings
            file.oldest_ns = record.written_ns
            self.records -= 1
            self.readings -= record.readings
            self._done = place
        self._drop_read()
        self._save_quietly()

    def _remember(self, record: Record) -> None:
        highest = max(self.last.pop(record.boot, 0), record.seq_last)
        while len(self.last) >= BOOTS:
            self.last.pop(next(iter(self.last)))
        self.last[record.boot] = highest

    # -- opening --------------------------------------------------------------------------------
    def _path(self, number: int) -> Path:
        return self._folder / f"{number:010d}.q"

    def _scan(self) -> None:
        """Find out what is in the files."""
        numbers = sorted(int(p.stem) for p in self._folder.glob("*.q") if p.stem.isdigit())
        is_whole = True
        for number in numbers:
            path = self._path(number)
            if number < self._done.file:
                path.unlink()
                continue
            file = _File(number)
            self._files.append(file)
            offset = self._done.offset if number == self._done.file else 0
            size = path.stat().st_size
            end = min(offset, size)
            with path.open("rb", buffering=0) as stream:
                for record, end, skipped in _whole_records(stream.fileno(), end):  # noqa: B007, B020
                    self._count(file, record)
                    self.counts.damaged += skipped
                    is_whole = is_whole and not skipped
                    # What follows damage is no proof that what is before it is here.
                    if is_whole:
                        self.watermark_ns = max(self.watermark_ns, record.written_ns)
            if end < size:
                self.torn = True
                if number == numbers[-1]:
                    os.truncate(path, end)
                else:
                    is_whole = False
                    self.counts.damaged += size - end
            file.size = path.stat().st_size
        if self._files:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
            self._tail = os.open(self._path(self._files[-1].number), flags)

    def _open_state(self) -> None:
        path = self._folder / "state"
        self._state = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(self._state).st_size < 2 * SLOT_BYTES:
            if os.pwrite(self._state, bytes(2 * SLOT_BYTES), 0) < 2 * SLOT_BYTES:
                raise OSError(28, "No space left on device")
            return
        slots = (_read_slot(os.pread(self._state, SLOT_BYTES, n * SLOT_BYTES)) for n in (0, 1))
        found = max(
            (slot for slot in slots if slot is not None),
            key=lambda slot: slot.generation,
            default=None,
        )
        if found is not None:
            self._generation = found.generation
            self._done = Place(found.file, found.offset)
            self.watermark_ns = found.watermark_ns
            self.last = found.last
            self.counts = found.counts

    def _save(self) -> None:
        self._generation += 1
        content = _encoder.encode(
            _Saved(
                self._generation,
                self._done.file,
                self._done.offset,
                # Of what is read: what is not is found in the files.
                self.watermark_ns if not self.records else self._read_watermark_ns(),
                self.last,
                self.counts,
            )
        )
        slot = _SLOT.pack(zlib.crc32(content), len(content)) + content
        os.pwrite(self._state, slot, self._generation % 2 * SLOT_BYTES)

    def _read_watermark_ns(self) -> int:
        oldest_ns = self.oldest_ns
        return self.watermark_ns if oldest_ns is None else min(self.watermark_ns, oldest_ns)

    def _save_quietly(self) -> None:
        # The far gateway knows what it has: what is sent again changes nothing.
        with contextlib.suppress(OSError):
            self._save()

    def close(self) -> None:
        """Close the files."""
        self._close_tail()
        if self._state >= 0:
            os.close(self._state)
            self._state = -1

    def _close_tail(self) -> None:
        if self._tail >= 0:
            os.close(self._tail)
            self._tail = -1


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Saved)


def _read_slot(slot: bytes) -> _Saved | None:
    crc, size = _SLOT.unpack_from(slot)
    content = slot[_SLOT.size : _SLOT.size + size]
    if not size or len(content) < size or zlib.crc32(content) != crc:
        return None
    try:
        return _decoder.decode(content)
    except msgspec.MsgspecError:
        return None


def _whole_records(descriptor: int, offset: int) -> Iterator[tuple[Record, int, int]]:
    """Give the whole records of a file, the offset behind each, and the bytes skipped before it."""
    window = _Window(descriptor, offset)
    skipped = 0
    while True:
        found = _parse(window)
        if found is not None:
            record, size = found
            window.forward(size)
            yield record, window.offset, skipped
            skipped = 0
            continue
        step = window.find_next()
        if step is None:
            return
        skipped += step


class _Window:
    """A part of a file, moving on."""

    def __init__(self, descriptor: int, offset: int) -> None:
        self.offset = offset
        self._descriptor = descriptor
        self._data = b""
        self._at = 0

    def peek(self, size: int) -> memoryview | None:
        """Give so many bytes from here; None where the file ends before."""
        if len(self._data) - self._at < size:
            self._data = os.pread(self._descriptor, max(size, READ_BYTES), self.offset)
            self._at = 0
            if len(self._data) < size:
                return None
        return memoryview(self._data)[self._at : self._at + size]

    def forward(self, size: int) -> None:
        """Move on."""
        self.offset += size
        self._at += size

    def find_next(self) -> int | None:
        """Move to the next magic; give how far that was, None where there is none."""
        moved = 1
        if self.peek(1) is None:
            return None
        self.forward(1)
        while self.peek(len(MAGIC)) is not None:
            place = self._data.find(MAGIC, self._at)
            if place >= 0:
                moved += place - self._at
                self.forward(place - self._at)
                return moved
            step = len(self._data) - self._at - len(MAGIC) + 1
            moved += step
            self.forward(step)
        return None


def _parse(window: _Window) -> tuple[Record, int] | None:
    header = window.peek(_HEADER.size)
    if header is None:
        return None
    magic, crc, size, boot, first, last, written_ns, readings, vin_size = _HEADER.unpack(header)
    if magic != MAGIC or size > BODY_BYTES:
        return None
    whole = _HEADER.size + vin_size + size
    data = window.peek(whole)
    if data is None or zlib.crc32(data[_CRC_FROM:]) != crc:
        return None
    vin = bytes(data[_HEADER.size : _HEADER.size + vin_size]).decode("ascii", "replace")
    body = bytes(data[_HEADER.size + vin_size :])
    return Record(boot, first, last, written_ns, readings, vin, body), whole
