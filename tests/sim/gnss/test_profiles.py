"""Profiles talk as the recorded receivers do: order, bytes per epoch, form of each sentence."""

from __future__ import annotations

import re
import statistics
from pathlib import Path
from typing import Any

import pytest

from sim.gnss import PROFILES
from sim.gnss.profiles import SENTENCES

NMEA_LINE = re.compile(rb"\$[A-Z]{2}[A-Z]{3},[ -~]*\*[0-9A-F]{2}")


def _epochs(lines: list[str], first: str) -> list[list[str]]:
    """Cut lines into epochs that begin with sentence `first`; the cut ones at the ends go."""
    epochs: list[list[str]] = []
    for line in lines:
        if line[3:6] == first and (not epochs or epochs[-1][-1][3:6] != first):
            epochs.append([])
        if epochs:
            epochs[-1].append(line)
    return epochs[1:-1]


def _order(epoch: list[str]) -> list[str]:
    """Sentence names with repetitions folded."""
    out: list[str] = []
    for line in epoch:
        if not out or out[-1] != line[3:6]:
            out.append(line[3:6])
    return out


def _modelled(bench: Any, name: str, first: str, seed: int = 1) -> list[list[str]]:
    lines = bench(name, seed=seed).run(40.0).lines
    return _epochs([line for line in lines if line[3:6] in SENTENCES], first)


# Bytes per epoch of recorded receivers (MAX-M8Q, NEO-M9N with four systems, MT3339, SiRF-III); the
# second figure is that of epochs with GSV where not every one has it.
MEASURED = [
    ("ublox_m8", "RMC", 815, 815),
    ("ublox_m9", "RMC", 1359, 1359),
    ("mt3339", "GGA", 253, 459),
    ("sirf", "GGA", 203, 407),
]


@pytest.mark.parametrize(("name", "first", "usual_bytes", "most_bytes"), MEASURED)
def test_bytes_per_epoch(
    bench: Any, name: str, first: str, usual_bytes: int, most_bytes: int
) -> None:
    """Over eight skies an epoch has the recorded length, 15 % up or down."""
    usual, most = [], []
    for seed in range(8):
        sizes = [
            sum(len(line) + 2 for line in epoch) for epoch in _modelled(bench, name, first, seed)
        ]
        usual.append(statistics.median(sizes))
        most.append(max(sizes))
    assert statistics.mean(usual) == pytest.approx(usual_bytes, rel=0.10)
    assert min(usual) > 0.85 * usual_bytes
    assert max(usual) < 1.15 * usual_bytes
    assert statistics.mean(most) == pytest.approx(most_bytes, rel=0.15)


def _recorded(folder: Path, file: str, first: str) -> list[list[str]]:
    raw = (folder / file).read_bytes()
    return _epochs([line.decode() for line in NMEA_LINE.findall(raw)], first)


@pytest.mark.parametrize(
    ("name", "file", "first"),
    [
        ("ublox_m8", "ublox-8.log", "RMC"),
        ("mt3339", "mt3339.log", "GGA"),
        ("sirf_v", "sirfstarv-nmea.log", "GGA"),
    ],
)
def test_order_is_that_of_the_recorded_log(
    bench: Any, recordings: Path, name: str, file: str, first: str
) -> None:
    """Every order of sentences that the model produces stands in the log too."""
    recorded = {tuple(_order(epoch)) for epoch in _recorded(recordings, file, first)}
    modelled = {tuple(_order(epoch)) for epoch in _modelled(bench, name, first)}
    assert modelled <= recorded


@pytest.mark.parametrize(
    ("name", "file", "first", "tolerance"),
    [
        ("ublox_m8", "ublox-8.log", "RMC", 0.15),
        ("mt3339", "mt3339.log", "GGA", 0.15),
        ("sirf_v", "sirfstarv-nmea.log", "GGA", 0.15),
    ],
)
def test_bytes_are_those_of_the_recorded_log(
    bench: Any, recordings: Path, name: str, file: str, first: str, tolerance: float
) -> None:
    """The median epoch is as long as the log's."""

    def median(epochs: list[list[str]]) -> float:
        return statistics.median(sum(len(line) + 2 for line in epoch) for epoch in epochs)

    recorded = median(_recorded(recordings, file, first))
    assert median(_modelled(bench, name, first)) == pytest.approx(recorded, rel=tolerance)


def _form(line: str) -> str:
    """The sentence with every digit as 9: width, decimals and letters stay."""
    return re.sub(r"\d", "9", line.split("*")[0])


@pytest.mark.parametrize(
    ("name", "file", "sentence"),
    [
        ("mt3339", "mt3339.log", "ZDA"),
        ("ublox_m8", "ublox-8.log", "ZDA"),
        ("ublox_m8", "ublox-8.log", "GLL"),
    ],
)
def test_form_is_that_of_the_recorded_log(
    bench: Any, recordings: Path, name: str, file: str, sentence: str
) -> None:
    """Digits apart, the model writes what the chip wrote (hemisphere aside)."""
    lines = [line.decode() for line in NMEA_LINE.findall((recordings / file).read_bytes())]
    recorded = {_form(line).replace(",W", ",E") for line in lines if line[3:6] == sentence}
    modelled = {_form(line) for line in bench(name).run(10.0).named(sentence)}
    assert modelled
    assert modelled <= recorded


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_profile_is_consistent(name: str) -> None:
    """Names agree, sentences are known, what is on by default can be sent."""
    profile = PROFILES[name]
    assert profile.name == name
    assert set(profile.order) <= set(SENTENCES)
    assert set(profile.every) <= set(profile.order)
    assert profile.output_delay_s[0] <= profile.output_delay_s[1]
    assert profile.transmit_buffer_bytes > 900
