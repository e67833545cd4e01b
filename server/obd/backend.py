"""What a way to the car is: an ELM327 adapter (`server.obd.elm`) or a CAN interface
(`server.obd.can`).

The link (`server.obd.link`) knows no other words than these. A back end of your own is a class with
the methods of `ObdBackend` and an options class with those of `BackendOptions`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from server.catalogue import Signal
from server.clock import Clock

_VIN = re.compile(r"[A-HJ-NPR-Z0-9]{17}")  # ISO 3779: no I, O, Q

SERVICE_1 = 0x01
SERVICE_1_REPLY = 0x41
NEGATIVE = 0x7F
VIN_REPLY = b"\x49\x02"


class Trouble(StrEnum):
    """Why a question got no value; also the name of the counter."""

    NO_DATA = "no_data"  # the car does not answer this PID
    REFUSED = "refused"  # the ECU answers with a negative response
    ERROR = "replies_error"  # the adapter reports an error; the ECU stays busy
    STALE = "replies_stale"  # the reply to another question
    CUT = "replies_cut"  # shorter than this PID's, or not complete
    UNREADABLE = "replies_unreadable"  # noise
    EMPTY = "replies_empty"  # a prompt alone
    LOST = "replies_lost"  # nothing came; the adapter is alive


class Question(Protocol):
    """One mode 01 PID that is asked again and again; made by a back end for itself."""

    @property
    def signal(self) -> Signal:
        """What the answer is stored as."""


Q = TypeVar("Q")


class ObdBackend(Protocol[Q]):
    """One connection. All methods but `interrupt` belong to one thread, which they block.

    Every method raises LinkLost if the connection is of no use any more; the reason is in the
    message.

    Attributes:
        trouble: why the last `ask` gave None.
        most_at_once: PIDs that one question may have, as far as it is known now.
    """

    trouble: Trouble
    most_at_once: int

    def connect(self) -> None:
        """Open the port and find the car."""

    @property
    def protocol(self) -> str:
        """How the car talks, for the next attempt; once connected."""

    def vin(self) -> str | None:
        """Ask for the vehicle's identification number; None if it has none or tells nonsense."""

    def supported(self, pids: Iterable[int]) -> dict[int, bool | None]:
        """Ask which mode 01 PIDs the car has; None for one that could not be found out."""

    def question(self, signal: Signal) -> Q:
        """Prepare asking for a signal whose source is `obd:01xx`."""

    def ask(self, question: Q) -> float | None:
        """Ask; return the value in the signal's unit, or None with the cause in `trouble`."""

    def ask_together(self, questions: Sequence[Q]) -> list[float | Trouble]:
        """Ask up to `most_at_once` questions in one; for each its value, or the cause."""

    def service(self, request: bytes) -> dict[int, bytes]:
        """Ask all ECUs for a service, as a scan tool does; give their answers.

        Keys are the ECUs' response identifiers (0x7E8), or 0 and up where the bus has none.
        Answers begin with the service; a refusal is `7F`, service, reason.
        """

    def rest(self, duration_s: float) -> None:
        """Sleep until the next question is due."""

    def interrupt(self) -> None:
        """Make the thread that is in here leave, by LinkLost; from any thread."""

    def close(self) -> None:
        """Close the port; idempotent."""


class BackendOptions(Protocol):
    """How to reach the car; frozen, shared by all attempts."""

    def make(self, clock: Clock, protocol: str | None, counts: Counter[str]) -> ObdBackend[Any]:
        """Make the back end of one attempt; no I/O.

        Args:
            clock: monotonic time.
            protocol: as an earlier attempt found it; None: search.
            counts: the link's counters; the back end may add its own.
        """


def pid_of(signal: Signal) -> int:
    """Return the PID of a signal whose source is `obd:01xx`."""
    return int(signal.source.removeprefix("obd:")[2:], 16)


def read_vin(reply: bytes) -> str | None:
    """Return the number in a reply to 0902 (`49 02 01` and the text); None if it is none."""
    text = reply[3:].strip(b"\x00 ").decode("ascii", "replace")
    return text if _VIN.fullmatch(text) else None


def pid_bit(bitmap: bytes | None, pid: int) -> bool | None:
    """Tell what the bitmap of the group of `pid` says about it; None without a bitmap."""
    if bitmap is None:
        return None
    index = (pid - 1) & 0x1F
    return bool(bitmap[index // 8] & (0x80 >> (index % 8)))
