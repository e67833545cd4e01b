"""Packets of the mesh: what stands on the serial line of a radio, and what was on the air."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

from reports.runs.wire.message import TO_HOST, Field, Message, message
from rig.record.streams import Transmission, WireChunk
from server.wire import air
from server.wire.pbuf import WireError, fields_of

START = b"\x94\xc3"
HEAD_BYTES = 4
PRIVATE_PORT = 256
_PORTS = {1: "text", 3: "position", 4: "node info", 5: "routing", 6: "admin", 67: "telemetry",
          70: "traceroute", PRIVATE_PORT: "telemetry of telerig"}  # fmt: skip
_FROM_RADIO = {2: "packet", 3: "my info", 4: "node info", 5: "config", 6: "log record",
               7: "configuration complete", 8: "rebooted", 9: "module config", 10: "channel",
               11: "queue status", 13: "metadata"}  # fmt: skip
_TO_RADIO = {1: "packet", 3: "asks for the configuration", 4: "disconnect", 7: "heartbeat"}
_PACKET_IN = {">": 2, "<": 1}


def serial(chunks: Iterable[WireChunk]) -> Iterator[Message]:
    """Yield the messages on the line of a radio: START, length, a protobuf message."""
    rests: dict[str, bytes] = {}
    begun: dict[str, int] = {}
    for chunk in chunks:
        direction = chunk.direction
        if not rests.get(direction):
            begun[direction] = chunk.time_ns
        data = rests.get(direction, b"") + chunk.data
        while True:
            at = data.find(START)
            if at < 0 or len(data) < at + HEAD_BYTES:
                break
            length = int.from_bytes(data[at + 2 : at + HEAD_BYTES], "big")
            end = at + HEAD_BYTES + length
            if len(data) < end:
                break
            whole, data = data[at:end], data[end:]
            yield _message(begun[direction], chunk.time_ns, direction, whole)
            begun[direction] = chunk.time_ns
        rests[direction] = data[-65536:]


def on_air(rows: Iterable[Transmission], names: dict[int, str]) -> Iterator[Message]:
    """Yield the frames of the air, each from its first to its last symbol."""
    for row in rows:
        end_ns = row.time_ns + row.airtime_us * 1000
        who = names.get(row.node, f"!{row.node:08x}")
        to = "all" if row.to == 0xFFFFFFFF else names.get(row.to, f"!{row.to:08x}")
        text, fields = ("", []) if not row.text else _data(row.data)
        fields = [Field("airtime", row.airtime_us / 1000, "ms"), *fields]
        said = f"{who} to {to}, {row.frame_bytes} B" + (f": {text}" if text else "")
        yield message(row.time_ns, end_ns, TO_HOST, row.data, row.kind, said, fields)


def _message(from_ns: int, at_ns: int, direction: str, whole: bytes) -> Message:
    place = from_ns, at_ns, direction, whole
    kinds = _FROM_RADIO if direction == TO_HOST else _TO_RADIO
    try:
        parts = {number: value for number, _, value in fields_of(whole[HEAD_BYTES:])}
    except (WireError, struct.error) as error:
        return message(*place, "?", error=f"no whole message: {error}")
    kind = next((kinds[number] for number in kinds if number in parts), "message")
    packet = parts.get(_PACKET_IN[direction])
    if isinstance(packet, bytes):
        text, fields = _packet(packet)
        return message(*place, kind, text, fields)
    return message(*place, kind)


def _packet(data: bytes) -> tuple[str, list[Field]]:
    try:
        parts: dict[int, Any] = {number: value for number, _, value in fields_of(data)}
    except WireError as error:
        return f"cannot be read: {error}", []
    fields = []
    for number, name in ((1, "from"), (2, "to")):
        if isinstance(parts.get(number), int):
            fields.append(Field(name, text=f"!{parts[number]:08x}"))
    if isinstance(parts.get(8), int):
        snr_db = struct.unpack("<f", struct.pack("<I", parts[8] & 0xFFFFFFFF))[0]
        fields.append(Field("SNR", float(snr_db), "dB"))
    if isinstance(parts.get(4), bytes):
        text, more = _data(parts[4])
        return text, [*fields, *more]
    return "encrypted", fields


def _data(data: bytes) -> tuple[str, list[Field]]:
    """Say what stands in Meshtastic's `Data`: a port and a payload."""
    port, payload = 0, b""
    try:
        for number, _, value in fields_of(data):
            if number == 1:
                port = value
            elif number == 2:
                payload = bytes(value)
        word = _PORTS.get(port, f"port {port}")
        if port != PRIVATE_PORT:
            return f"{word}, {len(payload)} B", []
        found = air.read(payload)
    except (WireError, air.AirError, TypeError, ValueError) as error:
        return f"cannot be read: {error}", []
    return _said(found)


def _said(found: air.Data | air.Hello | air.ProfilePart | air.Acks) -> tuple[str, list[Field]]:
    if isinstance(found, air.Data):
        fields = [Field("stream", float(found.stream)), Field("back", float(found.back))]
        return f"DATA, codec packet of {len(found.packet)} B", fields
    if isinstance(found, air.Hello):
        return "HELLO", [Field("boot", float(found.boot))]
    if isinstance(found, air.ProfilePart):
        return f"PROFILE part {found.index + 1} of {found.count}", []
    return f"ACKS to {len(found.entries)} vehicles", []
