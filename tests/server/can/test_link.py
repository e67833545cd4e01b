"""The CAN link: what it reads, and what it says of the bus and of the file."""

from __future__ import annotations

import asyncio
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from server.can.frame import ERROR, EXTENDED, CanFrame
from server.can.link import CanLink, CanOptions
from server.can.signals import signal_id
from server.catalogue import by_name
from server.config import parse_config
from server.config_section import Where
from server.errors import ConfigError, LinkLost
from tests.server.can.fakes import CAR, TRUCK, SocketcandServer, wait_for, write_dbc
from tests.server.links.conftest import Collector, Report

NOW = 1_700_000_000_000_000_000
RPM = struct.pack("<HB5x", 4000, 200)
WHERE = Where("gateway.toml", ("links", "can"), {("links", "can"): 3})


class StillClock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.s = 100.0

    def now_ns(self) -> int:
        return NOW + round((self.s - 100) * 1e9)

    def monotonic_s(self) -> float:
        return self.s


def options_of(folder: Path, text: str = CAR, **keys: Any) -> CanOptions:
    """What the configuration gives."""
    table = {"interface": "socketcand", "channel": "can0", "dbc": write_dbc(folder, text), **keys}
    return CanLink.parse("can", table, WHERE)


class Bench:
    """A link that is handed frames, without an interface."""

    def __init__(self, options: CanOptions, sink: Collector, report: Report) -> None:
        self.clock = StillClock()
        self.report = report
        self.sink = sink
        self.link = CanLink("can", options, sink=sink, clock=self.clock, report=report)
        self.link._reader.is_open = True
        self.accepted: list[Any] = []
        self.link._port.accept = self._accept  # type: ignore[method-assign]

    def _accept(self, acceptances: Any) -> None:
        self.accepted.append(None if acceptances is None else list(acceptances))

    def hear(self, *can_ids: int, data: bytes = RPM) -> None:
        """Let frames come at this instant."""
        now_ns = self.clock.now_ns()
        self.link.take([CanFrame(can_id, data, now_ns, now_ns) for can_id in can_ids])

    def wait(self, seconds: float, *can_ids: int, each_s: float = 0.25, data: bytes = RPM) -> None:
        """Let time go on, with these frames now and then."""
        end_s = self.clock.s + seconds
        while self.clock.s < end_s:
            self.clock.s += each_s
            self.hear(*can_ids, data=data)

    @property
    def said(self) -> tuple[str, str]:
        """The last report."""
        return self.report.states[-1]


@pytest.fixture
def bench(tmp_path: Path, sink: Collector, report: Report) -> Bench:
    """A link with the whole file."""
    return Bench(options_of(tmp_path), sink, report)


def test_readings_and_up(bench: Bench) -> None:
    """A frame of the file gives readings, and the link is up."""
    bench.hear(291)
    assert bench.sink.values(signal_id("EngineSpeed")) == [1000.0]
    assert bench.said == ("up", "")
    assert bench.link.counters["readings"] == 3


def test_the_file_of_another_car(bench: Bench) -> None:
    """None of its messages comes: that is said, with what did come; the right one ends it."""
    bench.wait(4, 0x100, 0x101, 0x102, 0x103, 0x104, 0x105)
    assert not bench.report.states
    bench.wait(3, 0x100)
    state, reason = bench.said
    assert state == "degraded"
    assert reason.startswith("none of the 2 messages of ")
    assert "seen for 5 s; other identifiers seen: 6 (100, 101, 102, 103, 104, …)" in reason
    bench.wait(1.5, 291)
    assert bench.said == ("up", "")


def test_silence(bench: Bench) -> None:
    """No frame at all is another thing."""
    bench.wait(7)
    assert bench.said[1].startswith("no frame from socketcand can0 at 127.0.0.1:29536 for 5 s")
    bench.wait(1.5, 291)
    assert bench.said == ("up", "")
    bench.wait(7)
    assert bench.said[0] == "degraded"


