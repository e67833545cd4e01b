"""Bytes at an instant: decoded to the values that the world put there, and odd bytes in words."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.runs.journey import journey_of
from reports.runs.names import Names
from reports.runs.problem import RunError
from reports.runs.run import Run
from reports.runs.wire import elm327, nmea, radio
from reports.runs.wire.at import wire_at
from reports.runs.wire.canbus import Frames, frame_of
from rig.measures.signals import catalogue_signals
from rig.record.manifest import Manifest
from rig.record.reader import RecordReader
from rig.record.streams import CanRow, WireChunk
from sim.ecu.pids import PIDS

S = 1_000_000_000
NAMES = Names(
    Manifest(scenario="s", seed=1, mode="virtual", epoch_ns=0, signals=catalogue_signals())
)


def messages(run: Run, link: str, at_ns: int, within_ms: int = 50) -> list[Any]:
    found = wire_at(run, at_ns, within_ms, [link])["links"]
    return [message for one in found if one["link"] == link for message in one["messages"]]


def values(found: list[Any]) -> dict[str, list[float]]:
    result: dict[str, list[float]] = {}
    for message in found:
        for field in message.fields:
            if field.signal and field.value is not None:
                result.setdefault(field.signal, []).append(field.value)
    return result


def test_every_reading_of_a_link_stands_on_its_wire(real_drive: Run) -> None:
    """Within the window around a sample, its value is among the decoded fields of the link."""
    at_ns = real_drive.manifest.start_ns
    for signal, link, within_ms, step in (
        ("RPM", "obd", 150, 0.25), ("LAT", "gps", 150, 1e-7), ("GPS_SPEED", "gps", 150, 0.01),
        ("EngineSpeed", "can bus", 5, 0.001), ("VehicleSpeed", "can", 20, 0.001),
    ):  # fmt: skip
        column = real_drive.column(signal, "wire")
        chosen = np.flatnonzero((column.time_ns > at_ns) & np.isfinite(column.value))[:5]
        assert len(chosen)
        for index in chosen.tolist():
            found = values(messages(real_drive, link, int(column.time_ns[index]), within_ms))
            nearest = min(abs(v - column.value[index]) for v in found[signal])
            assert nearest <= step, (signal, index)


def test_windows_hold_what_ended_in_them(real_drive: Run) -> None:
    """A message belongs to the window in which its last byte arrived; windows leave none out."""
    start_ns = real_drive.manifest.start_ns
    whole = messages(real_drive, "gps", start_ns + S, 1000)
    parts = [
        m for n in range(20) for m in messages(real_drive, "gps", start_ns + (50 + 100 * n) * 10**6)
    ]
    assert {m.at_ns for m in parts} == {m.at_ns for m in whole}
    assert len(whole) > 50
    record = RecordReader(real_drive.folder)
    text = "".join(chunk.text for chunk in record.wire("gps"))
    assert all(message.raw in text for message in whole)


def test_a_board_is_unpacked_with_its_readings(real_board: Run) -> None:
    """An uplink's packet holds the readings that were stored, and says how many were predicted."""
    chunks = RecordReader(real_board.folder).wire("esp32.http")
    sent_ns = next(c.time_ns for c in chunks[3:] if c.direction == ">" and b"*" in c.data)
    uplink = next(m for m in messages(real_board, "esp32.http", sent_ns) if m.kind == "Uplink")
    found = values([uplink])
    assert {"RPM", "SPEED"} <= set(found)
    stored = set(real_board.column("RPM").value.tolist())
    assert set(found["RPM"]) <= stored
    assert any(field.name.startswith("packet ") for field in uplink.fields)
    answers = [m for m in messages(real_board, "esp32.http", sent_ns, 500) if m.direction == "<"]
    assert answers
    assert answers[0].text.startswith("committed below")
    console = messages(real_board, "esp32", real_board.manifest.epoch_ns, 1000)
    assert "rst:0x1" in console[0].text


def test_several_links_come_together_and_one_can_be_chosen(real_drive: Run) -> None:
    """Without a choice every link is there; a board's two streams count as one link."""
    at_ns = real_drive.manifest.start_ns + S
    every = [one["link"] for one in wire_at(real_drive, at_ns, 50, [])["links"]]
    assert every == ["can", "gps", "obd", "can bus"]
    assert [one["link"] for one in wire_at(real_drive, at_ns, 50, ["gps"])["links"]] == ["gps"]


