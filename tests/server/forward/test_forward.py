"""Forwarding between two real gateways: everything arrives once, in order, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from server.catalogue import by_name
from server.forward.stream import StreamStatus
from server.gateway import Gateway
from server.readings import Reading, State
from tests.server.forward.lossy import LossyProxy
from tests.server.stored import fetch_readings

PATIENCE_S = 20.0
KEY = "a device key of the far gateway"
OTHER_KEY = "another device key there"
FAR = f'[api]\ndevice_keys = ["near-1:{KEY}", "esp-9:{OTHER_KEY}"]\n[gateway]\ndevice = "far"\n'
SIGNALS = [by_name(name).id for name in ("RPM", "SPEED", "THROTTLE_POS", "COOLANT_TEMP")]

Rows = list[tuple[int, int, float, int]]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon."""
    monkeypatch.setattr("server.forward.stream.RETRY_FIRST_S", 0.02)
    monkeypatch.setattr("server.forward.stream.RETRY_LAST_S", 0.1)


def near_text(url: str, folder: Path, key: str = KEY, more: str = "") -> str:
    """The configuration of a gateway that forwards."""
    return (
        f'[forward]\nurl = "{url}"\nkey = "{key}"\nfolder = "{folder}"\n{more}'
        '[outbound]\nallow = ["127.0.0.0/8"]\n[gateway]\ndevice = "near"\n'
    )


def read(gateway: Gateway, count: int, begin: int = 0, state: State = State.MEASURED) -> None:
    """Have a local link read values that tell their number."""
    now_ns = time.time_ns()
    gateway.pipeline.offer(
        [
            Reading(SIGNALS[i % 4], now_ns + i, float((begin + i) % 100), now_ns, state)
            for i in range(count)
        ]
    )


async def rows(gateway: Gateway, device: str) -> Rows:
    """All stored readings of a device: signal, instant, value, state; ascending."""
    found = await fetch_readings(gateway.config.database.url or "", device)
    return sorted((r.signal, r.time_ns, r.value, int(r.state)) for r in found)


def near_status(gateway: Gateway) -> StreamStatus:
    """How the near gateway's own stream is."""
    return gateway.forward.status.streams[0]


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 (a status has no event)
            await asyncio.sleep(0.02)


async def drained(gateway: Gateway, sent: int | None = None) -> StreamStatus:
    """Wait until nothing waits in the queue."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                status = near_status(gateway)
                if (
                    not gateway.pipeline.counts.pending
                    and status.state == "idle"
                    and (sent is None or status.sent >= sent)
                ):
                    return status
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not drained: {near_status(gateway)}") from None


@contextlib.asynccontextmanager
async def proxied(port: int) -> AsyncIterator[LossyProxy]:
    """A proxy before a port."""
    proxy = LossyProxy(port)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


def port_of(gateway: Gateway) -> int:
    """Where a gateway listens."""
    return int(gateway.url.rpartition(":")[2])


@pytest.mark.promise("T14")
async def test_what_is_stored_here_is_stored_there(
    run_gateway: Callable[..., Any], far_url: str, tmp_path: Path
) -> None:
    """Readings of local links are at the far gateway with instant, value and state, once."""
    async with (
        run_gateway(FAR, url=far_url) as far,
        run_gateway(near_text(far.url, tmp_path)) as near,
    ):
        for part in range(5):
            read(near, 101, 101 * part, State.BOUNDED if part == 2 else State.MEASURED)
            await asyncio.sleep(0.05)
        status = await drained(near, 505)
        assert (status.sent, status.stored, status.duplicates, status.refused) == (505, 505, 0, 0)
        assert await rows(far, "near-1") == await rows(near, "near")


async def test_nothing_is_lost_on_a_bad_way(
    run_gateway: Callable[..., Any], far_url: str, tmp_path: Path
) -> None:
    """With connections that are cut anywhere, outages, and restarts of both gateways, the far one
    has everything once, in order: sent = stored + duplicates + refused."""
    total = 0
    async with contextlib.AsyncExitStack() as stack:
        far = await stack.enter_async_context(run_gateway(FAR, url=far_url))
        proxy = await stack.enter_async_context(proxied(port_of(far)))
        proxy.loss = 0.25
        for run in range(3):
            async with run_gateway(near_text(proxy.url, tmp_path)) as near:
                for part in range(12):
                    read(near, 53, total)
                    total += 53
                    proxy.is_down = run == 1 and part < 8
                    if part == 6:
                        proxy.hang_up()
                    await asyncio.sleep(0.02)
        proxy.is_down = False
        async with run_gateway(near_text(proxy.url, tmp_path)) as near:
            status = await drained(near)
            assert proxy.cut > 5
            # An answer that was lost makes duplicates of what is stored.
            assert status.sent >= total >= status.stored
            assert status.sent == status.stored + status.duplicates + status.refused
            assert (status.refused, status.dropped, status.missed) == (0, 0, 0)
            found = await rows(far, "near-1")
            assert len(found) == total
            assert found == await rows(near, "near")


async def test_devices_go_with_their_own_keys(
    run_gateway: Callable[..., Any], far_url: str, tmp_path: Path
) -> None:
    """Readings that a device posted here are posted there with its key there, numbers and gaps
    included."""
    more = f'devices = ["esp-1:{OTHER_KEY}"]\n'
    text = (
        near_text("{url}", tmp_path, more=more)
        + '[api]\ndevice_keys = ["esp-1:key number one here"]\n'
    )
    async with run_gateway(FAR, url=far_url) as far:  # noqa: SIM117 (the second needs the first)
        async with run_gateway(text.replace("{url}", far.url)) as near:
            now_ns = time.time_ns() - 10**9
            headers = {"X-API-Key": "key number one here"}
            async with httpx2.AsyncClient(base_url=near.url, headers=headers) as http:
                for boot in (5, 0):
                    numbers = {"boot": 5, "seq": 1} if boot else {}
                    column = {
                        "signal": "RPM",
                        "first_time_ns": now_ns + boot,
                        "step_ns": 1000,
                        "values": [800, 99_999, 900, 1000],
                    }
                    body = {**numbers, "columns": [column, {**column, "signal": "SPEED"}]}
                    body["columns"][1]["values"] = [50, 51, 300, 52]  # type: ignore[index]
                    answer = await http.post("/api/v1/ingest/batch", json=body)
                    assert answer.json()["accepted"] == 6
            await until(lambda: near.forward.status.streams[1].sent == 12)
            assert near.forward.status.streams[1].stored == 12
            assert await rows(far, "esp-9") == await rows(near, "esp-1")
            assert await rows(far, "near-1") == []


async def test_what_was_committed_and_not_queued_is_found_after_a_kill(
    run_gateway: Callable[..., Any], far_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends between the commit and the queue leaves nothing out: the next one reads it
    from the log of the database."""
    async with run_gateway(FAR, url=far_url) as far:
        async with run_gateway(near_text(far.url, tmp_path)) as near:
            read(near, 40)
            await drained(near, 40)
            monkeypatch.setattr(near.forward, "local", lambda *_: None)  # as if killed just then
            read(near, 40, 40)
            await asyncio.sleep(0.2)
        async with run_gateway(near_text(far.url, tmp_path)) as near:
            status = await drained(near, 80)
            assert (status.stored, status.missed) == (80, 0)
            assert await rows(far, "near-1") == await rows(near, "near")