def test_silence_under_a_filter_is_not_another_car(bench: Bench) -> None:
    """What the filter kept away ended a little after the file's messages: nothing was seen else."""
    bench.hear(291)
    bench.wait(3, 291)
    bench.link.counters["frames_unwanted"] += 1
    bench.wait(0.5)
    bench.link.counters["frames_unwanted"] += 1
    bench.wait(9)
    reasons = [reason for _, reason in bench.report.states if reason]
    assert [reason[:19] for reason in reasons] == ["no frame from socke"]


def test_filters_come_with_the_first_message(bench: Bench) -> None:
    """And go again when the file's messages stay away, to see what there is."""
    bench.hear(0x100)
    assert bench.accepted == []
    bench.hear(291)
    (accepted,) = bench.accepted
    assert [(each.id, each.mask, each.is_extended) for each in accepted] == [
        (291, 0x7FF, False),
        (292, 0x7FF, False),
    ]
    bench.link.counters["frames_unwanted"] += 1
    bench.wait(7)
    assert bench.accepted[-1] is None
    bench.wait(2, 0x100)
    assert "other identifiers seen: 1 (100)" in bench.said[1]


def test_groups_of_j1939_are_filtered_by_their_group(
    tmp_path: Path, sink: Collector, report: Report
) -> None:
    """An interface must let every priority and source pass: a truck's engine sends 0CF00400."""
    bench = Bench(options_of(tmp_path, TRUCK), sink, report)
    bench.hear(0x0CF00400 | EXTENDED)
    (accepted,) = bench.accepted
    assert [(each.id, each.mask, each.is_extended) for each in accepted] == [
        (0x00F00400, 0x03FFFF00, True),
        (0x00FEF100, 0x03FFFF00, True),
        (0x0000000B, 0x03FF00FF, True),
    ]


def test_errors_of_the_bus(bench: Bench) -> None:
    """Bus-off is told as long as it lasts."""
    bench.hear(291)
    bench.hear(ERROR | 0x40)
    bench.wait(1.5)
    assert bench.said == ("degraded", "bus-off: the interface has left the bus")
    bench.hear(ERROR | 0x100)
    bench.wait(1.5, 291)
    assert bench.said == ("up", "")
    assert (bench.link.counters["bus_off"], bench.link.counters["restarts"]) == (1, 1)


def test_a_message_that_is_shorter_than_the_file_says(bench: Bench) -> None:
    """The file fits by its identifiers and yet not."""
    for _ in range(8):
        bench.clock.s += 0.25
        bench.hear(291, data=b"\1\2")
    assert "message EngineData has 2 bytes, expected 8 by" in bench.said[1]


def test_when_signals_are_stale(tmp_path: Path, sink: Collector, report: Report) -> None:
    """After three cycles of the file, or the longest pause seen; unseen messages are not due."""
    bench = Bench(options_of(tmp_path, CAR.replace("291 100", "291 1000")), sink, report)
    bench.wait(3, 291, each_s=1.0)
    due = bench.link.stale_s
    assert due[signal_id("EngineSpeed")] == pytest.approx(3.0)
    assert signal_id("VehicleSpeed") not in due
    for _ in range(12):
        bench.wait(1.5, 292, each_s=1.5, data=bytes(8))
    assert bench.link.stale_s[signal_id("VehicleSpeed")] == pytest.approx(4.5)


def test_what_was_never_available_is_not_due(bench: Bench) -> None:
    """A gear that is SNA all the time is missing nobody; once it was there, it is."""
    bench.wait(3, 291)
    assert signal_id("Gear") in bench.link.stale_s
    other = Bench(bench.link.options, Collector(), Report())
    for _ in range(8):
        other.clock.s += 0.5
        other.hear(291, data=struct.pack("<HBB4x", 4000, 200, 15))
    assert signal_id("EngineSpeed") in other.link.stale_s
    assert signal_id("Gear") not in other.link.stale_s


