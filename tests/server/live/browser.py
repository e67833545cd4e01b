"""A real browser (Chromium, headless), driven by its own DevTools protocol."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import shutil
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_websocket

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_S = 40.0
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions"),
    *("--disable-dev-shm-usage", "--disable-background-networking", "--remote-debugging-port=0"),
    *("--no-proxy-server", "--mute-audio", "--disable-component-update", "--disable-sync"),
)


class Page:
    """One page."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def _call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        await self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        async with asyncio.timeout(60):
            while True:
                answer = json.loads(await self._socket.recv())
                if answer.get("id") == number:
                    assert "error" not in answer, answer
                    return answer["result"]

    async def go(self, url: str) -> None:
        """Open an address."""
        await self._call("Page.navigate", url=url)
        origin = url if url.startswith("data:") else "/".join(url.split("/")[:3])
        async with asyncio.timeout(START_S):
            while True:
                place = await self.run("document.readyState + ' ' + location.href")
                if place.startswith("complete") and origin in place:
                    return
                await asyncio.sleep(0.05)

    async def run(self, expression: str) -> Any:
        """Give what an expression, or promise, of JavaScript becomes."""
        found = await self._call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")


@contextlib.asynccontextmanager
async def browser_page() -> AsyncIterator[Page]:
    """Start a browser and give its page; skips the test where there is none."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser on this machine (one of {', '.join(NAMES)})")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            program,
            *OPTIONS,
            f"--user-data-dir={folder}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(START_S):
                url = await _debugger(process)
                page = await asyncio.to_thread(_page_of, url)
            async with connect_websocket(
                page, max_size=None, proxy=None, compression=None, ping_interval=None
            ) as socket:
                yield Page(socket)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()


async def _debugger(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    while line := (await process.stderr.readline()).decode():
        if "DevTools listening on " in line:
            return line.split("DevTools listening on ")[1].strip()
    pytest.skip("the browser does not start here")


def _page_of(url: str) -> str:
    host = url.split("/")[2]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{host}/json/list", timeout=10) as answer:
        pages = json.load(answer)
    found: str = next(p for p in pages if p["type"] == "page")["webSocketDebuggerUrl"]
    return found
