"""Positions of OsmAnd, Traccar Client and their like."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.answers import Refusal
from server.catalogue import SHORT_NAMES
from server.dialects.gathered import Gathered
from server.dialects.osmand import read_form, read_message
from server.store.body import floats

NOW_NS = 1_767_323_045_000_000_000


def rows(gathered: Gathered) -> dict[str, tuple[int, float]]:
    """The good readings by name, with their instants in seconds."""
    batch = gathered.batch(NOW_NS, 1)
    return {
        SHORT_NAMES[column.signal]: (column.first_time_ns // 10**9, floats(column.values)[0])
        for column in (batch.good.columns if batch is not None else ())
    }


def form(query: str) -> tuple[str, dict[str, tuple[int, float]], list[str]]:
    """Sender, readings and reasons of a request with parameters."""
    sender, gathered = read_form(parse_qsl(query), NOW_NS)
    found = rows(gathered)
    return sender, found, sorted(gathered.problems.by_reason)


def test_parameters() -> None:
    """Speed is in knots, the instant in seconds, milliseconds, ISO or as date and time."""
    sender, found, wrong = form(
        "id=123456&lat=49.5&lon=12.25&timestamp=1767323000&hdop=0.8&altitude=340&speed=10"
        "&bearing=271.5&batt=86&accuracy=4&charge=true"
    )
    assert (sender, wrong) == ("123456", [])
    assert {name: value for name, (_, value) in found.items()} == {
        "LAT": 49.5,
        "LON": 12.25,
        "HDOP": 0.8,
        "ALT": 340,
        "GPS_SPEED": 18.52,
        "GPS_HEADING": 271.5,
        "NODE_BATTERY": 86,
    }
    assert form("id=a&lat=1&lon=2&speed_mps=10")[1]["GPS_SPEED"][1] == 36
    for stamp in (
        "1767323000",
        "1767323000000",
        "2026-01-02T03:03:20Z",
        "2026-01-02T04:03:20%2B01:00",
        "2026-01-02 03:03:20",
    ):
        assert form(f"deviceid=a&location=1,2&timestamp={stamp}")[1]["LAT"] == (1_767_323_000, 1)
    assert form("id=a&lat=1&lon=2")[1]["LON"] == (NOW_NS // 10**9, 2)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("id=a&lat=0&lon=0", "no fix"),
        ("id=a&lat=1&lon=2&valid=false", "no fix"),
        ("id=a&lat=1", "no fix"),
        ("id=a&lat=91&lon=2", "value"),
        ("id=a&lat=NaN&lon=2", "value"),
        ("id=a&lat=1&lon=2&timestamp=now", "time"),
        ("id=a&lat=1&lon=2&timestamp=1", "past"),
        ("id=a&lat=1&lon=2&timestamp=999999999999999", "future"),
    ],
)
def test_no_half_and_no_false_position(query: str, reason: str) -> None:
    """What is no position is counted, and neither half of it is stored."""
    _, found, wrong = form(query)
    assert found == {}
    assert wrong == [reason]


def message(**changes: Any) -> bytes:
    """A message as Traccar Client 9 sends it (lib/preferences.dart of traccar-client)."""
    location = {
        "timestamp": "2026-01-02T03:03:20.500Z",
        "coords": {
            "latitude": 49.5,
            "longitude": 12.25,
            "accuracy": 4.1,
            "speed": 10,
            "heading": 271.5,
            "altitude": 340.2,
        },
        "is_moving": True,
        "odometer": 1234.5,
        "event": "motionchange",
        "battery": {"level": 0.5, "is_charging": False},
        "activity": {"type": "in_vehicle"},
        "extras": {},
        "_": "&id=48241179&lat=49.5&lon=12.25&timestamp=2026-01-02T03:03:20.500Z&",
    }
    return json.dumps({"location": {**location, **changes}, "device_id": "48241179"}).encode()


def test_traccar_client_9() -> None:
    """Its JSON has metres a second, a battery from 0 to 1, and -1 for what it does not know."""
    sender, gathered = read_message(message(), NOW_NS)
    assert sender == "48241179"
    assert {name: value for name, (_, value) in rows(gathered).items()} == {
        "LAT": 49.5,
        "LON": 12.25,
        "GPS_SPEED": 36,
        "GPS_HEADING": 271.5,
        "ALT": 340.2,
        "NODE_BATTERY": 50,
    }
    unknown = {"latitude": 1, "longitude": 2, "speed": -1, "heading": -1}
    _, gathered = read_message(message(coords=unknown, battery={"level": -1}), NOW_NS)
    assert set(rows(gathered)) == {"LAT", "LON"}
    several = json.loads(message())
    several["location"] = [several["location"], several["location"]]
    _, gathered = read_message(json.dumps(several).encode(), NOW_NS)
    batch = gathered.batch(NOW_NS, 1)
    assert batch is not None
    assert batch.size == 12


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"location": {}}', b"\xff", b"[" * 100_000, b'{"location": 5}']
)
def test_other_json_is_refused(body: bytes) -> None:
    """What is no message is 400, with what was expected."""
    with pytest.raises(Refusal, match="Traccar Client") as refused:
        read_message(body, NOW_NS)
    assert refused.value.status == 400


@given(st.dictionaries(st.sampled_from(["id", "lat", "lon", "timestamp", "speed", "x"]), st.text()))
def test_whatever_comes(parameters: dict[str, str]) -> None:
    """A request is taken, or refused with 400; nothing else."""
    try:
        read_form(list(parameters.items()), NOW_NS)[1].batch(NOW_NS, 1)
    except Refusal as refusal:
        assert refusal.status == 400  # noqa: PT017 (it may be taken, too)
