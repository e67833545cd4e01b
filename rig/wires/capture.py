"""Records what real adapters say: taps and CAN listeners in their threads, one writer.

The folder becomes a run's record without a scenario and without truth. What has come stands on the
disk after half a second, in whole frames: a capture that is killed is readable up to there.
"""

from __future__ import annotations

import contextlib
import queue
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rig.record.manifest import CAPTURED, PhaseWindow, WireInfo
from rig.record.reader import RecordReader
from rig.record.streams import (
    CAN_ERROR,
    CAN_EXTENDED,
    CAN_LOG_FILE,
    CAN_REMOTE,
    LOG_FILE,
    MANIFEST_FILE,
    SUFFIX,
    CanRow,
)
from rig.record.writer import RecordWriter
from rig.versions import versions
from rig.walltime.can_interfaces import open_interface
from rig.wires.errors import WiresError
from rig.wires.places import CanPlace, Place, SerialPlace
from rig.wires.source import BUS, TAP_EVENT
from rig.wires.tap import Tap
from sim.can.bit_length import bit_length
from sim.can.frame import CanFrame

if TYPE_CHECKING:
    import can

PORTS_FOLDER = "ports"
FLUSH_S = 0.5
LOOK_S = 0.1
MOST_WAITING = 200_000  # chunks that the writer is behind; beyond it they are counted, not kept
RECEIVE_S = 0.2
STAMP_S = 2.0  # a stamp of an interface that is nearer than this to our clock is its own
TAIL_CHARACTERS = 200
_ENDS = {"gps": re.compile(r"\$[^\r\n]*\r?\n"), "obd": re.compile(r">")}
_LINE = re.compile(r"[^\r\n]*[\r\n]")

Action = Callable[[], None]


@dataclass(slots=True)
class LinkCount:
    """What has come over one link.

    Attributes:
        to_host, to_device: bytes; of a bus, frames in `messages` alone.
        messages: sentences of a receiver, replies of an adapter, frames of a bus, else lines.
        last: the last of them, as text.
        state: "here", "gone", or who is there.
    """

    to_host: int = 0
    to_device: int = 0
    messages: int = 0
    last: str = ""
    client: bool = False
    gone: bool = False
    _tail: str = ""

    def hear(self, link: str, data: bytes) -> None:
        """Take bytes of the device."""
        self.to_host += len(data)
        text = self._tail + data.decode("latin-1")
        ends = _ENDS.get(link, _LINE)
        found = list(ends.finditer(text))
        if found:
            self.messages += len(found)
            end = found[-1].end()
            words = [line.strip("\r\n> ") for line in re.split(r"[\r\n]", text[:end])]
            self.last = next((line for line in reversed(words) if line), self.last)
            text = text[end:]
        self._tail = text[-TAIL_CHARACTERS:]


