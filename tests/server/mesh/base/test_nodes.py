"""Messages of ordinary Meshtastic nodes as readings, and what of them is refused."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meshtastic.protobuf import mesh_pb2, telemetry_pb2

from server.catalogue import by_id
from server.mesh.base.nodes import AHEAD_S, OLDEST_S, metadata, name_of, readings_of
from server.mesh.radio.packets import BROADCAST, Packet

NOW_S = 1_790_000_000


def packet(message: Any, port: int, *, heard_s: int = 0, rssi: float | None = -90.0) -> Packet:
    """A packet with a message, or with bytes."""
    payload = message if isinstance(message, bytes) else message.SerializeToString()
    return Packet(
        5, BROADCAST, port, payload, 1, 0, 2, 7.5, rssi, NOW_S * 10**9 + 5, heard_s=heard_s
    )


def position(**fields: Any) -> Packet:
    """A position in Spain, a minute ago."""
    whole = {"latitude_i": 405000000, "longitude_i": -36000000, "timestamp": NOW_S - 60} | fields
    return packet(mesh_pb2.Position(**{k: v for k, v in whole.items() if v is not None}), 3)


def named(packet: Packet, counts: Counter[str] | None = None) -> dict[str, float]:
    """Readings by name."""
    found = readings_of(packet, Counter() if counts is None else counts)
    return {by_id(reading.signal).name: reading.value for reading in found}


def test_metadata() -> None:
    """SNR, RSSI and hops are readings at the instant of arrival; what is not told is not there."""
    found = metadata(packet(b"", 1))
    assert {(by_id(r.signal).name, r.value) for r in found} == {
        ("MESH_SNR", 7.5),
        ("MESH_RSSI", -90.0),
        ("MESH_HOPS", 2.0),
    }
    assert {r.time_ns for r in found} == {NOW_S * 10**9 + 5}
    assert {by_id(r.signal).name for r in metadata(packet(b"", 1, rssi=None))} == {
        "MESH_SNR",
        "MESH_HOPS",
    }
    odd = packet(b"", 1, rssi=float("nan"))
    assert "MESH_RSSI" not in {by_id(r.signal).name for r in metadata(odd)}


def test_a_whole_position() -> None:
    """All that the message tells is a reading at the fix's own instant; speed is in km/h."""
    full = position(
        altitude=650,
        ground_speed=72,
        ground_track=18050000,
        HDOP=95,
        sats_in_view=11,
        precision_bits=13,
    )
    assert named(full) == {
        "LAT": 40.5,
        "LON": -3.6,
        "ALT": 650.0,
        "GPS_SPEED": 72.0,
        "GPS_HEADING": 180.5,
        "HDOP": 0.95,
        "SATS": 11.0,
        "MESH_PRECISION": 13.0,
    }
    assert {r.time_ns for r in readings_of(full, Counter())} == {(NOW_S - 60) * 10**9}


@pytest.mark.parametrize(
    "fields",
    [
        {"latitude_i": 0, "longitude_i": 0},
        {"latitude_i": None},
        {"longitude_i": None},
        {"latitude_i": 900000001},
        {"longitude_i": -1800000001},
        {"timestamp": NOW_S + AHEAD_S + 1},
        {"timestamp": OLDEST_S - 1},
        {"timestamp": 0, "time": 5},
    ],
)
def test_positions_that_cannot_be(fields: dict[str, Any]) -> None:
    """Null island, half a position, places that are none, clocks that were never set."""
    counts: Counter[str] = Counter()
    assert not readings_of(position(**fields), counts)
    assert (counts["positions_refused"], counts["positions"]) == (1, 0)


def test_parts_of_a_position_that_cannot_be() -> None:
    """An absurd altitude or speed is left out, the rest is kept."""
    counts: Counter[str] = Counter()
    found = named(position(altitude=10**8, ground_speed=4_000_000, ground_track=40000000), counts)
    assert set(found) == {"LAT", "LON"}
    assert counts["values_refused"] == 3


