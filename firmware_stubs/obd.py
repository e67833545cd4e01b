"""OBD-II on the car's CAN bus (ISO 15031-5): one request at a time, answers as they come.

Service 01 asks for up to six PIDs at once. Which ECU has which PID is learned first; a PID that the
car lacks is not asked for again. An ECU that answers only a part of a request is asked one by one.
A silent car (ignition off) is asked once a second.
"""

from firmware_stubs.hal import Hal
from firmware_stubs.isotp import FIRST_ECU, FUNCTIONAL, LAST_ECU, IsoTp

PIDS_PER_REQUEST = 6
P2_MS = 80  # 50 by the standard, and the way there and back
P2_EXTENDED_MS = 5000  # after "response pending"
MOST_WAITING = 24
ROW_LATE_MS = 100  # a row's question that could not be sent by then is dropped, not falsified
SILENT_AFTER = 10  # requests in a row without any answer
SILENT_PAUSE_MS = 1000
RESPONSE_PENDING = 0x78
BITMAPS = (0x00, 0x20, 0x40)  # of service 01: PIDs 01 to 60


class Request:
    """A question to the car.

    Args:
        target: identifier to send to.
        payload: service and its data.
        collect: True waits for all ECUs until the time is over; False for the first answer.

    Attributes:
        answers: (ECU, payload) pairs, negative ones included.
        done: whether there will be no more.
        deadline_ms: when it ends.
        row, pids, queued_ms: of requests for a row.
    """

    def __init__(self, target: int, payload: bytes, collect: bool = False) -> None:
        self.target = target
        self.payload = payload
        self.collect = collect
        self.answers: list[tuple[int, bytes]] = []
        self.done = False
        self.deadline_ms = 0
        self.row = -1
        self.pids: list[int] = []
        self.queued_ms = 0

    def positive(self) -> list[tuple[int, bytes]]:
        """Give the answers that say yes, as (ECU, data behind the service byte)."""
        wanted = self.payload[0] | 0x40
        return [(ecu, answer[1:]) for ecu, answer in self.answers if answer[0] == wanted]

    def refused(self) -> int:
        """Give the code of a negative answer, 0 when there is none."""
        for _, answer in self.answers:
            if answer[0] == 0x7F and len(answer) > 2:
                return answer[2]
        return 0


