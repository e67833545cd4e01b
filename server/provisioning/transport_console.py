"""To the device over a serial line: the lines of protocomm's console.

    prov-session 1234 0801…        ->  0a04…            (an answer, in hexadecimal digits)
                                   ->  error 500 why    (a refusal; ESP-IDF says nothing at all)
then the prompt `>> `.
"""

from __future__ import annotations

import re
import time
from typing import Protocol

import serial  # type: ignore[import-untyped]

from server.provisioning.errors import DeviceUnreachable, RequestRefused, printable

BAUD = 115200
TIMEOUT_S = 30.0
READ_TIMEOUT_S = 0.05
KEPT_BYTES = 65536
PROMPT = b">> "
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2})+")
_ERROR = re.compile(rb"error (\d{1,3}) ?(.*)")


class Port(Protocol):
    """What is used of a serial port."""

    def write(self, data: bytes, /) -> int | None: ...

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


def open_port(path: str, baud: int = BAUD) -> serial.Serial:
    """Open a serial port without pulling the lines that restart an ESP32.

    Raises:
        DeviceUnreachable: it cannot be opened.
    """
    port = serial.Serial(baudrate=baud, timeout=READ_TIMEOUT_S, write_timeout=TIMEOUT_S)
    port.port = path
    port.dtr = port.rts = False
    try:
        port.open()
    except (OSError, ValueError) as error:
        raise DeviceUnreachable(
            f"expected a serial port at {path}, found: {' '.join(str(error).split())}; "
            "is the device plugged in, and the port free and readable for you?"
        ) from None
    return port


class ConsoleTransport:
    """Types a line for each request and reads the answer.

    Args:
        port: of the device's console.
        session: number of our session, 1 to 2**31 - 1.
        timeout_s: for each answer.
    """

    networks_per_answer = 50

    def __init__(self, port: Port, session: int, timeout_s: float = TIMEOUT_S) -> None:
        self._port, self._session, self._timeout_s = port, session, timeout_s
        self._is_fresh = True

    def exchange(self, endpoint: str, body: bytes) -> bytes:
        """Send a request and give the answer."""
        head = f"{endpoint} {self._session} ".encode()
        try:
            if self._is_fresh:
                # What somebody typed, or noise from plugging in, ends here and not in our line.
                self._port.write(b"\r")
                self._is_fresh = False
            self._port.write(head + body.hex().encode() + b"\r")
            return self._answer(endpoint, head)
        except OSError as error:  # pyserial's own errors are OSErrors
            raise DeviceUnreachable(
                f"lost the serial line to the device: {' '.join(str(error).split())}; "
                "plug it in again and start over"
            ) from None

    def _answer(self, endpoint: str, echo: bytes) -> bytes:
        deadline = time.monotonic() + self._timeout_s
        text = bytearray()
        while time.monotonic() < deadline:
            text += self._port.read(4096)
            if len(text) > KEPT_BYTES:
                # A device that talks without end is no console: keep what may still matter.
                del text[: -KEPT_BYTES // 2]
            start = text.find(echo)
            if start < 0:
                continue
            *lines, rest = bytes(text[start:]).replace(b"\r", b"\n").split(b"\n")
            for line in lines[1:]:
                if _HEX.fullmatch(line.strip()):
                    return bytes.fromhex(line.strip().decode())
                refused = _ERROR.fullmatch(line.strip())
                if refused:
                    raise RequestRefused(endpoint, int(refused[1]), printable(refused[2]))
            if lines and rest.startswith(PROMPT):
                raise RequestRefused(endpoint, 0, "the console gave no answer")
        raise DeviceUnreachable(
            f"expected an answer of the device's console within {self._timeout_s:g} s, found "
            "none; is it in provisioning mode, and this its console at the right baud rate?"
        )

    def close(self) -> None:
        """Close the port."""
        self._port.close()
