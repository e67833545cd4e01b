"""A look at a CAN interface: does it open, and what passes on its bus."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from rig.bench.model import Place
from rig.walltime.can_interfaces import CanDoorError, open_interface
from server.operation.checks.finding import FAIL, OK, WARN, Finding

LISTEN_S = 1.0
SILENCE_S = 3.0  # nothing at all for so long: it is silent
OBD_REQUEST_ID, OBD_ANSWERS = 0x7DF, range(0x7E8, 0x7F0)  # ISO 15765-4, 11 bit
SUPPORTED_PIDS = bytes((2, 1, 0, 0, 0, 0, 0, 0))  # service 01, PID 00


@dataclass(frozen=True, slots=True)
class BusHeard:
    """What passed on a bus while we listened.

    Attributes:
        frames: that were whole.
        errors: error frames.
        answers: identifiers that answered an OBD request.
    """

    frames: int = 0
    errors: int = 0
    answers: tuple[int, ...] = ()


def look_at_bus(link: str, place: Place) -> Iterator[Finding]:
    """Open the interface of a link, and listen for a second."""
    assert place.can is not None
    try:
        heard = _hear(place, asks=link == "obd" and place.is_real)
    except CanDoorError as error:
        yield Finding(link, FAIL, str(error), "correct the bench file, or plug it in")
        return
    except Exception as error:  # noqa: BLE001  drivers raise whatever they like while they read
        found = f"{place.place}: {place.can} opened and failed: {error}"
        yield Finding(link, FAIL, found, "look at its driver's log: dmesg")
        return
    yield _judged(link, place, heard)


def _judged(link: str, place: Place, heard: BusHeard) -> Finding:
    rate = f"{place.can}, {place.can.bitrate_bps if place.can else 0} bit/s"
    if heard.errors:
        found = f"{rate}: {heard.errors} error frames in {LISTEN_S:g} s"
        advice = "is the bit rate right? 120 ohm at both ends? a second node that acknowledges?"
        return Finding(link, FAIL if not heard.frames else WARN, found, advice)
    if not place.is_real:
        return Finding(link, OK, f"{rate}: opens; {heard.frames} frames heard")
    if link == "obd":
        if not heard.answers:
            found = f"{rate}: opens; nobody answers an OBD request"
            return Finding(link, FAIL, found, "ignition on? right pins (6 and 14)? bit rate?")
        ids = ", ".join(f"{found:03X}" for found in heard.answers)
        return Finding(link, OK, f"{rate}: opens; control units answer: {ids}")
    if not heard.frames:
        found = f"{rate}: opens; no frame heard in {SILENCE_S:g} s"
        return Finding(link, WARN, found, "is the bus awake (ignition)? right pins? bit rate?")
    return Finding(link, OK, f"{rate}: opens; {heard.frames} frames heard in {LISTEN_S:g} s")


def _hear(place: Place, *, asks: bool) -> BusHeard:
    import can

    assert place.can is not None
    frames = errors = 0
    answers: set[int] = set()
    bus = open_interface(place.can)
    try:
        if asks:
            with contextlib.suppress(can.CanError):
                bus.send(
                    can.Message(
                        arbitration_id=OBD_REQUEST_ID, data=SUPPORTED_PIDS, is_extended_id=False
                    )
                )
        start_s = time.monotonic()
        while (left_s := _end_s(start_s, frames + errors) - time.monotonic()) > 0:
            message = bus.recv(left_s)
            if message is None:
                continue
            errors += message.is_error_frame
            frames += not message.is_error_frame
            if not message.is_extended_id and message.arbitration_id in OBD_ANSWERS:
                answers.add(message.arbitration_id)
    finally:
        bus.shutdown()
    return BusHeard(frames, errors, tuple(sorted(answers)))


def _end_s(start_s: float, heard: int) -> float:
    return start_s + (LISTEN_S if heard else SILENCE_S)
