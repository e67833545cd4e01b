"""The conversation with an ELM327 out of its recorded bytes: what was asked, what was answered.

What came between one request and the next is the answer to the first, whatever it was: echo, reply,
prompt, garbage, or nothing. So all that an adapter did then is there to be done again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from rig.record.streams import WireChunk

TO_HOST = ">"
PROMPT = b">"
END = 0x0D
_HEX = re.compile(r"[0-9A-F]+")
_IGNORED = re.compile(rb"[\x00\x20\t\n]+")


@dataclass(slots=True)
class Exchange:
    """A request and all that came before the next one.

    Attributes:
        request: without blanks, in capitals.
        asked_ns: when its last byte had reached the adapter.
        answer: (ns after that, bytes), in order.
    """

    request: str
    asked_ns: int
    answer: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def has_prompt(self) -> bool:
        """Whether the adapter was ready again before the next request."""
        return any(PROMPT in data for _, data in self.answer)


@dataclass(frozen=True, slots=True)
class Conversation:
    """All of it.

    Attributes:
        banner: what came before the first request: (ns, bytes).
        exchanges: in order.
    """

    banner: list[tuple[int, bytes]]
    exchanges: list[Exchange]


def conversation(chunks: Iterable[WireChunk]) -> Conversation:
    """Return what `chunks` say."""
    talk = Conversation([], [])
    asked = bytearray()
    for chunk in chunks:
        if chunk.direction == TO_HOST:
            if talk.exchanges:
                last = talk.exchanges[-1]
                last.answer.append((chunk.time_ns - last.asked_ns, chunk.data))
            else:
                talk.banner.append((chunk.time_ns, chunk.data))
            continue
        asked += chunk.data
        while END in asked:
            line, _, asked = asked.partition(b"\r")
            talk.exchanges.append(Exchange(plain(line), chunk.time_ns))
    return talk


def plain(line: bytes | bytearray) -> str:
    """Return a request as the adapter takes it: blanks and case do not matter to it."""
    return _IGNORED.sub(b"", bytes(line)).decode("latin-1").upper()


def is_hex(request: str) -> bool:
    """Return whether a request goes to the vehicle and not to the adapter."""
    return _HEX.fullmatch(request) is not None


def without_count(request: str) -> str:
    """Return a request to the vehicle without its last digit, the number of awaited answers."""
    return request[:-1] if is_hex(request) and len(request) % 2 else request
