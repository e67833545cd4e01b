"""Services 14 and 19: the trouble codes of `DtcStore` in the words of ISO 14229-1.

A code has three bytes here: the two of SAE J2012 and a failure type, 00 = "no further information".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from sim.ecu.dtc import DtcRecord, DtcStore, dtc_from_bytes, dtc_to_bytes
from sim.ecu.errors import Nrc, RefusedError
from sim.ecu.uds.identifiers import MIRROR_BASE
from sim.ecu.uds.server import Reply, Subfunctions, demand_length, positive
from sim.ecu.uds.state import ALL_SESSIONS

STATUS_AVAILABILITY = 0xFF  # every bit of the status byte is kept
FORMAT_J2012 = 0x00  # ISO 14229-1 table D.4: SAE_J2012-DA_DTCFormat_00
FAILURE_TYPE = b"\x00"
ALL_GROUPS = 0xFFFFFF
EMISSION_GROUP = 0xFFFF33  # ISO 14229-1 table D.1: emissions-related systems
FIRST_SNAPSHOT, LATEST_SNAPSHOT = 0x01, 0x02
OCCURRENCES, AGING = 0x01, 0x02  # extended data records
EVERY_RECORD = 0xFF

# status bits, ISO 14229-1 D.2
TEST_FAILED = 0x01
FAILED_THIS_CYCLE = 0x02
PENDING = 0x04
CONFIRMED = 0x08
NOT_COMPLETED_SINCE_CLEAR = 0x10
FAILED_SINCE_CLEAR = 0x20
NOT_COMPLETED_THIS_CYCLE = 0x40
WARNING_INDICATOR = 0x80


def code_bytes(code: str) -> bytes:
    """Return the three bytes of `code`."""
    return dtc_to_bytes(code) + FAILURE_TYPE


def status_of(store: DtcStore, code: str) -> int:
    """Return the status byte of `code`, whether it is remembered or not."""
    record = store.records.get(code)
    if record is None:
        status = 0 if store.tested_since_clear else NOT_COMPLETED_SINCE_CLEAR
        return status | (0 if store.tested_this_cycle else NOT_COMPLETED_THIS_CYCLE)
    status = FAILED_SINCE_CLEAR
    for is_set, bit in (
        (code in store.faults, TEST_FAILED),
        (record.failed_now, FAILED_THIS_CYCLE),
        (record.pending, PENDING),
        (record.confirmed, CONFIRMED),
        (not record.failed_now and not store.tested_this_cycle, NOT_COMPLETED_THIS_CYCLE),
        (record.mil, WARNING_INDICATOR),
    ):
        if is_set:
            status |= bit
    return status


class ClearInformation:
    """Service 14: all codes, those of emissions, or one; refused while `may_disturb()` is False."""

    sid = 0x14
    sessions = ALL_SESSIONS
    subfunctions = None
    minimum_bytes = 4

    def __init__(
        self,
        store: DtcStore,
        supported: Sequence[str],
        is_emission_related: bool,
        may_disturb: Callable[[], bool],
    ) -> None:
        self._store = store
        self._supported = supported
        self._groups = {ALL_GROUPS, EMISSION_GROUP} if is_emission_related else {ALL_GROUPS}
        self._may_disturb = may_disturb

    def perform(self, request: bytes) -> Reply:
        """Clear, and say so."""
        demand_length(request, 4)
        group = int.from_bytes(request[1:], "big")
        code = dtc_from_bytes(request[1:3])
        is_code = request[3:] == FAILURE_TYPE and (
            code in self._supported or code in self._store.records
        )
        if group not in self._groups and not is_code:
            raise RefusedError(Nrc.REQUEST_OUT_OF_RANGE)
        if not self._may_disturb():
            raise RefusedError(Nrc.CONDITIONS_NOT_CORRECT)
        if is_code:
            self._store.clear_code(code)
        else:
            self._store.clear()
        return Reply(b"\x54")


class ReadInformation:
    """Service 19: reports of trouble codes.

    01 number and 02 list by status, 03 and 04 snapshots, 06 extended data, 0A supported codes,
    15 permanent ones.

    Args:
        store: the ECU's trouble codes.
        supported: codes that it can set; those that it remembers count, too.
    """

    sid = 0x19
    sessions = ALL_SESSIONS
    minimum_bytes = 2

    def __init__(self, store: DtcStore, supported: Sequence[str]) -> None:
        self._store = store
        self._supported = supported
        self._reports: Mapping[int, tuple[int, Callable[[bytes], bytes]]] = {
            0x01: (3, self._count),
            0x02: (3, self._by_mask),
            0x03: (2, self._snapshot_numbers),
            0x04: (6, self._snapshots),
            0x06: (6, self._extended),
            0x0A: (2, self._all_supported),
            0x15: (2, self._permanent),
        }
        self.subfunctions: Subfunctions = dict.fromkeys(self._reports, ALL_SESSIONS)

    def perform(self, request: bytes) -> Reply:
        """Return the report."""
        length, report = self._reports[request[1]]
        demand_length(request, length)
        return Reply(positive(request, report(request)))

    def _codes(self) -> list[str]:
        known = dict.fromkeys(self._store.records)
        known.update(dict.fromkeys(self._supported))
        return list(known)

    def _with_status(self, mask: int) -> Iterator[bytes]:
        for code in self._codes():
            status = status_of(self._store, code)
            if status & mask:
                yield code_bytes(code) + bytes((status,))

    def _count(self, request: bytes) -> bytes:
        count = sum(1 for _ in self._with_status(request[2]))
        return bytes((STATUS_AVAILABILITY, FORMAT_J2012)) + count.to_bytes(2, "big")

    def _by_mask(self, request: bytes) -> bytes:
        return bytes((STATUS_AVAILABILITY,)) + b"".join(self._with_status(request[2]))

    def _all_supported(self, _request: bytes) -> bytes:
        return bytes((STATUS_AVAILABILITY,)) + b"".join(
            code_bytes(code) + bytes((status_of(self._store, code),)) for code in self._codes()
        )

    def _permanent(self, _request: bytes) -> bytes:
        return bytes((STATUS_AVAILABILITY,)) + b"".join(
            code_bytes(code) + bytes((status_of(self._store, code),))
            for code in self._store.permanent
        )

    def _snapshot_numbers(self, _request: bytes) -> bytes:
        return b"".join(
            code_bytes(code) + bytes((record_number,))
            for code, record in self._store.records.items()
            for record_number in _snapshots_of(record)
        )

    def _snapshots(self, request: bytes) -> bytes:
        record = self._record(request)
        numbers = _wanted(request[5], (FIRST_SNAPSHOT, LATEST_SNAPSHOT))
        snapshots = {} if record is None else _snapshots_of(record)
        return self._head(request) + b"".join(
            _snapshot(record_number, snapshots[record_number])
            for record_number in numbers
            if record_number in snapshots
        )

    def _extended(self, request: bytes) -> bytes:
        record = self._record(request)
        numbers = _wanted(request[5], (OCCURRENCES, AGING))
        head = self._head(request)
        if record is None:
            return head
        values = {OCCURRENCES: record.failed_cycles, AGING: record.warm_ups}
        return head + b"".join(
            bytes((record_number, min(0xFF, values[record_number]))) for record_number in numbers
        )

    def _record(self, request: bytes) -> DtcRecord | None:
        """Return what is remembered of the code in `request`; refuse a code that is not known."""
        code = dtc_from_bytes(request[2:4])
        if request[4:5] != FAILURE_TYPE or code not in self._codes():
            raise RefusedError(Nrc.REQUEST_OUT_OF_RANGE)
        return self._store.records.get(code)

    def _head(self, request: bytes) -> bytes:
        code = dtc_from_bytes(request[2:4])
        return request[2:5] + bytes((status_of(self._store, code),))


def _snapshots_of(record: DtcRecord) -> dict[int, Mapping[int, bytes]]:
    """Return the snapshots that there are: number -> parameters."""
    snapshots = {FIRST_SNAPSHOT: record.first, LATEST_SNAPSHOT: record.latest}
    return {number: values for number, values in snapshots.items() if values}


def _snapshot(record_number: int, values: Mapping[int, bytes]) -> bytes:
    """Return number, count of identifiers, and identifier, data of each: F4xx, or as captured."""
    parts = (
        (did if did > 0xFF else MIRROR_BASE | did).to_bytes(2, "big") + data
        for did, data in values.items()
    )
    return bytes((record_number, len(values))) + b"".join(parts)


def _wanted(record_number: int, known: Sequence[int]) -> Sequence[int]:
    if record_number == EVERY_RECORD:
        return known
    if record_number in known:
        return (record_number,)
    raise RefusedError(Nrc.REQUEST_OUT_OF_RANGE)
