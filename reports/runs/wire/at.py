"""Which bytes were on the links around an instant, put together to whole messages and decoded."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from reports.runs.run import Run
from reports.runs.wire import elm327, nmea, radio
from reports.runs.wire.board import Board, PacketLog
from reports.runs.wire.canbus import Frames
from reports.runs.wire.message import Message, message
from rig.meaning.can import database_of, messages_of
from rig.record.errors import RecordError
from rig.record.frames import FrameFile
from rig.record.reader import RecordReader
from rig.record.streams import (
    AIR,
    CAN,
    Stream,
    WireChunk,
    link_of_wire,
    wire_stream,
)

MOST_WITHIN_MS = 10_000
MOST_MESSAGES = 400
BEFORE_NS = 1_500_000_000
"""A message may have begun so long before its end: an answer of many lines, a burst."""
BEFORE_ON_BUS_NS = 60_000_000
"""Of frames it is enough to see the first one of a longer diagnostic message."""
BUS, ON_AIR = "can bus", "air"
_CAN_DOORS = ("can", "obd")


class WireReader:
    """The wire streams of one run, open. Calls come from several threads."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._files: dict[str, FrameFile] = {}
        self.lock = threading.RLock()
        self._dbc: dict[tuple[int, bool], Any] = {}
        self._dbc_note: str | None = None
        self._packets: PacketLog | None = None
        self._packets_note: str | None = None

    def at(self, at_ns: int, within_ns: int, links: list[str]) -> list[dict[str, Any]]:
        """Return the messages of each link that ended within the window."""
        with self.lock:
            return [
                self._link(name, at_ns - within_ns, at_ns + within_ns)
                for name in self.names()
                if not links or name in links or link_of_wire(name) in links
            ]

    def names(self) -> list[str]:
        """Return what bytes were recorded of: links, the bus, the air."""
        found = list(self._run.links)
        folder = self._run.folder
        found += [BUS] if (folder / CAN.file_name).exists() else []
        found += [ON_AIR] if (folder / AIR.file_name).exists() else []
        return found

    def rows(self, name: str, start_ns: int, end_ns: int) -> Iterator[Any]:
        """Yield the rows of a stream from start to before end."""
        stream: Stream = {BUS: CAN, ON_AIR: AIR}.get(name) or wire_stream(name)
        yield from self.rows_of(stream, start_ns, end_ns, name)

    def rows_of(self, stream: Stream, start_ns: int, end_ns: int, name: str = "") -> Iterator[Any]:
        """Yield the rows of any stream from start to before end; call it with `lock` held."""
        file = self._files.get(name or stream.name)
        if file is None:
            file = self._files[name or stream.name] = FrameFile(self._run.folder, stream)
        file.scan()
        yield from file.between(start_ns, end_ns)

    @property
    def packets(self) -> PacketLog | None:
        """The boards' packets, unpacked; None where the record is damaged."""
        if self._packets is None and self._packets_note is None:
            try:
                self._packets = PacketLog(RecordReader(self._run.folder))
                self._packets_note = ""
            except (RecordError, OSError) as error:
                self._packets_note = f"packets cannot be unpacked: {error}"
        return self._packets

    def _link(self, name: str, start_ns: int, end_ns: int) -> dict[str, Any]:
        found: list[Message] = []
        error = ""
        try:
            on_bus = name == BUS or link_of_wire(name) == "can"
            before_ns = BEFORE_ON_BUS_NS if on_bus else BEFORE_NS
            rows = self.rows(name, start_ns - before_ns, end_ns + 1)
            inside = (m for m in self._messages(name, rows) if start_ns <= m.at_ns <= end_ns)
            found = list(itertools.islice(inside, MOST_MESSAGES + 1))
        except Exception as trouble:  # noqa: BLE001  odd bytes of one link must not hide the others
            error = f"cannot be decoded: {type(trouble).__name__}: {trouble}"
            found = _as_they_are(self.rows(name, start_ns, end_ns + 1), name)
        file = self._files.get(name)
        notes = [error, file.damage if file else ""]
        if name == BUS or link_of_wire(name) == "can":
            notes.append(self._dbc_note or "")
        if name.endswith(".http"):
            notes.append(self._packets_note or "")
        return {
            "link": name,
            "of": link_of_wire(name) if name not in (BUS, ON_AIR) else name,
            "messages": found[:MOST_MESSAGES],
            "truncated": len(found) > MOST_MESSAGES,
            "note": "; ".join(note for note in notes if note),
        }

    def _messages(self, name: str, rows: Iterable[Any]) -> Iterable[Message]:
        run, link = self._run, link_of_wire(name)
        if name == BUS:
            can = run.manifest.can
            return self._frames().bus(rows, can.bitrate_bps if can else 500_000)
        if name == ON_AIR:
            mesh = run.manifest.mesh
            nodes = (
                {} if mesh is None else {n: d for d, n in mesh.nodes.items()} | {mesh.base: "base"}
            )
            return radio.on_air(rows, nodes)
        device = name.split(".", 1)[0]
        if device in run.manifest.devices and link != "mesh":
            board = Board(device, run.names, self.packets)
            return board.http(rows) if name.endswith(".http") else board.serial(rows)
        if link == "gps":
            return nmea.messages(rows, run.names)
        if link.startswith("mesh"):
            return radio.serial(rows)
        rows = list(rows)
        if link in _CAN_DOORS and (link == "can" or _is_door(rows)):
            return self._frames().door(rows)
        if link == "obd":
            return elm327.messages(rows, run.names)
        return _as_they_are(rows, name)

    def _frames(self) -> Frames:
        if self._dbc_note is None:
            database, self._dbc_note = database_of(self._run.manifest)
            self._dbc = messages_of(database)
        return Frames(self._dbc, self._run.names)


def wire_at(run: Run, at_ns: int, within_ms: int, links: list[str]) -> dict[str, Any]:
    """Return what was on the links within so many milliseconds of an instant."""
    reader = reader_of(run)
    return {
        "at_ns": at_ns,
        "within_ms": within_ms,
        "links": reader.at(at_ns, within_ms * 1_000_000, links),
    }


def reader_of(run: Run) -> WireReader:
    """Return the reader of a run's wires; one for as long as the run is open."""
    found = run.extras.get("wire")
    if not isinstance(found, WireReader):
        found = run.extras["wire"] = WireReader(run)
    return found


def _is_door(chunks: list[WireChunk]) -> bool:
    """Tell a CAN door's text from an ELM327's: OBD may come over either."""
    data = b"".join(chunk.data for chunk in chunks[:20])
    is_slcan = any(line[:1] in (b"t", b"T") for line in data.split(b"\r"))
    return b"< frame" in data or b"< send" in data or b"< open" in data or is_slcan


def _as_they_are(rows: Iterable[Any], name: str) -> list[Message]:
    found = []
    for row in itertools.islice(rows, MOST_MESSAGES):
        direction = getattr(row, "direction", ">")
        found.append(message(row.time_ns, row.time_ns, direction, row.data, "bytes"))
    return found
