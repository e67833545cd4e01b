"""The live stream's frames and queues."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from server.clock import SystemClock
from server.links.supervisor import LinkState, LinkStatus
from server.live import Hub, LiveClient
from server.readings import Reading, State


async def frames(client: LiveClient) -> list[dict[str, Any]]:
    """Take everything that waits for a client."""
    found = []
    while True:
        try:
            found.append(json.loads(await asyncio.wait_for(client.next(), 0.01)))
        except TimeoutError:
            return found


def status(state: LinkState) -> LinkStatus:
    """A link in a state."""
    return LinkStatus("obd", "obd", state, "because", 1, 1, 0, (), {})


async def test_hello_then_frames_in_order() -> None:
    """A client gets hello, then what happens, in the documented form."""
    hub = Hub("car-1", 77, SystemClock())
    client = hub.attach()
    hub.readings(5, [Reading(12, 10, 1.5, 20), Reading(13, 11, float("nan"), 21, State.LOST)])
    hub.stored(6, 30)
    hub.link(status(LinkState.UP))
    hub.stale("obd", (12, 13), 40)
    hub.store_failing("disk full")
    hello, *rest = await frames(client)
    assert hello["type"] == "hello"
    assert (hello["boot"], hello["device"], hello["signals"]["12"]) == (77, "car-1", "RPM")
    assert rest[0] == {
        "type": "readings",
        "device": "car-1",
        "boot": 77,
        "readings": [[5, 12, 10, 1.5, 20, 0], [6, 13, 11, None, 21, 3]],
    }
    assert rest[1] == {
        "type": "stored",
        "device": "car-1",
        "boot": 77,
        "upto": 6,
        "time_ns": 30,
    }
    assert {key: rest[2][key] for key in ("type", "name", "state", "reason")} == {
        "type": "link",
        "name": "obd",
        "state": "up",
        "reason": "because",
    }
    assert rest[3] == {"type": "stale", "link": "obd", "signals": [12, 13], "time_ns": 40}
    assert (rest[4]["type"], rest[4]["state"], rest[4]["reason"]) == (
        "store",
        "failing",
        "disk full",
    )


async def test_a_late_client_learns_what_is_wrong() -> None:
    """Link states, stale signals and a failing store are told to a client that comes later."""
    hub = Hub("car-1", 77, SystemClock())
    hub.link(status(LinkState.CONNECTING))
    hub.link(status(LinkState.DEGRADED))
    hub.stale("obd", (12,), 1)
    hub.stale("gps", (1001,), 1)
    hub.stale("gps", (), 2)
    hub.store_failing("away")
    told = [frame["type"] for frame in await frames(hub.attach())]
    assert told == ["hello", "link", "stale", "store"]
    hub.store_failing("")
    assert [frame["type"] for frame in await frames(hub.attach())] == ["hello", "link", "stale"]


async def test_a_slow_client_loses_the_oldest_and_is_told() -> None:
    """Beyond its bound a client loses the oldest frames; the count comes first."""
    client = LiveClient(limit=3)
    for number in range(5):
        client.offer(json.dumps({"n": number}))
    assert await frames(client) == [{"type": "dropped", "count": 2}, {"n": 2}, {"n": 3}, {"n": 4}]
    for number in range(4):
        client.offer(json.dumps({"n": number}))
    assert (await frames(client))[0] == {"type": "dropped", "count": 1}
    assert client.dropped == 3


async def test_a_detached_client_gets_nothing() -> None:
    """After detach the hub holds nothing for the client."""
    hub = Hub("car-1", 77, SystemClock())
    client = hub.attach()
    hub.detach(client)
    hub.stored(1, 1)
    assert hub.clients == 0
    assert [frame["type"] for frame in await frames(client)] == ["hello"]


async def test_drained_waits_for_the_last_frame() -> None:
    """`drained` returns when nothing waits any more."""
    hub = Hub("car-1", 77, SystemClock())
    client = hub.attach()
    waiting = asyncio.create_task(hub.drained())
    await asyncio.sleep(0)
    assert not waiting.done()
    await client.next()
    reader = asyncio.create_task(client.next())
    await asyncio.wait_for(waiting, 5)
    reader.cancel()
