"""GPX 1.1 (https://www.topografix.com/GPX/1/1/): a track, with a segment up to each gap.

Speed and heading have no element in GPX 1.1; they are in Garmin's TrackPointExtension v2 (metres a
second, degrees), which most programs read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from server.export.instants import IsoText
from server.export.job import Subject
from server.export.track import Point

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="telerig" xmlns="http://www.topografix.com/GPX/1/1"\
 xmlns:gpxtpx="http://www.garmin.com/xmlschemas/TrackPointExtension/v2"\
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"\
 xsi:schemaLocation="http://www.topografix.com/GPX/1/1 http://www.topografix.com/GPX/1/1/gpx.xsd\
 http://www.garmin.com/xmlschemas/TrackPointExtension/v2\
 http://www.garmin.com/xmlschemas/TrackPointExtensionv2.xsd">
"""

_NO_XML = re.compile("[^\t\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot have (production 2, Char)."""


class Gpx:
    """Writes one track."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._iso = IsoText()
        self._is_open = False

    def begin(self) -> bytes:
        """Give the head."""
        subject = self._subject
        name = xml_text(subject.title)
        began_ns = subject.opened_ns or subject.start_ns
        time = f"<time>{self._iso(began_ns)}</time>" if began_ns else ""
        what = "; ".join(f"{key} {value}" for key, value in subject.described().items())
        return (
            f"{_HEAD}<metadata><name>{name}</name>{time}</metadata>\n"
            f"<trk><name>{name}</name><desc>{xml_text(what)}</desc>\n"
        ).encode()

    def rows(self, points: Iterable[Point]) -> bytes:
        """Give points."""
        lines: list[str] = []
        for point in points:
            if point.is_first:
                lines.append("</trkseg>\n<trkseg>\n" if self._is_open else "<trkseg>\n")
                self._is_open = True
            lines.append(self._point(point))
        return "".join(lines).encode()

    def end(self) -> bytes:
        """Close what is open."""
        return (("</trkseg>\n" if self._is_open else "") + "</trk>\n</gpx>\n").encode()

    def _point(self, point: Point) -> str:
        # The schema has an order: ele, time, …, sat, hdop, …, extensions.
        ele = "" if point.alt_m is None else f"<ele>{decimal(point.alt_m)}</ele>"
        sat = "" if point.satellites is None else f"<sat>{max(0, point.satellites)}</sat>"
        hdop = "" if point.hdop is None else f"<hdop>{decimal(point.hdop)}</hdop>"
        return (
            f'<trkpt lat="{decimal(point.lat_deg)}" lon="{decimal(_within_180(point.lon_deg))}">'
            f"{ele}<time>{self._iso(point.time_ns)}</time>{sat}{hdop}{_motion(point)}</trkpt>\n"
        )


def _motion(point: Point) -> str:
    speed = (
        ""
        if point.speed_mps is None
        else f"<gpxtpx:speed>{decimal(point.speed_mps)}</gpxtpx:speed>"
    )
    course = (
        ""
        if point.heading_deg is None
        else f"<gpxtpx:course>{decimal(point.heading_deg % 360)}</gpxtpx:course>"
    )
    if not (speed or course):
        return ""
    inside = f"<gpxtpx:TrackPointExtension>{speed}{course}</gpxtpx:TrackPointExtension>"
    return f"<extensions>{inside}</extensions>"


def _within_180(lon_deg: float) -> float:
    """Give a longitude as the schema has it: -180 to 180, without 180 itself."""
    return -180.0 if lon_deg == 180 else lon_deg


def decimal(number: float) -> str:
    """Write a number as xsd:decimal: no exponent, nine decimals at most."""
    text = f"{number:.9f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def xml_text(text: str) -> str:
    """Give text for XML; characters that XML cannot have are left out."""
    kept = _NO_XML.sub("", text)
    return kept.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
