"""A capture records what real ports say, ends cleanly, survives being killed, and can be read."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import can
import pytest
import serial

from rig.judge.judgement import judge_folder
from rig.record.errors import RecordError
from rig.record.reader import RecordReader
from rig.record.streams import CAN_EXTENDED
from rig.scenario import load_scenario
from rig.wires.capture import Capture, LinkCount
from rig.wires.errors import TapError, WiresError
from rig.wires.places import CanPlace, PlaceError, SerialPlace, read_place
from rig.wires.scenario_file import write_scenario
from rig.wires.source import outages
from rig.wires.summary import summaries
from tests.rig.wires.conftest import StandIn, started, until, words_of

RMC = b"$GPRMC,080000.00,A,5206.000,N,00948.000,E,0.0,0.0,010526,,*25\r\n"
KEPT_BEHIND_S = 1.0  # what a killed capture may lose


def elm(data: bytes) -> bytes:
    """An adapter that knows two words."""
    answers = {b"ATI\r": b"ELM327 v1.5\r\r>", b"010C\r": b"41 0C 0F A0 \r\r>"}
    return answers.get(data, b"?\r\r>")


def test_a_client_and_an_adapter_are_recorded_both_ways(stand_in: StandIn, tmp_path: Path) -> None:
    """The client works as ever; the record has both sides, who came, and no truth."""
    stand_in.answer = elm
    places = [read_place(f"obd={stand_in.path},baud=38400")]
    with Capture(places, tmp_path / "out", name="desk", command="telerig capture") as capture:
        with serial.Serial(str(capture.ports["obd"]), 38400, timeout=5) as client:
            for ask in (b"ATI\r", b"010C\r"):
                client.write(ask)
                assert client.read_until(b">").endswith(b">")
        capture.run(0.3, lambda: None)
        assert capture.counts["obd"].messages == 2
        assert capture.counts["obd"].last == "41 0C 0F A0"
    record = RecordReader(tmp_path / "out")
    said = [(c.direction, c.text) for c in record.wire("obd")]
    assert said[:2] == [("<", "ATI\r"), (">", "ELM327 v1.5\r\r>")]
    assert record.finished
    assert record.truth == []
    assert record.manifest.real_links == ["obd"]
    assert [e.detail["phase"] for e in record.events][:2] == ["opened", "closed"]
    summary = summaries(record)[0]
    assert (summary.what, summary.messages, summary.plays) == (
        "ELM327 v1.5: 1 requests to the vehicle at 38400 baud",
        2,
        True,
    )
    assert not (tmp_path / "out" / "ports").exists()


def test_a_receiver_is_recorded_without_a_client(stand_in: StandIn, tmp_path: Path) -> None:
    """Passive: nobody has to open the port."""
    with Capture([read_place(f"gps={stand_in.path}")], tmp_path / "out", name="", command="") as c:
        for _ in range(5):
            stand_in.say(RMC)
            c.step(0.05)
        until(lambda: (c.step(0.01), c.counts["gps"].messages == 5)[1])
    record = RecordReader(tmp_path / "out")
    assert b"".join(chunk.data for chunk in record.wire("gps")) == 5 * RMC


def test_a_record_of_a_capture_is_judged_and_reported(
    stand_in: StandIn, tmp_path: Path, telerig: Callable[..., Any]
) -> None:
    """`telerig report` shows what there is, and complains of nothing that cannot be."""
    out = tmp_path / "out"
    with Capture([read_place(f"gps={stand_in.path}")], out, name="sky", command="") as capture:
        stand_in.say(RMC)
        capture.run(0.2, lambda: None)
    assert judge_folder(out).verdicts == []
    page = tmp_path / "report.html"
    ended = telerig("report", out, "--html", page)
    assert ended.code == 0, ended.err
    assert "sky" in page.read_text()


def test_a_device_that_is_pulled_is_an_outage(stand_in: StandIn, tmp_path: Path) -> None:
    """When it went and when it came back stands in the record, to be played."""
    with Capture([read_place(f"obd={stand_in.path}")], tmp_path / "out", name="", command="") as c:
        stand_in.unplug()
        until(lambda: c.counts["obd"].gone)
        stand_in.plug_in()
        until(lambda: not c.counts["obd"].gone)
        c.step(0.1)
    (outage,) = outages(RecordReader(tmp_path / "out"), "obd")
    assert outage[1] is not None
    assert outage[1] > outage[0]


def test_a_bus_is_listened_to(tmp_path: Path) -> None:
    """Each frame with its flags and its length on the wire; other tools can read it, too."""
    channel = f"capture-{time.monotonic_ns()}"
    with (
        can.Bus(interface="virtual", channel=channel) as sender,
        Capture([read_place(f"can=virtual:{channel}")], tmp_path / "out", name="", command="") as c,
    ):
        sender.send(can.Message(arbitration_id=0x123, data=[1, 2], is_extended_id=False))
        sender.send(can.Message(arbitration_id=0x18DAF110, data=[255] * 8))
        until(lambda: c.counts["can"].messages == 2)
        assert sender.recv(0.05) is None  # nothing was sent
    record = RecordReader(tmp_path / "out")
    assert [(row.id, row.flags, row.data) for row in record.can] == [
        (0x123, 0, b"\x01\x02"),
        (0x18DAF110, CAN_EXTENDED, b"\xff" * 8),
    ]
    assert all(row.bits > 0 for row in record.can)
    with can.LogReader(tmp_path / "out" / "can.blf") as log:
        assert [message.arbitration_id for message in log] == [0x123, 0x18DAF110]


def test_a_killed_capture_is_readable(stand_in: StandIn, tmp_path: Path) -> None:
    """After kill -9 everything but the last second is there."""
    out = tmp_path / "out"
    with started("capture", f"gps={stand_in.path}", "--out", out, "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ports"] == {"gps": str(out / "ports" / "gps")}
        end_s = time.monotonic() + 2.5
        said = 0
        while time.monotonic() < end_s:
            stand_in.say(b"%06d\r\n" % said)
            said += 1
            time.sleep(0.02)
        process.kill()
        process.wait()
        killed_ns = time.time_ns()
    record = RecordReader(out)
    rows = record.wire("gps")
    assert not record.finished
    assert killed_ns - rows[-1].time_ns < KEPT_BEHIND_S * 1e9
    text = b"".join(chunk.data for chunk in rows)
    assert text == b"".join(b"%06d\r\n" % number for number in range(said))[: len(text)]
    assert summaries(record)[0].plays
    played = load_scenario(write_scenario(record, tmp_path / "played"))
    assert 1.0 < played.duration_s < 60.0


def test_ctrl_c_ends_it_cleanly(stand_in: StandIn, tmp_path: Path) -> None:
    """The record is complete, the last line says how much there is."""
    out = tmp_path / "out"
    with started("capture", f"gps={stand_in.path}", "--out", out, "--json") as process:
        assert process.stdout is not None
        process.stdout.readline()
        stand_in.say(RMC)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        last = json.loads(process.communicate(timeout=20)[0].splitlines()[-1])
        assert process.returncode == 0
    assert last["links"]["gps"]["messages"] == 1
    assert RecordReader(out).finished


def test_a_time_ends_it(stand_in: StandIn, tmp_path: Path) -> None:
    """--for 0.3s; on a pipe there are lines for people."""
    words = words_of("capture", f"gps={stand_in.path}", "--out", tmp_path / "out", "--for", "0.3s")
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "gps is offered at" in ended.stdout
    assert "telerig wires show" in ended.stdout


# -- what is refused -------------------------------------------------------------------------------
def test_a_port_that_is_not_there_leaves_no_half_capture(tmp_path: Path) -> None:
    """The message names the port; a second try may have the same folder."""
    for _ in range(2):
        with pytest.raises(TapError, match="no such port"):
            Capture([read_place(f"obd={tmp_path}/none")], tmp_path / "out", name="", command="")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_has_a_record_is_kept(stand_in: StandIn, tmp_path: Path) -> None:
    """Nothing is written over."""
    places = [read_place(f"gps={stand_in.path}")]
    with Capture(places, tmp_path / "out", name="", command=""):
        pass
    with pytest.raises(RecordError, match="expected a new folder"):
        Capture(places, tmp_path / "out", name="", command="")


def test_a_link_is_named_once(stand_in: StandIn, tmp_path: Path) -> None:
    """Two wires of one name would be one."""
    places = [read_place(f"gps={stand_in.path}")] * 2
    with pytest.raises(WiresError, match="each link once"):
        Capture(places, tmp_path / "out", name="", command="")


@pytest.mark.parametrize(
    "word",
    ["obd", "obd=", "=x", "Obd=/dev/x", "obd=/dev/x,speed=3", "obd=/dev/x,baud=fast", "can=can0",
     "can=socketcan:can0,bitrate=fast", "gps=/dev/x,9600"],
)  # fmt: skip
def test_a_wrong_place_is_named(word: str) -> None:
    """With what was expected and what came."""
    with pytest.raises(PlaceError, match="expected"):
        read_place(word)


def test_places() -> None:
    """A serial port with its rate, a URL, and an interface of python-can with its options."""
    assert read_place("gps=/dev/ttyACM0,baud=115200") == SerialPlace("gps", "/dev/ttyACM0", 115200)
    assert read_place("obd=socket://10.0.0.1:35000") == SerialPlace(
        "obd", "socket://10.0.0.1:35000", 38400
    )
    place = read_place("can=socketcand:can0,host=127.0.0.1,port=29536")
    assert isinstance(place, CanPlace)
    assert dict(place.spec.options) == {"host": "127.0.0.1", "port": 29536}


def test_counting_of_messages_in_pieces() -> None:
    """A sentence that comes in pieces is one; the last whole one is shown."""
    count = LinkCount()
    for piece in (b"$GPGGA,1", b"2\r\n$GP", b"RMC,3\r", b"\n$GPX"):
        count.hear("gps", piece)
    assert (count.messages, count.last) == (2, "$GPRMC,3")
