"""What of a record can be played, and at which instants of a world."""

from __future__ import annotations

from rig import assembly
from rig.record.manifest import Manifest, WireInfo
from rig.record.reader import RecordReader
from rig.record.streams import CAN, CanRow, WireChunk, link_of_wire
from rig.scenario.model import OBD, Scenario
from rig.wires.exchanges import TO_HOST
from sim.can_setup import channel_of

GPS, BUS, ESP32, MESH = "gps", "can", "esp32", "mesh"
HANG_UP = "hang_up"
TAP_EVENT = "wire"
GONE, BACK = "gone", "back"
NOT_PLAYED = {
    MESH: "a radio answers with a number that its client draws anew at each start; use a model",
    "esp32.http": "bodies alone are recorded, without the requests around them; use a model",
}
"""Wires that a record may have and that make no world, and why."""
USUAL_BAUD = {OBD: 38400, GPS: 9600, ESP32: 115200}


def playable_links(record: RecordReader) -> list[str]:
    """Return the links of a record that can be played, sorted."""
    found = {link_of_wire(name) for name in record.links if not name.endswith(".http")}
    found &= {OBD, GPS, ESP32}
    if (record.folder / CAN.file_name).exists():
        found.add(BUS)
        if OBD in found and not _is_adapter(record):
            found.discard(OBD)
    return sorted(found)


def start_of(manifest: Manifest, scenario: Scenario) -> int:
    """Return UTC at the world's zero so that the recorded drive begins after its lead-in."""
    return manifest.start_ns - round(assembly.lead_in_s(scenario) * 1e9)


def wire_info(record: RecordReader, name: str) -> WireInfo:
    """Return what is known of a wire; of a record of before, what is usual."""
    known = record.manifest.wires.get(name)
    return known or WireInfo(baud=USUAL_BAUD.get(link_of_wire(name), 0))


class Source:
    """The wires of a record on the clock of a world.

    Args:
        record: the record.
        zero_ns: the instant of the recording at the world's zero.
    """

    def __init__(self, record: RecordReader, zero_ns: int) -> None:
        self.record = record
        self._zero_ns = zero_ns

    def time_s(self, time_ns: int) -> float:
        """Return the instant of the world for one of the recording."""
        return (time_ns - self._zero_ns) / 1e9

    def time_ns(self, time_s: float) -> int:
        """Return the instant of the recording for one of the world."""
        return self._zero_ns + round(time_s * 1e9)

    def wires(self, link: str) -> list[str]:
        """Return the names of the wires of a link: boards have one each."""
        return [
            name
            for name in self.record.links
            if link_of_wire(name) == link and not name.endswith(".http")
        ]

    def chunks(self, name: str) -> list[WireChunk]:
        """Return a wire's bytes, both ways."""
        return self.record.wire(name)

    def said(self, name: str) -> list[tuple[float, bytes]]:
        """Return what the device of a wire said, and when."""
        return [
            (self.time_s(chunk.time_ns), chunk.data)
            for chunk in self.record.wire(name)
            if chunk.direction == TO_HOST
        ]

    def frames(self) -> list[tuple[float, CanRow]]:
        """Return what was on the bus, each with its end; but for what the reader itself sent."""
        own = channel_of(BUS)
        return [(self.time_s(row.time_ns), row) for row in self.record.can if row.sender != own]

    def outages(self, name: str) -> list[tuple[float, float | None]]:
        """Return when the device of a wire was away: from, to (None: it never came back)."""
        return [
            (self.time_s(start_ns), None if end_ns is None else self.time_s(end_ns))
            for start_ns, end_ns in outages(self.record, name)
        ]


def outages(record: RecordReader, name: str) -> list[tuple[int, int | None]]:
    """Return when the device of a wire was away, in UTC: from, to (None: it never came back)."""
    link = link_of_wire(name)
    found: list[tuple[int, int | None]] = [
        (fault.start_ns, fault.end_ns)
        for fault in record.manifest.faults
        if fault.kind == HANG_UP and fault.link == link
    ]
    gone_ns: int | None = None
    for event in record.events:
        if event.kind != TAP_EVENT or event.detail.get("name") != name:
            continue
        what = event.detail.get("phase")
        if what == GONE and gone_ns is None:
            gone_ns = event.time_ns
        elif what == BACK and gone_ns is not None:
            found.append((gone_ns, event.time_ns))
            gone_ns = None
    return sorted(found) + ([] if gone_ns is None else [(gone_ns, None)])


def _is_adapter(record: RecordReader) -> bool:
    """Return whether the wire `obd` is an ELM327's, and not a door to the bus."""
    asked = "".join(c.text for c in record.wire(OBD)[:50] if c.direction != TO_HOST)
    return "AT" in asked.upper()
