"""An adapter without a model, which answers five PIDs at once: the floor under every figure.

`python -m tests.benchmarks.trivial_adapter` serves it on a PTY and prints its path.
"""

from __future__ import annotations

import contextlib
import os
import tty

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


class TrivialAdapter:
    """Answers requests; a lone return repeats the last one."""

    def __init__(self) -> None:
        self._last = b""

    def answer(self, request: bytes) -> bytes:
        """Give the reply with its prompt."""
        self._last = request.strip().replace(b" ", b"").upper() or self._last
        if self._last.startswith(b"AT"):
            return ANSWERS.get(self._last, b"OK") + b"\r\r>"
        return ANSWERS.get(self._last[:4], b"NO DATA") + b"\r\r>"


def main() -> None:
    """Serve until the process is ended."""
    master, slave = os.openpty()
    tty.setraw(slave)
    print(os.ttyname(slave), flush=True)
    adapter, request = TrivialAdapter(), b""
    while True:
        request += os.read(master, 4096)
        if request.endswith(b"\r"):
            os.write(master, adapter.answer(request))
            request = b""


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
