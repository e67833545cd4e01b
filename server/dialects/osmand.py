"""Positions as OsmAnd, Traccar Client and their like send them.

    GET or POST …/osmand?id=phone-1&lat=49.01&lon=12.1&timestamp=1767323045&speed=19.4&bearing=90
    POST …/osmand   {"device_id": "phone-1", "location": {"timestamp": ISO, "coords": {…}, …}}

Parameters: id or deviceid, lat, lon (or location "lat,lon"), timestamp (seconds, milliseconds, ISO
8601, "YYYY-MM-DD hh:mm:ss" in UTC; none: now), speed (knots), bearing or heading, altitude, hdop,
sat, batt, valid. The JSON of Traccar Client 9 and later has metres a second, and -1 for unknown.
OsmAnd and GPSLogger have metres a second too, which nothing in their requests tells from knots
(traccar#3487: half the speed): whoever writes their URL says so, speed_mps instead of speed.
Sources: traccar.org/osmand, traccar OsmAndProtocolDecoder, traccar-client preferences.dart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec

from server.catalogue import by_name
from server.dialects.gathered import NUMBER, Gathered, not_the_form

KNOTS_KPH = 1.852
MPS_KPH = 3.6
SECONDS_BELOW = 2**31 - 1
"""A smaller time stamp is in seconds, another in milliseconds: Traccar's own rule."""
LOCATIONS_MOST = 1000

