"""The live stream in a real browser: pages of the gateway hear it, pages of others do not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from server.readings import Reading
from tests.server.live.browser import browser_page

NS = 10**18
COUNT = 2000

LISTEN = """
new Promise((resolve) => {
  const values = [], frames = [];
  const socket = new WebSocket(%s);
  socket.onopen = () => { window.isOpen = true; };
  socket.onclose = (event) => resolve({values, frames, code: event.code});
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    frames.push(message.type);
    if (message.type === "reading") values.push(message.value);
    if (values.length === %d) resolve({values, protocol: socket.protocol});
  };
})
"""


def listen(address: str, count: int) -> str:
    """JavaScript that takes so many readings."""
    return LISTEN % (json.dumps(address), count)


@pytest.mark.promise("W03", "F06")
async def test_a_page_hears_each_point_alone(run_live: Callable[..., Any]) -> None:
    """A page of the gateway gets every reading once, each as a message of its own, in order; a
    page of another origin gets nothing."""
    async with run_live() as gateway, browser_page() as page:
        address = gateway.url.replace("http", "ws") + "/api/v1/live?form=points"
        await page.go(f"{gateway.url}/health")
        hearing = asyncio.create_task(page.run(listen(address, COUNT)))
        async with asyncio.timeout(20):
            while not gateway.hub.clients:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for begin in range(0, COUNT, 20):
            gateway.hub.readings(
                begin + 1, [Reading(12, NS, float(n), NS) for n in range(begin, begin + 20)]
            )
            await asyncio.sleep(0)
        found = await hearing
        assert found["values"] == list(range(COUNT))
        await page.go("data:text/html,<p>another's page</p>")
        refused = await page.run(listen(address, 1))
        assert (refused["frames"], refused["code"]) == ([], 1006)
