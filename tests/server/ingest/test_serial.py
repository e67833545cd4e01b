"""An edge logger on a serial line, through a whole gateway."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server.ingest.link_services import GatewayServices
from server.links.base import UplinkRefused
from server.wire import frame
from server.wire.telemetry_pb2 import Downlink
from tests.server.ingest.conftest import stored
from tests.server.ingest.logger import Logger, truth
from tests.server.links.test_esp32 import Board, until
from tests.server.running import QUICK, gateway_config, running

LINK = QUICK + "[links.logger]\nkind = 'esp32'\nport = '{port}'\n"


@pytest.mark.parametrize("how", ["registered", "device", "key"])
async def test_a_drive_over_serial(database_url: str, tmp_path: Path, how: str) -> None:
    """Rows that come over a serial line are stored exactly, once, and acknowledged; the device is
    told by its uplink, by the link's table, or by its key."""
    async with running(gateway_config(database_url)) as gateway:
        _, minted = await gateway.registry.register("esp-1")
    board = Board(tmp_path / "port")
    text = LINK.format(port=board.path)
    text += {"registered": "", "device": "device = 'esp-1'\n", "key": f"key = '{minted.key}'\n"}[
        how
    ]
    logger = Logger(5, "esp-1" if how == "registered" else "")
    async with running(gateway_config(database_url, text)) as gateway:
        await until(lambda: board.heard)  # a logger speaks when it was greeted
        for count in range(1, 4):
            uplink = logger.uplink(logger.drive(100), hello=count == 1)
            board.send(b"log line\n" + frame.frame(frame.UPLINK, uplink))
            await until(lambda count=count: len(board.answers()) == count)
            answer = logger.hear(board.answers()[-1])
            assert answer.ack == len(logger.packets)
        (status,) = gateway.links
        assert (status.state, status.counters["uplinks"]) == ("up", 3)
    board.unplug()
    found = await stored(database_url)
    assert {(r.signal, r.time_ns) for r in found} == set(truth(300))
    assert len(found) == len(truth(300))


async def test_who_may_send_over_serial(database_url: str) -> None:
    """Unknown and inactive devices, wrong keys and names that do not fit are refused."""
    async with running(gateway_config(database_url)) as gateway:
        services = gateway.link_services
        assert isinstance(services, GatewayServices)
        uplink = Logger(5, "esp-1").uplink
        for options in ({}, {"key": "wrong"}, {"device": "another"}):
            with pytest.raises(UplinkRefused) as refused:
                await services.uplink(uplink(), **options)
            assert not refused.value.again
        # The configuration vouches for a device that is not registered.
        answer = Downlink.FromString(await services.uplink(uplink(), device="esp-1"))
        assert answer.boot == 5
        _, minted = await gateway.registry.register("esp-1")
        await services.uplink(uplink())
        await services.uplink(uplink(), key=minted.key)
        await gateway.registry.deactivate("esp-1")
        with pytest.raises(UplinkRefused):
            await services.uplink(uplink())
        with pytest.raises(UplinkRefused):
            await services.uplink(b"\xff", device="esp-1")


async def test_a_store_that_is_away_is_told_so(database_url: str) -> None:
    """What the store cannot take now is refused with the hint to come again."""
    async with running(gateway_config(database_url)) as gateway:
        await gateway.registry.register("esp-1")
        await gateway.ingest.log.close()
        logger = Logger(5, "esp-1")
        logger.drive(10)
        with pytest.raises(UplinkRefused) as refused:
            await asyncio.wait_for(gateway.link_services.uplink(logger.uplink()), 10)
        assert refused.value.again
