"""Edge loggers that change gateways in the middle of a drive, and packets that poison a decoder."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

import server.ingest.uplink as uplink_module
from server.gateway import Gateway
from server.ingest.rows import piece_of
from server.store.appends import Piece
from server.wire.codec.decoder import Decoded, peek
from server.wire.telemetry_pb2 import Downlink, EdgeRecord
from tests.server.ingest.conftest import Sender, rows, stored
from tests.server.ingest.logger import Logger, truth
from tests.server.running import QUICK, gateway_config, running
from tests.server.stored import StoredReading

BOOT = 0xC0FFEE
DEVICES = ("roaming", "settled")
VINS = ("WF0DXXGAKDDK12345", "WBY1Z21000V123456")


@pytest.fixture
async def gateways(database_url: str) -> AsyncIterator[list[Gateway]]:
    """Two gateways on one database."""
    async with contextlib.AsyncExitStack() as stack:
        made = []
        for name in ("gw-a", "gw-b"):
            text = f'{QUICK}[gateway]\ndevice = "{name}"\n[compat]\ns4 = true\n'
            config = gateway_config(database_url, text)
            made.append(await stack.enter_async_context(running(config)))
        yield made


@pytest.fixture
async def senders(gateways: list[Gateway]) -> AsyncIterator[dict[str, list[Sender]]]:
    """Each device at each gateway."""
    found = {}
    for device in DEVICES:
        _, minted = await gateways[0].registry.register(device)
        found[device] = [Sender(gateway.url, minted.key) for gateway in gateways]
    for gateway in gateways[1:]:
        await gateway.registry.fresh()
    yield found
    for of_device in found.values():
        for sender in of_device:
            await sender.http.aclose()


async def send(sender: Sender, body: bytes) -> Downlink:
    """Send an uplink, again where the gateway says so."""
    while True:
        answer = await sender.post("/uplink", body)
        if answer.status_code == 200:
            return Downlink.FromString(answer.content)
        assert answer.status_code in (401, 429, 503), answer.text
        await asyncio.sleep(0.05)


async def test_a_device_changes_gateways(
    gateways: list[Gateway], senders: dict[str, list[Sender]], database_url: str
) -> None:
    """Whichever gateway takes its packets, and where both get the same ones at once: what is
    stored is what one gateway would have stored, bit for bit, and no keyframe is asked for."""
    chance = random.Random(5)
    logger = Logger(BOOT)
    roaming, settled = (senders[device] for device in DEVICES)
    for number in range(24):
        packets = logger.drive(chance.randint(20, 60))
        # Some of the packets again, as after a lost answer.
        known = logger.packets[-len(packets) - 2 : -len(packets)]
        body = logger.uplink(known + packets, hello=number == 0)
        both = chance.random() < 0.4
        to = roaming if both else [chance.choice(roaming)]
        for answer in await asyncio.gather(*(send(sender, body) for sender in to)):
            assert (answer.ack, answer.need_hello) == (len(logger.packets), False)
            assert not answer.need_key
            assert not answer.refused
            logger.hear(answer.SerializeToString())
        await send(settled[0], body)
    found = {
        device: [(r.seq, r.signal, r.time_ns, r.value, r.state) for r in all_of_it]
        for device in DEVICES
        for all_of_it in [await stored(database_url, device)]
    }
    assert found["roaming"] == found["settled"]
    assert len(found["roaming"]) == len(truth(logger.rows))
    assert sum(gateway.ingest.log.stale for gateway in gateways) > 0
    totals = await rows(
        database_url,
        "SELECT DISTINCT readings, transmitted, suppressed, bytes_plain, bytes_sent"
        " FROM device_boots",
    )
    assert len(totals) == 1
    turns = await rows(
        database_url, "SELECT count(DISTINCT turn), max(turn) FROM hot WHERE device = 'roaming'"
    )
    (boot,) = await rows(database_url, "SELECT turn FROM device_boots WHERE device = 'roaming'")
    assert turns[0]["max"] == boot["turn"]


async def test_an_old_state_in_memory_asks_for_nothing(senders: dict[str, list[Sender]]) -> None:
    """A gateway that has heard a device before it went to another one answers from what that one
    has committed, also where there is nothing to commit."""
    logger = Logger(BOOT)
    here, there = senders["roaming"]
    before = await send(here, logger.uplink([], hello=False))
    assert before.need_hello
    logger.drive(100)
    logger.hear((await send(there, logger.uplink())).SerializeToString())
    again = await send(here, logger.uplink(hello=False))
    assert (again.need_hello, again.ack) == (False, len(logger.packets))
    assert not again.need_key


async def test_a_vehicle_of_an_older_logger_changes_gateways(
    gateways: list[Gateway], database_url: str
) -> None:
    """Records that leave out what was predicted are completed alike, whichever gateway takes them,
    and one that both get at once is stored once."""
    chance = random.Random(6)
    begin_s = round(time.time()) - 60
    headers = {"content-type": "application/x-protobuf"}
    async with (
        httpx2.AsyncClient(base_url=gateways[0].url, headers=headers, timeout=20) as here,
        httpx2.AsyncClient(base_url=gateways[1].url, headers=headers, timeout=20) as there,
    ):
        for second in range(20):
            fields: dict[str, Any] = {"speed": 60.0 + chance.random(), "battery": 80.0 - second}
            if second:
                del fields[chance.choice(list(fields))]
            for vin in VINS:
                record = EdgeRecord(timestamp=begin_s + second, vehicle_vin=vin, **fields)
                both = second % 3 == 0
                to = [here] if vin == VINS[1] else [here, there] if both else [there]
                answers = await asyncio.gather(
                    *(h.post("/api/telemetry", content=record.SerializeToString()) for h in to)
                )
                assert {answer.status_code for answer in answers} == {200}
    found = [
        [(r.signal, r.time_ns, r.value, r.state) for r in sorted(all_of_it, key=in_time)]
        for vin in VINS
        for all_of_it in [await stored(database_url, f"edge.{vin}")]
    ]
    assert found[0] == found[1]
    assert len(found[0]) == 40


def in_time(reading: StoredReading) -> tuple[int, int]:
    """Order them by instant and signal: the numbers of these loggers have no order."""
    return reading.time_ns, reading.signal


async def test_a_poisoned_packet_is_refused_alone(
    gateways: list[Gateway],
    senders: dict[str, list[Sender]],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A packet on which the decoder fails is refused and kept as an example; the others of the
    device are stored, and those that come later go on from them."""
    logger = Logger(BOOT)
    sender = senders["settled"][0]
    good = logger.drive(120)
    logger.hear((await send(sender, logger.uplink())).SerializeToString())
    later = logger.drive(200)
    poison = peek(later[1])[0]

    def broken(decoded: Decoded, *arguments: Any) -> Piece | None:
        if decoded.seq == poison:
            raise IndexError("a mistake in the decoder")
        return piece_of(decoded, *arguments)

    monkeypatch.setattr(uplink_module, "piece_of", broken)
    with capture_logs() as logs:
        answer = await send(sender, logger.uplink(later, hello=False))
        await send(sender, logger.uplink(later[1:2], hello=False))
    assert [(r.seq, r.reason) for r in answer.refused] == [
        (poison, "the decoder fails on it: IndexError")
    ]
    assert poison not in answer.acked
    assert answer.ack == poison
    assert len(answer.acked) == len(later) - 2
    (entry,) = [entry for entry in logs if entry["event"] == "packet poisons the decoder"]
    assert (entry["seq"], type(entry["exc_info"])) == (poison, IndexError)
    assert gateways[0].uplinks.poisoned == 2
    monkeypatch.undo()
    # The decoder is as it was: the same packet is taken once the mistake is mended.
    answer = await send(sender, logger.uplink(later, hello=False))
    assert (answer.ack, len(answer.refused)) == (len(good) + len(later), 0)
    assert len(await stored(database_url, "settled")) == len(truth(320))
    await gateways[0].ingest.log.close()
    (refused,) = await rows(
        database_url, "SELECT reason, count, examples FROM device_refusals WHERE device = 'settled'"
    )
    assert refused["count"] == 2
    assert later[1][:20].hex() in refused["examples"][0]
