"""The base station's link, through a whole gateway, with a radio on a PTY."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from meshtastic.protobuf import mesh_pb2, telemetry_pb2

from server.config import parse_config
from server.errors import ConfigError
from server.gateway import Gateway
from server.links.supervisor import LinkStatus
from server.mesh.base.station import MOST_VEHICLES
from server.mesh.radio import client as radio_module
from server.wire import air
from tests.server.ingest.conftest import rows as rows_of
from tests.server.ingest.conftest import stored
from tests.server.ingest.logger import truth
from tests.server.mesh.car import Car
from tests.server.mesh.fake_radio import CAR, NODE, FakeRadio, PtyRadio, on_pty, on_tcp
from tests.server.running import QUICK, gateway_config, running

LINK = """
[links.mesh]
kind = "mesh"
port = "{port}"
vehicles = {{"!00c0ffee" = "car-7"}}
ack_s = 1.0
duty_cycle_pct = 10.0
"""
PATIENCE_S = 30.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits."""
    monkeypatch.setattr("server.mesh.base.station.SETTLE_S", 0.05)
    monkeypatch.setattr("server.mesh.base.station.FIRST_PAUSE_S", 0.2)
    monkeypatch.setattr("server.mesh.base.link.FLUSH_S", 0.1)
    monkeypatch.setattr("server.mesh.air.budget.DEPTH_S", 10_000.0)


