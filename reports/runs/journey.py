"""One reading's journey: asked for, sampled, on the wire, received, committed, published.

Each instant comes from where it was recorded: the world's sample, the bytes of the link, what the
gateway said, the commit's acknowledgement, the arrival at a WebSocket client.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from reports.runs.columns import RECEIVED, Column
from reports.runs.names import LOCAL
from reports.runs.problem import NOT_FOUND, RunError
from reports.runs.run import DELAY, REPORTED, STORED, WIRE, Run
from reports.runs.wire.at import BUS, ON_AIR, WireReader, reader_of
from reports.runs.wire.message import TO_DEVICE, TO_HOST
from rig.measures.uplinks import PACKET_SHIFT
from rig.record.streams import PUBLISHED, STORED_AT, Published, link_of_wire

LOOK_ON_NS = 700_000_000_000
"""So long after its receipt a reading's publication and commit are looked for."""
ROUNDED_NS = 1000
"""Instants out of columns of floats are off by less than this."""
ASKED_BEFORE_NS = 1_000_000_000
_NS_PER_MS = 1e6


class Hop(msgspec.Struct, frozen=True, omit_defaults=True):
    """One stage; `after_ms` is the time since the stage before it."""

    name: str
    text: str
    from_ns: int
    to_ns: int
    after_ms: float | None = None
    took_ms: float = 0.0
    link: str = ""


def journey_of(run: Run, name: str, at_ns: int) -> dict[str, Any]:
    """Return the hops of the reading of a signal that was measured nearest to an instant.

    Raises:
        RunError: there is no reading of that name.
    """
    layer = STORED if run.finished else REPORTED
    column = run.part(layer)[layer].get(name)
    if column is None or not len(column.time_ns):
        known = ", ".join(sorted(run.part(layer)[layer])[:8])
        raise RunError(
            NOT_FOUND, "signal", "one with readings", repr(name[:80]), f"such as {known}"
        )
    with reader_of(run).lock:
        return _journey(run, name, column, at_ns)


def _journey(run: Run, name: str, column: Column, at_ns: int) -> dict[str, Any]:
    index = int(np.argmin(np.abs(column.time_ns - at_ns)))
    time_ns, value = int(column.time_ns[index]), float(column.value[index])
    received = _received_ns(run, name, time_ns)
    row = _published(run, name, time_ns, received)
    if row is not None:
        received = row.received_ns
    hops = _world_hops(run, name, time_ns, received, row)
    hops += _gateway_hops(run, name, received, row)
    notes = []
    if row is None:
        notes.append("no WebSocket client got this reading: publication and commit are not known")
    return {
        "signal": name,
        "unit": run.names.info(name).unit,
        "value": value if np.isfinite(value) else None,
        "time_ns": time_ns,
        "seq": None if row is None else row.seq,
        "hops": _with_times(hops),
        "notes": notes,
    }


def _with_times(hops: list[Hop]) -> list[Hop]:
    found: list[Hop] = []
    for hop in sorted(hops, key=lambda hop: (hop.from_ns, hop.to_ns)):
        after_ms = None if not found else (hop.from_ns - found[-1].to_ns) / _NS_PER_MS
        took_ms = (hop.to_ns - hop.from_ns) / _NS_PER_MS
        found.append(msgspec.structs.replace(hop, after_ms=after_ms, took_ms=took_ms))
    return found


def _received_ns(run: Run, name: str, time_ns: int) -> int:
    for layer in (REPORTED, STORED):
        column = run.part(layer)[RECEIVED].get(name)
        if column is not None:
            index = int(np.searchsorted(column.time_ns, time_ns))
            if index < len(column.time_ns) and column.time_ns[index] == time_ns:
                return int(column.value[index])
    return 0


def _published(run: Run, name: str, time_ns: int, received_ns: int) -> Published | None:
    """Return the row in which the live stream told of the reading."""
    if not received_ns:
        return None
    device, signal = run.names.split(name)
    start_ns, end_ns = received_ns - ROUNDED_NS, received_ns + LOOK_ON_NS
    for row in reader_of(run).rows_of(PUBLISHED, start_ns, end_ns):
        if row.time_ns == time_ns and run.names.device_of(row.device) == device:
            info = run.names.signals.get(row.signal)
            if (info.name if info else str(row.signal)) == signal:
                found: Published = row
                return found
    return None


# -- the world -------------------------------------------------------------------------------------
def _world_hops(
    run: Run, name: str, time_ns: int, received_ns: int, row: Published | None
) -> list[Hop]:
    device, _ = run.names.split(name)
    link = run.names.link(name)
    sampled_ns = _sampled_ns(run, name, time_ns, received_ns)
    hops = []
    if sampled_ns is not None:
        hops.append(Hop("sampled", f"the world took {name}", sampled_ns, sampled_ns))
    reader = reader_of(run)
    begin_ns = time_ns if sampled_ns is None else sampled_ns
    if device != LOCAL:
        hops += _of_packet(reader, device, row)
    elif link == "can":
        hops += _of_frame(run, reader, begin_ns, received_ns)
    elif received_ns:
        hops += _of_line(reader, link, begin_ns, received_ns, asks=link == "obd")
    return hops


