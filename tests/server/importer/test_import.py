"""`telerig import` into a gateway."""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from server.gateway import Gateway
from server.history.reader import Wanted, columns
from server.importer.cli import COMMAND
from server.wire.telemetry_pb2 import Readings
from tests.server.importer.files import START_S, s0, s1, s3

SECRET = "correct horse battery"
API = f"[api]\nsecret = '{SECRET}'\n"


async def run(gateway: Gateway | None, *arguments: str) -> int:
    """Run the command beside the gateway."""
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)
    place = [] if gateway is None else ["--url", gateway.url, "--secret", SECRET]
    return await asyncio.to_thread(COMMAND.run, parser.parse_args([*arguments, *place]))


async def stored(gateway: Gateway, device: str) -> dict[int, list[tuple[int, float]]]:
    """All readings of a device by signal."""
    found: dict[int, list[tuple[int, float]]] = {}
    async with gateway.pool.acquire() as connection:
        async for column in columns(connection, Wanted(device)):
            rows = zip(column.times_ns, column.values, strict=True)
            found.setdefault(column.signal, []).extend(rows)
    return found


@pytest.mark.promise("T01")
async def test_the_files_of_three_systems(
    run_gateway: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Readings, instants, units, sessions and devices arrive; the same file again adds nothing,
    a grown one its rest, with other signals left out the numbers stay."""
    async with run_gateway(API) as gateway:
        file = str(s0(tmp_path / "s0.db"))
        assert await run(gateway, file, "--device", "focus", "--json") == 0
        assert json.loads(capsys.readouterr().out) == {
            "accepted": 180,
            "duplicates": 0,
            "rejected": 0,
            "left_out": 0,
            "sessions": 1,
            "examples": [],
        }
        found = await stored(gateway, "focus")
        assert found[12][0] == (START_S * 10**9 + 250_000_000, 800)
        assert found[5][0][1] == pytest.approx(87.78, abs=0.01)
        assert {signal: len(rows) for signal, rows in found.items()} == {12: 60, 5: 60, 2001: 60}
        async with gateway.pool.acquire() as connection:
            session = await connection.fetchrow("SELECT * FROM sessions WHERE device = 'focus'")
        assert session["name"] == "Track day"
        assert (session["opened_ns"], session["closed_ns"]) == (
            START_S * 10**9,
            (START_S + 60) * 10**9,
        )

        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(
                "INSERT INTO data_points VALUES (NULL, 'a1b2', ?, 'RPM', 3000, 'rpm')",
                (START_S + 70,),
            )
        await gateway.compactor.run_once(all_of_it=True)
        assert await run(gateway, file, "--device", "focus", "--map", "BOOST=-", "--json") == 0
        again = json.loads(capsys.readouterr().out)
        assert (again["accepted"], again["duplicates"]) == (1, 120)

        assert await run(gateway, str(s1(tmp_path / "s1.db")), "--device", "st") == 2
        assert "custom.cup_holder" in capsys.readouterr().err
        assert await run(gateway, str(tmp_path / "s1.db"), "--device", "st", "--skip-unknown") == 0
        assert "120 readings imported" in capsys.readouterr().out
        assert await run(gateway, str(s3(tmp_path / "s3.db"))) == 0
        assert len((await stored(gateway, "esp-2"))[4021]) == 20
        devices = {device.id for device in await gateway.registry.devices()}
        assert devices >= {"focus", "st", "esp-1", "esp-2"}
        assert await gateway.registry.keys("esp-2") == []


async def test_the_gateways_own_id_is_refused(run_gateway: Callable[..., Any]) -> None:
    """Nothing is imported as the gateway's own links, and no device of that id is made."""
    body = Readings(boot=1, seq=1)
    body.columns.add(
        signal="RPM",
        first_time_ns=START_S * 10**9,
        step_ns=[1],
        values=struct.pack("<2d", 800.0, 900.0),
    )
    headers = {"X-API-Key": SECRET, "Content-Type": "application/x-protobuf"}
    async with (
        run_gateway(API) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, headers=headers) as client,
    ):
        own = gateway.config.device
        path = f"/api/v1/import/{own}/readings"
        refused = await client.post(path, content=body.SerializeToString())
        assert (refused.status_code, refused.json()["where"]) == (409, "id")
        assert await gateway.registry.find(own) is None


async def test_looking_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--dry-run needs no gateway, shows tables, signals and sessions, and changes nothing."""
    file = s1(tmp_path / "s1.db")
    before = file.read_bytes()
    assert await run(None, str(file), "--dry-run") == 0
    text = capsys.readouterr().out
    assert "gps.speed" in text
    assert "GPS_SPEED (x 3.6)" in text
    assert "no signal of this name is known" in text
    assert "Commute" in text
    assert await run(None, str(file), "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["sessions"][0]["readings"] == 150
    assert file.read_bytes() == before
    assert await run(None, str(tmp_path / "none.db"), "--dry-run") == 2


async def test_values_out_of_range_are_told(
    run_gateway: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the gateway refuses is counted and shown; instants that go back are kept; only an
    admin may import."""
    file = s0(tmp_path / "s0.db", seconds=3)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany(
            "INSERT INTO data_points VALUES (NULL, 'a1b2', ?, 'RPM', ?, 'rpm')",
            [(START_S + 1, 1e9), (START_S + 0.5, 900), (START_S + 0.1, 901)],
        )
    async with run_gateway(API) as gateway:
        assert await run(gateway, str(file), "--device", "focus", "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["accepted"], told["rejected"]) == (11, 1)
        assert "16383.8 rpm" in told["examples"][0]
        assert [value for _, value in (await stored(gateway, "focus"))[12]] == [
            901,
            800,
            900,
            801,
            802,
        ]
        parser = argparse.ArgumentParser()
        COMMAND.add_arguments(parser)
        wrong = parser.parse_args(
            [str(file), "--device", "x", "--url", gateway.url, "--secret", "wrong horse battery"]
        )
        assert await asyncio.to_thread(COMMAND.run, wrong) == 1
        assert "X-API-Key" in capsys.readouterr().err
