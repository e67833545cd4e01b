"""Downloads over HTTP, read by the programs that people use."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import zstandard

from server.gateway import Gateway
from tests.server.export.conftest import START_NS, drive

pytestmark = pytest.mark.asyncio(loop_scope="module")

SESSION = "/api/v1/export/sessions"


async def get(viewer: httpx2.AsyncClient, path: str, **query: Any) -> httpx2.Response:
    """Give a good answer."""
    answer = await viewer.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer


def table(text: str) -> list[dict[str, str]]:
    """The rows of CSV."""
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.promise("E16")
@pytest.mark.promise("E19")
@pytest.mark.promise("E20")
@pytest.mark.promise("T08")
async def test_signals_as_csv(viewer: httpx2.AsyncClient, session: int) -> None:
    """Each reading is a row, in time order; time, source, channel and signal filter, also with
    commas; the file has a name."""
    answer = await get(viewer, f"{SESSION}/{session}/signals.csv")
    rows = table(answer.text)
    assert len(rows) == 60 * (20 + 4)
    assert [int(row["time_ns"]) for row in rows] == sorted(int(row["time_ns"]) for row in rows)
    assert rows[0]["time"] == "2026-01-02T03:04:05.000000Z"
    first = {row["signal"]: row for row in rows[:6]}
    assert first["RPM"] == {
        "time": "2026-01-02T03:04:05.000000Z",
        "time_ns": str(START_NS),
        "source": "obd",
        "signal": "RPM",
        "value": "500.0",
        "unit": "rpm",
        "state": "measured",
    }
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    name = answer.headers["content-disposition"]
    assert f"telerig_esp-1_session-{session}_" in name
    assert name.endswith('_signals.csv"')

    some = await get(
        viewer,
        f"{SESSION}/{session}/signals.csv",
        sources="gps",
        channels="latitude,longitude,speed",
        start_time="2026-01-02T03:04:10Z",
        end_time="2026-01-02T04:04:15+01:00",
    )
    assert {row["signal"] for row in table(some.text)} == {"LAT", "LON", "GPS_SPEED"}
    assert len(table(some.text)) == 3 * 5
    repeated = await viewer.get(
        f"{SESSION}/{session}/signals.csv?signals=RPM&signals=Vehicle.Speed&channels=rpm"
    )
    assert {row["signal"] for row in table(repeated.text)} == {"RPM"}


@pytest.mark.promise("E18")
async def test_frames_as_csv(viewer: httpx2.AsyncClient, session: int) -> None:
    """A snapshot each second has a column for each signal, with the newest value."""
    answer = await get(viewer, f"{SESSION}/{session}/frames.csv", channels="rpm,latitude")
    rows = table(answer.text)
    assert list(rows[0]) == ["time", "time_ns", "RPM", "LAT"]
    assert len(rows) == 61  # the last one has what was read since the one before
    assert rows[10]["time"] == "2026-01-02T03:04:15.000000Z"
    assert float(rows[10]["LAT"]) == pytest.approx(49.001)
    fast = await get(
        viewer, f"{SESSION}/{session}/frames.csv", channels="rpm,latitude", period_ms=100
    )
    assert len(table(fast.text)) == 600


@pytest.mark.promise("E17")
@pytest.mark.promise("T08")
async def test_parquet_is_read_by_others(
    viewer: httpx2.AsyncClient, session: int, tmp_path: Any
) -> None:
    """pyarrow and DuckDB read the file: types, instants, values, the same rows as CSV."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    answer = await get(viewer, f"{SESSION}/{session}/signals.parquet")
    file = tmp_path / "signals.parquet"
    file.write_bytes(answer.content)
    read = parquet.read_table(file)
    assert str(read.schema.field("time").type) == "timestamp[ns, tz=UTC]"
    assert json.loads(read.schema.metadata[b"telerig"])["vin"] == "WF0DXXGAKDDK12345"
    rows = {
        (row["time"].value, row["signal"], row["value"])
        if hasattr(row["time"], "value")
        else (round(row["time"].timestamp() * 1000), row["signal"], row["value"])
        for row in read.to_pylist()
    }
    text = table((await get(viewer, f"{SESSION}/{session}/signals.csv")).text)
    assert rows == {
        (int(row["time_ns"]) // 1_000_000, row["signal"], float(row["value"])) for row in text
    }
    frames = await get(viewer, f"{SESSION}/{session}/frames.parquet", signals="SPEED")
    wide = parquet.read_table(io.BytesIO(frames.content))
    assert wide.column_names == ["time", "SPEED"]
    assert wide.schema.field("SPEED").metadata[b"unit"] == b"km/h"
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    found = duckdb.sql(
        f"SELECT signal, count(*), max(value) FROM '{file}' GROUP BY signal ORDER BY signal"
    ).fetchall()
    assert found[0] == ("ALT", 60, 340.5)
    assert len(found) == 6


@pytest.mark.promise("E03")
@pytest.mark.promise("T07")
async def test_json_and_the_older_path(viewer: httpx2.AsyncClient, session: int) -> None:
    """JSON is one document; POST /api/export gives the same of a session."""
    answer = await get(viewer, f"{SESSION}/{session}/signals.json")
    content = answer.json()
    assert content["session"]["device"] == "esp-1"
    assert len(content["readings"]) == 60 * 24
    assert {signal["signal"] for signal in content["signals"]} >= {"RPM", "LAT"}
    frames = (await get(viewer, f"{SESSION}/{session}/frames.json")).json()
    assert len(frames["frames"]) == 61
    assert frames["frames"][0]["values"]["ALT"] == 340.5

    old = await viewer.post("/api/export", json={"session_id": str(session), "format": "json"})
    assert old.json() == content
    assert "attachment" in old.headers["content-disposition"]
    wrong = {"session_id": session, "format": "doc"}
    assert (await viewer.post("/api/export", json=wrong)).status_code == 400
    assert (await viewer.post("/api/export", json={"session_id": 999_999})).status_code == 404


async def test_compressed_files(viewer: httpx2.AsyncClient, session: int) -> None:
    """The whole file may be gzip or zstd, and is then named so."""
    gz = await get(viewer, f"{SESSION}/{session}/signals.csv", compress="gzip")
    plain = gzip.decompress(gz.content)
    assert len(table(plain.decode())) == 60 * 24
    assert gz.headers["content-type"] == "application/gzip"
    assert gz.headers["content-disposition"].endswith('.csv.gz"')
    zst = await get(viewer, f"{SESSION}/{session}/signals.csv", compress="zstd")
    assert zstandard.ZstdDecompressor().stream_reader(zst.content).read() == plain
    assert len(zst.content) * 5 < len(plain)
    refused = await viewer.get(f"{SESSION}/{session}/signals.parquet", params={"compress": "gzip"})
    assert refused.status_code == 400


async def test_what_is_wrong_is_named(viewer: httpx2.AsyncClient, session: int) -> None:
    """Unknown sessions, filters, times and empty exports are told with a status and a reason."""
    between = f"start_ns={START_NS + 10**8}&end_ns={START_NS + 9 * 10**8}"  # two positions
    for path, status, where in (
        (f"{SESSION}/{session}/track.gpx?{between}", 404, "export"),
        (f"{SESSION}/{session}/track.gpx?{between}&compress=gzip", 404, "export"),
        (f"{SESSION}/{session}/track.kml?{between}&compress=zstd", 404, "export"),
        (f"{SESSION}/999999/signals.csv", 404, "session"),
        (f"{SESSION}/{session}/signals.csv?sources=sonar", 400, "sources"),
        (f"{SESSION}/{session}/signals.csv?channels=lattitude", 400, "channels"),
        (f"{SESSION}/{session}/signals.csv?sources=gps&channels=rpm", 400, "query"),
        (f"{SESSION}/{session}/signals.csv?start_time=yesterday", 400, "start_time"),
        (f"{SESSION}/{session}/signals.csv?start_ns=5&end_ns=5", 400, "end_time"),
        (f"{SESSION}/{session}/signals.csv?wishes=1", 400, "query"),
        (f"{SESSION}/{session}/signals.csv?end_time=2020-01-01", 404, "export"),
        ("/api/v1/export/devices/nobody/signals.csv", 404, "device"),
    ):
        answer = await viewer.get(path)
        assert answer.status_code == status, (path, answer.text)
        assert answer.json()["where"] == where, (path, answer.text)
    assert "latitude" in (await viewer.get(f"{SESSION}/1/signals.csv?channels=lattitude")).text


async def test_a_device_without_its_sessions(viewer: httpx2.AsyncClient, served: Gateway) -> None:
    """All boots of a device are one file."""
    answer = await get(viewer, "/api/v1/export/devices/esp-1/signals.csv", signals="ALT")
    assert len(table(answer.text)) == 60


async def test_so_many_at_a_time(served: Gateway, viewer: httpx2.AsyncClient, session: int) -> None:
    """Beyond the bound an export is refused, and told when to come again."""
    served.exports.running = served.config.export.concurrent
    answer = await viewer.get(f"{SESSION}/{session}/signals.csv")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    served.exports.running = 0
    await get(viewer, f"{SESSION}/{session}/signals.csv")


async def test_tracks_are_read_by_others(viewer: httpx2.AsyncClient, session: int) -> None:
    """gpxpy and a KML reader find each position with its instant, height and speed."""
    gpxpy = pytest.importorskip("gpxpy", reason="gpxpy is not installed")
    answer = await get(viewer, f"{SESSION}/{session}/track.gpx")
    assert answer.headers["content-type"] == "application/gpx+xml"
    track = gpxpy.parse(answer.text).tracks[0]
    points = track.segments[0].points
    assert len(track.segments) == 1
    assert len(points) == 60
    assert (points[1].latitude, points[1].longitude) == (49.0001, 12.0002)
    assert points[1].elevation == 340.5
    assert points[1].time.isoformat() == "2026-01-02T03:04:06+00:00"
    speed = points[1].extensions[0][0]
    assert (speed.tag.rpartition("}")[2], float(speed.text)) == ("speed", 10.0)

    fastkml = pytest.importorskip("fastkml", reason="fastkml is not installed")
    answer = await get(viewer, f"{SESSION}/{session}/track.kml")
    document = fastkml.KML.from_string(answer.text).features[0]
    items = document.features[0].geometry  # fastkml gives a gx:Track as a line
    coords = list(items.coords)
    assert len(coords) == 60
    assert coords[1] == (12.0002, 49.0001, 340.5)


def ask(served: Gateway, client: socket.socket) -> None:
    """Ask for more than the buffers of two sockets hold."""
    place = urlsplit(served.url)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((place.hostname, place.port))
    path = "/api/v1/export/devices/esp-2/signals.json"
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())


