"""Positions in time order, put together from the signals of a receiver."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec

from server.catalogue import by_name
from server.history.wanted import Column, rows_of
from server.readings import State

PAIR_NS = 1_000_000_000
"""A latitude and a longitude belong together where they are not further apart."""
BESIDE_NS = 5_000_000_000
"""What else was read so long before a position is shown with it."""
GAP_NS = 120_000_000_000
"""Without a position for so long the track is interrupted."""

_LAT = by_name("LAT").id
_LON = by_name("LON").id
_ALT = by_name("ALT").id
_GPS_SPEED = by_name("GPS_SPEED").id
_SPEED = by_name("SPEED").id
_HEADING = by_name("GPS_HEADING").id
_HDOP = by_name("HDOP").id
_SATS = by_name("SATS").id
TRACK_SIGNALS = frozenset((_LAT, _LON, _ALT, _GPS_SPEED, _SPEED, _HEADING, _HDOP, _SATS))
"""What a track is made of; other signals need not be read."""


class Point(msgspec.Struct, frozen=True):
    """A position; None: not known.

    Attributes:
        time_ns: instant of the position.
        lat_deg: WGS 84.
        lon_deg: WGS 84.
        alt_m: above mean sea level.
        speed_mps: of the receiver; of the wheels where the receiver gives none.
        heading_deg: true.
        hdop: horizontal dilution of precision.
        satellites: used.
        is_first: True after an interruption, and for the first one.
    """

    time_ns: int
    lat_deg: float
    lon_deg: float
    alt_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
    hdop: float | None = None
    satellites: int | None = None
    is_first: bool = False


class Track:
    """Makes positions of readings that come in time order.

    Lost readings, and the position 0, 0, which receivers without a fix send, are left out.
    """

    def __init__(self) -> None:
        self._newest: dict[int, tuple[int, float]] = {}
        self._fresh: set[int] = set()
        self._now_ns: int | None = None
        self._last_ns: int | None = None

    def take(self, columns: Sequence[Column]) -> Iterator[Point]:
        """Take readings; give the positions that are complete."""
        for time_ns, signal, _, value, state in rows_of(columns):
            if time_ns != self._now_ns:
                yield from self.rest()
                self._now_ns = time_ns
            if state == State.LOST or not math.isfinite(value):
                continue
            self._newest[signal] = (time_ns, value)
            if signal in (_LAT, _LON):
                self._fresh.add(signal)

    def rest(self) -> Iterator[Point]:
        """Give the position that the instant before has completed, if it has."""
        if len(self._fresh) < 2:
            return
        (lat_ns, lat), (lon_ns, lon) = self._newest[_LAT], self._newest[_LON]
        if abs(lat_ns - lon_ns) > PAIR_NS:
            self._fresh.discard(_LAT if lat_ns < lon_ns else _LON)
            return
        self._fresh.clear()
        if lat == 0 and lon == 0:
            return
        time_ns = max(lat_ns, lon_ns)
        is_first = self._last_ns is None or time_ns - self._last_ns > GAP_NS
        self._last_ns = time_ns
        speed_kph = self._beside(_GPS_SPEED, time_ns)
        if speed_kph is None:
            speed_kph = self._beside(_SPEED, time_ns)
        satellites = self._beside(_SATS, time_ns)
        yield Point(
            time_ns,
            lat,
            lon,
            self._beside(_ALT, time_ns),
            None if speed_kph is None else speed_kph / 3.6,
            self._beside(_HEADING, time_ns),
            self._beside(_HDOP, time_ns),
            None if satellites is None else round(satellites),
            is_first,
        )

    def _beside(self, signal: int, time_ns: int) -> float | None:
        found = self._newest.get(signal)
        return None if found is None or time_ns - found[0] > BESIDE_NS else found[1]
