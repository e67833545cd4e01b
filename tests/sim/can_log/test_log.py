"""Reading logs: every format, and what is wrong with a file."""

from __future__ import annotations

import importlib.util
import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path

import can
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.can.frame import CanFrame
from sim.can_log import CanLog, CanLogError
from sim.can_log.entry import ERROR_FRAME, FD_FRAME, LogEntry
from sim.can_log.lines import CSV_HEADER

FRAMES = [
    CanFrame(0x090, bytes.fromhex("0000C20161A30000")),
    CanFrame(0x7FF, b""),
    CanFrame(0x18DAF110, b"\x02\x01\x0c", is_extended=True),
    CanFrame(0x123, is_remote=True, requested_bytes=4),
    CanFrame(0x000, b"\xff"),
    CanFrame(0x00000001, b"\x00\x11", is_extended=True),
]
START_S = 1_700_000_000.25
GVRET = "Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8\n"


def _messages() -> list[can.Message]:
    return [
        can.Message(
            timestamp=START_S + 0.5 * number,
            arbitration_id=frame.arbitration_id,
            is_extended_id=frame.is_extended,
            is_remote_frame=frame.is_remote,
            dlc=frame.dlc,
            data=frame.data,
            channel=0,
        )
        for number, frame in enumerate(FRAMES)
    ]


def _read(path: Path, text: str | bytes) -> list[LogEntry]:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(CanLog(path))


@pytest.mark.parametrize("suffix", [".blf", ".asc", ".log", ".csv", ".trc"])
def test_what_python_can_writes(tmp_path: Path, suffix: str) -> None:
    """Each format is read as python-can writes it: frames, order and spacing."""
    path = tmp_path / f"log{suffix}"
    messages = _messages()
    if suffix in (".log", ".trc"):
        messages = [m for m in messages if not m.is_remote_frame]  # it writes them wrongly
    with can.Logger(str(path)) as log:
        for message in messages:
            log.on_message_received(message)
    entries = list(CanLog(path))
    kept = [f for f in FRAMES if suffix not in (".log", ".trc") or not f.is_remote]
    assert [entry.frame for entry in entries] == kept
    for entry, message in zip(entries, messages, strict=True):
        after_s = 1e-9 * (entry.time_ns - entries[0].time_ns)
        assert after_s == pytest.approx(message.timestamp - START_S, abs=2e-6)


def test_blf_objects(tmp_path: Path) -> None:
    """Error frames and FD frames of a BLF file are told of; times are those of its date."""
    path = tmp_path / "a.blf"
    with can.BLFWriter(str(path)) as log:
        log(can.Message(timestamp=START_S, arbitration_id=1, is_extended_id=False, data=b"\x07"))
        log(can.Message(timestamp=START_S + 1, is_error_frame=True))
        log(can.Message(timestamp=START_S + 2, arbitration_id=2, is_fd=True, data=bytes(12)))
        log.log_event("a marker", START_S + 3)
    entries = list(CanLog(path))
    assert [entry.skipped for entry in entries] == ["", ERROR_FRAME, FD_FRAME]
    assert entries[0] == LogEntry(round(START_S * 1e9), "0", CanFrame(1, b"\x07"))
    assert entries[2].time_ns - entries[0].time_ns == 2_000_000_000


@pytest.mark.parametrize("kind", [1, 115])
def test_blf_object_of_no_length(tmp_path: Path, kind: int) -> None:
    """An object that says it has no length ends the log with an error, after what came before."""
    path = tmp_path / "a.blf"
    with can.BLFWriter(str(path), compression_level=0) as log:
        for message in _messages():
            log.on_message_received(message)
    data = bytearray(path.read_bytes())
    second = data.index(b"LOBJ", data.index(b"LOBJ", 150) + 4)
    data[second + 8 : second + 16] = struct.pack("<LL", 0, kind)
    path.write_bytes(data)
    entries = iter(CanLog(path))
    assert next(entries).frame == FRAMES[0]
    with pytest.raises(CanLogError, match=r"after frame 1: .*\(an object of no length\)"):
        next(entries)


