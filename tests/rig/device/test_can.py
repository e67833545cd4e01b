"""`telerig device can`: one bus, all doors at once, for clients that nobody here wrote."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("can", reason="the package python-can (extra can) is not installed")
pytest.importorskip("cantools", reason="the package cantools (extra can) is not installed")

import can
import isotp
import udsoncan.connections
from udsoncan.client import Client

from rig.cli import main
from rig.device.can import CanDevice
from rig.device.can_options import CanOptions
from rig.walltime.can_interfaces import CanInterfaceSpec
from tests.rig.device.test_device_command import PATIENCE_S, RunningDevice, device

Start = Callable[..., RunningDevice]
assert device  # a fixture
CHANNEL = "all doors"
VIN_DID = 0xF190


class InProcess:
    """A device in a thread of this process, so that `virtual` reaches it."""

    def __init__(self, options: CanOptions) -> None:
        self.device = CanDevice(options)
        self.ports: dict[str, Any] = {}
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._ready = threading.Event()
        self.device.speaker.ready = self._hear_ready  # type: ignore[method-assign]
        self.device.speaker.event = (  # type: ignore[method-assign]
            lambda kind, /, **detail: self.events.append((kind, detail))
        )
        self._thread = threading.Thread(target=self.device.run)

    def __enter__(self) -> InProcess:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.device.stop()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def _hear_ready(self, _kind: str, ports: Any, _text: str) -> None:
        self.ports = dict(ports)
        self._ready.set()

    def socketcand(self) -> can.BusABC:
        """Connect python-can's client."""
        return can.Bus(
            interface="socketcand", channel="can0", host="127.0.0.1", port=self.ports["tcp"]
        )

    def slcan(self) -> can.BusABC:
        """Open the adapter with python-can's client."""
        return can.Bus(
            interface="slcan", channel=self.ports["serial"], bitrate=500_000, sleep_after_open=0
        )


ALL_DOORS = CanOptions(
    slcan=True,
    tcp=0,
    interfaces=(CanInterfaceSpec("virtual", CHANNEL),),
    broadcast=False,
)


@pytest.fixture
def world() -> Iterator[InProcess]:
    """A bus with every door that this machine has, and the ECUs on it."""
    with InProcess(ALL_DOORS) as world:
        yield world


def opened(world: InProcess) -> Iterator[can.BusABC]:
    """Open a client at each door, two at one of them."""
    yield world.slcan()
    yield world.socketcand()
    yield world.socketcand()
    yield can.Bus(interface="virtual", channel=CHANNEL)


def ids(bus: can.BusABC, count: int) -> list[int]:
    """Return the next identifiers that a client hears."""
    got = []
    for _ in range(count):
        message = bus.recv(PATIENCE_S)
        assert message is not None, got
        got.append(message.arbitration_id)
    return got