class Bench:
    """A radio, what it sent, and the vehicles that hear it."""

    def __init__(self, line: PtyRadio) -> None:
        self.line = line
        self.radio = line.radio
        self.cars: list[Car] = []
        self.acks: list[bytes] = []
        self._number = 0
        self.radio.on_sent = self._sent

    def _sent(self, packet: Any) -> None:
        payload = packet.decoded.payload
        self.acks.append(payload)
        for car in self.cars:
            car.hear(payload)

    def hears(self, payload: bytes, sender: int = CAR, **more: Any) -> None:
        """The radio receives a packet."""
        self._number += 1
        with self.line.lock:
            self.radio.hears(
                **{"payload": payload, "sender": sender, "number": self._number} | more
            )
        self.line.poke()


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A radio on a PTY."""
    with on_pty(FakeRadio()) as line:
        yield Bench(line)


@contextlib.asynccontextmanager
async def base(
    url: str, port: str, link: str = LINK, *, state: str = "up"
) -> AsyncIterator[Gateway]:
    """A gateway with a base station, once its link is in a state."""
    async with running(gateway_config(url, QUICK + link.format(port=port))) as gateway:
        await until(lambda: not state or status(gateway).state == state)
        yield gateway


async def until(is_true: Callable[[], Any], what: str = "it") -> None:
    """Wait for something."""
    end_s = time.monotonic() + PATIENCE_S
    while not is_true():
        assert time.monotonic() < end_s, f"expected {what}"
        await asyncio.sleep(0.005)


def status(gateway: Gateway) -> LinkStatus:
    """How the link is."""
    (found,) = gateway.links
    return found


async def greet(bench: Bench, car: Car, vin: str = "") -> None:
    """Say what the stream is, and its profile when the base asks for it."""
    bench.cars.append(car)
    bench.hears(car.hello(vin=vin), car.node, hop_limit=1)
    await until(lambda: car.acks and car.acks[-1].wants == air.WANT_PROFILE)
    for part in car.profile():
        bench.hears(part, car.node)


async def drive(bench: Bench, car: Car, rows: int = 60) -> None:
    """Drive, and send until the base has everything."""
    bench.cars.append(car) if car not in bench.cars else None
    for seq in car.drive(rows):
        bench.hears(car.data(seq), car.node)
    await until(lambda: not car.kept, "all packets acknowledged")


@pytest.mark.promise("D07")
async def test_a_drive_by_radio(database_url: str, bench: Bench) -> None:
    """A vehicle's rows are stored exactly, once, with the radio's metadata, and acknowledged."""
    car = Car()
    async with base(database_url, bench.line.path) as gateway:
        assert status(gateway).reason == f"radio !{NODE:08x} LONG_FAST EU_868"
        await greet(bench, car, vin="WF0DXXGAKDDK12345")
        for _ in range(3):
            await drive(bench, car)
        counters = status(gateway).counters
        assert counters["data_committed"] == car.acks[-1].next
        await until(lambda: status(gateway).counters["readings"] >= 3 * counters["messages"])
        async with httpx2.AsyncClient(base_url=gateway.url) as http:
            (shown,) = (await http.get("/api/v1/links")).json()["links"]
        assert shown["counters"]["data_committed"] == counters["data_committed"]
        assert shown["kind"] == "mesh"
    found = await stored(database_url, "car-7")
    data = {(r.signal, r.time_ns) for r in found if r.boot == car.logger.boot}
    assert data == set(truth(180))
    radio = [r for r in found if r.boot == 0]
    assert {(r.signal, r.value) for r in radio} == {
        (4001, 6.25),
        (4002, -97.0),
        (4003, 0.0),
        (4003, 2.0),
    }
    boots = await rows_of(database_url, "SELECT vin FROM device_boots WHERE device = 'car-7'")
    assert ("WF0DXXGAKDDK12345",) in [tuple(row) for row in boots]


async def test_restarts_of_the_gateway(database_url: str, bench: Bench) -> None:
    """A gateway that starts again goes on with the packets, without a hello by radio."""
    car = Car()
    async with base(database_url, bench.line.path):
        await greet(bench, car)
        await drive(bench, car)
    told = len(car.acks)
    async with base(database_url, bench.line.path) as gateway:
        await drive(bench, car)
        assert status(gateway).counters["streams_found"] == 1
        assert not any(ack.wants for ack in car.acks[told:])
    found = await stored(database_url, "car-7")
    assert {(r.signal, r.time_ns) for r in found if r.boot} == set(truth(120))
    assert len([r for r in found if r.boot]) == len(truth(120))


async def test_the_radio_is_pulled_and_comes_back(
    database_url: str, tmp_path: Path, bench: Bench
) -> None:
    """The link is down while there is no radio, and goes on where it was."""
    path = tmp_path / "radio"
    path.symlink_to(bench.line.path)
    car = Car()
    async with base(database_url, str(path)) as gateway:
        await greet(bench, car)
        await drive(bench, car)
        bench.line.unplug()
        await until(lambda: status(gateway).state == "down", "the link down")
        assert "went away" in status(gateway).reason
        with on_pty(FakeRadio()) as again:
            other = Bench(again)
            other._number = 1000
            path.unlink()
            path.symlink_to(again.path)
            await until(lambda: status(gateway).state == "up")
            await drive(other, car)
            assert status(gateway).attempts >= 2
            # Nothing is counted twice over the attempts.
            assert status(gateway).counters["data_committed"] == car.acks[-1].next
    found = await stored(database_url, "car-7")
    assert {(r.signal, r.time_ns) for r in found if r.boot} == set(truth(120))


async def test_a_database_that_is_away(database_url: str, bench: Bench) -> None:
    """Packets wait for the store, unacknowledged; nothing is lost, and the link says so."""
    car = Car()
    async with base(database_url, bench.line.path) as gateway:
        await greet(bench, car)
        await drive(bench, car)
        append = gateway.ingest.log.append

        async def away(_: Any) -> Any:
            from server.errors import StoreAway

            raise StoreAway("the database is away")

        gateway.ingest.log.append = away  # type: ignore[method-assign]
        before = len(car.acks)
        (seq,) = car.drive(20)
        bench.hears(car.data(seq))
        await until(lambda: status(gateway).state == "degraded")
        assert "packets wait: not stored" in status(gateway).reason
        assert len(car.acks) == before
        gateway.ingest.log.append = append  # type: ignore[method-assign]
        await until(lambda: not car.kept)
        await until(lambda: status(gateway).state == "up")


async def test_ordinary_nodes(database_url: str, bench: Bench) -> None:
    """Position and Telemetry of nodes become readings of their device; what cannot be, does not."""
    now_s = int(time.time())
    position = mesh_pb2.Position(
        latitude_i=520000001,
        longitude_i=-45000000,
        altitude=35,
        ground_speed=50,
        ground_track=9000000,
        sats_in_view=9,
        HDOP=120,
        timestamp=now_s - 60,
        precision_bits=32,
    )
    telemetry = telemetry_pb2.Telemetry(time=now_s - 30)
    telemetry.environment_metrics.temperature = 21.5
    telemetry.environment_metrics.relative_humidity = float("nan")
    telemetry.environment_metrics.barometric_pressure = 5.0
    async with base(database_url, bench.line.path) as gateway:
        for _ in range(2):  # the same twice, as other packets
            bench.hears(position.SerializeToString(), 0xABCD, port=3)
            bench.hears(telemetry.SerializeToString(), 0xABCD, port=67)
        bench.hears(b"\xff\xff", 0xABCD, port=3)
        bench.hears(mesh_pb2.Position(latitude_i=0, longitude_i=0).SerializeToString(), 1, port=3)
        bench.hears(mesh_pb2.User(long_name="Hill\x1b").SerializeToString(), 0xABCD, port=4)
        bench.hears(b"hello", 0xABCD, port=1)
        await until(lambda: status(gateway).counters.get("node_infos"))
        await until(lambda: status(gateway).counters["readings"] >= 9 + 3 * 8)
        counters = status(gateway).counters
        assert (counters["positions"], counters["positions_refused"]) == (2, 1)
        assert (counters["values_refused"], counters["node_payloads_bad"]) == (4, 1)
    found = await stored(database_url, "node-0000abcd")
    own = {
        (r.signal, r.time_ns // 10**9): r.value for r in found if r.signal not in (4001, 4002, 4003)
    }
    fix_s = now_s - 60
    assert own == {
        (1001, fix_s): pytest.approx(52.0000001, abs=1e-9),
        (1002, fix_s): -4.5,
        (1003, fix_s): 35.0,
        (1004, fix_s): 50.0,
        (1005, fix_s): 90.0,
        (1006, fix_s): 1.2,
        (1007, fix_s): 9.0,
        (4004, fix_s): 32.0,
        (4021, now_s - 30): 21.5,
    }
    assert len([r for r in found if r.signal == 1001]) == 1


async def test_bad_input(database_url: str, bench: Bench) -> None:
    """Foreign, encrypted, undecodable and absurd packets are counted; the link stays up."""
    async with base(database_url, bench.line.path) as gateway:
        for payload in (
            b"",
            b"\x11",
            b"\x1f\x00",
            b"\x21\x00aaaa",
            b"\x12\x07",
            b"\x13\x07\x05\x02",
            b"\x18",
            bytes(231),
            air.Acks([air.Ack(1, 2, 0, 3, 4)]).to_bytes(),
            air.Data(9, 0, b"\x40\x00").to_bytes(),
        ):
            bench.hears(payload)
        bench.hears(b"", encrypted=b"\x01\x02")
        bench.hears(air.Data(9, 0, b"\x40\x00" + bytes(20)).to_bytes(), number=77)
        bench.hears(air.Data(9, 0, b"\x40\x00" + bytes(20)).to_bytes(), number=77)
        await until(lambda: status(gateway).counters.get("packets_again"))
        counters = status(gateway).counters
        assert counters["messages_bad"] == 8
        assert (counters["messages_of_bases"], counters["packets_encrypted"]) == (1, 1)
        assert counters["data_damaged"] == 1
        assert status(gateway).state == "up"
        await until(lambda: bench.acks)  # the stream is asked for its hello
    assert not [r for r in await stored(database_url, "car-7") if r.boot]


async def test_only_listed(database_url: str, bench: Bench) -> None:
    """Others than the configured vehicles leave no trace, if that is wanted."""
    link = LINK + "only_listed = true\nchannel = 1\n"
    async with base(database_url, bench.line.path, link) as gateway:
        bench.hears(Car(7, 0xABCD).hello(), 0xABCD)
        bench.hears(Car(7, CAR).hello())
        await until(lambda: status(gateway).counters.get("packets_other_channel"))
        assert status(gateway).counters["packets_unlisted"] == 1
        assert "vehicles_new" not in status(gateway).counters
    assert not await stored(database_url, "node-0000abcd")


async def test_a_flood_of_nodes(database_url: str, bench: Bench) -> None:
    """A thousand strangers are bounded in memory, and do not push the configured vehicle out."""
    car = Car()
    async with base(database_url, bench.line.path) as gateway:
        bench.hears(car.hello())
        for number in range(1000):
            bench.hears(air.Data(1, 0, b"\x40\x00\x00\x00" + bytes(20)).to_bytes(), 0x1000 + number)
            if number % 100 == 99:
                await asyncio.sleep(0.05)
        await until(lambda: status(gateway).counters.get("vehicles_new", 0) > MOST_VEHICLES)
        await until(
            lambda: (
                status(gateway).counters["packets"]
                + status(gateway).counters.get("packets_dropped", 0)
                >= 1001
            )
        )
        kept = gateway.link_services.kept("mesh:mesh", lambda: None)
        assert kept.station.vehicles <= MOST_VEHICLES
        assert CAR in kept.station._vehicles


async def test_a_radio_without_a_region(database_url: str) -> None:
    """A new radio receives but never sends: the link says what to do."""
    with on_pty(FakeRadio(region=0)) as line:
        async with base(database_url, line.path, state="degraded") as gateway:
            assert "meshtastic --set lora.region" in status(gateway).reason


async def test_a_radio_that_stops_answering(
    database_url: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link is degraded, then down, then tries again; the event loop never waits."""
    monkeypatch.setattr(radio_module, "MUTE_S", 0.2)
    monkeypatch.setattr(radio_module, "LOST_S", 0.6)
    monkeypatch.setattr(radio_module, "HANDSHAKE_S", 0.5)
    async with base(database_url, bench.line.path) as gateway:
        client = gateway.supervisors["mesh"]._link.client  # type: ignore[union-attr]
        await until(lambda: client._answers)
        with bench.line.lock:
            bench.radio.is_frozen = True
        bench.hears(Car().hello())
        client.send(b"x")
        await until(lambda: status(gateway).state == "degraded")
        await until(lambda: status(gateway).state == "down")
        assert "it hangs" in status(gateway).reason
        begin_s = time.monotonic()
        await asyncio.sleep(0)
        assert time.monotonic() - begin_s < 0.5
        with bench.line.lock:
            bench.radio.is_frozen = False
        bench.line.poke()
        await until(lambda: status(gateway).state == "up")