def test_candump(tmp_path: Path) -> None:
    """The log format of candump: directions, remote, FD and every kind of error frame."""
    entries = _read(
        tmp_path / "a.log",
        "(1700000000.000001) can0 123#1122\n"
        "\n"
        "(1700000000.100000) can0 12345678#112233 R\n"
        "(1700000000.200000) can0 123#R8\n"
        "(1700000000.200000) can0 123#R T\n"
        "(1700000000.300000) can0 123##1112233\n"
        "(1700000000.400000) can0 20000004#0010000000000000\n"
        "(1700000000.450000) can0 20000080#0000000000000000\n"
        "(1700000000.500000) vcan1 7DF#0201050000000000\n",
    )
    skipped = ["", "", "", "", FD_FRAME, ERROR_FRAME, ERROR_FRAME, ""]
    assert [entry.skipped for entry in entries] == skipped
    assert entries[0].frame == CanFrame(0x123, b"\x11\x22")
    assert entries[0].time_ns == pytest.approx(1_700_000_000_000_001_000, abs=200)
    assert entries[1].frame == CanFrame(0x12345678, b"\x11\x22\x33", is_extended=True)
    assert entries[2].frame == CanFrame(0x123, is_remote=True, requested_bytes=8)
    assert entries[3].frame == CanFrame(0x123, is_remote=True)
    assert [entry.channel for entry in entries] == ["can0"] * 7 + ["vcan1"]


def test_candump_as_the_screen_has_it(tmp_path: Path) -> None:
    """candump -ta, -tA, -x, -a and -e: times, FD by two digits of length, errors, remote frames."""
    entries = _read(
        tmp_path / "a.txt",
        "# candump -ta -a can0\n"
        " (1436509052.249713)  can0  123   [2]  11 22                     '.\"'\n"
        " (2015-07-10 06:17:32.349713)  can0  18DAF110   [3]  02 01 0C\n"
        " (1436509052.449713)  vcan1  RX - -  7E8   [0] \n"
        " (1436509052.549713)  can0  TX B -  123  [08]  01 02 03 04 05 06 07 08\n"
        " (1436509052.649713)  can0  20000004   [8]  00 04 00 00 00 00 00 00   ERRORFRAME\n"
        "\tcontroller-problem{rx-error-warning}\n"
        " (1436509052.749713)  can0  123   [4]  remote request\n",
    )
    assert [entry.skipped for entry in entries] == ["", "", "", FD_FRAME, ERROR_FRAME, ""]
    assert entries[0].frame == CanFrame(0x123, b"\x11\x22")
    assert entries[1].frame == CanFrame(0x18DAF110, b"\x02\x01\x0c", is_extended=True)
    assert entries[2].frame == CanFrame(0x7E8, b"")
    assert entries[5].frame == CanFrame(0x123, is_remote=True, requested_bytes=4)
    assert [entry.channel for entry in entries] == ["can0"] * 2 + ["vcan1"] + ["can0"] * 3
    assert [round(1e-8 * (e.time_ns - entries[0].time_ns)) for e in entries] == list(range(6))


def test_candump_cut_at_its_beginning(tmp_path: Path) -> None:
    """A first line without its beginning is passed over; python-can takes its rest for a time."""
    (entry,) = _read(tmp_path / "a.log", "713) can_0 044#2A36\n(1.5) can_0 123#11_9 T\n")
    assert entry == LogEntry(1_500_000_000, "can_0", CanFrame(0x123, b"\x11"))


@pytest.mark.parametrize("way", ["", "Dir,"])
def test_csv_of_savvycan(tmp_path: Path, way: str) -> None:
    """Microseconds, flags in words, a column for each byte, the bus; older ones have no Dir."""
    rx = "Rx," if way else ""
    entries = _read(
        tmp_path / "a.csv",
        f"Time Stamp,ID,Extended,{way}Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8\n"
        f"166064000,0000021A,false,{rx}0,8,FE,36,12,FE,69,05,07,AD,\n"
        f"166065000,18DAF110,true,{rx}1,0,,,,,,,,\n",
    )
    assert entries == [
        LogEntry(166_064_000_000, "0", CanFrame(0x21A, bytes.fromhex("FE3612FE690507AD"))),
        LogEntry(166_065_000_000, "1", CanFrame(0x18DAF110, b"", is_extended=True)),
    ]