async def broken(served: Gateway, so_many: int) -> None:
    """Wait until so many exports have broken off; nothing of them is left."""
    async with asyncio.timeout(30):
        while served.exports.broken < so_many:  # noqa: ASYNC110 (it is a count, and no event)
            await asyncio.sleep(0.02)
    assert served.exports.broken == so_many
    assert served.exports.running == 0
    assert not served.exports._processes


async def test_an_aborted_download_holds_nothing(
    served: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who leaves in the middle leaves no process and no place behind; who takes nothing any more is
    given up after a while."""
    await drive(served, 3600, "esp-2")
    before = served.exports.broken
    with socket.socket() as client:
        await asyncio.to_thread(ask, served, client)
        assert (await asyncio.to_thread(client.recv, 1000)).startswith(b"HTTP/1.1 200")
        assert served.exports.running == 1
    await broken(served, before + 1)
    monkeypatch.setattr("server.export.process.STALL_S", 0.3)
    with socket.socket() as client:
        await asyncio.to_thread(ask, served, client)
        await broken(served, before + 2)


async def test_the_same_from_segments(served: Gateway, viewer: httpx2.AsyncClient) -> None:
    """An export is the same after its readings were moved from the hot log into segments."""
    await drive(served, 700, "esp-3")
    path = "/api/v1/export/devices/esp-3/signals.csv"
    before = await get(viewer, path)
    await served.compactor.run_once(all_of_it=True)
    async with served.pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM segments WHERE device = 'esp-3'")
    assert (await get(viewer, path)).text == before.text
