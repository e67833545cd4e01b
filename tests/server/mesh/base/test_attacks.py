"""What strangers, and radios out of order, do to a base station: it stays up and bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
import structlog
from meshtastic.protobuf import mesh_pb2

from server.links.base import UplinkRefused
from server.mesh.base.station import MOST_VEHICLES, STREAMS
from server.mesh.radio import client as radio_module
from server.wire import air
from tests.server.ingest.conftest import stored
from tests.server.mesh.base.test_link import Bench, base, drive, greet, quick, status, until
from tests.server.mesh.car import Car
from tests.server.mesh.fake_radio import FakeRadio, on_pty

__all__ = ["quick"]


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A radio on a PTY."""
    with on_pty(FakeRadio()) as line:
        yield Bench(line)


async def test_more_streams_than_are_kept_in_one_go(database_url: str, bench: Bench) -> None:
    """A node with many streams at once pushes its own out, and nothing else happens."""
    async with base(database_url, bench.line.path) as gateway:
        with bench.line.lock:
            for number in range(20):
                bench.radio.hears(
                    payload=air.Data(number, 0, bytes(20)).to_bytes(), number=1000 + number
                )
        bench.line.poke()
        await until(lambda: status(gateway).counters.get("messages", 0) >= 20)
        car = Car()
        await greet(bench, car)
        await drive(bench, car)
        assert status(gateway).attempts == 1


async def test_a_device_that_may_no_longer_send(database_url: str, bench: Bench) -> None:
    """After a restart, packets of a revoked device are refused once each, not for ever."""
    car = Car()
    async with base(database_url, bench.line.path):
        await greet(bench, car)
        await drive(bench, car)
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO devices (id, name, active, registered_ns) VALUES ('car-7', 'x', false, 1)"
    )
    await connection.close()
    async with base(database_url, bench.line.path) as gateway:
        for seq in car.drive(20):
            bench.hears(car.data(seq))
        await until(lambda: status(gateway).counters.get("uplinks_refused"))
        await asyncio.sleep(0.3)
        assert status(gateway).counters["uplinks_refused"] < 10


async def test_a_number_that_jumps(database_url: str, bench: Bench) -> None:
    """A vehicle whose numbers jump by 2^31 does not keep the base busy writing what is missing."""
    car = Car()
    other = Car(0x99, 0xABCD)
    async with base(database_url, bench.line.path) as gateway:
        await greet(bench, car)
        await drive(bench, car)
        car.logger.encoder._seq = 2**31
        uplinks = status(gateway).counters["uplinks"]
        seqs = car.drive(20)
        for seq in seqs:
            bench.hears(car.data(seq, back=0))
        bench.hears(other.hello(), other.node)  # its profile is known by now
        await drive(bench, other)
        assert status(gateway).counters["uplinks"] - uplinks < 30


async def test_strangers_while_the_database_is_away(database_url: str, bench: Bench) -> None:
    """What strangers send while nothing can be committed is bounded too."""
    async with base(database_url, bench.line.path) as gateway:

        async def away(*_: Any, **__: Any) -> Any:
            raise UplinkRefused("the database is away", again=True)

        gateway.link_services.uplink = away  # type: ignore[method-assign]
        gateway.link_services.boots = away  # type: ignore[method-assign]
        for number in range(MOST_VEHICLES * STREAMS + 500):
            bench.hears(air.Data(number & 3, 0, bytes(20)).to_bytes(), 0x1000 + number // 2)
            if number % 100 == 99:
                await asyncio.sleep(0.1)
        kept = gateway.link_services.kept("mesh:mesh", lambda: None)
        await until(lambda: status(gateway).counters.get("vehicles_forgotten", 0) > 10)
        assert len(kept.station.work) <= (MOST_VEHICLES + 1) * STREAMS


async def test_a_radio_that_only_talks_nonsense(
    database_url: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A radio that writes its log and answers nothing hangs as much as a silent one."""
    monkeypatch.setattr(radio_module, "MUTE_S", 0.2)
    monkeypatch.setattr(radio_module, "LOST_S", 0.6)
    monkeypatch.setattr(radio_module, "HEARTBEAT_S", 0.1)
    async with base(database_url, bench.line.path) as gateway:
        client = gateway.supervisors["mesh"]._link.client  # type: ignore[union-attr]
        await until(lambda: client._answers)
        with bench.line.lock:
            bench.radio.feed = lambda data: None  # type: ignore[method-assign]
        attempts = status(gateway).attempts

        async def talk() -> None:
            while True:
                with bench.line.lock:
                    bench.radio.out += b"DEBUG | ??:??:?? 17 \x94 [Router] text\r\n"
                bench.line.poke()
                await asyncio.sleep(0.02)

        talking = asyncio.create_task(talk())
        try:
            await until(lambda: status(gateway).state == "degraded", "the link degraded")
            await until(lambda: status(gateway).state == "down", "the link down")
            assert "it hangs" in status(gateway).reason
            assert status(gateway).attempts == attempts
        finally:
            talking.cancel()


async def test_a_radio_that_shouts(database_url: str, bench: Bench) -> None:
    """Notices, reboots and names, as many as a radio likes, do not fill the log."""
    capture = structlog.testing.LogCapture()
    structlog.configure(processors=[capture])
    async with base(database_url, bench.line.path) as gateway:
        with bench.line.lock:
            for number in range(3000):
                notice = mesh_pb2.ClientNotification(message=f"You can send in {number} mins")
                bench.radio.say(clientNotification=notice)
        bench.line.poke()
        for number in range(1000):
            bench.hears(
                mesh_pb2.User(long_name=f"Name {number}").SerializeToString(), 0xABCD, port=4
            )
        await until(lambda: status(gateway).counters.get("notices", 0) >= 3000)
        await until(lambda: status(gateway).counters.get("node_infos", 0) >= 200)
    assert len(capture.entries) < 200


async def test_a_stop_stores_what_waits(
    database_url: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positions of nodes that wait for others to be committed with are stored at the stop."""
    monkeypatch.setattr("server.mesh.base.link.FLUSH_S", 60.0)
    position = mesh_pb2.Position(latitude_i=520000001, longitude_i=-45000000)
    async with base(database_url, bench.line.path) as gateway:
        bench.hears(position.SerializeToString(), 0xABCD, port=3)
        await until(lambda: status(gateway).counters.get("positions"))
    assert {r.signal for r in await stored(database_url, "node-0000abcd")} >= {1001, 1002, 4001}