class Capture:
    """A capture under way. Use it as a context manager.

    Args:
        places: what is recorded.
        folder: of the record; new.
        name: of the record, for people.
        command: that was typed.

    Attributes:
        counts: link -> what has come.
        ports: link -> the path at which a client finds its PTY.
        lost: chunks that came faster than they could be written.

    Raises:
        WiresError, RecordError, CanDoorError: a place or the folder cannot be used.
    """

    def __init__(self, places: Sequence[Place], folder: Path, *, name: str, command: str) -> None:
        links = [place.link for place in places]
        if len(set(links)) != len(links):
            raise WiresError(f"capture: expected each link once, found {', '.join(links)}")
        self.counts = {link: LinkCount() for link in links}
        self.ports: dict[str, Path] = {}
        self.lost = 0
        self._folder = folder
        self._queue: queue.Queue[Action] = queue.Queue(MOST_WAITING)
        self._epoch_ns = time.time_ns()
        self._start_s = time.monotonic()
        self._flushed_s = 0.0
        self._stack = contextlib.ExitStack()
        self._writer = RecordWriter(folder, self._manifest(places, name, command))
        self._stack.callback(self._close_record)
        try:
            ports = folder / PORTS_FOLDER
            ports.mkdir()
            self._stack.callback(lambda: _remove(ports))
            for place in places:
                self._open(place, ports)
        except BaseException:
            self._stack.close()
            _forget(folder)
            raise

    def run(self, for_s: float | None, on_look: Action) -> None:
        """Record until the time is over, calling `on_look` now and then."""
        while for_s is None or self.elapsed_s < for_s:
            self.step(LOOK_S if for_s is None else min(LOOK_S, for_s - self.elapsed_s))
            on_look()

    def step(self, wait_s: float) -> None:
        """Write what has come, waiting so long for more."""
        end_s = time.monotonic() + wait_s
        while (left_s := end_s - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                self._queue.get(timeout=left_s)()
        now_s = time.monotonic()
        if now_s - self._flushed_s > FLUSH_S:
            self._flushed_s = now_s
            self._writer.flush()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start_s

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    # -- opening -----------------------------------------------------------------------------------
    def _open(self, place: Place, ports: Path) -> None:
        count = self.counts[place.link]
        if isinstance(place, CanPlace):
            listener = _BusListener(place, count, self._put, self._writer)
            self._stack.callback(listener.close)
            return
        tap = self._tap(place, count, ports / place.link)
        tap.start()
        self._stack.callback(tap.close)
        self.ports[place.link] = tap.path

    def _tap(self, place: SerialPlace, count: LinkCount, path: Path) -> Tap:
        link, writer = place.link, self._writer

        def on_bytes(time_ns: int, to_host: bool, data: bytes) -> None:
            if to_host:
                count.hear(link, data)
            else:
                count.to_device += len(data)
            self._put(lambda: writer.wire(link, time_ns, to_host, data))

        def on_event(time_ns: int, kind: str, detail: Mapping[str, Any]) -> None:
            count.client = {"opened": True, "closed": False}.get(kind, count.client)
            count.gone = {"gone": True, "back": False}.get(kind, count.gone)
            row = {"name": link, "phase": kind, **detail}
            self._put(lambda: writer.event(time_ns, TAP_EVENT, row))

        return Tap(
            link, place.place, baud=place.baud, path=path, on_bytes=on_bytes, on_event=on_event
        )

    def _put(self, action: Action) -> None:
        """Hand something to the writer; from any thread, and never waiting."""
        try:
            self._queue.put_nowait(action)
        except queue.Full:
            self.lost += 1

    # -- the record --------------------------------------------------------------------------------
    def _manifest(self, places: Sequence[Place], name: str, command: str) -> dict[str, Any]:
        serial = [place for place in places if isinstance(place, SerialPlace)]
        bus = next((place for place in places if isinstance(place, CanPlace)), None)
        wires = {p.link: WireInfo(baud=p.baud, place=p.place) for p in serial}
        found: dict[str, Any] = {
            "scenario": name,
            "seed": 0,
            "mode": CAPTURED,
            "epoch_ns": self._epoch_ns,
            "command": command,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "real_links": [place.link for place in places],
            "wires": wires,
            "versions": versions(),
        }
        if bus is not None:
            wires[BUS] = WireInfo(place=str(bus.spec), about=f"{bus.spec.bitrate_bps} bit/s")
            found["can"] = {"bitrate_bps": bus.spec.bitrate_bps}
        return found

    def _close_record(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()()
        end_ns = time.time_ns()
        self._writer.manifest.phases = [PhaseWindow(CAPTURED, self._epoch_ns, end_ns)]
        self._writer.close(
            {
                "sim_s": (end_ns - self._epoch_ns) / 1e9,
                "wall_s": self.elapsed_s,
                "log": {"errors": 0, "warnings": 0},
                "lost_chunks": self.lost,
            }
        )
        if BUS in self.counts:
            from rig.record.can_log import write_can_log

            write_can_log(self._folder / CAN_LOG_FILE, RecordReader(self._folder).can)


class _BusListener:
    """Reads a CAN interface in a thread of its own, and sends nothing."""

    def __init__(
        self,
        place: CanPlace,
        count: LinkCount,
        put: Callable[[Action], None],
        writer: RecordWriter,
    ) -> None:
        self._count = count
        self._put = put
        self._writer = writer
        self._bus = open_interface(place.spec)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="can capture", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopping = True
        self._thread.join()
        with contextlib.suppress(Exception):  # drivers raise whatever they like
            self._bus.shutdown()

    def _run(self) -> None:
        while not self._stopping:
            try:
                message = self._bus.recv(RECEIVE_S)
            except Exception as error:  # noqa: BLE001  thread boundary; as above
                self._lose(f"{type(error).__name__}: {error}")
                return
            if message is not None:
                self._take(message)

    def _lose(self, reason: str) -> None:
        self._count.gone = True
        row = {"name": BUS, "phase": "gone", "reason": reason}
        time_ns = time.time_ns()
        self._put(lambda: self._writer.event(time_ns, TAP_EVENT, row))

    def _take(self, message: can.Message) -> None:
        now_ns = time.time_ns()
        stamp_ns = round(message.timestamp * 1e9)
        time_ns = stamp_ns if abs(stamp_ns - now_ns) < STAMP_S * 1e9 else now_ns
        row = can_row(time_ns, message)
        self._count.messages += 1
        self._count.last = f"{message.arbitration_id:X} {bytes(message.data).hex(' ').upper()}"
        self._put(lambda: self._writer.can(row))


def can_row(time_ns: int, message: can.Message) -> CanRow:
    """Return a message of python-can as a row of a record."""
    flags = CAN_EXTENDED * message.is_extended_id + CAN_REMOTE * message.is_remote_frame
    if message.is_error_frame:
        return CanRow(time_ns, "", message.arbitration_id, flags | CAN_ERROR, "error", 0)
    data = b"" if message.is_remote_frame else bytes(message.data)
    frame = CanFrame(
        message.arbitration_id,
        data,
        is_extended=message.is_extended_id,
        is_remote=message.is_remote_frame,
        requested_bytes=message.dlc if message.is_remote_frame else 0,
    )
    return CanRow(
        time_ns, "", message.arbitration_id, flags, data.decode("latin-1"), bit_length(frame)
    )


def _forget(folder: Path) -> None:
    """Remove the record that has nothing in it, so that the next try may have the folder."""
    for name in (MANIFEST_FILE, LOG_FILE, CAN_LOG_FILE):
        (folder / name).unlink(missing_ok=True)
    for path in folder.glob(f"*{SUFFIX}"):
        path.unlink()
    _remove(folder)


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