def test_csv_of_canedge(tmp_path: Path) -> None:
    """CSS Electronics' columns: semicolons, seconds since 1970, data as one word; FD and remote."""
    entries = _read(
        tmp_path / "a.csv",
        "TimestampEpoch;BusChannel;ID;IDE;DLC;DataLength;Dir;EDL;BRS;ESI;RTR;DataBytes\n"
        "1585669949.5;1;18F00400;1;8;8;0;0;0;0;0;0102030405060708\n"
        "1585669950.5;1;123;0;2;2;0;1;0;0;0;0102\n"
        "1585669951.5;9;123;0;4;0;0;0;0;0;1;\n",
    )
    frame = CanFrame(0x18F00400, bytes(range(1, 9)), is_extended=True)
    assert entries[0] == LogEntry(1_585_669_949_500_000_000, "1", frame)
    assert entries[1].skipped == FD_FRAME
    assert entries[2].frame == CanFrame(0x123, is_remote=True, requested_bytes=4)
    (older,) = _read(
        tmp_path / "b.csv",
        "TimestampEpoch;BusChannel;ID;IDE;DLC;DataLength;Dir;EDL;BRS;DataBytes\n"
        "1585669949.5;1;18F00400;1;8;8;0;0;0;0102030405060708\n",
    )
    assert older == entries[0]


def test_a_text_with_a_byte_order_mark(tmp_path: Path) -> None:
    """Editors of Windows write one."""
    line = "(1436509052.249713) can0 123#1122\n"
    (entry,) = _read(tmp_path / "a.log", b"\xef\xbb\xbf" + line.encode())
    assert entry.frame == CanFrame(0x123, bytes.fromhex("1122"))


def test_a_compressed_file_says_what_to_do(tmp_path: Path) -> None:
    """python-can writes them by suffix."""
    with pytest.raises(CanLogError, match=r"unpack it first"):
        CanLog(tmp_path / "a.log.gz")


def test_asc_of_vector(tmp_path: Path) -> None:
    """Vector's own files: other events are passed over, error and FD frames told of."""
    entries = _read(
        tmp_path / "a.asc",
        "date Sam Sep 30 15:06:13.191 2017\n"
        "base hex  timestamps absolute\n"
        "internal events logged\n"
        "// version 9.0.0\n"
        "Begin Triggerblock Sam Sep 30 15:06:13.191 2017\n"
        "   0.000000 Start of measurement\n"
        "   0.015991 CAN 1 Status:chip status error passive - TxErr: 132 RxErr: 0\n"
        "   1.015991 1  Statistic: D 0 R 0 XD 0 XR 0 E 0 O 0 B 0.00%\n"
        "   3.098426 1  18EBFF00x       Rx d 8 01 A0 0F A6 60 3B D1 40    Length = 273910\n"
        "   3.297743 1  J1939TP FEE3p        6    0  0   -   Rx   d 23 A0 0F A6 60 3B D1 40\n"
        "  17.876708 2  6F9             Tx   d 2 05 0C  Length = 240015 ID = 1785\n"
        "  22.501000 1 ErrorFrame ECC: 10100010\n"
        "  30.806898 CANFD   5 Tx ErrorFrame Not Acknowledge error\n"
        "  30.900000 CANFD   1 Rx  123  NAME  1 0 8 8 11 22 33 44 55 66 77 88 0 0\n"
        "  32.520002 1 200 Tx r Length = 1704000 BitCount = 145\n"
        "  32.584921 1 300 Rx r 8 Length = 1704000 BitCount = 145\n"
        "End TriggerBlock\n",
    )
    frames = [entry.frame for entry in entries if entry.frame]
    assert [hex(frame.arbitration_id) for frame in frames] == [
        "0x18ebff00",
        "0x6f9",
        "0x200",
        "0x300",
    ]
    assert [e.skipped for e in entries if e.skipped] == [ERROR_FRAME, ERROR_FRAME, FD_FRAME]
    assert [entry.channel for entry in entries[:3]] == ["0", "1", "0"]
    assert frames[3] == CanFrame(0x300, is_remote=True, requested_bytes=8)


