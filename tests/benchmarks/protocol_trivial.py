"""`trivial://`: a pyserial port in the same process whose adapter answers at once.

What a question costs over it is python-OBD's own: no system call, no thread, no model.
"""

from __future__ import annotations

from typing import Any

import serial  # type: ignore[import-untyped]

ANSWERS = {
    b"ATZ": b"\r\rELM327 v1.5",
    b"ATE0": b"ATE0\rOK",
    b"ATRV": b"12.6V",
    b"ATDPN": b"6",
    b"0100": b"7E8 06 41 00 FF FF FF FF",
    b"0120": b"7E8 06 41 20 FF FF FF FE",
    b"0104": b"7E8 03 41 04 40",
    b"0105": b"7E8 03 41 05 40",
    b"010C": b"7E8 04 41 0C 1A F8",
    b"010D": b"7E8 03 41 0D 40",
    b"0111": b"7E8 03 41 11 40",
}


def answer(request: bytes) -> bytes:
    """The reply of an adapter that knows five PIDs."""
    command = request.strip().replace(b" ", b"").upper()
    if command.startswith(b"AT"):
        text = ANSWERS.get(command, b"OK")
    else:
        text = ANSWERS.get(command[:4], b"NO DATA")
    return text + b"\r\r>"


class Serial(serial.SerialBase):  # type: ignore[misc]
    """The port, as `serial.serial_for_url` expects it."""

    _last = b""
    _reply = b""

    def open(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def _reconfigure_port(self, *_: Any, **__: Any) -> None:
        pass

    @property
    def in_waiting(self) -> int:
        return len(self._reply)

    def read(self, size: int = 1) -> bytes:
        data, self._reply = self._reply[:size], self._reply[size:]
        return data

    def write(self, data: bytes) -> int:
        self._last = data if data.strip() else self._last  # a lone return repeats
        self._reply = answer(self._last)
        return len(data)

    def flush(self) -> None:
        pass

    def reset_input_buffer(self) -> None:
        self._reply = b""
