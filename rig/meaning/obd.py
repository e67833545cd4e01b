"""The parameters in an OBD answer, by the world's own table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sim.ecu.pids import PIDS

MODES = {
    0x01: "current data",
    0x02: "freeze frame",
    0x03: "trouble codes",
    0x04: "clear trouble codes",
    0x06: "test results",
    0x07: "pending trouble codes",
    0x09: "vehicle information",
    0x0A: "permanent trouble codes",
    0x22: "data by identifier",
    0x3E: "tester present",
}
ANSWER = 0x40
REFUSED = 0x7F
CURRENT_DATA, FREEZE_FRAME, VEHICLE = 0x01, 0x02, 0x09
_TROUBLE_MODES = (0x03, 0x07, 0x0A)
_BITMAP_STEP = 0x20
_BITMAP_BYTES = 4
_SYSTEMS = "PCBU"
_VIN = 0x02


class Parameter(NamedTuple):
    """One parameter of an answer; `value` is None where it is no number."""

    name: str
    value: float | None
    unit: str
    text: str


def request_text(payload: bytes) -> str:
    """Say what is asked for: "current data: RPM, SPEED"."""
    if not payload:
        return ""
    mode = payload[0]
    about = MODES.get(mode, f"mode {mode:02X}")
    if mode in (CURRENT_DATA, FREEZE_FRAME):
        return f"{about}: {', '.join(map(pid_name, payload[1:]))}"
    return f"{about} {payload[1:].hex(' ').upper()}".strip()


def pid_name(pid: int) -> str:
    """Return the name of a parameter of mode 01."""
    if pid % _BITMAP_STEP == 0:
        return f"supported {pid + 1:02X}-{pid + _BITMAP_STEP:02X}"
    return PIDS[pid].name if pid in PIDS else f"PID {pid:02X}"


def answer_text(payload: bytes) -> str:
    """Say what kind of answer it is."""
    if len(payload) >= 3 and payload[0] == REFUSED:
        return f"refused: {MODES.get(payload[1], f'mode {payload[1]:02X}')}, code {payload[2]:02X}"
    if not payload or payload[0] < ANSWER:
        return ""
    return MODES.get(payload[0] - ANSWER, f"mode {payload[0] - ANSWER:02X}")


def parameters(payload: bytes) -> Iterator[Parameter]:
    """Yield the parameters of an answer (0x41 …); nothing of what the table does not know."""
    mode = payload[0] - ANSWER if payload else -1
    if mode == CURRENT_DATA:
        yield from _current(payload[1:])
    elif mode in _TROUBLE_MODES:
        codes = [trouble_code(payload[at : at + 2]) for at in range(2, len(payload) - 1, 2)]
        yield Parameter("DTC", None, "", ", ".join(codes) or "none")
    elif mode == VEHICLE and payload[1:2] == bytes((_VIN,)):
        yield Parameter("VIN", None, "", payload[3:].decode("latin-1").strip("\x00"))


def _current(data: bytes) -> Iterator[Parameter]:
    at = 0
    while at < len(data):
        pid = data[at]
        spec = PIDS.get(pid)
        width = spec.n_bytes if spec else _BITMAP_BYTES if pid % _BITMAP_STEP == 0 else 0
        value = data[at + 1 : at + 1 + width]
        if not width or len(value) < width:
            return
        if spec is None or pid % _BITMAP_STEP == 0:
            bits = int.from_bytes(value, "big")
            known = [f"{pid + n + 1:02X}" for n in range(32) if bits >> (31 - n) & 1]
            yield Parameter(pid_name(pid), None, "", " ".join(known) or "none")
        else:
            number = spec.decode(value)
            yield Parameter(spec.name, number, spec.unit, "")
        at += 1 + width


def trouble_code(data: bytes) -> str:
    """Return two bytes as a trouble code: "P0301"."""
    return f"{_SYSTEMS[data[0] >> 6]}{data[0] >> 4 & 3}{data[0] & 15:X}{data[1]:02X}"
