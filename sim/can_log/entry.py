"""One line of a CAN log, whatever its format was."""

from __future__ import annotations

from typing import NamedTuple

from sim.can.frame import CanFrame

ERROR_FRAME = "error frame"
FD_FRAME = "FD frame"


class LogEntry(NamedTuple):
    """A frame of a log, or that there was one which a classical bus cannot be given.

    Attributes:
        time_ns: as the log has it, UTC or from its beginning; nanoseconds.
        channel: name or number of the bus, "" where the format has none.
        frame: what was on the bus; None if skipped.
        skipped: `ERROR_FRAME`, `FD_FRAME`, or "".
    """

    time_ns: int
    channel: str
    frame: CanFrame | None
    skipped: str = ""
