"""`world: {wires: …}` in a scenario, the file that `wires play` writes, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rig import assembly
from rig.record.manifest import FaultWindow, PhaseWindow, WireInfo
from rig.record.reader import RecordReader
from rig.record.streams import CanRow
from rig.record.writer import RecordWriter
from rig.scenario import load_scenario
from rig.scenario.errors import ScenarioError
from rig.wires.scenario_file import PlayError, write_scenario
from rig.wires.source import Source, outages, playable_links, start_of
from rig.wires.summary import summaries

EPOCH_NS = 1_777_622_400_500_000_000  # half a second, which no scenario file could say
S = 1_000_000_000
HEAD = "rig: 1\nphases: [{idle: 5 s}]\nlimits: {readings.lost: {equals: 0}}\n"


@pytest.fixture
def record(tmp_path: Path) -> RecordReader:
    """A capture of ten seconds of an adapter, a receiver, a radio and a bus."""
    manifest = {
        "scenario": "desk",
        "seed": 4,
        "mode": "captured",
        "epoch_ns": EPOCH_NS,
        "phases": [PhaseWindow("captured", EPOCH_NS, EPOCH_NS + 10 * S)],
        "faults": [FaultWindow("pulled", "hang_up", "gps", EPOCH_NS + 3 * S, EPOCH_NS + 4 * S)],
        "wires": {"obd": WireInfo(baud=115200), "gps": WireInfo(baud=4800)},
    }
    folder = tmp_path / "desk"
    with RecordWriter(folder, manifest) as writer:
        for link, data in (("obd", b"ATZ\r"), ("mesh", b"\x94\xc3"), ("esp32.http", b"x")):
            writer.wire(link, EPOCH_NS + S, False, data)
        for n in range(50):
            writer.wire("obd", EPOCH_NS + 2 * S + n * S // 10, False, b"010C1\r")
            writer.wire("obd", EPOCH_NS + 2 * S + n * S // 10 + 5, True, b"410C0FA0\r\r>")
        writer.wire("gps", EPOCH_NS + S, True, b"$GPRMC,1\r\n")
        writer.can(CanRow(EPOCH_NS + S, "can0", 1, 0, "own", 50))
        writer.can(CanRow(EPOCH_NS + 2 * S, "", 2, 0, "other", 50))
        writer.event(EPOCH_NS + 5 * S, "wire", {"name": "obd", "phase": "gone"})
        writer.close({"sim_s": 10.0})
    return RecordReader(folder)


def scenario(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "it.scenario.yaml"
    path.write_text(HEAD + text)
    return path


def test_wires_take_the_place_of_models(record: RecordReader, tmp_path: Path) -> None:
    """The played link has no model, the other one has; the clock is that of the record."""
    path = scenario(
        tmp_path, "needs: [obd, gps]\nworld: {wires: {record: desk, links: [gps], answers: time}}\n"
    )
    loaded = load_scenario(path)
    assert loaded.world.played == ("gps",)
    assert loaded.world.wires is not None
    assert loaded.world.wires.answers == "time"
    assert loaded.world.epoch_ns == EPOCH_NS - 12 * S
    setup = assembly.world_setup(loaded)
    assert setup.gps is None
    assert setup.obd is not None
    assert "gps" in assembly.gateway_ports(loaded)


def test_all_wires_that_are_needed_and_there(record: RecordReader, tmp_path: Path) -> None:
    """Without `links` those of `needs` that the record has."""
    path = scenario(tmp_path, "needs: [gps, obd]\nworld: {wires: desk}\n")
    assert load_scenario(path).world.played == ("gps", "obd")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("world: {wires: nowhere}", r":4: expected a record whose wires are played.*nowhere"),
        ("world: {wires: {links: [gps]}}", "'record'"),
        ("world: {wires: {record: desk, links: [mesh]}}", "a link of the record that can be"),
        ("world: {wires: {record: desk, links: [can]}}", "a link that the scenario needs"),
        ("world: {wires: {record: desk, links: []}}", "at least one link"),
        ("world: {wires: {record: desk, answers: both}}", "'order' or 'time'"),
        ("needs: [mesh]\nworld: {wires: desk}", "a record with a wire of mesh"),
        ("world: {wires: desk, obd: {over: can}}", "an OBD link with an adapter"),
    ],
)
def test_what_cannot_be_played_is_refused(
    text: str, words: str, record: RecordReader, tmp_path: Path
) -> None:
    """With file and line, what was expected and what stands there."""
    with pytest.raises(ScenarioError, match=words):
        load_scenario(scenario(tmp_path, text + "\n"))


def test_the_written_scenario(record: RecordReader, tmp_path: Path) -> None:
    """Every link that can be played, its phases, its seed, and a plan of what was asked then."""
    path = write_scenario(record, tmp_path / "played")
    loaded = load_scenario(path)
    assert set(loaded.world.played) == {"obd", "gps", "can"}
    assert [(phase.name, phase.duration_s) for phase in loaded.phases] == [("captured", 10.0)]
    assert loaded.seed == 4
    assert loaded.world.obd.baud == 115200
    assert loaded.world.gps.baud == 4800
    assert loaded.gateway.plan == {"RPM": pytest.approx(10.0, rel=0.01)}
    assert not os.path.isabs(path.read_text().split("record: ")[1].split("\n")[0])


@pytest.mark.parametrize(
    ("links", "config", "words"),
    [
        (["mesh"], None, "draws anew"),
        (["gps"], "x = [", "expected the gateway's TOML file"),
        (["gps"], '[links.a]\nkind = "obd"\n', "expected a link of kind gps, found obd"),
    ],
)
def test_what_cannot_be_written(
    links: list[str], config: str | None, words: str, record: RecordReader, tmp_path: Path
) -> None:
    """A link that makes no world, a configuration that is none, or that lacks a link."""
    file = tmp_path / "gateway.toml"
    file.write_text(config or "")
    with pytest.raises(PlayError, match=words):
        write_scenario(
            record, tmp_path / "out", links=links, config=None if config is None else file
        )


def test_a_record_without_wires_cannot_be_played(tmp_path: Path) -> None:
    """And says where to look."""
    with RecordWriter(
        tmp_path / "r", {"scenario": "", "seed": 0, "mode": "virtual", "epoch_ns": 1}
    ):
        pass
    with pytest.raises(PlayError, match="telerig wires show"):
        write_scenario(RecordReader(tmp_path / "r"), tmp_path / "out")


def test_when_devices_were_away(record: RecordReader) -> None:
    """From the faults of a scenario, and from what a tap told."""
    assert outages(record, "gps") == [(EPOCH_NS + 3 * S, EPOCH_NS + 4 * S)]
    assert outages(record, "obd") == [(EPOCH_NS + 5 * S, None)]


def test_the_instants_of_a_source(record: RecordReader, tmp_path: Path) -> None:
    """The recorded drive begins when the lead-in is over; the reader's own frames are left out."""
    loaded = load_scenario(write_scenario(record, tmp_path / "played"))
    source = Source(record, start_of(record.manifest, loaded))
    assert source.said("gps") == [(13.0, b"$GPRMC,1\r\n")]
    assert [(time_s, row.id) for time_s, row in source.frames()] == [(14.0, 2)]
    assert source.time_ns(13.0) == EPOCH_NS + S


def test_the_summary_says_what_plays_and_why_not(record: RecordReader) -> None:
    """One row for each wire, and one for the bus."""
    rows = {row.wire: row for row in summaries(record)}
    assert {wire for wire, row in rows.items() if row.plays} == {"obd", "gps", "(bus)"}
    assert "draws anew" in rows["mesh"].why
    assert "bodies alone" in rows["esp32.http"].why
    assert rows["obd"].messages == 51
    assert rows["gps"].gone == 1
    assert playable_links(record) == ["can", "gps", "obd"]