def test_what_is_not_available_now_is_known_to_be_absent(bench: Bench) -> None:
    """From the frame that says so to the one that has a value again."""
    gear = signal_id("Gear")
    bench.wait(1, 291)
    assert gear not in bench.link.absent
    bench.clock.s += 0.5
    bench.hear(291, data=struct.pack("<HBB4x", 4000, 200, 15))
    assert set(bench.link.absent) == {gear}
    bench.clock.s += 0.5
    bench.hear(291, data=struct.pack("<HBB4x", 4000, 200, 1))
    assert not bench.link.absent


def test_named_signals_are_due_from_the_start(
    tmp_path: Path, sink: Collector, report: Report
) -> None:
    """Whoever names a signal wants to know that it never came."""
    options = options_of(tmp_path, signals={"EngineSpeed": 1, "Gear": "change"}, stale_s=0.5)
    bench = Bench(options, sink, report)
    bench.wait(1)
    assert bench.link.stale_s == {
        signal_id("EngineSpeed"): pytest.approx(3.0),  # at 1 Hz
        signal_id("Gear"): pytest.approx(3.0),  # the heartbeat
    }


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"interface": None}, "expected a string for links.can.interface, found no such key"),
        ({"interface": "socketcan"}, None),
        ({"interface": "sockatcan"}, "did you mean socketcan?"),
        ({"channel": None}, "links.can.channel"),
        ({"port": 0}, "from 1 to 65535"),
        ({"interface": "virtual", "host": "x"}, "no such key with virtual"),
        ({"interface": "slcan", "bitrate": 123_456}, "one of 10000, 20000"),
        ({"interface": "slcan", "options": {"tty_baud": 1}}, "did you mean 'tty_baudrate'"),
        ({"interface": "slcan", "channel": 5}, "a serial port"),
        ({"options": {"tcp_tune": True}}, "unknown key 'tcp_tune'"),
        ({"dbc": None}, "links.can.dbc"),
        ({"dbc": []}, "one file or more"),
        ({"queue_frames": 0}, "from 1 to"),
        ({"batch_ms": -1}, "from 0 to 1000"),
        ({"bitrat": 5}, "did you mean 'bitrate'"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, keys: dict[str, Any], said: str | None) -> None:
    """Each key is checked, with the file and the line."""
    table = {"interface": "socketcand", "channel": "can0", "dbc": write_dbc(tmp_path), **keys}
    table = {key: value for key, value in table.items() if value is not None}
    if said is None:
        CanLink.parse("can", table, WHERE)
        return
    with pytest.raises(ConfigError) as caught:
        CanLink.parse("can", table, WHERE)
    assert said in str(caught.value)
    assert str(caught.value).startswith("gateway.toml:3: ")


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("can,cantools", "3: expected an interface of python-can"),
        ("cantools", "2: expected cantools"),
    ],
)
def test_without_the_extra(tmp_path: Path, missing: str, said: str) -> None:
    """The module loads without python-can and cantools; a configuration says what to install."""
    code = (
        "import sys, importlib.util as util\n"
        "missing, file = sys.argv[1].split(','), sys.argv[2]\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name: None if name in missing else find(name)\n"
        "sys.modules.update(dict.fromkeys(missing))\n"
        "from server.config import load_config\n"
        "from server.errors import ConfigError\n"
        "from pathlib import Path\n"
        "try: load_config(Path(file), {})\n"
        "except ConfigError as error: print(error)\n"
    )
    file = tmp_path / "gateway.toml"
    file.write_text(config_text(tmp_path))
    command = [sys.executable, "-c", code, missing, str(file)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert found.startswith(f"{file}:{said}")
    assert "pip install 'telerig[can]'" in found


def config_text(folder: Path, port: int = 1, *, name: str = "can", more: str = "") -> str:
    """A gateway's link."""
    return (
        f'[links.{name}]\nkind = "can"\ninterface = "socketcand"\nchannel = "can0"\n'
        f'port = {port}\ndbc = "{write_dbc(folder)}"\n{more}'
    )


def test_configuration_adds_to_the_catalogue(tmp_path: Path) -> None:
    """Once it is read, the signals have names."""
    config = parse_config(config_text(tmp_path), "telerig.toml", {})
    assert by_name("EngineSpeed").source == "can:EngineData"
    assert [signal.name for signal in config.signals] == [
        by_name(signal.name).name for signal in config.signals
    ]
    assert len(config.signals) == 4


def test_one_signal_on_two_links(tmp_path: Path) -> None:
    """Two buses with one file: its signals cannot be told apart."""
    text = config_text(tmp_path) + config_text(tmp_path, name="can2")
    with pytest.raises(ConfigError, match=r"telerig.toml:7: .*EngineSpeed of link can too"):
        parse_config(text, "telerig.toml", {})
    halves = config_text(tmp_path, more="signals = {Gear = 1}\n") + config_text(
        tmp_path, name="can2", more="signals = {OilTemp = 1}\n"
    )
    assert len(parse_config(halves, "telerig.toml", {}).signals) == 2


async def test_through_a_server_until_it_dies(
    tmp_path: Path, server: SocketcandServer, sink: Collector, report: Report
) -> None:
    """Readings come in batches, other frames are filtered, and the end is LinkLost."""
    options = options_of(tmp_path, port=server.port, rate_hz="all", batch_ms=1)
    clock = StillClock()
    link = CanLink("can", options, sink=sink, clock=clock, report=report)
    task = asyncio.create_task(link.run())

    def talk() -> None:
        server.frame(291, RPM, 1_700_000_000 - 0.01)
        wait_for(lambda: sink.readings)
        server.send("".join(f"< frame {number:03X} 1.0 00 >" for number in (0x100, 0x101)))
        wait_for(lambda: link.counters["frames_unwanted"] == 2)
        server.hang_up()

    await asyncio.to_thread(talk)
    with pytest.raises(LinkLost, match="closed the connection"):
        await asyncio.wait_for(task, 5)
    (reading, *_) = sink.readings
    assert (reading.signal, reading.time_ns) == (signal_id("EngineSpeed"), NOW - 10_000_000)
    assert link.counters["frames_dropped"] == 0


async def test_a_gateway_reads_stores_and_names(
    tmp_path: Path, server: SocketcandServer, run_gateway: Any, database_url: str
) -> None:
    """The API lists the signals; a lost server is found again; names outlive the configuration."""
    text = config_text(tmp_path, server.port, more="rate_hz = 'all'\n")

    def talk() -> None:
        server.frame(292, bytes.fromhex("04D2000000000000"))

    async with run_gateway(text) as gateway:
        supervisor = gateway.supervisors["can"]
        await asyncio.to_thread(talk)
        await until(lambda: gateway.pipeline.counts.stored == 1)
        found = await latest(gateway.url)
        assert found["VehicleSpeed"]["latest"]["value"] == 12.34
        assert found["EngineSpeed"]["latest"] is None
        server.hang_up()
        await until(lambda: supervisor.attempts == 2 and server.ready.is_set())
        await asyncio.to_thread(talk)
        await until(lambda: gateway.pipeline.counts.stored == 2)
        assert supervisor.status.counters["frames"] == 2
    async with run_gateway() as gateway:
        assert "VehicleSpeed" in await latest(gateway.url)


async def latest(url: str) -> dict[str, Any]:
    """The catalogue of a gateway, by name."""
    async with httpx2.AsyncClient() as client:
        answer = await client.get(f"{url}/api/v1/signals")
    return {signal["name"]: signal for signal in answer.json()["signals"]}


async def until(condition: Any) -> None:
    """Wait for the gateway."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never became true")
