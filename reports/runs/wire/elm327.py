"""Text of an ELM327: commands to it, and its answers, with the parameters in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from reports.runs.names import LOCAL, Names
from reports.runs.wire.canbus import IsoTp
from reports.runs.wire.lines import lines
from reports.runs.wire.message import TO_DEVICE, Field, Message, message
from rig.meaning.obd import ANSWER, REFUSED, answer_text, parameters, request_text
from rig.record.streams import WireChunk

KIND = "ELM327"
_HEX = re.compile(r"[0-9A-Fa-f ]+")
_SHORT_HEADER = re.compile(r"(?:7[0-9A-F]{2}) ?((?:[0-9A-F]{2} ?)+)")
_LONG_HEADER = re.compile(r"18 ?DA ?F1 ?([0-9A-F]{2}) ?((?:[0-9A-F]{2} ?)+)")
_LONGEST_REQUEST = 7
ERRORS = ("NO DATA", "UNABLE TO CONNECT", "STOPPED", "BUFFER FULL", "CAN ERROR", "BUS ERROR",
          "BUS INIT", "DATA ERROR", "FB ERROR", "LV RESET", "?")  # fmt: skip


def messages(chunks: Iterable[WireChunk], names: Names) -> Iterator[Message]:
    """Yield commands and answer lines; a prompt alone is left out."""
    assembly: dict[str, IsoTp] = {}
    for line in lines(chunks, b"\r>"):
        text = line.data.decode("latin-1").strip("\r\n> \x00")
        if not text:
            continue
        place = line.from_ns, line.at_ns, line.direction, line.data
        if line.direction == TO_DEVICE:
            assembly.clear()
            yield message(*place, "command", command_text(text))
            continue
        payload = payload_of(text, assembly)
        if payload is None:
            bad = next((error for error in ERRORS if text.startswith(error)), "")
            yield message(*place, "answer", text, error="the adapter says so" if bad else "")
        elif not payload:
            yield message(*place, "part of an answer", text)
        else:
            yield message(*place, "PID answer", answer_text(payload), fields_of(payload, names))


def command_text(text: str) -> str:
    """Say what is asked of the adapter."""
    compact = text.replace(" ", "").upper()
    if compact.startswith(("AT", "ST")):
        return f"adapter command {text}"
    if len(compact) % 2:  # the last digit says how many answers are waited for
        compact = compact[:-1]
    try:
        return request_text(bytes.fromhex(compact)[:_LONGEST_REQUEST])
    except ValueError:
        return text


def payload_of(text: str, assembly: dict[str, IsoTp]) -> bytes | None:
    """Return the payload of an answer line; empty while one is put together; None: no data."""
    if not _HEX.fullmatch(text):
        return None
    upper = text.upper()
    header, data = "", None
    short, long = _SHORT_HEADER.fullmatch(upper), _LONG_HEADER.fullmatch(upper)
    try:
        if long is not None:
            header, data = long[1], bytes.fromhex(long[2])
        elif short is not None:
            header, data = upper[:3], bytes.fromhex(short[1])
        else:
            payload = bytes.fromhex(upper)
            return payload if payload and (payload[0] >= ANSWER or payload[0] == REFUSED) else None
    except ValueError:
        return None
    return assembly.setdefault(header, IsoTp()).feed(data)


def fields_of(payload: bytes, names: Names, device: str = LOCAL) -> list[Field]:
    """Return the parameters of an answer."""
    known = {info.name for info in names.signals.values()}
    return [
        Field(
            found.name,
            found.value,
            found.unit,
            found.text,
            names.of(device, found.name) if found.name in known else None,
        )
        for found in parameters(payload)
    ]