async def test_a_full_disk_costs_nothing(
    run_gateway: Callable[..., Any], far_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the queue cannot be written the database keeps what comes; then it is queued."""
    async with (
        run_gateway(FAR, url=far_url) as far,
        run_gateway(near_text(far.url, tmp_path)) as near,
    ):
        read(near, 40)
        await drained(near, 40)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("server.disk_queue.Queue.append", full)
        read(near, 40, 40)
        await until(lambda: near_status(near).state == "behind")
        assert "space" in near_status(near).reason
        read(near, 40, 80)
        await asyncio.sleep(0.1)
        monkeypatch.undo()
        status = await drained(near, 120)
        assert (status.stored, status.missed) == (120, 0)
        assert await rows(far, "near-1") == await rows(near, "near")


async def test_a_wrong_key_is_said_and_nothing_is_lost(
    run_gateway: Callable[..., Any], far_url: str, tmp_path: Path
) -> None:
    """What the far gateway refuses for want of a right key waits for a right one."""
    async with run_gateway(FAR, url=far_url) as far:
        async with run_gateway(near_text(far.url, tmp_path, "a wrong key, all of it")) as near:
            read(near, 40)
            await until(lambda: near_status(near).state == "refused")
            assert "401" in near_status(near).reason
            assert near_status(near).readings == 40
        async with run_gateway(near_text(far.url, tmp_path)) as near:
            assert (await drained(near, 40)).stored == 40


async def test_one_bad_record_holds_up_nothing(
    run_gateway: Callable[..., Any], far_url: str, tmp_path: Path
) -> None:
    """Readings that the far gateway refuses are counted, with the reason; the others arrive."""
    async with (
        run_gateway(FAR, url=far_url) as far,
        run_gateway(near_text(far.url, tmp_path)) as near,
    ):
        now_ns = time.time_ns()
        far_future_ns = now_ns + 2 * 3600 * 10**9
        near.pipeline.offer([Reading(SIGNALS[0], far_future_ns, 1.0, now_ns)])
        await asyncio.sleep(0.1)
        read(near, 10)
        status = await drained(near, 11)
        assert (status.stored, status.refused) == (10, 1)
        assert "instant" in status.refusal
        assert len(await rows(far, "near-1")) == 10


async def test_a_private_address_needs_to_be_allowed(
    run_gateway: Callable[..., Any], far_url: str, tmp_path: Path
) -> None:
    """Without an entry in [outbound] allow nothing goes to a private address, and it is said."""
    text = near_text("http://127.0.0.1:9", tmp_path).replace('allow = ["127.0.0.0/8"]', "")
    async with run_gateway(text) as near:
        read(near, 4)
        await until(lambda: "[outbound] allow" in near_status(near).reason)
        assert near_status(near).readings == 4