def test_asc_relative_and_decimal(tmp_path: Path) -> None:
    """Relative times are added up over every event; decimal files have decimal bytes."""
    entries = _read(
        tmp_path / "a.asc",
        "base dec  timestamps relative\n"
        "   0.500000 1  100  Rx  d 2 10 255\n"
        "   0.250000 1  Statistic: D 0 R 0\n"
        "   0.250000 1  100  Rx  d 1 7\n",
    )
    assert [entry.time_ns for entry in entries] == [500_000_000, 1_000_000_000]
    assert entries[0].frame == CanFrame(100, b"\x0a\xff")


@pytest.mark.parametrize("header", ["", "date x\n", "base hex  timestamps absolute\n"])
def test_asc_short_header(tmp_path: Path, header: str) -> None:
    """No frame is taken for the end of the header."""
    lines = "  0.001 1  12  Rx  d 1 11\n  0.002 1  13  Rx  d 1 11\n"
    entries = _read(tmp_path / "a.asc", header.replace("x\n", "Sam Sep 30 15:06:13 2017\n") + lines)
    assert [entry.frame and entry.frame.arbitration_id for entry in entries] == [0x12, 0x13]


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("", "  1)  17535  00000100  2  11 22"),
        (";$FILEVERSION=1.1\n", "  1)  17535.0  Rx  00000100  2  11 22"),
        (";$FILEVERSION=1.3\n", "  1)  17535.0 1  Rx  00000100 - 2  11 22"),
        (";$FILEVERSION=2.0\n;$COLUMNS=N,O,T,I,d,l,D\n", " 1 17535.000 DT 00000100 Rx 2  11 22"),
        (
            ";$FILEVERSION=2.1\n;$COLUMNS=N,O,T,B,I,d,R,L,D\n",
            " 1 17535.000 DT 1 00000100 Rx - 2 11 22",
        ),
    ],
)
def test_peak_traces(tmp_path: Path, header: str, line: str) -> None:
    """PEAK's versions give the same frame at the same time."""
    entries = _read(tmp_path / "a.trc", f"{header};  comment\n{line}\n")
    assert [(e.time_ns, e.frame) for e in entries] == [
        (17_535_000_000, CanFrame(0x100, b"\x11\x22", is_extended=True))
    ]


def test_peak_1_2(tmp_path: Path) -> None:
    """A column less than 1.3 has, and a start time with a semicolon: PEAK's own example."""
    entries = _read(
        tmp_path / "a.trc",
        ";$FILEVERSION=1.2\n;$STARTTIME=39878.6772258947;\n;   Start time: 06.03.2009\n"
        "     1)      1059.900  1  Rx         0300  7  00 00 00 00 04 00 00\n"
        "     2)      1060.900  2  Tx     18EFC034  2  00 01\n"
        "     5)      1346.834  1  Warng  FFFFFFFF  4  00 00 00 04  BUSLIGHT\n"
        "     6)      1349.222  1  Error      0008  4  00 19 08 08\n"
        "     7)      1352.743  1  Rx         0100  3  RTR\n",
    )
    assert [entry.frame for entry in entries] == [
        CanFrame(0x300, bytes.fromhex("00000000040000")),
        CanFrame(0x18EFC034, b"\0\1", is_extended=True),
        None,
        CanFrame(0x100, is_remote=True, requested_bytes=3),
    ]
    assert [entry.channel for entry in entries] == ["1", "2", "1", "1"]


def test_peak_other_lines(tmp_path: Path) -> None:
    """Warnings and bus states of PEAK's hardware are no frames; error frames are told of."""
    entries = _read(
        tmp_path / "a.trc",
        ";$FILEVERSION=1.1\n;$STARTTIME=40000.5\n"
        " 1)  17540.3  Warng  FFFFFFFF  4  00 00 00 08  BUSHEAVY\n"
        " 2)  17541.3  Error  0080  4  00 00 00 08\n"
        " 3)  17542.3  Rx  0704  1  RTR\n",
    )
    assert [entry.skipped for entry in entries] == [ERROR_FRAME, ""]
    assert entries[1].time_ns - entries[0].time_ns == pytest.approx(1_000_000, abs=500)
    assert entries[1].frame == CanFrame(0x704, is_remote=True, requested_bytes=1)


