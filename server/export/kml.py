"""KML 2.2 with the track element of Google's extension (gx:Track), which carries the instants.

https://developers.google.com/kml/documentation/kmlreference#gxtrack . A track has all instants
before all positions, so that a piece of it has to be held: at most PLACE_POINTS; the next one then
begins with the last position of the one before.
"""

from __future__ import annotations

from collections.abc import Iterable

from server.export.gpx import decimal, xml_text
from server.export.instants import IsoText
from server.export.job import Subject
from server.export.track import Point

PLACE_POINTS = 5_000
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<kml xmlns="http://www.opengis.net/kml/2.2" xmlns:gx="http://www.google.com/kml/ext/2.2">
<Document>
"""
_STYLE = """<Style id="track"><LineStyle><color>ffd18802</color><width>4</width></LineStyle></Style>
<Schema id="point"><gx:SimpleArrayField name="speed_kph" type="float">\
<displayName>Speed (km/h)</displayName></gx:SimpleArrayField></Schema>
"""


class Kml:
    """Writes one document with a placemark for each piece of the track."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._iso = IsoText()
        self._held: list[Point] = []

    def begin(self) -> bytes:
        """Give the head."""
        subject = self._subject
        what = "; ".join(f"{key} {value}" for key, value in subject.described().items())
        return (
            f"{_HEAD}<name>{xml_text(subject.title)}</name>"
            f"<description>{xml_text(what)}</description>\n{_STYLE}"
        ).encode()

    def rows(self, points: Iterable[Point]) -> bytes:
        """Take points; give the pieces that are whole."""
        done: list[str] = []
        for point in points:
            if point.is_first and self._held:
                done.append(self._placemark())
                self._held = []
            elif len(self._held) >= PLACE_POINTS:
                done.append(self._placemark())
                self._held = self._held[-1:]
            self._held.append(point)
        return "".join(done).encode()

    def end(self) -> bytes:
        """Give the last piece."""
        last = self._placemark() if self._held else ""
        return (last + "</Document>\n</kml>\n").encode()

    def _placemark(self) -> str:
        points = self._held
        when = "".join(f"<when>{self._iso(point.time_ns)}</when>" for point in points)
        coords = "".join(
            f"<gx:coord>{decimal(point.lon_deg)} {decimal(point.lat_deg)} "
            f"{decimal(point.alt_m or 0.0)}</gx:coord>"
            for point in points
        )
        speeds = "".join(
            "<gx:value/>"
            if point.speed_mps is None
            else f"<gx:value>{point.speed_mps * 3.6:.2f}</gx:value>"
            for point in points
        )
        return (
            f"<Placemark><name>{self._iso(points[0].time_ns)}</name><styleUrl>#track</styleUrl>\n"
            f"<gx:Track><altitudeMode>clampToGround</altitudeMode>\n{when}\n{coords}\n"
            '<ExtendedData><SchemaData schemaUrl="#point"><gx:SimpleArrayData name="speed_kph">'
            f"{speeds}</gx:SimpleArrayData></SchemaData></ExtendedData>\n"
            "</gx:Track></Placemark>\n"
        )
