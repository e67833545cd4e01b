"""What looking costs the gateway: ten clients of the live stream and one Chromium.

A real gateway with embedded PostgreSQL gets 20 signals at 20 Hz of one device over HTTP. Its CPU
time is taken with nobody looking, with ten WebSocket clients that do what a page does (rows, the
policy of displays, a question for the time every 10 s; every 0.4 s where nothing comes), and with a
Chromium on the dashboard beside them. What looking costs is the difference of turns that follow one
another.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.benchmarks.chromium import Chromium, chromium, wait_for
from tests.benchmarks.figures import Beside, Goal, Row
from tests.benchmarks.machine import cpu_s_of
from tests.benchmarks.view_live import sending
from tests.reports.view.served import DEVICE, PASSWORD, ServedGateway, serving_gateway

CLIENTS, SIGNALS = 10, 20
TURNS, TURN_S, QUICK_S, SETTLE_S = 3, 8.0, 4.0, 2.0
LOADED_S = 4.0
"""What a page asks for at its beginning has been answered after so long."""
# A process of its own, so that reading is not counted.
LISTENERS = r"""
import asyncio, json, sys, time
from websockets.asyncio.client import connect

QUIET_S, CLOCK_S = 0.4, 10.0

async def listen(url, key):
    async with connect(url, additional_headers={"x-api-key": key}, compression=None) as socket:
        asked_s = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(QUIET_S):
                    await socket.recv(decode=False)
                if time.monotonic() - asked_s < CLOCK_S:
                    continue
            except TimeoutError:
                pass
            asked_s = time.monotonic()
            await socket.send('{"type": "ping"}')

async def main(url, key, count):
    await asyncio.gather(*(listen(url, key) for _ in range(int(count))))

asyncio.run(main(*sys.argv[1:]))
"""


@contextmanager
def listening(gateway: ServedGateway) -> Iterator[None]:
    """Ten clients around a block."""
    address = gateway.url.replace("http", "ws", 1)
    url = f"{address}/api/v1/live?form=rows&policy=latest&heartbeat=0"
    command = [sys.executable, "-c", LISTENERS, url, gateway.secret, str(CLIENTS)]
    process = subprocess.Popen(command)
    try:
        while gateway.ask("/api/v1/links")["live"]["clients"] < CLIENTS:
            if process.poll() is not None:
                raise RuntimeError(f"expected {CLIENTS} clients, their process has ended")
            time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def looking(gateway: ServedGateway, browser: Chromium) -> Iterator[None]:
    """A Chromium on the dashboard around a block."""
    page = browser.page()
    page.goto(f"{gateway.url}/live?device={DEVICE}")
    wait_for(page, "document.querySelector('.live-connection')?.dataset.phase === 'up'")
    time.sleep(LOADED_S)
    try:
        yield
    finally:
        page.close()


def percent(gateway: ServedGateway, turn_s: float) -> float:
    """Give what the gateway takes of a core."""
    time.sleep(SETTLE_S)
    before_s, began_s = cpu_s_of(gateway.process.pid), time.monotonic()
    time.sleep(turn_s)
    used_s, took_s = cpu_s_of(gateway.process.pid) - before_s, time.monotonic() - began_s
    return used_s / took_s * 100


def measure(is_quick: bool) -> list[Row]:
    """Measure everything."""
    turns, turn_s = (1, QUICK_S) if is_quick else (TURNS, TURN_S)
    alone: list[float] = []
    found: dict[str, list[float]] = {"clients": [], "all": [], "idle": []}
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory())
        gateway = stack.enter_context(serving_gateway(Path(name), {}))
        browser = stack.enter_context(chromium())
        who = {"name": "viewer", "password": PASSWORD}
        browser.context.request.post(f"{gateway.url}/api/v1/auth/login", data=who)

        def cost(*lookers: Callable[[], object]) -> tuple[float, float]:
            before = percent(gateway, turn_s)
            with ExitStack() as those:
                for looker in lookers:
                    those.enter_context(looker())  # type: ignore[arg-type]
                return before, percent(gateway, turn_s) - before

        for _ in range(turns):
            found["idle"].append(cost(lambda: listening(gateway))[1])
        with sending(gateway, SIGNALS):
            for _ in range(turns):
                before, more = cost(lambda: listening(gateway))
                alone.append(before)
                found["clients"].append(more)
                before, more = cost(lambda: listening(gateway), lambda: looking(gateway, browser))
                alone.append(before)
                found["all"].append(more)
    beside = Beside("taking and storing the same readings", statistics.median(alone))
    return [
        Row(f"{CLIENTS} clients and one Chromium", found["all"], "%", Goal(most=5), beside),
        Row(f"{CLIENTS} clients", found["clients"], "%", None, beside),
        Row(f"{CLIENTS} clients, nothing comes", found["idle"], "%", Goal(most=5), beside),
    ]