def _sampled_ns(run: Run, name: str, time_ns: int, received_ns: int) -> int | None:
    """Return the instant of the sample that the measures found for the reading."""
    try:
        delays = run.column(name, DELAY)
    except RunError:
        return None
    index = int(np.searchsorted(delays.time_ns, time_ns))
    if index >= len(delays.time_ns) or delays.time_ns[index] != time_ns or not received_ns:
        return None
    sampled_ns = received_ns - round(float(delays.value[index]) * _NS_PER_MS)
    samples = run.column(name, WIRE).time_ns
    if not len(samples):
        return sampled_ns
    nearest = int(samples[np.argmin(np.abs(samples - sampled_ns))])
    return nearest if abs(nearest - sampled_ns) <= ROUNDED_NS else sampled_ns


def _of_line(
    reader: WireReader, link: str, begin_ns: int, received_ns: int, *, asks: bool
) -> list[Hop]:
    if link not in reader.names():
        return []
    hops = []
    rows = list(reader.rows(link, begin_ns - ASKED_BEFORE_NS, received_ns + 1))
    asked = [row for row in rows if row.direction == TO_DEVICE and row.time_ns <= begin_ns]
    if asks and asked:
        text = asked[-1].text.strip() or "a request"
        hops.append(
            Hop("asked", f"request {text}", asked[-1].time_ns, asked[-1].time_ns, link=link)
        )
    back = [row for row in rows if row.direction == TO_HOST and row.time_ns > begin_ns]
    if back:
        size = sum(len(row.text) for row in back)
        hops.append(
            Hop("on the wire", f"{size} bytes to the gateway", back[0].time_ns, back[-1].time_ns,
                link=link)
        )  # fmt: skip
    return hops


def _of_frame(run: Run, reader: WireReader, end_ns: int, received_ns: int) -> list[Hop]:
    hops = []
    bitrate = run.manifest.can.bitrate_bps if run.manifest.can else 500_000
    if BUS in reader.names():
        for frame in reader.rows(BUS, end_ns, end_ns + 1):
            start_ns = end_ns - frame.bits * 1_000_000_000 // bitrate
            text = f"frame {frame.id:X} of {frame.sender}, {frame.bits} bits"
            hops.append(Hop("on the bus", text, start_ns, end_ns, link=BUS))
            break
    for link in (name for name in reader.names() if link_of_wire(name) == "can" and name != BUS):
        for chunk in reader.rows(link, end_ns, max(end_ns, received_ns) + 1):
            if chunk.direction == TO_HOST:
                at_ns = chunk.time_ns
                hops.append(Hop("through the door", f"{link}", at_ns, at_ns, link=link))
                break
    return hops


def _of_packet(reader: WireReader, device: str, row: Published | None) -> list[Hop]:
    """Return when the codec packet of a reading was first sent."""
    if row is None:
        return []
    packet = (row.seq - 1) >> PACKET_SHIFT
    log = reader.packets if f"{device}.http" in reader.names() or device in reader.names() else None
    sent_ns = None if log is None else log.first_sent_ns.get((device, row.boot, packet))
    if sent_ns is None:
        return []
    link = f"{device}.http" if f"{device}.http" in reader.names() else device
    hops = [Hop("sent", f"codec packet {packet}, first attempt", sent_ns, sent_ns, link=link)]
    if ON_AIR in reader.names():
        return []
    return hops


# -- the gateway -----------------------------------------------------------------------------------
def _gateway_hops(run: Run, name: str, received_ns: int, row: Published | None) -> list[Hop]:
    hops = []
    if received_ns:
        hops.append(Hop("received", "the gateway has the value", received_ns, received_ns))
    if row is None:
        return hops
    hops.append(Hop("published", "a WebSocket client has it", row.arrived_ns, row.arrived_ns))
    acks = reader_of(run).rows_of(STORED_AT, received_ns, received_ns + LOOK_ON_NS)
    committed_ns = _committed_ns(acks, row)
    if committed_ns is not None:
        hops.append(Hop("committed", "safe in the database", committed_ns, committed_ns))
    return hops


def _committed_ns(acks: Iterable[Any], row: Published) -> int | None:
    for ack in acks:
        is_own = ack.device == row.device and (not row.device or ack.boot == row.boot)
        if is_own and ack.first_seq <= row.seq <= ack.upto_seq:
            at_ns: int = ack.time_ns
            return at_ns
    return None