_LAT, _LON = by_name("LAT").id, by_name("LON").id
_FIELDS: Mapping[str, tuple[int, float]] = {
    "speed_mps": (by_name("GPS_SPEED").id, MPS_KPH),
    "speed": (by_name("GPS_SPEED").id, KNOTS_KPH),
    "bearing": (by_name("GPS_HEADING").id, 1.0),
    "heading": (by_name("GPS_HEADING").id, 1.0),
    "altitude": (by_name("ALT").id, 1.0),
    "hdop": (by_name("HDOP").id, 1.0),
    "sat": (by_name("SATS").id, 1.0),
    "satellites": (by_name("SATS").id, 1.0),
    "batt": (by_name("NODE_BATTERY").id, 1.0),
}
_BESIDE = frozenset(
    {
        *("id", "deviceid", "key", "lat", "lon", "location", "timestamp", "valid"),
        *("accuracy", "cell", "wifi", "driverUniqueId", "charge", "event", "alarm"),
        *("activity", "is_moving", "odometer", "rooted", "mock"),
    }
)
"""What is known and not kept, beside what is used."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = re.compile(r"\d{1,15}", re.ASCII)


class Coords(msgspec.Struct):
    """Where; -1 where the phone does not know."""

    latitude: float
    longitude: float
    speed: float | None = None
    heading: float | None = None
    altitude: float | None = None
    accuracy: float | None = None


class Battery(msgspec.Struct):
    """Of the phone; level from 0 to 1."""

    level: float | None = None


class Location(msgspec.Struct):
    """One position; what else the phone says of it is not kept."""

    coords: Coords
    timestamp: str | int | float | None = None
    battery: Battery | None = None


class Message(msgspec.Struct):
    """A request of Traccar Client."""

    location: Location | list[Location]
    device_id: str | int = ""


_message = msgspec.json.Decoder(Message)


def read_form(parameters: Iterable[tuple[str, str]], now_ns: int) -> tuple[str, Gathered]:
    """Give the id and the readings of a request with parameters.

    Raises:
        Refusal: 400, there is neither an id nor a position.
    """
    gathered = Gathered()
    given = dict(parameters)
    sender = given.get("id", given.get("deviceid", ""))
    lat, lon = given.get("lat"), given.get("lon")
    if lat is None and lon is None and "," in given.get("location", ""):
        lat, _, lon = given["location"].partition(",")
    if not sender and lat is None:
        expected = "parameters id, lat and lon"
        raise not_the_form("query", expected, ", ".join(given) or "none")
    for name in given:
        if name not in _BESIDE and name not in _FIELDS:
            expected = "documented parameters of OsmAnd or Traccar Client"
            gathered.leave_out(expected, name[:60], "query", "unknown field")
    time_ns = _time_ns(given.get("timestamp"), now_ns)
    if time_ns is None:
        found = repr(given["timestamp"][:40])
        gathered.leave_out("seconds, milliseconds or ISO 8601", found, "timestamp", "time")
        return sender, gathered
    is_valid = given.get("valid", "true").lower() in ("true", "1")
    if lat is not None and lon is not None:
        _position(gathered, time_ns, lat.strip(), lon.strip(), is_valid)
    elif lat is not None or lon is not None:
        gathered.leave_out("lat and lon", "one of them", "query", "no fix")
    taken: set[int] = set()
    for name, (signal, factor) in _FIELDS.items():
        text = given.get(name)
        if text is not None and signal not in taken:
            taken.add(signal)
            gathered.text(signal, time_ns, text, name, factor)
    return sender, gathered


def read_message(body: bytes, now_ns: int) -> tuple[str, Gathered]:
    """Give the id and the readings of a JSON message.

    Raises:
        Refusal: 400, it is no such message.
    """
    try:
        message = _message.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_the_form("body", "a message of Traccar Client", str(error)) from None
    gathered = Gathered()
    locations = message.location if isinstance(message.location, list) else [message.location]
    if len(locations) > LOCATIONS_MOST:
        raise not_the_form("location", f"at most {LOCATIONS_MOST} positions", str(len(locations)))
    for location in locations:
        _location(gathered, location, now_ns)
    return str(message.device_id), gathered


def _location(gathered: Gathered, location: Location, now_ns: int) -> None:
    stamp = location.timestamp
    time_ns = _time_ns(None if stamp is None else str(stamp), now_ns)
    if time_ns is None:
        gathered.leave_out("an instant in ISO 8601", repr(stamp)[:40], "timestamp", "time")
        return
    coords = location.coords
    _position(gathered, time_ns, repr(coords.latitude), repr(coords.longitude), True)
    for name, value in (("speed_mps", coords.speed), ("heading", coords.heading)):
        if value is not None and value >= 0:
            signal, factor = _FIELDS[name]
            gathered.add(signal, time_ns, value * factor)
    if coords.altitude is not None:
        gathered.add(_FIELDS["altitude"][0], time_ns, coords.altitude)
    if location.battery is not None and (location.battery.level or -1) >= 0:
        gathered.add(_FIELDS["batt"][0], time_ns, 100.0 * (location.battery.level or 0.0))


def _position(gathered: Gathered, time_ns: int, lat: str, lon: str, is_valid: bool) -> None:
    if not (NUMBER.fullmatch(lat) and NUMBER.fullmatch(lon)):
        gathered.no_number(f"{lat},{lon}", "lat,lon")
        return
    lat_deg, lon_deg = float(lat), float(lon)
    if not is_valid or (lat_deg == 0 and lon_deg == 0):
        found = "0, 0" if is_valid else "valid=false"
        gathered.leave_out("a position", found, "lat,lon", "no fix")
    elif not (-90 <= lat_deg <= 90 and -180 <= lon_deg <= 180):
        # Half a position must not be stored.
        gathered.leave_out("degrees of a position", f"{lat[:20]}, {lon[:20]}", "lat,lon", "value")
    else:
        gathered.add(_LAT, time_ns, lat_deg)
        gathered.add(_LON, time_ns, lon_deg)


def _time_ns(text: str | None, now_ns: int) -> int | None:
    """Give an instant; None where the text is none."""
    if text is None:
        return now_ns
    if _DIGITS.fullmatch(text):
        number = int(text)
        return number * (1_000_000_000 if number < SECONDS_BELOW else 1_000_000)
    try:
        # A plus sign that was not escaped arrives as a space.
        when = datetime.fromisoformat(text[:40].replace(" ", "+") if "T" in text else text[:40])
        since = (when if when.tzinfo is not None else when.replace(tzinfo=UTC)) - _EPOCH
    except (ValueError, OverflowError):
        return None
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
