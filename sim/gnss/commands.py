"""What a host may write into a receiver: NMEA sentences, UBX frames, and anything else.

gpsd, for one, probes an unknown device with half a dozen vendors' commands, binary ones included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sim.gnss.fields import checksum

UBX_SYNC = b"\xb5\x62"
UBX_OVERHEAD_BYTES = 8  # sync, class, id, length, two checksum bytes
MAX_UBX_PAYLOAD_BYTES = 1024
MAX_SENTENCE_BYTES = 512  # proprietary commands exceed the 82 bytes of the standard


@dataclass(frozen=True, slots=True)
class NmeaCommand:
    """A sentence with a right checksum; `fields[0]` is the address, e.g. PMTK220."""

    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UbxCommand:
    """A UBX frame with a right checksum."""

    message_class: int
    message_id: int
    payload: bytes


Command = NmeaCommand | UbxCommand


def ubx_checksum(body: bytes | bytearray) -> bytes:
    """Return the 8-bit Fletcher checksum of class, id, length and payload (RFC 1145)."""
    first = second = 0
    for byte in body:
        first = (first + byte) & 0xFF
        second = (second + first) & 0xFF
    return bytes((first, second))


def ubx_frame(message_class: int, message_id: int, payload: bytes) -> bytes:
    """Return a complete UBX frame."""
    body = bytes((message_class, message_id)) + len(payload).to_bytes(2, "little") + payload
    return UBX_SYNC + body + ubx_checksum(body)


class CommandReader:
    """Cuts a byte stream into commands; what belongs to none is counted and dropped.

    The buffer never holds more than one longest frame.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.ignored_bytes = 0

    def feed(self, data: bytes) -> Iterator[Command]:
        """Yield the commands that `data` completes."""
        self._buffer += data
        while self._buffer:
            start = self._start()
            self._drop(start)
            if not self._buffer:
                return
            taken, command = self._ubx() if self._buffer[0] == UBX_SYNC[0] else self._nmea()
            if taken == 0:
                return  # incomplete: wait for more
            if command is None:
                self._drop(taken)
            else:
                del self._buffer[:taken]
                yield command

    def _start(self) -> int:
        starts = [
            at for at in (self._buffer.find(b"$"), self._buffer.find(UBX_SYNC[:1])) if at >= 0
        ]
        return min(starts, default=len(self._buffer))

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self.ignored_bytes += count

    def _nmea(self) -> tuple[int, NmeaCommand | None]:
        """Return (bytes taken, command); (0, None) while the line end is missing."""
        buffer = self._buffer
        ends = [at for at in (buffer.find(b"\n"), buffer.find(b"\r")) if at >= 0]
        end = min(ends, default=-1)
        again = buffer.find(b"$", 1)
        if again > 0 and (end < 0 or again < end):
            return again, None  # a new sentence began inside this one
        if end < 0:
            return (0, None) if len(buffer) < MAX_SENTENCE_BYTES else (1, None)
        return end + 1, _nmea_command(bytes(buffer[1:end]))

    def _ubx(self) -> tuple[int, UbxCommand | None]:
        buffer = self._buffer
        if len(buffer) > 1 and buffer[1] != UBX_SYNC[1]:
            return 1, None
        if len(buffer) < 6:
            return 0, None
        length = int.from_bytes(buffer[4:6], "little")
        if length > MAX_UBX_PAYLOAD_BYTES:
            return 1, None
        total = length + UBX_OVERHEAD_BYTES
        if len(buffer) < total:
            return 0, None
        if ubx_checksum(buffer[2 : total - 2]) != buffer[total - 2 : total]:
            return 1, None
        return total, UbxCommand(buffer[2], buffer[3], bytes(buffer[6 : total - 2]))


def _nmea_command(line: bytes) -> NmeaCommand | None:
    body, star, digits = line.partition(b"*")
    if not star or len(digits) < 2 or not body.isascii():
        return None
    try:
        given = int(digits[:2], 16)
    except ValueError:
        return None
    if given != checksum(body):
        return None
    return NmeaCommand(tuple(body.decode("ascii").split(",")))