def test_the_instant_of_a_message() -> None:
    """Its own, else when the radio heard it, else now; never now for what the radio remembers."""
    bare = mesh_pb2.Position(latitude_i=1, longitude_i=1)
    heard = readings_of(packet(bare, 3, heard_s=NOW_S - 7), Counter())
    assert {r.time_ns for r in heard} == {(NOW_S - 7) * 10**9}
    now = readings_of(packet(bare, 3), Counter())
    assert {r.time_ns for r in now} == {NOW_S * 10**9 + 5}
    assert not readings_of(packet(bare, 3, rssi=None), Counter())
    fixed = mesh_pb2.Position(latitude_i=1, longitude_i=1, time=NOW_S - 9)
    assert {r.time_ns for r in readings_of(packet(fixed, 3), Counter())} == {(NOW_S - 9) * 10**9}


def test_telemetry() -> None:
    """Device, environment and power metrics; 101 % is how a node says that it is plugged in."""
    device = telemetry_pb2.Telemetry(time=NOW_S)
    device.device_metrics.battery_level = 101
    device.device_metrics.voltage = 4.125
    device.device_metrics.channel_utilization = 12.5
    device.device_metrics.air_util_tx = 0.5
    device.device_metrics.uptime_seconds = 3600
    assert named(packet(device, 67)) == {
        "NODE_VOLTAGE": 4.125,
        "NODE_CHANNEL_UTILISATION": 12.5,
        "NODE_AIRTIME": 0.5,
        "NODE_UPTIME": 3600.0,
    }
    air = telemetry_pb2.Telemetry(time=NOW_S)
    air.environment_metrics.temperature = -12.5
    air.environment_metrics.relative_humidity = 55.0
    air.environment_metrics.barometric_pressure = 1013.25
    air.environment_metrics.lux = 400.0
    air.environment_metrics.wind_speed = 4.0
    air.environment_metrics.wind_direction = 270
    assert len(named(packet(air, 67))) == 6
    power = telemetry_pb2.Telemetry(time=NOW_S)
    power.power_metrics.ch1_voltage = 12.5
    power.power_metrics.ch3_current = -250.0
    assert named(packet(power, 67)) == {"POWER_1_VOLTAGE": 12.5, "POWER_3_CURRENT": -250.0}


def test_telemetry_that_cannot_be() -> None:
    """NaN, infinities and absurd values are counted; kinds that are not stored are, too."""
    counts: Counter[str] = Counter()
    air = telemetry_pb2.Telemetry(time=NOW_S)
    air.environment_metrics.temperature = float("nan")
    air.environment_metrics.relative_humidity = 300.0
    air.environment_metrics.lux = float("inf")
    assert not readings_of(packet(air, 67), counts)
    assert counts["values_refused"] == 3
    air.time = 4_000_000_000
    assert not readings_of(packet(air, 67), counts)
    assert counts["telemetry_refused"] == 1
    local = telemetry_pb2.Telemetry(time=NOW_S)
    local.local_stats.uptime_seconds = 1
    readings_of(packet(local, 67), counts)
    readings_of(packet(telemetry_pb2.Telemetry(), 67), counts)
    assert counts["telemetry_other"] == 2


def test_names() -> None:
    """A node's name is shown as text of one line; without one there is none."""
    counts: Counter[str] = Counter()
    user = mesh_pb2.User(long_name=" Hill\n\x1b[31m " + "x" * 100)
    assert name_of(packet(user, 4), counts) == "Hill[31m " + "x" * 28
    assert name_of(packet(user, 3), counts) == ""
    assert name_of(packet(b"\xff", 4), counts) == ""
    assert (counts["node_infos"], counts["node_payloads_bad"]) == (1, 1)


@given(payload=st.binary(max_size=240), port=st.sampled_from([1, 3, 4, 5, 67, 70, 256, 300]))
def test_any_bytes(payload: bytes, port: int) -> None:
    """No bytes end the receiver, and no reading leaves its signal's range."""
    counts: Counter[str] = Counter()
    for reading in readings_of(packet(payload, port), counts):
        signal = by_id(reading.signal)
        assert signal.minimum <= reading.value <= signal.maximum
        assert OLDEST_S * 10**9 <= reading.time_ns <= (NOW_S + AHEAD_S) * 10**9
    name_of(packet(payload, port), counts)
