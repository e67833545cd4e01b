"""The receiver's transmit side: what happens when an epoch does not fit the line."""

from __future__ import annotations

import math
from collections import Counter

from sim.gnss.fields import sentence
from sim.gnss.profiles import ReceiverProfile
from sim.serial_line import BITS_PER_BYTE, SerialLine

BUFFER_WARNING = sentence("GNTXT,01,01,00,txbuf alloc")  # as u-blox says it


class Transmitter:
    """Writes sentences to the line and drops what a real chip would drop.

    The buffer is bounded by `transmit_buffer_bytes`: a `drop_sentences` chip drops the new
    sentence and keeps those queued, and says so once there is room; a `skip_epochs` chip asks
    `busy_at` before it begins.

    Args:
        line: paced at its baud; an unpaced line takes everything.
        profile: decides what is dropped.
        burst: one write per call instead of one per sentence.
        counters: "sentences" and "dropped_sentences" are counted here; a binary message is one too.

    Attributes:
        warns: say that something was dropped; not while the host has switched NMEA off.
    """

    def __init__(
        self, line: SerialLine, profile: ReceiverProfile, *, burst: bool, counters: Counter[str]
    ) -> None:
        self._line = line
        self._burst = burst
        self._counters = counters
        self._drops = profile.when_full == "drop_sentences"
        self._buffer_bytes = profile.transmit_buffer_bytes
        self._warn = False
        self.warns = True

    def busy_at(self, t_s: float) -> bool:
        """True when bytes of before are still leaving at virtual instant `t_s`."""
        return self._line.to_host.free_at_s > t_s

    def send(self, sentences: list[bytes]) -> None:
        """Send what fits, in its order."""
        if self._drops:
            sentences = self._fitting(sentences)
        self._counters["sentences"] += len(sentences)
        if self._burst:
            self._line.write(b"".join(sentences))
            return
        write = self._line.write
        for text in sentences:
            write(text)

    def _fitting(self, sentences: list[bytes]) -> list[bytes]:
        waiting_s = self._line.to_host.free_at_s - self._line.env.now
        room = self._buffer_bytes
        if waiting_s > 0.0:
            room -= math.ceil(waiting_s * self._line.baud / BITS_PER_BYTE)
        if not self._warn and sum(map(len, sentences)) <= room:
            return sentences
        if self._warn and len(BUFFER_WARNING) <= room:
            sentences = [BUFFER_WARNING, *sentences]
            self._warn = False
        fitting = []
        for text in sentences:
            if len(text) <= room:
                room -= len(text)
                fitting.append(text)
            else:
                self._counters["dropped_sentences"] += 1
                self._warn = self.warns
        return fitting
