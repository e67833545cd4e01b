"""The base station on a radio twin in wall time, with nodes around that speak for themselves."""

from __future__ import annotations

from tests.server.ingest.conftest import rows
from tests.server.mesh.base.test_link import base, status, until
from tests.sim.meshtastic.live import LiveGroup


async def test_nodes_of_the_world_are_stored(database_url: str) -> None:
    """Positions and telemetry of nodes on the air, and how they were heard, are stored."""
    group = LiveGroup(pace=20.0, nodes=3, preset="SHORT_FAST", beacon_s=20.0)
    try:
        async with base(database_url, group.serial[0]) as gateway:
            await until(lambda: status(gateway).counters.get("positions", 0) >= 3)
            await until(lambda: status(gateway).counters.get("readings", 0) > 20)
            counters = status(gateway).counters
            assert not counters.get("node_payloads_bad")
            assert not counters.get("values_refused")
            assert not counters.get("frames_damaged")
    finally:
        group.close()
    found = await rows(
        database_url, "SELECT DISTINCT device FROM device_boots WHERE device LIKE 'node-%'"
    )
    assert {row["device"] for row in found} >= {f"node-{0x7E1E1001 + n:08x}" for n in range(1)}
