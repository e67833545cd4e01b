"""Telemetry JSON of ThingsBoard devices."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.answers import Refusal
from server.catalogue import SHORT_NAMES, by_name
from server.dialects.gathered import Gathered
from server.dialects.thingsboard import read_telemetry
from server.store.body import floats

NOW_NS = 1_767_323_045_000_000_000
KEYS = {"temperature": by_name("AMBIANT_AIR_TEMP").id}


def read(content: Any) -> Gathered:
    """What a body holds."""
    return read_telemetry(json.dumps(content).encode(), KEYS, NOW_NS)


def rows(gathered: Gathered) -> list[tuple[str, int, float]]:
    """The good readings: name, milliseconds, value."""
    batch = gathered.batch(NOW_NS, 1)
    return [
        (SHORT_NAMES[column.signal], time_ns // 1_000_000, value)
        for column in (batch.good.columns if batch is not None else ())
        for time_ns, value in zip(column.times_ns, floats(column.values), strict=True)
    ]


def test_all_forms() -> None:
    """Keys and values get the gateway's instant; ts and values their own; lists hold either."""
    now_ms = NOW_NS // 1_000_000
    assert rows(read({"RPM": 812.5, "temperature": 21})) == [
        ("RPM", now_ms, 812.5),
        ("AMBIANT_AIR_TEMP", now_ms, 21),
    ]
    stamped = {"ts": 1451649600512, "values": {"Vehicle.Speed": 50, "5": 88}}
    assert rows(read(stamped)) == [
        ("COOLANT_TEMP", 1451649600512, 88),
        ("SPEED", 1451649600512, 50),
    ]
    both = [stamped, {"ts": 1451649600512, "values": {"SPEED": 51}}, {"SPEED": "52.5"}]
    assert [row for row in rows(read(both)) if row[0] == "SPEED"] == [
        ("SPEED", 1451649600512, 50),
        ("SPEED", 1451649600512, 51),
        ("SPEED", now_ms, 52.5),
    ]


@pytest.mark.parametrize("stamp", ["1451649600512", 1451649600512.0, "1451649600512.9"])
def test_instants_as_clients_send_them(stamp: object) -> None:
    """A text, or a number with decimals, is an instant as well: some clients have no others."""
    assert rows(read({"ts": stamp, "values": {"RPM": 1}})) == [("RPM", 1451649600512, 1)]


def test_what_is_no_signal_is_left_out() -> None:
    """Unknown keys, flags, texts, objects and values out of range are counted, the rest is kept."""
    content = {"RPM": 1e9, "SPEED": 5, "lights": 1, "MAF": True, "LAT": "north", "LON": {"a": 1}}
    gathered = read({**content, "9" * 5000: 1})
    assert [row[0] for row in rows(gathered)] == ["SPEED"]
    assert gathered.problems.count == 6
    assert set(gathered.problems.by_reason) == {"value", "unknown signal", "not a number"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"7",
        b"[1]",
        b'{"ts": "soon", "values": {"RPM": 1}}',
        b'{"ts": -1, "values": {"RPM": 1}}',
        b'{"ts": true, "values": {"RPM": 1}}',
        b'{"ts": 1e300, "values": {"RPM": 1}}',
        b'{"ts": "9999999999999999999", "values": {"RPM": 1}}',
        b'{"ts": 1, "values": [1]}',
        b"{" * 10_000,
        b'{"RPM": NaN}',
        b"[" + b"{}," * 10_001 + b"{}]",
    ],
)
def test_other_content_is_refused(body: bytes) -> None:
    """What is no telemetry is 400, as ThingsBoard answers it."""
    with pytest.raises(Refusal) as refused:
        read_telemetry(body, KEYS, NOW_NS)
    assert refused.value.status == 400


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


@given(_values)
def test_whatever_comes(content: Any) -> None:
    """A body is taken, or refused with 400; nothing else."""
    try:
        read(content).batch(NOW_NS, 1)
    except Refusal as refusal:
        assert refusal.status == 400  # noqa: PT017 (it may be taken, too)
