"""Recorded drives as GENIVI positioning logs: `$GVGNSPOS` lines, times in ms, speed in m/s.

The format is that of the GENIVI "log-replayer" (github.com/GENIVI/positioning); its lines carry no
checksum.
"""

from __future__ import annotations

from collections.abc import Iterable

from sim.drives.samples import Samples

MARK = "$GVGNSPOS,"
FIELDS = 7  # mark, time in ms, latitude, longitude, altitude, altitude, horizontal speed, ...


def read_genivi(lines: Iterable[str], samples: Samples) -> None:
    """Feed `samples` from the position lines; one without an altitude yet is skipped."""
    for number, line in enumerate(lines, start=1):
        start = line.find(MARK)
        if start < 0:
            continue
        fields = line[start:].split(",")
        if len(fields) < FIELDS:
            samples.skip(number, f"{len(fields)} of at least {FIELDS} fields")
            continue
        try:
            time_ms, lat, lon, alt, above_ellipsoid = (float(field) for field in fields[1:6])
            speed_mps = float(fields[6])
        except ValueError:
            samples.skip(number, f"{line.strip()!r}, where numbers belong")
            continue
        if alt == 0.0 and above_ellipsoid == 0.0:
            samples.skip(number, "a position without an altitude")
            continue
        samples.add(number, time_ms * 0.001, speed_mps * 3.6, (lat, lon, alt))
