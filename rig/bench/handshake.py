"""Who is at a serial port: opens it, listens, asks, and tries other baud rates."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from rig.bench.voices import ELM327, NMEA, UBX, VOICES, Voice, is_noise, recognise
from server.errors import LinkLost
from server.links.link_port import LinkPort

RATES: tuple[int, ...] = (9600, 38_400, 115_200, 57_600, 4800, 19_200, 230_400, 500_000)
"""Of adapters, receivers and boards, the most frequent first."""
ENOUGH_NOISE_BYTES = 32
RATE_WINDOW_S = 1.3  # a receiver speaks once a second; an ELM327 answers within 0.1 s
OTHER_WINDOW_S = 0.7
AFTER_S = 0.1  # the rest of an answer that has begun
WRITE_S = 2.0
MOST_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Heard:
    """What there was to hear at a port.

    Attributes:
        voice: who speaks; None: nobody, or nobody that is known.
        baud: the rate at which that was understood, or the first one that was tried.
        data: what was heard there.
        rates: those that were tried.
        noise: bytes came at some rate, and made no sense at any.
    """

    voice: Voice | None
    baud: int
    data: bytes = b""
    rates: tuple[int, ...] = ()
    noise: bool = False


def who_is_there(
    port: str, baud: int, wanted: Voice, *, has_rate: bool = True, can_be_asked: bool = True
) -> Heard:
    """Listen and ask until it is known who is at a port.

    Args:
        port: device path or pyserial URL.
        baud: at which it should speak.
        wanted: who should be there.
        has_rate: other rates are tried too; a TCP server has none.
        can_be_asked: False: only listen; a gateway at the other end takes nothing from us.

    Raises:
        LinkLost: the port cannot be opened, or went away.
    """
    noise = False
    tried = [baud]
    heard = _at_rate(port, baud, list(_asks(wanted)) if can_be_asked else [(b"", RATE_WINDOW_S)])
    if heard.voice is not None or not can_be_asked:
        return heard
    noise = is_noise(heard.data)
    for rate in RATES if has_rate else ():
        if rate == baud:
            continue
        tried.append(rate)
        found = _at_rate(port, rate, [(wanted.ask, 0.0), (ELM327.ask, RATE_WINDOW_S)])
        if found.voice is not None:
            return Heard(found.voice, rate, found.data, tuple(tried), noise)
        noise = noise or is_noise(found.data)
    return Heard(None, baud, heard.data, tuple(tried), noise)


def _asks(wanted: Voice) -> Iterator[tuple[bytes, float]]:
    yield wanted.ask, wanted.window_s
    for voice in VOICES:
        if voice.name != wanted.name:
            yield voice.ask, NMEA.window_s if voice is NMEA else OTHER_WINDOW_S


def _at_rate(port: str, baud: int, asks: list[tuple[bytes, float]]) -> Heard:
    line = LinkPort(port, baud, write_timeout_s=WRITE_S)
    line.open()
    try:
        asked = False
        data = b""
        for ask, window_s in asks:
            if ask:
                asked = True
                line.write(ask)
            data = listen(line, window_s, data, asked=asked)
            voice = recognise(data, asked=asked)
            if voice is not None:
                return Heard(voice, baud, listen(line, AFTER_S, data, asked=asked, whole=True))
            if is_noise(data):  # whoever it is, it is not at this rate
                break
        return Heard(None, baud, data, (baud,))
    finally:
        line.close()


def listen(
    line: LinkPort, window_s: float, data: bytes = b"", *, asked: bool, whole: bool = False
) -> bytes:
    """Return `data` and what came in a window, which ends when it is known who speaks, or that
    nobody can be understood at this rate.

    Args:
        line: open.
        window_s: its longest time.
        data: what came before.
        asked: see `recognise`.
        whole: wait for the window's end, whatever comes.

    Raises:
        LinkLost: the port went away.
    """
    end_s = time.monotonic() + window_s
    while (left_s := end_s - time.monotonic()) > 0 and len(data) < MOST_BYTES:
        chunk = line.receive(left_s)
        data += chunk
        if not chunk or whole:
            continue
        if recognise(data, asked=asked) not in (None, UBX):
            break  # what says UBX may say NMEA too
        if len(data) >= ENOUGH_NOISE_BYTES and is_noise(data):
            break
    return data


def converse(
    port: str, baud: int, questions: dict[str, bytes], window_s: float = 1.0
) -> dict[str, bytes]:
    """Ask an ELM327 one question after the other; return what came up to each prompt.

    Raises:
        LinkLost: the port cannot be opened, or went away.
    """
    line = LinkPort(port, baud, write_timeout_s=WRITE_S)
    line.open()
    answers: dict[str, bytes] = {}
    try:
        for name, question in questions.items():
            line.write(question)
            end_s = time.monotonic() + window_s
            data = b""
            while b">" not in data and (left_s := end_s - time.monotonic()) > 0:
                data += line.receive(left_s)
            answers[name] = data
    finally:
        line.close()
    return answers


__all__ = ["RATES", "Heard", "LinkLost", "converse", "listen", "who_is_there"]
