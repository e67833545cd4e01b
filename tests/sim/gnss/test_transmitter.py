"""What does not fit the line is dropped as the chip drops it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import simpy

from sim.gnss.profiles import MT3339, UBLOX_M8
from sim.gnss.transmitter import BUFFER_WARNING, Transmitter
from sim.serial_line import SerialLine

SENTENCE = b"x" * 100


def _transmitter(
    *, burst: bool = False, buffer_bytes: int = 250, baud: int = 9600
) -> tuple[simpy.Environment, list[bytes], Transmitter, Counter[str]]:
    env = simpy.Environment()
    line = SerialLine(env, "gps", baud)
    got: list[bytes] = []
    line.attach_host(got.append)
    counters: Counter[str] = Counter()
    profile = replace(UBLOX_M8, transmit_buffer_bytes=buffer_bytes)
    return env, got, Transmitter(line, profile, burst=burst, counters=counters), counters


def test_whole_sentences_are_dropped_and_the_chip_says_so_later() -> None:
    """The third of three does not fit; with room again the warning goes first."""
    env, got, transmitter, counters = _transmitter()
    transmitter.send([SENTENCE] * 3)
    assert counters["dropped_sentences"] == 1
    env.run(1.0)
    transmitter.send([b"next"])
    env.run(2.0)
    assert got == [SENTENCE, SENTENCE, BUFFER_WARNING, b"next"]


def test_a_shorter_sentence_may_still_fit() -> None:
    """The chip asks per sentence: a short one behind a long one that was dropped goes out."""
    env, got, transmitter, _ = _transmitter()
    transmitter.send([SENTENCE, SENTENCE, SENTENCE, b"short"])
    env.run(1.0)
    assert got == [SENTENCE, SENTENCE, b"short"]


def test_burst_is_one_write() -> None:
    """With burst the epoch arrives whole."""
    env, got, transmitter, counters = _transmitter(burst=True)
    transmitter.send([b"one", b"two"])
    env.run(1.0)
    assert got == [b"onetwo"]
    assert counters["sentences"] == 2


def test_busy_until_the_last_byte_has_left() -> None:
    """100 bytes at 9600 baud keep the line busy for 104 ms."""
    _, _, transmitter, _ = _transmitter()
    assert not transmitter.busy_at(0.0)
    transmitter.send([SENTENCE])
    assert transmitter.busy_at(0.104)
    assert not transmitter.busy_at(0.1042)


def test_chips_that_skip_epochs_drop_no_sentence() -> None:
    """An MTK that has begun an epoch finishes it."""
    env = simpy.Environment()
    line = SerialLine(env, "gps", 9600)
    counters: Counter[str] = Counter()
    transmitter = Transmitter(line, MT3339, burst=False, counters=counters)
    transmitter.send([SENTENCE] * 30)
    assert counters == {"sentences": 30}
