"""Faults that put bytes on a serial line that no device sent."""

from __future__ import annotations

from collections.abc import Callable

from rig.faults.strike import End, Strike
from sim.serial_line import Direction

CHUNK_BYTES = 32  # one SimPy event per chunk, never one per byte
MOST_WAITING_S = 1.0  # noise that a full line has no room for is lost; it does not wait for ever
_NO_NEWLINE = bytes(byte for byte in range(0x20, 0x7F) if byte != ord(">"))


class _Injector:
    """Sends chunks at random instants, `bytes_per_s` on average, until it is ended."""

    def __init__(
        self, strike: Strike, direction: Direction, bytes_per_s: float, chunk: Callable[[], bytes]
    ) -> None:
        self._strike = strike
        self._direction = direction
        self._bytes_per_s = bytes_per_s
        self._chunk = chunk
        self._ended = False
        self._schedule()

    def _schedule(self) -> None:
        data = self._chunk()
        gap_s = self._strike.rng.expovariate(self._bytes_per_s / len(data))
        event = self._strike.env.timeout(gap_s, data)
        event.callbacks.append(lambda fired: self._send(fired.value))

    def _send(self, data: bytes) -> None:
        if not self._ended:
            if self._direction.free_at_s - self._strike.env.now < MOST_WAITING_S:
                self._direction.send(data)
            self._schedule()

    def end(self) -> None:
        """Send nothing more."""
        self._ended = True


def _inject(strike: Strike, chunk: Callable[[], bytes]) -> End:
    bytes_per_s = strike.fault.number("rate_bytes_per_s")
    injectors = [
        _Injector(strike, direction, bytes_per_s, chunk) for direction in strike.directions
    ]

    def end() -> None:
        for injector in injectors:
            injector.end()

    return end


def garbage(strike: Strike) -> End:
    """Send random bytes of every value between the device's own."""
    return _inject(strike, lambda: strike.rng.randbytes(strike.rng.randint(1, CHUNK_BYTES)))


def flood(strike: Strike) -> End:
    """Send printable bytes without end: no line end and no prompt ever comes."""
    return _inject(strike, lambda: bytes(strike.rng.choices(_NO_NEWLINE, k=CHUNK_BYTES)))


def nul(strike: Strike) -> End:
    """Send NUL bytes between the device's own, as some ELM327 do."""
    return _inject(strike, lambda: bytes(strike.rng.randint(1, 4)))