def test_csv_details(tmp_path: Path) -> None:
    """A CSV file may have blank lines; more than 8 bytes are an FD frame; errors are told of."""
    rows = "1.5,0x12,0,0,0,1,EQ==\n\n2.5,0x12,0,0,0,12,AAAAAAAAAAAAAAAA\n3.5,0x0,0,0,1,0,\n"
    entries = _read(tmp_path / "a.csv", CSV_HEADER + "\n" + rows)
    assert [entry.skipped for entry in entries] == ["", FD_FRAME, ERROR_FRAME]
    assert entries[0] == LogEntry(1_500_000_000, "", CanFrame(0x12, b"\x11"))


BAD = [
    ("a.log", "(1.0) can0 123#11\nhello\n", r"line 2: expected a line of candump -L.*'hello'"),
    ("a.log", "(1.0) can0 FFF#11\n", r"line 1: expected a line of.*#11' \(arb.*0-0x7ff, got 0xfff"),
    ("a.log", "(1.0) can0 123#1\n", r"line 1: .*\(0 bytes of data, not 1\)"),
    ("a.log", "(1.0) can0 123#112233445566778899\n", r"line 1: .*\(8 bytes of data, not 9\)"),
    ("a.log", "(x) can0 123#11\n", r"line 1: expected a line of candump"),
    ("a.log", "(nan) can0 123#11\n", r"line 1: expected a line of candump"),
    ("a.log", "  can0  123   [2]  11 22\n", r"line 1: .*\(no time: record with candump -l, -L or"),
    ("a.log", "(12:00)  can0  123   [2]  11\n", r"line 1: .*\(Invalid isoformat string"),
    ("a.csv", "Time Stamp,ID\n1,2\n", r"line 1: .*\(timestamp,.*'Time S.*another tool's"),
    ("a.csv", GVRET + "1,0000021A,false,Rx,0,3,FE,36,\n", r"line 2: .*\(invalid literal for int"),
    ("a.csv", GVRET + "1,0000021A,false,Rx,0,3,FE\n", r"line 2: .*\(3 bytes of data, not 1"),
    ("a.csv", f"{CSV_HEADER}\n1,2\n", r"line 2: expected python-can's CSV.*'1,2' \(not enough"),
    ("a.csv", f"{CSV_HEADER}\n1.0,0x12,0,0,0,1,!!\n", r"line 2: .*\(1 bytes of data, not 0\)"),
    (
        "a.asc",
        "base hex  timestamps absolute\n   0.001 1  123  Rx  d 4 11\n  0.002 1 1 Rx d 0\n",
        r"line 2: expected a frame as .*\(4 bytes of data, not 1\)",
    ),
    (
        "a.asc",
        "base hex  timestamps absolute\n   0.001 1  FFF  Rx  d 0\n",
        r"line 2: expected a frame as .*0-0x7ff, got 0xfff",
    ),
    ("a.trc", ";$FILEVERSION=2.0\n 1 5.0 DT 0300 Rx 1 00\n", r"line 2: .* of version 1.0 to"),
    ("a.trc", ";$FILEVERSION=1.1\n 1) 5.0 Rx 0300 8 00\n\n", r"line 2: expected a message of"),
    ("a.trc", "garbage\n\n", r"line 1: expected a message of a PEAK trace"),
    ("a.blf", "no such thing", r"expected a BLF file, which begins with LOGG.*found 'no s"),
    ("a.blf", "", r"expected a BLF file, which begins with LOGG.* found ''"),
    ("a.xyz", "", r"expected a log with one of the suffixes .asc .blf .csv .log .mf4 .trc, found"),
]


@pytest.mark.parametrize(("name", "text", "message"), BAD)
def test_bad_files(tmp_path: Path, name: str, text: str, message: str) -> None:
    """An error names the file, the line, what was expected and what was found."""
    with pytest.raises(CanLogError, match=message) as caught:
        _read(tmp_path / name, text)
    assert str(caught.value).startswith(str(tmp_path / name))


