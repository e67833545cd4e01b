"""Sentences out of a serial byte stream that may hold anything.

A sentence is whatever stands between a `$` and `*hh`, without control characters. So a half line,
a NUL, a burst of noise, UBX frames between sentences and two sentences on one line cost nothing
but themselves: the next `$` begins anew. Only the checksum decides whether a sentence is whole
(`has_checksum`).
"""

from __future__ import annotations

import re
from collections import Counter

MAX_SENTENCE_BYTES = 1024
"""Longest sentence kept. NMEA 0183 allows 82; receivers go to about 250; a flood is cut here."""

_SENTENCE = re.compile(
    rb"\$[^$*\x00-\x1f\x7f-\xff]{1,%d}\*[0-9A-Fa-f]{2}" % (MAX_SENTENCE_BYTES - 4)
)
_LINE_ENDS = (b"\r\n", b"", b"\n", b"\r")


class SentenceSplitter:
    """Cuts sentences out of chunks of bytes; holds at most `MAX_SENTENCE_BYTES` between two chunks.

    Args:
        counters: where to count: `bytes` taken, `noise_bytes` outside of any sentence,
            `sentences_cut` that began and did not end. Exact once the text that they concern has
            left the buffer.
    """

    def __init__(self, counters: Counter[str] | None = None) -> None:
        self.counters: Counter[str] = Counter() if counters is None else counters
        self._tail = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the sentences that `chunk` completes, `$` to `*hh`, whatever their checksum."""
        self.counters["bytes"] += len(chunk)
        # NUL is the idle pattern of some USB bridges. It changes no checksum, so dropping it is
        # safe.
        if b"\0" in chunk:
            self.counters["noise_bytes"] += chunk.count(b"\0")
            chunk = chunk.replace(b"\0", b"")
        text = self._tail + chunk
        sentences: list[bytes] = []
        end = 0
        for match in _SENTENCE.finditer(text):
            start = match.start()
            if start != end:
                self._count_gap(text[end:start])
            end = match.end()
            sentences.append(match.group())
        self._keep_tail(text, end)
        return sentences

    def _keep_tail(self, text: bytes, end: int) -> None:
        """Keep what may still become a sentence: from the last `$` on, if it is not too long."""
        begin = text.rfind(b"$", end)
        if begin < 0 or len(text) - begin >= MAX_SENTENCE_BYTES:
            begin = len(text)
        if begin != end:
            self._count_gap(text[end:begin])
        self._tail = text[begin:]

    def _count_gap(self, gap: bytes) -> None:
        if gap not in _LINE_ENDS:
            self.counters["noise_bytes"] += len(gap) - gap.count(b"\r") - gap.count(b"\n")
            self.counters["sentences_cut"] += gap.count(b"$")


def checksum(body: bytes) -> int:
    """Return the XOR of all bytes of `body` (what stands between `$` and `*`).

    The bytes are folded as one big integer, which takes a quarter of the time of a loop over bytes:
    a receiver sends ten satellite sentences, which are only checked, for two that are read.
    """
    folded = int.from_bytes(body, "big")
    shift = 8
    while shift < 8 * len(body):
        shift *= 2
    while shift >= 8:
        folded ^= folded >> shift
        shift //= 2
    return folded & 0xFF


def has_checksum(sentence: bytes) -> bool:
    """True if `sentence` (`$...*hh`) carries the checksum of its own text."""
    return checksum(sentence[1:-3]) == int(sentence[-2:], 16)
