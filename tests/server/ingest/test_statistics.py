"""Figures of a device: what was committed, by boot, by day and vehicle; and what was refused."""

from __future__ import annotations

from server.devices.statistics import of_device
from server.gateway import Gateway
from tests.server.ingest.conftest import NOW_NS, Sender
from tests.server.ingest.logger import Logger, truth

VIN = "WF0DXXGAKDDK12345"


async def test_figures_of_a_device(gateway: Gateway, sender: Sender) -> None:
    """Totals are those of all boots; ratios follow from them; refusals are listed."""
    logger = Logger(9)
    packets = logger.drive(400)
    assert (await sender.post("/uplink", logger.uplink())).status_code == 200
    good = {"boot": 1, "seq": 1, "vin": VIN, "signal": "RPM", "time_ns": NOW_NS, "value": 1}
    assert (await sender.post("/ingest", good)).status_code == 200
    assert (await sender.post("/ingest", good | {"seq": 2, "value": -1})).status_code == 400
    await gateway.ingest.log.close()
    async with gateway.pool.acquire() as connection:
        found = await of_device(connection, "esp-1")
    by_boot = {boot.boot: boot for boot in found.boots}
    assert found.total.readings == len(truth(400)) + 1
    assert found.total.transmitted + found.total.suppressed == found.total.readings
    packed = by_boot[9].sums
    assert packed.bytes_sent == sum(map(len, packets))
    assert packed.suppression_ratio == round(packed.suppressed / packed.readings, 6) > 0
    assert packed.compression_ratio == round(packed.bytes_plain / packed.bytes_sent, 6) > 3
    assert (by_boot[1].vin, by_boot[9].vin) == (VIN, "")
    assert {day.of: day.sums.readings for day in found.days} == {VIN: 1, "": len(truth(400))}
    assert {refused.reason: refused.count for refused in found.refused} == {
        "value": 1,
        "http 400": 1,
    }


async def test_figures_of_nobody(gateway: Gateway) -> None:
    """A device that never sent has zeros, and no ratios."""
    async with gateway.pool.acquire() as connection:
        found = await of_device(connection, "nobody")
    assert found.total.readings == found.total.bytes_sent == 0
    assert found.total.suppression_ratio is found.total.compression_ratio is None
    assert found.boots == found.days == found.refused == []
