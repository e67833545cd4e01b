"""Frames of the CAN bus: signals by the run's DBC, diagnostics by ISO-TP, door text as frames."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reports.runs.names import LOCAL, Names
from reports.runs.wire.lines import lines
from reports.runs.wire.message import TO_HOST, Field, Message, message
from rig.meaning.obd import answer_text, parameters, request_text
from rig.record.streams import CAN_ERROR, CAN_EXTENDED, CAN_REMOTE, CanRow, WireChunk

REQUESTS = (0x7DF, *range(0x7E0, 0x7E8))
ANSWERS = range(0x7E8, 0x7F0)
_SINGLE, _FIRST, _FOLLOWING, _FLOW = range(4)
_SOCKETCAND = re.compile(r"< (?:frame|send) ([0-9A-Fa-f]+) (?:\d+\.\d+ )?([0-9A-Fa-f ]*)>")
_SLCAN = re.compile(r"([tTrR])([0-9A-Fa-f]{3}|[0-9A-Fa-f]{8})([0-8])([0-9A-Fa-f]*)")
_EXTENDED_FROM = 0x800


class IsoTp:
    """Puts the payload of ISO 15765-2 together out of frames of one sender."""

    def __init__(self) -> None:
        self._data = b""
        self._length = 0

    def feed(self, frame: bytes) -> bytes:
        """Take a frame; return the payload that it completes, or b""."""
        if not frame:
            return b""
        kind, low = frame[0] >> 4, frame[0] & 15
        if kind == _SINGLE:
            return frame[1 : 1 + low]
        if kind == _FIRST and len(frame) > 1:
            self._length, self._data = (low << 8) + frame[1], frame[2:]
            return b""
        if kind == _FOLLOWING and self._length:
            self._data += frame[1:]
            if len(self._data) >= self._length:
                data, self._length = self._data[: self._length], 0
                return data
        return b""


class Frames:
    """Reads frames with the DBC of a run; one object for frames in order of time.

    Args:
        messages: (identifier, 29 bits) -> cantools' message.
        names: what signals are called.
    """

    def __init__(self, messages: Mapping[tuple[int, bool], Any], names: Names) -> None:
        self._messages = messages
        self._names = names
        self._known = {info.name for info in names.signals.values()}
        self._assembly: dict[int, IsoTp] = {}

    def bus(self, rows: Iterable[CanRow], bitrate_bps: int) -> Iterator[Message]:
        """Yield the frames of the bus, each from its first to its last bit."""
        for row in rows:
            from_ns = row.time_ns - row.bits * 1_000_000_000 // max(1, bitrate_bps)
            if row.flags & CAN_ERROR:
                text = f"{row.text} error, frame of {row.sender} destroyed"
                yield message(
                    from_ns, row.time_ns, TO_HOST, b"", f"{row.id:X}", text, error=row.text
                )
                continue
            is_extended = bool(row.flags & CAN_EXTENDED)
            kind, text, fields = self.read(row.id, is_extended, row.data)
            if row.flags & CAN_REMOTE:
                kind, text = "remote", "asks for a frame"
            yield message(
                from_ns, row.time_ns, TO_HOST, row.data, kind, f"{text} (from {row.sender})", fields
            )

    def door(self, chunks: Iterable[WireChunk]) -> Iterator[Message]:
        """Yield what a door says: socketcand's `< … >`, or slcan's lines."""
        for line in lines(chunks, b">\r"):
            text = line.data.decode("latin-1").strip()
            if not text:
                continue
            place = line.from_ns, line.at_ns, line.direction, line.data
            found = frame_of(text)
            if found is None:
                yield message(*place, "door", text)
            else:
                kind, meaning, fields = self.read(*found)
                yield message(*place, kind, meaning, fields)

    def read(self, identifier: int, is_extended: bool, data: bytes) -> tuple[str, str, list[Field]]:
        """Return (kind, what it says, its signals) of a frame."""
        name = f"{identifier:08X}" if is_extended else f"{identifier:03X}"
        if not is_extended and (identifier in REQUESTS or identifier in ANSWERS):
            return f"{name} diagnostics", *self._diagnostics(identifier, data)
        found = self._messages.get((identifier, is_extended))
        if found is None:
            return name, "no message of the DBC", []
        try:
            values = found.decode(data, decode_choices=False, allow_truncated=True)
        except Exception as error:  # noqa: BLE001  cantools raises what it likes on odd data
            return f"{name} {found.name}", f"cannot be decoded: {error}", []
        units = {signal.name: signal.unit or "" for signal in found.signals}
        fields = [
            Field(
                signal,
                float(value),
                units.get(signal, ""),
                signal=self._names.of(LOCAL, signal) if signal in self._known else None,
            )
            for signal, value in values.items()
        ]
        return f"{name} {found.name}", found.name, fields

    def _diagnostics(self, identifier: int, data: bytes) -> tuple[str, list[Field]]:
        if data and data[0] >> 4 == _FLOW:
            return "flow control", []
        payload = self._assembly.setdefault(identifier, IsoTp()).feed(data)
        if not payload:
            return "part of a longer message", []
        if identifier in REQUESTS:
            return request_text(payload), []
        fields = [
            Field(p.name, p.value, p.unit, p.text, p.name if p.name in self._known else None)
            for p in parameters(payload)
        ]
        return answer_text(payload), fields


def frame_of(text: str) -> tuple[int, bool, bytes] | None:
    """Return (identifier, 29 bits, data) of a door's line; None where it is no frame."""
    found = _SOCKETCAND.fullmatch(text)
    try:
        if found is not None:
            identifier = int(found[1], 16)
            is_extended = len(found[1]) > 3 or identifier >= _EXTENDED_FROM
            # A frame that is sent says first how many bytes follow, one word each.
            words = found[2].split()[text.startswith("< send") :]
            return identifier, is_extended, bytes.fromhex("".join(w.zfill(2) for w in words))
        found = _SLCAN.match(text)
        if found is not None:
            data = bytes.fromhex(found[4][: 2 * int(found[3])])
            return int(found[2], 16), found[1] in "TR", data
    except ValueError:
        return None
    return None
