"""What ordinary Meshtastic nodes say of themselves, as readings: Position, Telemetry, NodeInfo.

Whatever cannot be is refused and counted; what is not told is not stored. An instant is the node's
own where it has one, else that of the radio, else that of the arrival.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from google.protobuf.message import DecodeError

from server.catalogue import Signal, by_name
from server.mesh.radio.packets import NODEINFO_PORT, POSITION_PORT, TELEMETRY_PORT, Packet
from server.readings import Reading

OLDEST_S = 1_577_836_800
"""2020-01-01: earlier, a node's clock was never set."""
AHEAD_S = 3600
NAME_CHARACTERS = 40
_EXTERNAL_POWER_PCT = 101
_DEG = 1e-7

_SNR, _RSSI, _HOPS = (by_name(name) for name in ("MESH_SNR", "MESH_RSSI", "MESH_HOPS"))
_LAT, _LON, _PRECISION = (by_name(name) for name in ("LAT", "LON", "MESH_PRECISION"))

# message of the telemetry -> field, signal
_TELEMETRY: dict[str, tuple[tuple[str, Signal], ...]] = {
    variant: tuple((field, by_name(name)) for field, name in fields)
    for variant, fields in {
        "device_metrics": (
            ("battery_level", "NODE_BATTERY"),
            ("voltage", "NODE_VOLTAGE"),
            ("channel_utilization", "NODE_CHANNEL_UTILISATION"),
            ("air_util_tx", "NODE_AIRTIME"),
            ("uptime_seconds", "NODE_UPTIME"),
        ),
        "environment_metrics": (
            ("temperature", "ENV_TEMPERATURE"),
            ("relative_humidity", "ENV_HUMIDITY"),
            ("barometric_pressure", "ENV_PRESSURE"),
            ("lux", "ENV_LUX"),
            ("wind_speed", "ENV_WIND_SPEED"),
            ("wind_direction", "ENV_WIND_DIRECTION"),
        ),
        "power_metrics": tuple(
            (f"ch{channel}_{field}", f"POWER_{channel}_{field.upper()}")
            for channel in (1, 2, 3)
            for field in ("voltage", "current")
        ),
    }.items()
}


def metadata(packet: Packet) -> list[Reading]:
    """Give what the radio measured of a packet."""
    found = ((_SNR, packet.snr_db), (_RSSI, packet.rssi_dbm), (_HOPS, packet.hops))
    return [
        Reading(signal.id, packet.received_ns, float(value), packet.received_ns)
        for signal, value in found
        if value is not None and signal.minimum <= value <= signal.maximum
    ]


def readings_of(packet: Packet, counts: Counter[str]) -> list[Reading]:
    """Give the readings in a packet of an ordinary node; count what is refused in `counts`."""
    if packet.port == POSITION_PORT:
        return _position(packet, counts)
    if packet.port == TELEMETRY_PORT:
        return _telemetry(packet, counts)
    return []


def name_of(packet: Packet, counts: Counter[str]) -> str:
    """Give the name in a NodeInfo; empty where there is none."""
    from meshtastic.protobuf import mesh_pb2

    if packet.port != NODEINFO_PORT:
        return ""
    user = _read(mesh_pb2.User(), packet, counts)
    if user is None:
        return ""
    counts["node_infos"] += 1
    return "".join(c for c in user.long_name[:NAME_CHARACTERS] if c.isprintable()).strip()


def _position(packet: Packet, counts: Counter[str]) -> list[Reading]:
    from meshtastic.protobuf import mesh_pb2

    position = _read(mesh_pb2.Position(), packet, counts)
    if position is None:
        return []
    lat, lon = position.latitude_i * _DEG, position.longitude_i * _DEG
    has_both = position.HasField("latitude_i") and position.HasField("longitude_i")
    # 0, 0 is what a receiver without a fix says.
    is_fix = has_both and (position.latitude_i, position.longitude_i) != (0, 0)
    time_ns = _time_ns(position.timestamp or position.time, packet)
    if not is_fix or time_ns is None or abs(lat) > 90.0 or abs(lon) > 180.0:
        counts["positions_refused"] += 1
        return []
    counts["positions"] += 1
    found: list[tuple[Signal, float]] = [(_LAT, round(lat, 7)), (_LON, round(lon, 7))]
    if position.HasField("altitude"):
        found.append((by_name("ALT"), float(position.altitude)))
    if position.HasField("ground_speed"):
        # km/h, although mesh.proto says m/s: firmware src/gps/GPS.cpp, `reader.speed.kmph()`.
        found.append((by_name("GPS_SPEED"), float(position.ground_speed)))
    if position.HasField("ground_track"):
        found.append((by_name("GPS_HEADING"), position.ground_track / 1e5))
    if position.HDOP:
        found.append((by_name("HDOP"), position.HDOP / 100))
    if position.sats_in_view:
        found.append((by_name("SATS"), float(position.sats_in_view)))
    if position.precision_bits:
        found.append((_PRECISION, float(position.precision_bits)))
    return _checked(found, time_ns, packet, counts)


def _telemetry(packet: Packet, counts: Counter[str]) -> list[Reading]:
    from meshtastic.protobuf import telemetry_pb2

    telemetry = _read(telemetry_pb2.Telemetry(), packet, counts)
    if telemetry is None:
        return []
    variant = telemetry.WhichOneof("variant")
    fields = _TELEMETRY.get(variant or "")
    if fields is None:
        counts["telemetry_other"] += 1
        return []
    time_ns = _time_ns(telemetry.time, packet)
    if time_ns is None:
        counts["telemetry_refused"] += 1
        return []
    metrics = getattr(telemetry, variant)
    found = [
        (signal, float(getattr(metrics, field)))
        for field, signal in fields
        if metrics.HasField(field)
        and not (field == "battery_level" and metrics.battery_level == _EXTERNAL_POWER_PCT)
    ]
    counts["telemetry"] += 1
    return _checked(found, time_ns, packet, counts)


def _checked(
    found: list[tuple[Signal, float]], time_ns: int, packet: Packet, counts: Counter[str]
) -> list[Reading]:
    readings = []
    for signal, value in found:
        # Sensors that are broken send NaN; it is in no range.
        if math.isfinite(value) and signal.minimum <= value <= signal.maximum:
            readings.append(Reading(signal.id, time_ns, value, packet.received_ns))
        else:
            counts["values_refused"] += 1
    return readings


def _time_ns(told_s: int, packet: Packet) -> int | None:
    """Give the instant of a message; None where it cannot be."""
    now_s = packet.received_ns // 1_000_000_000
    if told_s:
        return told_s * 1_000_000_000 if OLDEST_S <= told_s <= now_s + AHEAD_S else None
    if OLDEST_S <= packet.heard_s <= now_s:
        return packet.heard_s * 1_000_000_000
    # Without RSSI it was not heard now: the radio repeats what it remembers, of whatever age.
    return packet.received_ns if packet.rssi_dbm is not None else None


def _read(message: Any, packet: Packet, counts: Counter[str]) -> Any | None:
    try:
        message.ParseFromString(packet.payload)
    except DecodeError:
        counts["node_payloads_bad"] += 1
        return None
    return message