def test_journeys_go_forwards_and_end_in_the_store(real_drive: Run, real_board: Run) -> None:
    """Hops are in order of time; receipt, commit and publication are those of the record."""
    at_ns = real_drive.manifest.start_ns + 8 * S
    for run, signal, names in (
        (real_drive, "RPM", ["asked", "sampled", "on the wire", "received"]),
        (real_drive, "LAT", ["sampled", "on the wire", "received"]),
        (real_drive, "EngineSpeed", ["on the bus", "sampled", "through the door", "received"]),
        (real_board, "SPEED", ["sampled", "sent", "received"]),
    ):
        journey = journey_of(run, signal, at_ns)
        hops = journey["hops"]
        assert [hop.name for hop in hops[: len(names)]] == names
        assert {hop.name for hop in hops[len(names) :]} == {"published", "committed"}
        instants = [hop.from_ns for hop in hops]
        assert instants == sorted(instants)
        record = RecordReader(run.folder)
        row = next(r for r in record.published if r.seq == journey["seq"])
        at = {hop.name: hop.to_ns for hop in hops}
        assert (row.time_ns, row.value) == (journey["time_ns"], journey["value"])
        assert (at["received"], at["published"]) == (row.received_ns, row.arrived_ns)
        assert at["committed"] in {ack.time_ns for ack in record.stored_at}
        assert sum(hop.took_ms + (hop.after_ms or 0) for hop in hops) == pytest.approx(
            (hops[-1].to_ns - hops[0].from_ns) / 1e6
        )


def test_a_journey_of_nothing_is_told(real_drive: Run) -> None:
    """A signal without readings: words, and names that would do."""
    with pytest.raises(RunError, match="such as") as caught:
        journey_of(real_drive, "NOPE", 0)
    assert caught.value.status == 404


def chunks(*texts: tuple[str, str], step_ns: int = 1_000_000) -> list[WireChunk]:
    return [WireChunk(n * step_ns, way, text) for n, (way, text) in enumerate(texts)]


def test_text_of_an_elm327() -> None:
    """Commands, answers with and without headers, of several frames, refusals and errors."""
    found = list(
        elm327.messages(
            chunks(
                ("<", "ATZ\r"), (">", "\r\rELM327 v1.5\r\r>"),
                ("<", "01 0C 0D 1\r"), (">", "7E8 04 41 0C 1A F8 \r"),
                (">", "7E8 03 41 0D 32 \r\r>"),
                ("<", "0902\r"),
                (">", "7E8 10 14 49 02 01 31 46 41 \r7E8 21 44 50 33 4C 39 37 44 \r"),
                (">", "7E8 22 4C 30 30 30 30 30 31 \r\r>"),
                ("<", "03\r"), (">", "43 01 03 01 \r>"),
                ("<", "0100\r"), (">", "NO DATA\r\r>"), ("<", "0199\r"), (">", "7F 01 12\r>"),
            ),
            NAMES,
        )
    )  # fmt: skip
    said = [(m.kind, m.text, m.error) for m in found]
    assert said[0] == ("command", "adapter command ATZ", "")
    assert said[2] == ("command", "current data: RPM, SPEED", "")
    assert [(f.name, f.value, f.signal) for m in found[3:5] for f in m.fields] == [
        ("RPM", 1726.0, "RPM"), ("SPEED", 50.0, "SPEED"),
    ]  # fmt: skip
    assert [f.text for m in found for f in m.fields if f.name == "VIN"] == ["1FADP3L97DL000001"]
    assert [f.text for m in found for f in m.fields if f.name == "DTC"] == ["P0301"]
    assert ("answer", "NO DATA", "the adapter says so") in said
    assert any(text.startswith("refused: current data") for _, text, _ in said)


@pytest.mark.parametrize("pid", sorted(PIDS))
def test_every_parameter_of_the_world_is_read(pid: int) -> None:
    """What the world's table encodes, the page decodes: any pattern of bytes."""
    spec = PIDS[pid]
    data = bytes((0x5A + 7 * n) & 0xFF for n in range(spec.n_bytes))
    text = f"41 {pid:02X} {data.hex(' ')} \r"
    fields = next(iter(elm327.messages(chunks((">", text)), NAMES))).fields
    if pid % 0x20:
        assert fields[0].name == spec.name
        value, expected = fields[0].value, spec.decode(data)
        assert value == expected or (value != value and math.isnan(expected))


