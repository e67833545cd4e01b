"""GPS values: mirrored, held, believed without a check."""

from __future__ import annotations

import dataclasses
from typing import Any

import pynmea2  # type: ignore[import-untyped]

from server.links import gps, nmea, nmea_sentence
from server.links.nmea import EpochAssembler, Fix

from .patching import around


def longitude_mirrored() -> None:
    """East is west."""

    @around(nmea_sentence, "_position")
    def position(original: Any, parsed: Any) -> tuple[float | None, float | None]:
        lat_deg, lon_deg = original(parsed)
        return lat_deg, None if lon_deg is None else -lon_deg


def coordinates_swapped() -> None:
    """Latitude and longitude change places."""

    @around(nmea_sentence, "_position")
    def position(original: Any, parsed: Any) -> tuple[float | None, float | None]:
        lat_deg, lon_deg = original(parsed)
        return lon_deg, lat_deg


def gps_speed_in_knots() -> None:
    """GPS_SPEED is stored as the receiver says it."""
    nmea_sentence.KPH_PER_KNOT = 1.0


def altitude_of_epoch_before() -> None:
    """RMC is paired with the GGA of the epoch before."""
    before: list[Any] = []

    @around(EpochAssembler, "_fix")
    def fix(original: Any, assembler: Any, epoch: Any, *args: Any) -> Fix:
        before.append(epoch.sentences.get("GGA"))
        if len(before) > 1:
            epoch.sentences["GGA"] = before.pop(0)
        sound: Fix = original(assembler, epoch, *args)
        return sound


def null_island() -> None:
    """An epoch without a fix is stored as latitude and longitude 0."""
    origin = nmea_sentence.Sentence(kind="RMC", lat_deg=0.0, lon_deg=0.0)

    @around(nmea, "_place")
    def place(original: Any, by_kind: Any) -> Any:
        return original(by_kind) or origin


def position_held() -> None:
    """An epoch without a fix is stored with the last position."""
    last: list[Any] = [None]

    @around(nmea, "_place")
    def place(original: Any, by_kind: Any) -> Any:
        last[0] = original(by_kind) or last[0]
        return last[0]


def checksum_unchecked() -> None:
    """A sentence is believed whatever its checksum says, cut ones too (pynmea2#128)."""

    @around(gps, "has_checksum")
    def has_checksum(original: Any, sentence: bytes) -> bool:
        return True

    @around(pynmea2, "parse")
    def parse(original: Any, line: str, check: bool = False) -> Any:
        # pynmea2 compares a checksum wherever there is one.
        return original(line.rpartition("*")[0], False)


def garbage_not_counted() -> None:
    """The GPS link shows no counters: nobody can see what it had to throw away."""

    @around(gps.GpsLink, "__init__")
    def init(original: Any, link: gps.GpsLink, *args: Any, **more: Any) -> None:
        original(link, *args, **more)
        link.counters = {}


def satellites_doubled() -> None:
    """SATS is two times what the receiver says."""

    @around(EpochAssembler, "_fix")
    def fix(original: Any, *args: Any) -> Fix:
        sound: Fix = original(*args)
        count = sound.satellites
        return dataclasses.replace(sound, satellites=None if count is None else 2 * count)