class Obd:
    """The car, as far as it answers.

    Args:
        lengths: data bytes of each PID that will be asked for.
        on_value: called as on_value(row, pid, data) for each answer to a row's request.

    Attributes:
        owners: PID -> ECU that has it; empty until the car was asked.
        bus: the ISO-TP layer.
    """

    def __init__(self, hal: Hal, lengths: dict[int, int], on_value) -> None:  # type: ignore[no-untyped-def]
        self.owners: dict[int, int] = {}
        self.bus = IsoTp(hal)
        self._hal = hal
        self._lengths = lengths
        self._on_value = on_value
        self._waiting: list[Request] = []
        self._current: Request | None = None
        self._discovery: list[Request] = []
        self._one_by_one: list[int] = []  # ECUs that answered only a part
        self._without_answer = 0
        self._next_ms = 0
        self._discover_ms = 0

    def ask(self, request: Request) -> bool:
        """Queue a question; False when too many wait."""
        if len(self._waiting) >= MOST_WAITING:
            return False
        self._waiting.append(request)
        return True

    def ask_row(self, row: int, pids: list[int]) -> None:
        """Ask for PIDs whose values belong to a row; those that the car lacks are left out."""
        by_ecu: dict[int, list[int]] = {}
        for pid in pids:
            ecu = self.owners.get(pid, 0)
            if ecu:
                by_ecu.setdefault(ecu, []).append(pid)
        for ecu in sorted(by_ecu):
            size = 1 if ecu in self._one_by_one else PIDS_PER_REQUEST
            wanted = by_ecu[ecu]
            for at in range(0, len(wanted), size):
                request = Request(ecu - 8, b"\x01" + bytes(wanted[at : at + size]))
                request.row = row
                request.queued_ms = self._hal.ticks_ms()
                request.pids = wanted[at : at + size]
                self.ask(request)

    def is_silent(self) -> bool:
        """Tell whether the car answers nothing."""
        return self._without_answer >= SILENT_AFTER or not self.owners

    def poll(self, now_ms: int) -> None:
        """Take what the bus has brought, and go on to the next question."""
        while True:
            answer = self.bus.receive()
            if answer is None:
                break
            self._answered(answer[0], answer[1], now_ms)
        self.bus.give_up_late(now_ms)
        if not self.owners:
            self._discover(now_ms)
        if self._current is not None and now_ms >= self._deadline_ms():
            self._finish(now_ms)
        if self._current is None and self._waiting:
            self._drop_late(now_ms)
            if self._waiting and now_ms >= self._next_ms:
                self._send(now_ms)

    def wait_ms(self, now_ms: int) -> int:
        """Give the milliseconds until there is something to do by itself."""
        if self._current is not None:
            return max(1, self._deadline_ms() - now_ms)
        return max(1, self._next_ms - now_ms) if self._waiting else 1000

    def _deadline_ms(self) -> int:
        """Tell when the current question ends: later while an answer is coming in."""
        deadline_ms = self._current.deadline_ms if self._current else 0
        return deadline_ms + P2_EXTENDED_MS if self.bus.busy() else deadline_ms

    def _drop_late(self, now_ms: int) -> None:
        """Drop questions whose rows have passed: an answer now would be of another instant."""
        while self._waiting:
            first = self._waiting[0]
            if first.row < 0 or now_ms - first.queued_ms <= ROW_LATE_MS:
                return
            self._waiting.pop(0).done = True

    def _send(self, now_ms: int) -> None:
        request = self._waiting[0]
        if not self.bus.send(request.target, request.payload):
            self._next_ms = now_ms + 5
            return
        self._waiting.pop(0)
        request.deadline_ms = now_ms + P2_MS
        self._current = request

    def _answered(self, ecu: int, payload: bytes, now_ms: int) -> None:
        request = self._current
        if request is None or not self._fits(request, ecu, payload):
            return  # late, or to another tester's question
        self._without_answer = 0
        if payload[0] == 0x7F and payload[2] == RESPONSE_PENDING:
            request.deadline_ms = now_ms + P2_EXTENDED_MS
            return
        if len(request.answers) < 8:
            request.answers.append((ecu, bytes(payload)))
        if not request.collect:
            self._finish(now_ms)

    def _fits(self, request: Request, ecu: int, payload: bytes) -> bool:
        if request.target != FUNCTIONAL and ecu != request.target + 8:
            return False
        if payload[0] == 0x7F:
            return len(payload) > 2 and payload[1] == request.payload[0]
        return payload[0] == request.payload[0] | 0x40

    def _finish(self, now_ms: int) -> None:
        request = self._current
        self._current = None
        if request is None:
            return
        request.done = True
        if not request.answers:
            self._without_answer += 1
            if self._without_answer >= SILENT_AFTER:
                self._next_ms = now_ms + SILENT_PAUSE_MS
        if request.row >= 0:
            self._take_values(request)

    def _take_values(self, request: Request) -> None:
        for ecu, data in request.positive():
            values = self._cut(request.pids, data)
            for pid in values:
                self._on_value(request.row, pid, values[pid])
            if 0 < len(values) < len(request.pids) and ecu not in self._one_by_one:
                self._one_by_one.append(ecu)

    def _cut(self, pids: list[int], data: bytes) -> dict[int, bytes]:
        """Cut an answer into the data of its PIDs; stops at what was not asked for."""
        values = {}
        at = 0
        while at < len(data):
            pid = data[at]
            length = self._lengths.get(pid, 0)
            if pid not in pids or not length or at + 1 + length > len(data):
                self.bus.errors += 1
                break
            values[pid] = data[at + 1 : at + 1 + length]
            at += 1 + length
        return values

    def _discover(self, now_ms: int) -> None:
        """Ask all ECUs which PIDs they have, again every second until one answers."""
        if self._discovery:
            if self._discovery[-1].done:
                self._learn()
            return
        if now_ms < self._discover_ms:
            return
        self._discover_ms = now_ms + SILENT_PAUSE_MS
        self._discovery = [Request(FUNCTIONAL, bytes((0x01, base)), True) for base in BITMAPS]
        for request in self._discovery:
            self.ask(request)

    def _learn(self) -> None:
        for request in self._discovery:
            for ecu, data in request.positive():
                if len(data) >= 5 and data[0] == request.payload[1]:
                    bits = int.from_bytes(data[1:5], "big")
                    for place in range(32):
                        pid = data[0] + 1 + place
                        if bits >> (31 - place) & 1 and ecu < self.owners.get(pid, LAST_ECU + 1):
                            self.owners[pid] = ecu
        self._discovery = []


def trouble_codes(request: Request) -> dict[str, list[str]]:
    """Read the answers to services 03, 07 and 0A: codes by ECU, as P0301."""
    found: dict[str, list[str]] = {}
    for ecu, data in request.positive():
        codes = found.setdefault(f"{ecu:X}", [])
        for at in range(1, len(data) - 1, 2):
            high, low = data[at], data[at + 1]
            if (high or low) and len(codes) < data[0]:
                codes.append("PCBU"[high >> 6] + f"{high >> 4 & 3:X}{high & 15:X}{low:02X}")
    return found


def vin(request: Request) -> str:
    """Read the answer to 09 02; "" when there is no VIN of 17 letters and digits in it."""
    for _, data in request.positive():
        text = data[2:].strip(b"\x00")
        if len(data) > 2 and data[0] == 0x02 and len(text) == 17:
            for byte in text:
                if not (48 <= byte <= 57 or 65 <= byte <= 90):
                    return ""
            return str(text, "ascii")
    return ""


def engine_request() -> Request:
    """Ask the engine's ECU for its speed."""
    return Request(FIRST_ECU - 8, b"\x01\x0c")


def vin_request() -> Request:
    """Ask for the VIN."""
    return Request(FUNCTIONAL, b"\x09\x02")
