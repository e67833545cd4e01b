"""The diagnostic services of SAE J1979 as far as they show and clear data: 01-04, 06, 07, 09, 0A.

A service knows no CAN: it turns request bytes into answer bytes. Format: SAE J1979:2012 chapter 6
(ISO 15765-4 networks).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from sim.ecu.bitmap import bitmap_answer, is_bitmap, supported_bitmap
from sim.ecu.dtc import DtcStore, dtc_to_bytes
from sim.ecu.errors import Nrc, RefusedError
from sim.ecu.monitors import MonitorTest
from sim.ecu.parameter import PidSpec

if TYPE_CHECKING:
    from sim.vehicle.state import VehicleState

MAX_ITEMS = 6  # PIDs in one request; MIDs and infotypes only where they ask for bitmaps
MAX_FREEZE_ITEMS = 3
FREEZE_DTC_PID = 0x02
FREEZE_FRAME_NUMBER = 0x00  # the only one that the law requires

ReadState = Callable[[], "VehicleState"]
OnPid = Callable[[int, bytes, "VehicleState"], None]


class Service(Protocol):
    """One service of an ECU."""

    @property
    def sid(self) -> int:
        """Service identifier, the first byte of a request."""
        ...

    def knows(self, request: bytes) -> bool:
        """Return whether a functional `request` deserves an answer; must be quick."""
        ...

    def answer(self, request: bytes) -> bytes:
        """Return the positive response. Raises RefusedError."""
        ...


class CurrentData:
    """Service 01: parameters as they are at the instant of the answer, up to six at once."""

    sid = 0x01

    def __init__(
        self, pids: Mapping[int, PidSpec], read_state: ReadState, on_pid: OnPid | None = None
    ) -> None:
        self._pids = pids
        self._read_state = read_state
        self._on_pid = on_pid

    def knows(self, request: bytes) -> bool:
        """True if one of the PIDs is supported."""
        if len(request) == 2 and not is_bitmap(request[1]):
            return request[1] in self._pids
        if not 2 <= len(request) <= 1 + MAX_ITEMS:
            return False
        pids = self._pids
        return any(
            pid in pids or (is_bitmap(pid) and supported_bitmap(pids, pid) is not None)
            for pid in request[1:]
        )

    def answer(self, request: bytes) -> bytes:
        """Return 41 and PID, data for each supported PID; the others are left out."""
        if not 2 <= len(request) <= 1 + MAX_ITEMS:
            raise RefusedError(Nrc.SUBFUNCTION_NOT_SUPPORTED)
        state = self._read_state()
        parts = b""
        for pid in request[1:]:
            spec = self._pids.get(pid)
            if spec is not None:
                data = spec.encode(state)
                if self._on_pid is not None:
                    self._on_pid(pid, data, state)
            elif is_bitmap(pid) and (bits := supported_bitmap(self._pids, pid)) is not None:
                data = bits
            else:
                continue
            parts += bytes((pid,)) + data
        if not parts:
            raise RefusedError(Nrc.SUBFUNCTION_NOT_SUPPORTED)
        return b"\x41" + parts


class FreezeFrameData:
    """Service 02: the parameters at the instant at which a code was stored."""

    sid = 0x02

    def __init__(self, store: DtcStore, freezable: Sequence[int]) -> None:
        self._store = store
        self._freezable = frozenset(freezable) | {FREEZE_DTC_PID}

    def knows(self, request: bytes) -> bool:
        """True if one of the PIDs has a value in the frame that is asked for."""
        return bool(self._answer(request))

    def answer(self, request: bytes) -> bytes:
        """Return 42 and PID, frame number, data for each PID that is there."""
        parts = self._answer(request)
        if not parts:
            raise RefusedError(Nrc.SUBFUNCTION_NOT_SUPPORTED)
        return b"\x42" + parts

    def _answer(self, request: bytes) -> bytes:
        items = request[1:]
        if not items or len(items) % 2 or len(items) > 2 * MAX_FREEZE_ITEMS:
            return b""
        parts = b""
        for pid, frame in zip(items[::2], items[1::2], strict=True):
            data = self._data(pid) if frame == FREEZE_FRAME_NUMBER else None
            if data is not None:
                parts += bytes((pid, frame)) + data
        return parts

    def _data(self, pid: int) -> bytes | None:
        if is_bitmap(pid):
            return supported_bitmap(self._freezable, pid)
        frame = self._store.freeze_frame
        if pid == FREEZE_DTC_PID:
            return b"\x00\x00" if frame is None else dtc_to_bytes(frame.code)
        return None if frame is None else frame.values.get(pid)


class TroubleCodes:
    """Services 03, 07 and 0A: a list of codes, preceded by their number."""

    def __init__(self, sid: int, read_codes: Callable[[], Sequence[str]]) -> None:
        self.sid = sid
        self._read_codes = read_codes

    def knows(self, request: bytes) -> bool:
        """True for a request without parameters; an ECU without codes says so."""
        return len(request) == 1

    def answer(self, request: bytes) -> bytes:
        """Return 43/47/4A, the number of codes, and two bytes for each."""
        if len(request) != 1:
            raise RefusedError(Nrc.SUBFUNCTION_NOT_SUPPORTED)
        codes = self._read_codes()[:0xFF]
        return bytes((self.sid + 0x40, len(codes))) + b"".join(map(dtc_to_bytes, codes))


class ClearCodes:
    """Service 04: forgets codes, freeze frame and readiness; not while the engine runs."""

    sid = 0x04

    def __init__(self, store: DtcStore, read_state: ReadState) -> None:
        self._store = store
        self._read_state = read_state

    def knows(self, request: bytes) -> bool:
        """True for a request without parameters; a refusal is said even to everybody."""
        return len(request) == 1

    def answer(self, request: bytes) -> bytes:
        """Return 44 when cleared."""
        if len(request) != 1:
            raise RefusedError(Nrc.SUBFUNCTION_NOT_SUPPORTED)
        if self._read_state().engine_on:
            raise RefusedError(Nrc.CONDITIONS_NOT_CORRECT)
        self._store.clear()
        return b"\x44"


class MonitorResults:
    """Service 06: the last result of each on-board test with its limits."""

    sid = 0x06

    def __init__(self, tests: Sequence[MonitorTest], store: DtcStore) -> None:
        self._store = store
        self._by_mid: dict[int, list[MonitorTest]] = {}
        for test in tests:
            self._by_mid.setdefault(test.mid, []).append(test)

    def knows(self, request: bytes) -> bool:
        """True for a supported monitor, or for bitmaps alone."""
        return bool(self._answer(request))

    def answer(self, request: bytes) -> bytes:
        """Return 46 and MID, TID, scaling, value, minimum, maximum for each test of the monitor."""
        parts = self._answer(request)
        if not parts:
            raise RefusedError(Nrc.SUBFUNCTION_NOT_SUPPORTED)
        return b"\x46" + parts

    def _answer(self, request: bytes) -> bytes:
        mids = request[1:]
        if bitmaps := bitmap_answer(self._by_mid.keys(), mids):
            return bitmaps
        if len(mids) != 1:
            return b""
        tests = self._by_mid.get(mids[0], ())
        records = self._store.records
        has_run = self._store.cleared_run_s is None or self._store.cleared_run_s > 0
        return b"".join(
            test.encode(any(code in records for code in test.codes), has_run) for test in tests
        )


class VehicleInformation:
    """Service 09: VIN, calibration, in-use performance, ECU name.

    Args:
        items: infotype -> function that returns the bytes after the infotype.
    """

    sid = 0x09

    def __init__(self, items: Mapping[int, Callable[[], bytes]]) -> None:
        self._items = items

    def knows(self, request: bytes) -> bool:
        """True for a supported infotype, or for bitmaps alone."""
        infotypes = request[1:]
        if len(infotypes) == 1 and infotypes[0] in self._items:
            return True
        return bool(bitmap_answer(self._items.keys(), infotypes))

    def answer(self, request: bytes) -> bytes:
        """Return 49, the infotype and its data."""
        infotypes = request[1:]
        if bitmaps := bitmap_answer(self._items.keys(), infotypes):
            return b"\x49" + bitmaps
        if len(infotypes) != 1 or infotypes[0] not in self._items:
            raise RefusedError(Nrc.SUBFUNCTION_NOT_SUPPORTED)
        return bytes((0x49, infotypes[0])) + self._items[infotypes[0]]()