def test_all_doors_see_one_bus(world: InProcess) -> None:
    """A frame sent at any door arrives at all the others, in the order of the bus, and not back."""
    each = 40
    with contextlib.ExitStack() as stack:
        buses = [stack.enter_context(bus) for bus in opened(world)]
        log: list[int] = []
        world.device.bus.taps.append(lambda _t, _who, frame: log.append(frame.arbitration_id))

        def talk(number: int) -> None:
            for count in range(each):
                identifier = 0x100 + 0x100 * number + count
                buses[number].send(can.Message(arbitration_id=identifier, is_extended_id=False))
                time.sleep(0.001)

        talkers = [threading.Thread(target=talk, args=(n,)) for n in range(len(buses))]
        for talker in talkers:
            talker.start()
        heard = [ids(bus, each * (len(buses) - 1)) for bus in buses]
        for talker in talkers:
            talker.join()
        for number, bus in enumerate(buses):
            others = [one for one in log if one // 0x100 != number + 1]
            assert heard[number] == others
            assert bus.recv(0.02) is None


def test_testers_at_every_door_at_once(world: InProcess) -> None:
    """can-isotp and udsoncan, unchanged: each reads the VIN, one after the other."""
    vins = []
    for bus in opened(world):
        with bus:
            address = isotp.Address(txid=0x7E0, rxid=0x7E8)
            stack = isotp.CanStack(bus, address=address, params={"blocking_send": False})
            connection = udsoncan.connections.PythonIsoTpConnection(stack)
            with Client(connection, request_timeout=PATIENCE_S) as tester:
                response = tester.test_data_identifier(VIN_DID)
                assert response is not None
                vins.append(response.data[2:])
    assert vins == [world.device.world.car.vin.encode()] * 4


def test_broadcast_load_and_recording(tmp_path: Path) -> None:
    """The bus is as full as asked for; what is written is what a client heard, for any reader."""
    log = tmp_path / "drive.asc"
    options = CanOptions(tcp=0, load_pct=80.0, record=log)
    with InProcess(options) as world, world.socketcand() as bus:
        heard = [bus.recv(PATIENCE_S) for _ in range(1500)]
        load_pct = world.device.bus.load_pct
    assert 70 < load_pct < 90
    assert all(heard)
    with can.LogReader(log) as reader:
        written = [(m.arbitration_id, bytes(m.data)) for m in reader if not m.is_error_frame]
    mine = [(m.arbitration_id, bytes(m.data)) for m in heard if m is not None]
    start = next(n for n in range(len(written)) if written[n : n + 20] == mine[:20])
    assert written[start : start + len(mine)] == mine


def test_a_full_disk_ends_the_recording_alone(tmp_path: Path) -> None:
    """One event names the file and the reason; the bus and its doors go on."""
    path = tmp_path / "drive.log"
    path.symlink_to("/dev/full")
    with InProcess(CanOptions(tcp=0, record=path)) as world:
        stopped = _wait_for(world, "record_stopped")
        assert stopped == {"file": str(path), "reason": "[Errno 28] No space left on device"}
        with world.socketcand() as bus:
            assert bus.recv(PATIENCE_S) is not None
    assert [kind for kind, _ in world.events].count("record_stopped") == 1


def _wait_for(world: InProcess, kind: str) -> dict[str, Any]:
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        for name, detail in world.events:
            if name == kind:
                return detail
        time.sleep(0.05)
    raise AssertionError(f"no event {kind!r} among {world.events}")


def test_a_log_is_played(tmp_path: Path) -> None:
    """Into a bus that is else silent; its end is told of, and that it was cut."""
    log = tmp_path / "drive.log"
    lines = [f"(1000.{n:06d}) can0 {0x200 + n:03X}#{n:02X}" for n in range(50)]
    log.write_text("\n".join([*lines, "(1001.0) can0 20000004#00", "(1002.0) ca"]))
    with InProcess(CanOptions(tcp=0, play=log, broadcast=False)) as world:
        told = _wait_for(world, "log_ended")  # its last frame waits for the bus still
        deadline_s = time.monotonic() + PATIENCE_S
        while world.device.bus.frame_count < 50 and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert world.device.bus.frame_count == 50
    assert told == {"frames": 50, "truncated": True, "error_frames_skipped": 1}


def test_clients_are_told_of(world: InProcess) -> None:
    """Who came, what they opened, who left; also an adapter's channel."""
    world.socketcand().shutdown()
    world.slcan().shutdown()
    deadline_s = time.monotonic() + PATIENCE_S
    while len(world.events) < 5 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    told = [(kind, detail["door"]) for kind, detail in world.events]
    assert [kind for kind, door in told if door == "socketcand"] == ["connected", "opened", "left"]
    assert [kind for kind, door in told if door == "slcan"][-2:] == ["open", "close"]


# -- the command -----------------------------------------------------------------------------------
def test_the_first_line_names_every_door(device: Start, tmp_path: Path) -> None:
    """With --json; events follow, and at the end what passed."""
    running = device("can", "--tcp", 0, "--link", tmp_path / "can", "--silent", "--unpaced")
    ports = running.first["ports"]
    assert running.first["device"] == "can"
    assert list(ports) == ["serial", "tcp", "link", "interfaces"]
    assert os.readlink(tmp_path / "can") == ports["serial"]
    with can.Bus(
        interface="socketcand", channel="can0", host="127.0.0.1", port=ports["tcp"]
    ) as bus:
        bus.send(can.Message(arbitration_id=0x7DF, data=b"\x02\x01\x0c", is_extended_id=False))
        assert ids(bus, 1) == [0x7E8]
    running.wait_for("left")
    assert running.end() == 0
    stopped = running.events[-1]
    assert stopped["event"] == "stopped"
    assert stopped["socketcand"]["clients"] == 1


def test_python_cans_own_tools(device: Start, tmp_path: Path) -> None:
    """The lines that the help teaches."""
    running = device("can", "--tcp", "0", "--slcan")
    port = running.first["ports"]["tcp"]
    log = tmp_path / "seen.asc"
    places = (
        ("-i", "socketcand", "-c", "can0", "--bus-kwargs", "host=127.0.0.1", f"port={port}"),
        ("-i", "slcan", "-c", running.serial, "-b", "500000", "--bus-kwargs", "sleep_after_open=0"),
    )
    for place in places:
        logger = subprocess.Popen(
            [sys.executable, "-m", "can.logger", "-f", log, *place],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        deadline_s = time.monotonic() + PATIENCE_S
        while (not log.exists() or log.stat().st_size < 20_000) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        logger.terminate()
        logger.communicate(timeout=PATIENCE_S)
        with can.LogReader(log) as reader:
            assert len(list(reader)) > 100
        log.unlink()


Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Return `refused(*words)`: what the command says to them; it is one line, and the code 2."""

    def run(*words: str | Path) -> str:
        try:
            code = main(["device", *map(str, words)])
        except SystemExit as error:
            code = int(error.code or 0)
        said = capsys.readouterr()
        assert (code, said.out) == (2, "")
        assert said.err.splitlines()[-1].startswith("telerig device")
        return said.err

    return run


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--profile", "nonsense"], "--profile: expected one of lawicel_canusb, "),
        (["--baud", "3"], "--baud: expected at least 1200, found 3"),
        (["--rate", "3"], "--rate: expected a gps, found can"),
        (["--http", "1"], "--http: expected esp32, found can"),
        (["--load", "150%"], "expected a load above 0 up to 100 %, found '150%'"),
        (["--load", "50", "--unpaced"], "--load: expected a bus with frame times"),
        (["--channel", "x"], "--channel, --bitrate: expected --interface NAME"),
        (["--interface", "pcan"], "--interface: expected --channel NAME"),
        (["--interface", "pcan", "--channel", "0"], "--interface: expected the CAN interface pcan"),
        (["--record", "drive.txt"], "--record: expected a name that ends in one of .blf"),
        (["--record", "/nonexistent/drive.blf"], "--record "),
        (["--play", "/nonexistent.blf"], "--play: expected a log of CAN frames"),
        (["--bench", "/nonexistent.yaml"], "expected a readable bench file"),
        (["--socketcan", "vcan77"], "--socketcan: expected "),
        (["--variant", "x"], "--variant: expected --scenario FILE"),
    ],
)
def test_wrong_words(refused: Refused, words: list[str], expected: str) -> None:
    """One line, with what was expected and what to do; no device starts."""
    assert expected in refused("can", *words)


def test_a_log_that_is_none(refused: Refused, tmp_path: Path) -> None:
    """Said before anything starts."""
    log = tmp_path / "drive.blf"
    log.write_bytes(b"nonsense")
    assert f"--play {log}" in refused("can", "--play", log)


def test_only_buses_have_a_buss_options(refused: Refused) -> None:
    """Other devices refuse them."""
    assert "--slcan: expected can, found obd" in refused("obd", "--slcan")


def test_the_bench_file_is_joined(refused: Refused, tmp_path: Path) -> None:
    """Its place is named where the interface is not there."""
    bench = tmp_path / "desk.yaml"
    place = "{interface: pcan, channel: PCAN_USBBUS1}"
    bench.write_text(f"bench: 1\nlinks:\n  can: {{drive: {place}}}\n")
    expected = f"{bench}:3: expected the CAN interface pcan PCAN_USBBUS1 to open"
    assert expected in refused("can", "--bench", bench)
    bench.write_text("bench: 1\n")
    expected = "expected an interface that the world drives, found none; write, say, `links: {can:"
    assert expected in refused("can", "--bench", bench)
    bench.write_text(f"bench: 1\nlinks:\n  can: {{real: {place}}}\n")
    assert "found pcan PCAN_USBBUS1; write" in refused("can", "--bench", bench)


def test_the_profiles_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """With a few words about each."""
    assert main(["device", "can", "--profile", "?"]) == 0
    assert "lawicel_canusb" in capsys.readouterr().out
