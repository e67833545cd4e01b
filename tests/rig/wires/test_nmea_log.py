"""Logs of receivers as loggers write them, and the wires that are made of them."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import pytest

from rig.record.reader import RecordReader
from rig.wires.nmea_log import LogError, record_of_log
from server.links.nmea_lines import checksum

SECOND_NS = 1_000_000_000


def sentence(body: str) -> str:
    """`$...*hh` of what stands between."""
    return f"${body}*{checksum(body.encode()):02X}"


SAID = [
    sentence(f"GN{kind}")
    for second in range(4)
    for kind in (
        f"RMC,1000{second:02}.00,A,4806.0000,N,01130.0000,E,25.0,33.7,150324,,,A,V",
        f"GGA,1000{second:02}.00,4806.0000,N,01130.0000,E,1,08,1.2,520.1,M,46.9,M,,",
    )
]
COLD = [sentence("GPRMC,,V,,,,,,,,,,N"), sentence("GPGGA,,,,,,0,00,99.99,,,,,,")]


def wire(path: Path, data: bytes) -> list[tuple[float, bytes]]:
    """(seconds since the first, bytes) of the record that is made of a log."""
    path.write_bytes(data)
    chunks = list(RecordReader(record_of_log(path, path.parent / "record")).wire("gps"))
    return [((chunk.time_ns - chunks[0].time_ns) / 1e9, chunk.data) for chunk in chunks]


@pytest.mark.parametrize(
    "template",
    [
        "{said}",
        "  {said}  ",
        "2024-03-15T10:00:00.123Z {said}",
        "1710496800.5,{said}",
        "\\s:GPS1,c:1710496800*1F\\{said}",
        "NMEA,{said},1710496800500",
    ],
)
def test_only_what_the_receiver_said_is_on_the_wire(template: str, tmp_path: Path) -> None:
    """Time stamps, tag blocks and columns of a logger are left out; epochs are a second apart."""
    text = "".join(template.format(said=said) + "\r\n" for said in SAID)
    found = wire(tmp_path / "drive.nmea", text.encode())
    assert [data.decode() for _, data in found] == [said + "\r\n" for said in SAID]
    assert [round(time_s) for time_s, _ in found[::2]] == [0, 1, 2, 3]


def test_what_no_logger_wrote_stays(tmp_path: Path) -> None:
    """UBX between sentences, two sentences on a line, one without an end: byte for byte."""
    data = (
        f"\xb5b\x01\x07\x02\x00${SAID[0]}\r\n{SAID[1]}{SAID[2]}\n{SAID[3][:20]}\r\n{SAID[4]}"
    ).encode("latin-1")
    assert b"".join(piece for _, piece in wire(tmp_path / "drive.ubx", data)) == data


@pytest.mark.parametrize("fixes", [0, len(SAID)])
def test_a_cold_start_takes_its_time(fixes: int, tmp_path: Path) -> None:
    """Sentences without a time come a second apart, before the first one that has it."""
    text = "\r\n".join(COLD * 5 + SAID[:fixes]) + "\r\n"
    found = wire(tmp_path / "cold.log", text.encode())
    at_s = [round(time_s) for time_s, data in found if b"RMC" in data]
    assert at_s == list(range(9 if fixes else 5))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.gz", b"\x1f\x8b no gzip at all"),
        ("a.gz", gzip.compress(b"x" * 9999)[:30]),
        ("a.bz2", bz2.compress(b"x" * 9999)[:-9]),
        ("a.bz2", b"none"),
        ("a.xz", b"none"),
    ],
    ids=["no gzip", "half a gzip", "half a bzip2", "no bzip2", "no xz"],
)
def test_a_broken_archive_is_one_line(name: str, data: bytes, tmp_path: Path) -> None:
    """Whatever the unpacker says: file, expected, found."""
    with pytest.raises(LogError, match=rf"{name}: expected a log of NMEA sentences, found: \w"):
        wire(tmp_path / name, data)
