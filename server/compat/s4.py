"""S4's words.

    out  {"type": "history", "data": [record, …]}      at the beginning, oldest first
    out  {"type": "telemetry", "data": record}
    out  {"type": "log", "data": {"message", "level", "timestamp"}}       of the logger process
    out  {"type": "compression_stats", "data": {"total_readings", "transmitted_readings",
          "skipped_readings", "compression_ratio"}}                       when they have changed
    in   {"type": "start_logger"}, {"type": "stop_logger"}

    record: {"timestamp": unix seconds, "speed", "battery", "power", "heading", "latitude",
             "longitude", "vehicle_vin"}; null: not known yet

A record is made for each instant at which one of these was read or completed; the other fields
have their newest value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from server.answers import BadParameter
from server.catalogue import by_name
from server.compat.channel import text_of, unknown_message
from server.compat.edge import DEVICE_PREFIX
from server.errors import LoggerError
from server.live.events import Event, Notice, Readings
from server.store.body import decode_body

if TYPE_CHECKING:
    from server.gateway import Gateway

HISTORY_RECORDS = 200
HISTORY_DEVICES = 50
HISTORY_ROWS = 20
HISTORY_READINGS = 20_000
VEHICLES_LIMIT = 10_000
_FIELDS = {
    by_name(signal).id: field
    for field, signal in (
        ("speed", "SPEED"),
        ("battery", "BATTERY_LEVEL"),
        ("power", "BATTERY_POWER"),
        ("heading", "GPS_HEADING"),
        ("latitude", "LAT"),
        ("longitude", "LON"),
    )
}
_NOTHING = dict.fromkeys(_FIELDS.values())
_HISTORY = """
    SELECT asked.device, newest.body
    FROM unnest($1::text[]) AS asked(device)
    CROSS JOIN LATERAL (
        SELECT written_ns, body FROM hot WHERE hot.device = asked.device
        ORDER BY written_ns DESC LIMIT $2
    ) AS newest
    ORDER BY newest.written_ns DESC
"""

Row = tuple[int, int, float | None]
"""Signal, instant, value."""


class Records:
    """Puts readings together to records."""

    def __init__(self) -> None:
        self._newest: dict[str, dict[str, float | None]] = {}

    def take(self, device: str, vin: str, rows: Iterable[Row]) -> list[dict[str, Any]]:
        """Give the records that these readings make, by instant."""
        by_instant: dict[int, dict[str, float | None]] = {}
        for signal, time_ns, value in rows:
            field = _FIELDS.get(signal)
            if field is not None:
                by_instant.setdefault(time_ns, {})[field] = value
        if not by_instant:
            return []
        if len(self._newest) > VEHICLES_LIMIT:
            self._newest.clear()
        newest = self._newest.setdefault(device, dict(_NOTHING))
        records = []
        for time_ns in sorted(by_instant):
            newest.update(by_instant[time_ns])
            records.append({"timestamp": time_ns / 1e9, **newest, "vehicle_vin": vin})
        return records


class S4:
    """The dialect `telerig.s4`."""

    subprotocol = "telerig.s4"

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._records = Records()
        self._vins: dict[str, str] = {}
        self._told_stats: object = None
        gateway.edge.on_count = self._counted

    async def first(self) -> Sequence[bytes]:
        """Give the newest stored records of all vehicles, and the statistics."""
        devices = await self._gateway.registry.devices()
        self._vins = {device.id: device.vin for device in devices if device.vin is not None}
        edges = [device.id for device in devices if device.id.startswith(DEVICE_PREFIX)]
        others = [device.id for device in devices if not device.id.startswith(DEVICE_PREFIX)]
        asked = [self._gateway.config.device, *edges, *others][:HISTORY_DEVICES]
        async with self._gateway.pool.acquire() as connection:
            rows = await connection.fetch(_HISTORY, asked, HISTORY_ROWS)
        readings: dict[str, list[Row]] = {}
        taken = 0
        for row in rows:
            if taken >= HISTORY_READINGS:
                break
            found = [(r.signal, r.time_ns, r.value) for r in decode_body(row["body"])]
            readings.setdefault(row["device"], []).extend(found)
            taken += len(found)
        records = [
            record
            for device, found in readings.items()
            for record in Records().take(device, self._vin(device), found)
        ]
        records.sort(key=lambda record: float(record["timestamp"]))
        return [
            text_of({"type": "history", "data": records[-HISTORY_RECORDS:]}),
            self._stats(await self._gateway.edge.stats()),
        ]

    def say(self, event: Event) -> Sequence[bytes]:
        """Give records, lines of the logger, and statistics that have changed."""
        if isinstance(event, Notice):
            frame = event.content
            if frame["type"] != "log":
                return ()
            return [_log(frame["text"], frame["level"], frame["time_ns"])]
        assert isinstance(event, Readings)
        device = event.device
        rows = ((row[1], row[2], row[3]) for row in event.rows)
        return [
            text_of({"type": "telemetry", "data": record})
            for record in self._records.take(device, self._vin(device), rows)
        ]

    def _counted(self) -> None:
        """Tell the statistics where they have changed."""
        stats = self._gateway.edge.stats_now
        if stats != self._told_stats:
            self._told_stats = stats
            self._gateway.hub.say(self, [self._stats(stats)])

    def dropped(self, count: int) -> bytes:
        """Say nothing: these clients know no such message, and the next record is whole."""
        return b""

    async def heard(self, message: dict[str, Any]) -> Sequence[bytes]:
        """Start or stop the logger; what becomes of it comes as log messages."""
        match message.get("type"):
            case "start_logger":
                try:
                    started = await self._gateway.logger.start()
                except LoggerError as error:
                    return [self._note(f"logger not started: {error}", "error")]
                return () if started else [self._note("logger runs already", "info")]
            case "stop_logger":
                stopped = await self._gateway.logger.stop()
                return () if stopped else [self._note("no logger runs", "info")]
        raise unknown_message(message, '"start_logger" or "stop_logger"')

    def complaint(self, problem: BadParameter) -> bytes:
        """Give the reason of a refusal, as a line of the log."""
        return self._note(str(problem), "error")

    def _note(self, text: str, level: str) -> bytes:
        return _log(text, level, self._gateway.clock.now_ns())

    def _vin(self, device: str) -> str:
        if device.startswith(DEVICE_PREFIX):
            return device.removeprefix(DEVICE_PREFIX)
        if device == self._gateway.config.device:
            return self._gateway.vin or device
        return self._vins.get(device, device)

    @staticmethod
    def _stats(stats: msgspec.Struct) -> bytes:
        return text_of({"type": "compression_stats", "data": stats})


def _log(text: str, level: str, time_ns: int) -> bytes:
    data = {"message": text, "level": level, "timestamp": time_ns / 1e9}
    return text_of({"type": "log", "data": data})