def test_mf4_without_asammdf(tmp_path: Path) -> None:
    """MF4 needs a package more; the error names it."""
    if importlib.util.find_spec("asammdf") is not None:
        pytest.skip("asammdf is installed")
    with pytest.raises(CanLogError, match=r"expected the package asammdf.*found 'none'"):
        _read(tmp_path / "a.mf4", "MDF     4.10")


def test_no_file(tmp_path: Path) -> None:
    """A missing file and a folder are told apart."""
    with pytest.raises(CanLogError, match="expected a file, found 'nothing'"):
        CanLog(tmp_path / "a.log")
    (tmp_path / "b.log").mkdir()
    with pytest.raises(CanLogError, match="found 'a folder'"):
        CanLog(tmp_path / "b.log")


def test_cut_text(tmp_path: Path) -> None:
    """A text log that ends in the middle of a line is read up to there."""
    path = tmp_path / "a.log"
    path.write_text("(1.0) can0 123#11\n(2.0) can0 123#1")
    log = CanLog(path)
    assert len(list(log)) == 1
    assert log.is_truncated


def test_cut_asc(tmp_path: Path) -> None:
    """A cut line that python-can passes over as an event is found too; a cut comment is none."""
    path = tmp_path / "a.asc"
    head = "base hex  timestamps absolute\n  0.001 1  12  Rx  d 1 11\n"
    for end, is_truncated in ((" 0.002 1  1", True), ("End Trigger", False), ("", False)):
        path.write_text(head + end)
        log = CanLog(path)
        assert len(list(log)) == 1
        assert log.is_truncated == is_truncated


def test_cut_blf(tmp_path: Path) -> None:
    """A BLF file that was cut anywhere gives the frames before the cut, and no error."""
    path = tmp_path / "a.blf"
    with can.BLFWriter(str(path), max_container_size=300) as writer:
        for message in _messages() * 20:
            writer.on_message_received(message)
    whole = path.read_bytes()
    counts = []
    for size in range(150, len(whole), 97):
        path.write_bytes(whole[:size])
        log = CanLog(path)
        counts.append(len(list(log)))
        assert log.is_truncated
    assert counts == sorted(counts)
    assert counts[0] < 10
    assert counts[-1] > 100


def test_large_files_are_streamed(tmp_path: Path) -> None:
    """The first frame is there before the file is read."""
    path = tmp_path / "a.log"
    path.write_text("(1.0) can0 123#1122334455667788\n" * 400_000)
    next(iter(CanLog(path)))  # loads python-can
    tracemalloc.start()
    next(iter(CanLog(path)))
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 200_000


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200), suffix=st.sampled_from([".asc", ".csv", ".log", ".trc"]))
def test_any_bytes(tmp_path: Path, data: bytes, suffix: str) -> None:
    """Whatever a file holds, it is read or refused with an error of its own."""
    path = tmp_path / f"any{suffix}"
    heads = {
        ".asc": b"base hex  timestamps absolute\n",
        ".csv": b"timestamp,arbitration_id,extended,remote,error,dlc,data\n",
        ".log": b"(1.0) can0 ",
        ".trc": b";$FILEVERSION=1.1\n1) 1.0 Rx ",
    }
    for head in (b"", heads[suffix]):
        path.write_bytes(head + data)
        with suppress(CanLogError):
            list(CanLog(path))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), at=st.integers(min_value=0, max_value=400))
def test_any_bytes_in_blf(tmp_path: Path, data: bytes, at: int) -> None:
    """Whatever stands in a BLF file, it is read or refused with an error of its own."""
    path = tmp_path / "any.blf"
    with can.BLFWriter(str(path), compression_level=0) as writer:
        for message in _messages():
            writer.on_message_received(message)
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + data + whole[at + len(data) :])
    with suppress(CanLogError):
        list(CanLog(path))


def test_file_that_goes_away(tmp_path: Path) -> None:
    """A file that cannot be opened any more is an error with the system's reason."""
    path = tmp_path / "a.log"
    path.write_text("(1.0) can0 123#11\n")
    log = CanLog(path)
    path.unlink()
    with pytest.raises(CanLogError, match="expected to read the file, found 'No such file"):
        list(log)
