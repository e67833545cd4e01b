"""Requests in the log (O07)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
from structlog.testing import capture_logs
from websockets.asyncio.client import connect as connect_websocket

DEBUG = "[log]\nlevel = 'debug'\n"


async def test_requests_are_logged_at_level_debug(run_gateway: Callable[..., Any]) -> None:
    """Method, path, status and time are there; query and keys are not."""
    with capture_logs() as lines:
        async with (
            run_gateway(DEBUG) as gateway,
            httpx2.AsyncClient(base_url=gateway.url) as client,
        ):
            await client.get("/nothing?token=secret-1", headers={"X-API-Key": "secret-2"})
            async with connect_websocket(f"{gateway.url.replace('http', 'ws')}/api/v1/live"):
                pass
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["method"], line["path"], line["status"]) for line in requests] == [
        ("GET", "/nothing", 404),
        ("WS", "/api/v1/live", 101),
    ]
    assert requests[0]["ms"] >= 0
    assert "secret" not in str(requests)


async def test_requests_are_quiet_otherwise(run_gateway: Callable[..., Any]) -> None:
    """Without being asked, requests are told at level debug only."""
    with capture_logs() as lines:
        async with (
            run_gateway() as gateway,
            httpx2.AsyncClient(base_url=gateway.url) as client,
        ):
            await client.get("/health")
    levels = {line["log_level"] for line in lines if line["event"] == "request"}
    assert levels == {"debug"}
