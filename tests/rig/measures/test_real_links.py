"""Samples out of tapped wires: what a real device said, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rig.measures.real_links import wire_samples
from rig.record.reader import RecordReader
from rig.record.writer import RecordWriter

S = 1_000_000_000
START_NS = 1_790_000_000 * S


def record_of(folder: Path, chunks: list[tuple[float, str, bool, bytes]], **more: Any) -> Any:
    """Write a record with bytes (second, link, to host, data); return it."""
    manifest = {"scenario": "real", "seed": 1, "mode": "paced", "epoch_ns": START_NS, **more}
    writer = RecordWriter(folder / "run", manifest)
    for second, link, to_host, data in chunks:
        writer.wire(link, START_NS + round(second * S), to_host, data)
    writer.close()
    return RecordReader(folder / "run")


def test_a_value_was_taken_when_its_prompt_came(tmp_path: Path) -> None:
    """However the bytes were cut into chunks."""
    record = record_of(
        tmp_path,
        [
            (1.0, "obd", False, b"010C\r"),
            (1.05, "obd", True, b"41 0C 1A"),
            (1.06, "obd", True, b" F8 \r\r"),
            (1.07, "obd", True, b">"),
            (2.0, "obd", False, b"010D\r"),
            (2.02, "obd", True, b"NO DATA\r\r>"),
            (3.0, "obd", False, b"010D\r"),
            (3.02, "obd", True, b"41 0D 32 \r\r>"),
        ],
        real_links=["obd"],
    )
    samples = wire_samples(record)
    assert set(samples) == {("obd", "RPM"), ("obd", "SPEED")}
    assert samples["obd", "RPM"].time_ns.tolist() == [START_NS + round(1.07 * S)]
    assert samples["obd", "RPM"].wire.tolist() == [1726.0]
    assert samples["obd", "SPEED"].time_ns.tolist() == [START_NS + round(3.02 * S)]


def test_a_simulated_link_keeps_the_samples_of_its_world(tmp_path: Path) -> None:
    """Its wire is on the record too, and tells nothing new."""
    record = record_of(tmp_path, [(1.0, "obd", True, b"41 0D 32 \r\r>")])
    assert wire_samples(record) == {}


RMC = b"$GNRMC,100246.00,A,5206.00036,N,00948.00111,W,10.0,90.5,221126,,,A,V*"
GGA = b"$GNGGA,100246.00,5206.00036,N,00948.00111,W,1,12,0.59,152.9,M,47.0,M,,*"


def whole(body: bytes) -> bytes:
    """Return a sentence with its sum."""
    total = 0
    for byte in body[1:-1]:
        total ^= byte
    return body + b"%02X\r\n" % total


@pytest.mark.parametrize("offset_s", [0.0, -3600.0])
def test_an_epoch_stands_at_its_own_utc(tmp_path: Path, offset_s: float) -> None:
    """Plus the stated offset of this machine's clock; its values are those of RMC and GGA."""
    offset_ns = round(offset_s * S)
    record = record_of(
        tmp_path,
        [(1.0, "gps", True, whole(RMC) + whole(GGA)[:20]), (1.01, "gps", True, whole(GGA)[20:])],
        real_links=["gps"],
        bench={"links": {"gps": {"clock_offset_ns": offset_ns}}},
    )
    samples = wire_samples(record)
    told = {signal: rows.wire.tolist() for (_, signal), rows in samples.items()}
    assert told["LAT"] == [pytest.approx(52.1000060)]
    assert told["LON"] == [pytest.approx(-9.80001850)]
    assert told["GPS_SPEED"] == [pytest.approx(18.52)]
    assert (told["SATS"], told["HDOP"], told["ALT"]) == ([12.0], [0.59], [152.9])
    utc_ns = 1_795_341_766 * S  # 2026-11-22 10:02:46
    assert samples["gps", "LAT"].time_ns.tolist() == [utc_ns + offset_ns]


@pytest.mark.parametrize(
    "data",
    [
        whole(RMC.replace(b",A,5206", b",V,5206")),
        whole(RMC)[:-4] + b"00\r\n",
        whole(RMC.replace(b"221126", b"")),
        whole(RMC.replace(b"221126", b"321326")),
        whole(RMC)[:40],
        b"\xff" * 50,
    ],
)
def test_what_is_no_fix_is_no_sample(tmp_path: Path, data: bytes) -> None:
    """No fix, a wrong sum, no date, an impossible one, half a sentence, noise."""
    record = record_of(tmp_path, [(1.0, "gps", True, data)], real_links=["gps"])
    assert wire_samples(record) == {}
