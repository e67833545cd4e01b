"""Recorded drives as GPX tracks (1.0 and 1.1, any namespace prefix, with or without speed)."""

from __future__ import annotations

import datetime
import io
from xml.etree import ElementTree

from sim.drives.errors import RecordingError
from sim.drives.samples import Samples


def read_gpx(text: str, samples: Samples) -> None:
    """Feed `samples` from the track points; a file that ends early gives what came before.

    Raises RecordingError for entity declarations, which a track has no use for and which can blow
    a small file up to gigabytes.
    """
    if "<!ENTITY" in text:
        line = text[: text.index("<!ENTITY")].count("\n") + 1
        raise RecordingError(samples.path, line, "a plain GPX file", "an XML entity declaration")
    # The text is decoded already, so what the file says of its encoding no longer holds.
    parser = ElementTree.XMLParser(encoding="utf-8")
    source = io.BytesIO(text.encode("utf-8", "replace"))
    events = ElementTree.iterparse(source, events=("end",), parser=parser)
    number = 0
    root = ""
    try:
        for _, element in events:
            root = _local(element.tag)
            if root != "trkpt":
                continue
            number += 1
            _read_point(number, element, samples)
            element.clear()
    except ElementTree.ParseError as error:
        line = error.position[0]
        if number == 0:
            raise RecordingError(samples.path, line, "well-formed GPX", str(error)) from error
        samples.skip(line, f"broken XML ({error})")
    if number == 0:
        got = "no track point (trkpt)" if root == "gpx" else f"another format: <{root}>"
        raise RecordingError(samples.path, None, "a GPX file with a track", got)


def _read_point(number: int, point: ElementTree.Element, samples: Samples) -> None:
    """Take one point; `number` counts them, since ElementTree does not tell their lines."""
    values: dict[str, str] = {}
    for child in point.iter():
        values.setdefault(_local(child.tag), (child.text or "").strip())
    try:
        lat, lon = float(point.get("lat", "")), float(point.get("lon", ""))
        alt = float(values.get("ele") or 0.0)
        speed = float(values["speed"]) * 3.6 if values.get("speed") else None
        time_s = _seconds(values.get("time", ""))
    except ValueError as error:
        samples.skip(None, f"track point {number} with {error}")
        return
    samples.add(None, time_s, speed, (lat, lon, alt))


def _seconds(text: str) -> float:
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:  # the standard says UTC
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()


def _local(tag: object) -> str:
    """Name of a tag without its namespace; comments have a function for a tag."""
    return str(tag).rpartition("}")[2]
