"""`AT BRD`: try another baud rate, and go back unless the host proves that it works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.elm327.timing import Alarm

if TYPE_CHECKING:
    from sim.elm327.adapter import Elm327

_CR = 0x0D


class BaudHandshake:
    """OK at the old rate, a pause, the version at the new rate, and a CR from the host in time.

    Each half lasts the AT BRT time, 75 ms by default. No prompt follows the first OK. Without the
    CR the old rate returns. Source: ELM327DSJ p.50-51.
    """

    def __init__(self, elm: Elm327) -> None:
        self._elm = elm
        self._alarm = Alarm(elm.env)
        self._old_baud = 0
        self._greeting = ""
        self._greeted = False

    def start(self, baud: int, greeting: str) -> None:
        """Offer `baud`; `greeting` is sent at the new rate."""
        elm = self._elm
        self._old_baud = elm.line.baud
        self._greeting = greeting
        self._greeted = False
        elm.write_line("OK")
        self._alarm.start(self._drained_s(), lambda: self._switch(baud))

    def take(self, data: bytes) -> None:
        """What the host sends meanwhile: only a CR after the greeting counts."""
        if self._greeted and _CR in data:
            self._alarm.stop()
            self._elm.finish("OK")

    def stop(self) -> None:
        """Forget it: the adapter resets or loses its power."""
        self._alarm.stop()

    def _switch(self, baud: int) -> None:
        self._elm.set_baud(baud)
        self._alarm.start(self._elm.settings.handshake_s, self._greet)

    def _greet(self) -> None:
        self._elm.write_line(self._greeting)
        self._greeted = True
        self._alarm.start(self._drained_s() + self._elm.settings.handshake_s, self._fall_back)

    def _fall_back(self) -> None:
        self._elm.set_baud(self._old_baud)
        self._elm.finish()

    def _drained_s(self) -> float:
        """Seconds until the transmitter has sent everything."""
        return max(0.0, self._elm.line.to_host.free_at_s - self._elm.env.now)
