"""What passed on the car's CAN bus: read from the record of its frames.

* load: bits of frames and error frames, each with the three bits of intermission that follow it,
  against those that the bus could have carried; so a bus without a pause has 100 %.
* A frame belongs to a window by the instant at which it ended.
* A controller's leaving the bus is an event that the world notes.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from rig.measures.arrays import Bools, Ints, ints
from rig.measures.link import Link
from rig.measures.windows import Window
from rig.record.reader import RecordReader
from rig.record.streams import CAN_ERROR

LINK = "can"
BUS_OFF = "bus_off"
BUS_MEASURES = ("frames", "bus_load", "bus_load.max", "error_frames", "bus_off", "frames.lost")
INTERMISSION_BITS = 3
SECOND_NS = 1_000_000_000
WRONG_STEPS = 0.5  # a value nearer to another step is another value
ERROR_FRAMES = "error_frames"  # of those taken: no frames of the bus, but what the door says
RECEIVED = ("frames", "frames_unwanted")  # counters of the link: taken, and left out on purpose


class Bus:
    """The CAN bus of one record; read when a figure is first asked for."""

    def __init__(self, record: RecordReader) -> None:
        self._record = record
        self._info = record.manifest.can

    def figure(self, name: str, window: Window, *, whole: bool) -> tuple[float | None, str]:
        """Return one of `BUS_MEASURES` with its unit."""
        if name == "bus_off":
            return self._bus_off(window), ""
        if name == "frames.lost":
            return (self._lost() if whole else None), ""
        if self._info is None:
            return None, ""
        inside = window.holds(self._times_ns)
        if name == "bus_load":
            return self._load_pct(inside, window), "%"
        if name == "bus_load.max":
            return self._busiest_pct(inside), "%"
        errors = bool(name == "error_frames")
        return int(np.count_nonzero(inside & (self._is_error == errors))), ""

    def load_by_second(self) -> tuple[Ints, list[float]]:
        """Return (starts of the seconds in ns, load in %) of the whole record, for the report."""
        if self._info is None or not len(self._times_ns):
            return ints([]), []
        second = self._times_ns // SECOND_NS
        first = int(second.min())
        bits = np.bincount(second - first, weights=self._bits)
        starts = (np.arange(len(bits), dtype=np.int64) + first) * SECOND_NS
        return starts, (100.0 * bits / self._info.bitrate_bps).tolist()

    def _load_pct(self, inside: Bools, window: Window) -> float | None:
        assert self._info is not None
        if window.duration_s <= 0:
            return None
        possible_bits = self._info.bitrate_bps * window.duration_s
        return 100.0 * float(self._bits[inside].sum()) / possible_bits

    def _busiest_pct(self, inside: Bools) -> float | None:
        assert self._info is not None
        if not inside.any():
            return 0.0
        second = self._times_ns[inside] // SECOND_NS
        bits = np.bincount(second - second.min(), weights=self._bits[inside])
        return 100.0 * float(bits.max()) / self._info.bitrate_bps

    def _bus_off(self, window: Window) -> int | None:
        if self._info is None:
            return None
        times = [
            event.time_ns
            for event in self._record.events
            if event.kind == LINK and event.detail["name"] == BUS_OFF
        ]
        return int(np.count_nonzero(window.holds(ints(times))))

    def _lost(self) -> int | None:
        """Return the frames that were offered to the gateway and that its link did not count."""
        result = self._record.manifest.result
        offered = (result.get("can") or {}).get("offered")
        counters = (result.get("counters") or {}).get(LINK, {})
        if offered is None or RECEIVED[0] not in counters:
            return None
        counted = sum(int(counters.get(name, 0)) for name in RECEIVED)
        return int(offered) - counted + int(counters.get(ERROR_FRAMES, 0))

    # -- columns -----------------------------------------------------------------------------------
    @cached_property
    def _times_ns(self) -> Ints:
        return ints([row.time_ns for row in self._record.can])

    @cached_property
    def _bits(self) -> Ints:
        return ints([row.bits for row in self._record.can]) + INTERMISSION_BITS

    @cached_property
    def _is_error(self) -> Bools:
        flags = ints([row.flags for row in self._record.can])
        return np.asarray(flags & CAN_ERROR != 0)


def count_strange(link: Link, window: Window) -> int:
    """Count the stored readings of which the bus carried no value, or another one."""
    count = 0
    for matched in link.stored.values():
        chosen = window.holds(matched.measured_ns)
        count += int(np.count_nonzero(chosen & ~matched.has_sample))
        known = chosen & matched.has_sample
        carried = matched.samples.wire[matched.sample[known]]
        steps = np.abs(matched.readings.value[known] - carried) / matched.info.resolution
        count += int(np.count_nonzero(steps > WRONG_STEPS))
    return count
