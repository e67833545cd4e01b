"""Plain readings as protobuf: message `Readings` of server/wire/telemetry.proto."""

from __future__ import annotations

import re

from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError

from server.answers import BadParameter, Refusal
from server.errors import ServerError
from server.ingest.batch import Batch, Checker, content_number
from server.ingest.fields import check_fields
from server.ingest.limits import BATCH_FIELDS, BATCH_READINGS
from server.ingest.signals import find_signal, unknown_signal
from server.readings import State
from server.store.body import Column
from server.wire import telemetry_pb2

_VIN = re.compile(r"[A-Za-z0-9._-]{1,32}")  # old and foreign vehicles have other numbers than 17
BOOT_LIMIT = 2**32
SEQ_LIMIT = 2**62
STATE_LAST = max(State)
_NO_STEPS: list[int] = []


def check_implementation() -> None:
    """Make sure that messages are parsed in C: the parser in Python nests without a bound.

    Raises:
        ServerError: another implementation was chosen.
    """
    found = api_implementation.Type()
    if found != "upb":
        raise ServerError(
            f"expected protobuf's implementation upb, found {found}: unset "
            "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION, or install protobuf from a wheel"
        )


def read_protobuf(body: bytes, device: str, now_ns: int) -> Batch:
    """Give the readings of a message.

    Raises:
        Refusal: it is no such message, or breaks a bound; names the field.
    """
    check_fields(body, BATCH_FIELDS)
    message = telemetry_pb2.Readings()
    try:
        message.ParseFromString(body)
    except DecodeError:
        raise BadParameter("body", "a message telerig.v1.Readings", "other bytes") from None
    check_device(message.device, device)
    checker = Checker(now_ns)
    size = _columns(message, checker)
    return finished(
        Batch(
            message.boot,
            message.seq,
            size,
            message.vin,
            checker.good,
            checker.problems,
            bytes_sent=len(body),
        )
    )


def _columns(message: telemetry_pb2.Readings, checker: Checker) -> int:
    """Check all columns; give how many readings they have."""
    place = 0
    for number, column in enumerate(message.columns):
        values = column.values
        size = len(values) >> 3
        if len(values) & 7 or not size:
            raise BadParameter(
                f"columns[{number}].values", "float64 values, 8 bytes each", f"{len(values)} bytes"
            )
        if place + size > BATCH_READINGS:
            raise too_many()
        steps = _NO_STEPS
        if size > 1:  # half of the work on small requests is to ask for fields
            steps = list(column.step_ns)
            if len(steps) not in (1, size - 1):
                raise BadParameter(
                    f"columns[{number}].step_ns", f"1 or {size - 1} steps", f"{len(steps)}"
                )
        key = column.signal or column.signal_id
        signal = find_signal(key)
        if signal is None:
            checker.problems.add(unknown_signal(key, f"columns[{number}].signal"), size)
        else:
            state = column.state
            if state > STATE_LAST:
                raise BadParameter(f"columns[{number}].state", f"0 to {STATE_LAST}", str(state))
            whole = Column(place, signal.id, column.first_time_ns, steps, values, state)
            checker.column(whole, signal, f"columns[{number}]")
        place += size
    return place


def check_device(claimed: str, device: str) -> None:
    """Refuse a request that names another device than the one whose key it carries.

    Raises:
        Refusal: 403.
    """
    if claimed and claimed != device:
        expected = f"{device!r}, the device of the key (or nothing)"
        raise Refusal(403, "device", expected, repr(claimed[:80]))


def check_vin(vin: str, where: str = "vin") -> None:
    """Refuse what cannot name a vehicle.

    Raises:
        Refusal: 400.
    """
    if vin and not _VIN.fullmatch(vin):
        raise BadParameter(where, "up to 32 letters, digits, '-', '_' or '.'", repr(vin[:80]))


def too_many() -> Refusal:
    """Make the refusal of a batch that is too long."""
    return Refusal(413, "readings", f"at most {BATCH_READINGS} readings in one batch", "more")


def finished(batch: Batch) -> Batch:
    """Check the numbers of a batch, and give it one where the device does not count.

    Raises:
        Refusal: no readings, or boot and seq make no sense.
    """
    if not batch.size:
        raise BadParameter("readings", "at least one reading", "none")
    check_vin(batch.vin)
    if not 0 <= batch.boot < BOOT_LIMIT:
        raise BadParameter("boot", f"0 to {BOOT_LIMIT - 1}", str(batch.boot))
    if batch.seq == 0 and batch.boot == 0:
        batch.seq = content_number(batch.good.columns)
    elif batch.boot == 0:
        # Boot 0 would be the same after each restart: other readings would count as duplicates.
        expected = f"where seq is given, a number from 1 to {BOOT_LIMIT - 1}, drawn at each start"
        raise BadParameter("boot", expected, "0 or none")
    elif not 1 <= batch.seq < SEQ_LIMIT:
        raise BadParameter("seq", "the number of the first reading, from 1", str(batch.seq))
    return batch
