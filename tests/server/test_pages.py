"""Pages of other packages on the gateway's address: where they are, where not, what stays."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from server.config import parse_config
from server.pages import GROUP, with_pages
from tests.server.conftest import GatewayRunner

NOBODY = PlainTextResponse("nothing", 404)


def mount(fallback: ASGIApp) -> ASGIApp:
    """Pages as a package would bring them."""

    async def pages(scope: Scope, receive: Receive, send: Send) -> None:
        shown = scope["type"] == "http" and scope["path"] == "/"
        await (PlainTextResponse("a page") if shown else fallback)(scope, receive, send)

    return pages


def lacking(_fallback: ASGIApp) -> ASGIApp:
    """Pages whose packages are missing."""
    raise ImportError("No module named 'dash'", name="dash")


def point(function: str) -> EntryPoint:
    """An entry point to something in this module."""
    return EntryPoint("view", f"{__name__}:{function}", GROUP)


def test_a_package_brings_pages() -> None:
    """What it does not answer comes back to the gateway."""
    client = TestClient(with_pages(NOBODY, [point("mount")]))
    assert client.get("/").text == "a page"
    assert client.get("/other").text == "nothing"


@pytest.mark.parametrize("points", [[], [point("lacking")]])
@pytest.mark.promise("E05")
def test_without_pages_it_says_what_brings_them(points: list[EntryPoint]) -> None:
    """At the pages' addresses stands what to install; all else is as it was."""
    client = TestClient(with_pages(NOBODY, points))
    for path in ("/", "/index.html", "/replay.html"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert "pip install 'telerig[view]'" in answer.text
    assert client.get("/other").status_code == 404
    assert client.post("/").status_code == 404


def ask(url: str, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    """Ask a gateway."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        answer.read()
    return answer


async def test_the_api_answers_as_without_pages(run_gateway: GatewayRunner) -> None:
    """Unknown paths and wrong methods of the API stay problems, also for a browser."""
    async with run_gateway() as gateway:

        def look() -> dict[str, Any]:
            page = {"accept": "text/html,*/*"}
            return {
                "unknown": ask(gateway.url, "/api/v1/none", **page).status,
                "method": ask(gateway.url, "/api/v1/links", "POST", **page).status,
                "program": ask(gateway.url, "/none").getheader("content-type"),
                "upgrade": ask(gateway.url, "/api/v1/live").status,
                "health": ask(gateway.url, "/health").status,
            }

        found = await asyncio.to_thread(look)
    assert found == {
        "unknown": 404,
        "method": 405,
        "program": "application/problem+json",
        "upgrade": 426,
        "health": 200,
    }


async def test_pages_can_be_switched_off(run_gateway: GatewayRunner) -> None:
    """With `[http] pages = false` there is nothing at `/`."""
    async with run_gateway(http="pages = false\n") as gateway:
        answer = await asyncio.to_thread(ask, gateway.url, "/", accept="text/html")
    assert answer.status == 404


def test_the_key_is_a_flag() -> None:
    """`[http] pages` is true where nothing is said; the environment can say it too."""
    assert parse_config("", "f", {}).http.pages is True
    assert parse_config("", "f", {"TELERIG_HTTP_PAGES": "false"}).http.pages is False


def test_a_gateway_that_nobody_looks_at_loads_no_pages() -> None:
    """Making the application imports neither Dash nor what it stands on."""
    code = (
        "import sys; from server.pages import with_pages; with_pages(None);"
        "print([name for name in ('dash', 'flask', 'plotly', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
