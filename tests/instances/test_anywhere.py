"""Ingest, alerts and live stream at several gateways at once, behind what engineers put before."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter

import pytest

from tests.instances.conftest import DEVICES, Fleet
from tests.instances.engines import Engine, HAProxy, Nats, Nginx
from tests.instances.listener import Listener
from tests.instances.load import Load
from tests.instances.stored import check_store
from tests.server.alerts.conftest import HookServer

COMPACTS = "[store]\ncompact_after_s = 3\n"
THRESHOLD = 50  # of what rises by a quarter with each reading: the 201st fires


@pytest.mark.parametrize(("balancer", "bus"), [(HAProxy, "notify"), (Nginx, "nats")])
async def test_devices_that_change_gateways_with_each_request(
    fleet: Fleet, hooks: HookServer, balancer: type[HAProxy | Nginx], bus: str
) -> None:
    """Whoever takes it: stored once, seen everywhere in order, one alert for each device."""
    place = bus
    if bus == "nats":
        nats = Nats(fleet.children)
        nats.start()
        place = nats.url
    one, two = await fleet.start("gw-a", "gw-b", bus=place, more=COMPACTS)
    door: Engine = balancer(fleet.children, [one, two])
    door.start()
    # The receiver is told to one gateway, the rule to the other.
    await one.ask("POST", "/api/v1/alerts/targets", {"name": "pager", "webhook": hooks.url})
    rule = {"name": "fast", "signal": "RPM", "condition": ">", "threshold": THRESHOLD}
    await two.ask("POST", "/api/v1/alerts/rules", rule)
    async with (
        Listener(f"{one.host}:{one.port}", "a") as at_one,
        Listener(f"{two.host}:{two.port}", "b") as at_two,
        Listener(door.address, "balancer") as at_door,
        Load(DEVICES, [(door.host, door.port)], readings=10, period_s=0.15) as load,
    ):
        await load.grows_by(len(DEVICES) * 300)
        await load.end()
        for listener in (at_one, at_two, at_door):
            await listener.has_all(load)
    await check_store(fleet.database_url, load)
    accepted = [await gateway.metrics() for gateway in (one, two)]
    assert all(found["telerig_feed_delivered_total"] for found in accepted)
    told = await _told(hooks, len(DEVICES))
    assert told == Counter(DEVICES)
    history = (await two.ask("GET", "/api/v1/alerts?limit=100")).json()["alerts"]
    assert Counter(alert["device"] for alert in history) == Counter(DEVICES)


async def _told(hooks: HookServer, devices: int, patience_s: float = 15.0) -> Counter[str]:
    """Count, by device, how often somebody was told that an alert fires."""
    due_s = time.monotonic() + patience_s
    while True:
        told = Counter(
            alert["device"]
            for request in hooks.requests
            for alert in json.loads(request.body)["alerts"]
            if alert["state"] == "firing"
        )
        if len(told) >= devices or time.monotonic() > due_s:
            return told
        await asyncio.sleep(0.05)