async def test_the_radio_refuses_to_send(database_url: str, bench: Bench) -> None:
    """Duty cycle exhausted: the acknowledgement waits, and what it says is not forgotten."""
    async with base(database_url, bench.line.path) as gateway:
        with bench.line.lock:
            bench.radio.result = 9
        bench.hears(Car().hello())
        await until(lambda: status(gateway).counters.get("acks_unsent"))
        assert status(gateway).counters["acks_sent"] == 0
        assert len(bench.acks) == 1  # not again at once


async def test_over_tcp(database_url: str) -> None:
    """A radio's network door serves as well."""
    with on_tcp(FakeRadio()) as line:
        async with base(database_url, f"tcp://127.0.0.1:{line.port}") as gateway:
            assert status(gateway).reason.startswith("radio !")


async def test_no_radio(database_url: str, tmp_path: Path) -> None:
    """A port that is not there is a link that is down, with the reason."""
    async with base(database_url, str(tmp_path / "none"), state="") as gateway:
        await until(lambda: status(gateway).attempts > 1)
        assert "expected a serial port at" in status(gateway).reason


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('port = "tcp://"', "a device path, tcp://host or tcp://host:4403, or a pyserial URL"),
        ('vehicles = {"a1b2c3d4" = "x"}', "a node like !a1b2c3d4 for links.mesh.vehicles.a1b2c3d4"),
        ('vehicles = {"!ffffffff" = "x"}', "a node like !a1b2c3d4"),
        ('vehicles = {"!a1b2c3d4" = "a b"}', "a device of up to 64 letters"),
        ('vehicles = {"!a1b2c3d4" = 7}', "a device of up to 64 letters"),
        (
            'vehicles = {"!a1b2c3d4" = "x", "!a1b2c3d5" = "x"}',
            "another device for each node for links.mesh.vehicles.!a1b2c3d5",
        ),
        ('vehicles = {"!+1b2c3d4" = "x"}', "a node like !a1b2c3d4"),
        ('vehicles = {"!1_b2c3d4" = "x"}', "a node like !a1b2c3d4"),
        (
            'vehicles = {"!A1B2C3D4" = "x", "!a1b2c3d4" = "y"}',
            "each node once for links.mesh.vehicles.!a1b2c3d4",
        ),
        ('port = "tcp://me:secret@h"', "a device path, tcp://host or tcp://host:4403"),
        ('port = "tcp://h#x"', "a device path, tcp://host or tcp://host:4403"),
        ('port = "tcp:// h"', "a device path, tcp://host or tcp://host:4403"),
        ('port = "tcp://a..b"', "a device path, tcp://host or tcp://host:4403"),
        ('port = "foo://x"', "a device path, tcp://host or tcp://host:4403"),
        ('port = "socket://h"', "a device path, tcp://host or tcp://host:4403"),
        ("only_listed = true", "vehicles beside only_listed"),
        ("channel = 8", "a whole number from 0 to 7"),
        ("ack_packets = 0", "a whole number from 1 to 128"),
        ("vehicle = 1", "did you mean 'vehicles'"),
    ],
)
def test_configuration(line: str, expected: str) -> None:
    """What is wrong in the table is told with its line."""
    text = '[links.mesh]\nkind = "mesh"\n'
    text += line if line.startswith("port") else f'port = "/dev/ttyACM0"\n{line}'
    with pytest.raises(ConfigError) as raised:
        parse_config(text + "\n", "telerig.toml", {})
    assert expected in str(raised.value)