def test_sentences_of_a_receiver() -> None:
    """Fields in the units of the signals; a wrong check sum, no fix, and binary in words."""
    found = list(
        nmea.messages(
            chunks(
                (">", "$GNRMC,080016.20,A,5206.00428,N,00948.00355,W,16.8"),
                (">", "90,21.89,010526,,,A,V*38\r\n"),
                (">", "$GNGGA,080016.20,5206.00428,N,00948.00355,E,1,12,0.61,154.1,M,0,M,,*00\r\n"),
                (">", "$GNGLL,,,,,080016.20,V,N*50\r\n"), (">", "\xb5\x62\x01\x07\n"), (">", "x\n"),
            ),
            NAMES,
        )
    )  # fmt: skip
    rmc, gga, gll, ubx, odd = found
    assert (rmc.kind, rmc.from_ns, rmc.at_ns) == ("RMC", 0, 1_000_000) or rmc.error
    assert "checksum" in gga.error
    assert (gll.kind, gll.text) in (("GLL", "no fix"), ("?", gll.text))
    assert ubx.kind == "UBX"
    assert odd.error


def test_text_of_can_doors() -> None:
    """socketcand and slcan, 11 and 29 bits, sent and received; other text is none."""
    assert frame_of("< frame 7E8 1777622403.63 0646808800000100 >") == (
        0x7E8, False, bytes.fromhex("0646808800000100"),
    )  # fmt: skip
    assert frame_of("< frame 18DAF110 1.5 0102 >") == (0x18DAF110, True, b"\x01\x02")
    assert frame_of("< send 7DF 8 2 1 C 0 0 0 0 0 >") == (0x7DF, False, b"\x02\x01\x0c" + bytes(5))
    assert frame_of("t7E83064680") == (0x7E8, False, b"\x06\x46\x80")
    assert frame_of("T18DAF110201FF") == (0x18DAF110, True, b"\x01\xff")
    for text in ("< hi >", "< open can0 >", "V1013", "t7E8Z", "", "< frame XYZ 1 0 >"):
        assert frame_of(text) is None


def test_frames_without_a_dbc_and_with_errors() -> None:
    """An identifier that no DBC knows, an error frame and a remote frame are shown as they are."""
    rows = [
        CanRow(10**9, "ecm", 0x123, 0, "\x01\x02", 100),
        CanRow(10**9, "ecm", 0x123, 4, "bit", 20),
        CanRow(10**9, "ecm", 0x123, 2, "", 47),
    ]
    plain, error, remote = Frames({}, NAMES).bus(rows, 500_000)
    assert (plain.text, plain.at_ns - plain.from_ns) == (
        "no message of the DBC (from ecm)",
        200_000,
    )
    assert (error.error, error.size) == ("bit", 0)
    assert remote.kind == "remote"


def test_odd_bytes_on_the_line_of_a_radio() -> None:
    """Text between messages, a message in pieces, one that is none: nothing is raised."""
    packet = b"\x12\x06\x0d\x01\x00\x00\x00\x42"
    whole = b"\x94\xc3" + len(packet).to_bytes(2, "big") + packet
    data = [b"boot log\n" + whole[:3], whole[3:] + whole, b"\x94\xc3\x00\x02\xff\xff", whole[:5]]
    found = list(radio.serial(WireChunk(n, ">", d.decode("latin-1")) for n, d in enumerate(data)))
    assert [m.kind for m in found[:2]] == ["packet", "packet"]
    assert found[2].error
    assert len(found) == 3


def test_damaged_wires_are_shown_as_far_as_they_go(real_drive: Run, tmp_path: Path) -> None:
    """One link that is no stream any more hides no other, and says so."""
    folder = tmp_path / "run"
    shutil.copytree(real_drive.folder, folder)
    (folder / "wire.gps.jsonl.zst").write_bytes(b"this is no stream of bytes")
    found = {
        one["link"]: one
        for one in wire_at(Run(folder), real_drive.manifest.start_ns + S, 200, [])["links"]
    }
    assert found["gps"]["messages"] == []
    assert "wire.gps" in found["gps"]["note"]
    assert len(found["can bus"]["messages"]) > 10
