"""Provisioning over the console: lines `endpoint session-number hex`, as protocomm's console has.

The answer is a line of hexadecimal digits; a refusal is a line `error <status> <reason>`. Then
comes the prompt. Lines that name no endpoint are left alone: the same line carries the logger's
frames, whose first bytes occur in no text.
"""

from firmware_stubs.hal import Hal
from firmware_stubs.provisioning.core import MAX_BODY_BYTES, Core
from firmware_stubs.provisioning.faults import Fault

TYPE_CHECKING = False  # MicroPython has no typing; a checker takes this name for True
if TYPE_CHECKING:
    from collections.abc import Generator

PROMPT = b"\n>> "
LINE_MAX_BYTES = 2 * MAX_BODY_BYTES + 64
ENDPOINTS = (
    b"proto-ver",
    b"prov-session",
    b"prov-config",
    b"prov-scan",
    b"prov-ctrl",
    b"custom-data",
)


class Console:
    """One line at a time: from the console to the core and back."""

    def __init__(self, hal: Hal, core: Core) -> None:
        self._hal = hal
        self._core = core
        self._line = bytearray()
        self._skip = False
        self._lines: list[list[bytes]] = []
        self._out = b""
        self._job: Generator[None, None, bytes] | None = None

    def feed(self, data: bytes) -> None:
        """Take what the host sent; what is no text ends the line that it stands in."""
        for byte in data:
            if byte in (10, 13):
                self._end_line()
            elif 32 <= byte < 127 and len(self._line) < LINE_MAX_BYTES:
                self._line.append(byte)
            else:
                self._skip = True

    def _end_line(self) -> None:
        words = bytes(self._line).split()
        if words and not self._skip and words[0] in ENDPOINTS and len(self._lines) < 4:
            self._lines.append(words)
        self._line = bytearray()
        self._skip = False

    def poll(self) -> bool:
        """Do one step; says whether there is more to do at once."""
        if self._out:
            self._out = self._out[self._hal.console_write(self._out) :]
        if self._job is None:
            if not self._lines:
                return False
            self._begin(self._lines.pop(0))
        if self._job is not None:
            self._step(self._job)
        return True

    def _begin(self, words: "list[bytes]") -> None:
        self._say(b" ".join(words))
        session = _decimal(words[1]) if len(words) == 3 else None
        body = _from_hex(words[2]) if len(words) == 3 else None
        if session is None or body is None:
            self._end(b"error 500 expected: endpoint, session number, hexadecimal digits")
            return
        self._job = self._core.request(("console", session), str(words[0], "ascii"), body)

    def _step(self, job: "Generator[None, None, bytes]") -> None:
        try:
            next(job)
        except StopIteration as end:
            self._end(end.value.hex().encode())
        except Fault as fault:
            self._end(f"error {fault.status} {fault.reason}".encode())

    def _end(self, line: bytes) -> None:
        self._job = None
        self._say(line)
        self._out += PROMPT
        self._out = self._out[self._hal.console_write(self._out) :]

    def _say(self, line: bytes) -> None:
        self._out += line + b"\r\n"


def _decimal(word: bytes) -> "int | None":
    return int(word) if word.isdigit() and len(word) <= 10 else None


def _from_hex(word: bytes) -> "bytes | None":
    if len(word) % 2:
        return None
    try:
        return bytes.fromhex(str(word, "ascii"))
    except ValueError:
        return None
