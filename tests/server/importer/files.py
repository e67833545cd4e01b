"""SQLite files as the three older systems made them, as far as their words are known."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

START_S = 1_767_323_045  # 2026-01-02T03:04:05Z


def make(path: Path, script: str, rows: dict[str, list[tuple[object, ...]]]) -> Path:
    """Make a file of tables and rows; adds to one that is there."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(script)
        for table, content in rows.items():
            marks = ",".join("?" * len(content[0]))
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", content)
    return path


def s0(path: Path, seconds: int = 60) -> Path:
    """Sessions with opaque ids; a row for each PID and value."""
    data = []
    for i in range(seconds):
        at = START_S + i + 0.25
        data += [
            (None, "a1b2", at, "RPM", 800.0 + i, "rpm"),
            (None, "a1b2", at, "COOLANT_TEMP", 190.0, "°F"),
            (None, "a1b2", at, "BOOST", 10.5, "psi"),
        ]
    return make(
        path,
        """
        CREATE TABLE sessions (id TEXT PRIMARY KEY, name TEXT, started_at REAL, ended_at REAL);
        CREATE TABLE data_points (id INTEGER PRIMARY KEY, session_id TEXT, timestamp REAL, pid TEXT,
            value REAL, unit TEXT);
        CREATE TABLE alerts (id INTEGER PRIMARY KEY, name TEXT, pid TEXT, threshold REAL);
        """,
        {
            "sessions": [("a1b2", "Track day", START_S, START_S + seconds)],
            "data_points": data,
            "alerts": [(1, "hot", "COOLANT_TEMP", 230.0)],
        },
    )


def s1(path: Path) -> Path:
    """Sessions with names and drivers; signals by source and channel; snapshots beside them."""
    signals: list[tuple[object, ...]] = []
    frames: list[tuple[object, ...]] = []
    for i in range(30):
        at = f"2026-01-02 03:04:{i:02}.500000"
        signals += [
            (None, 1, "obd", at, "speed", 50.0 + i, None, "kph", "ok"),
            (None, 1, "gps", at, "speed", 14.0, None, "m/s", "ok"),
            (None, 1, "gps", at, "latitude", 49.0 + i / 1000, None, "deg", "ok"),
            (None, 1, "gps", at, "longitude", 12.0, None, "deg", "ok"),
            (None, 1, "obd", at, "dtc", None, "P0301", "", "ok"),
            (None, 1, "custom", at, "cup_holder", 1.0, None, "", "ok"),
        ]
        frames.append((None, 1, at, json.dumps({"obd": {"speed": 50.0 + i}})))
    return make(
        path,
        """
        CREATE TABLE alembic_version (version_num TEXT);
        CREATE TABLE sessions (id INTEGER PRIMARY KEY, name TEXT, car_id TEXT, driver TEXT,
            created_utc TEXT, started_utc TEXT, ended_utc TEXT);
        CREATE TABLE signals (id INTEGER PRIMARY KEY, session_id INTEGER, source TEXT, ts_utc TEXT,
            channel TEXT, value_num REAL, value_text TEXT, unit TEXT, quality TEXT);
        CREATE TABLE frames (id INTEGER PRIMARY KEY, session_id INTEGER, ts_utc TEXT,
            payload_json TEXT);
        """,
        {
            "alembic_version": [("1",)],
            "sessions": [
                (1, "Commute", "st", "Ada", "2026-01-02 03:00:00", "2026-01-02 03:04:00", None)
            ],
            "signals": signals,
            "frames": frames,
        },
    )


def s3(path: Path) -> Path:
    """Devices, and readings with an object for each instant."""
    readings: list[tuple[object, ...]] = [
        (
            None,
            number,
            f"2026-01-02T03:04:{i:02}+00:00",
            json.dumps({"temperature": 21.5 + i, "humidity": 40 + number, "online": True}),
        )
        for i in range(20)
        for number in (1, 2)
    ]
    return make(
        path,
        """
        CREATE TABLE devices (id INTEGER PRIMARY KEY, device_id TEXT, name TEXT);
        CREATE TABLE readings (id INTEGER PRIMARY KEY, device_id INTEGER, timestamp TEXT,
            data TEXT);
        """,
        {"devices": [(1, "esp-1", "Shed"), (2, "esp 2!", "Barn")], "readings": readings},
    )
