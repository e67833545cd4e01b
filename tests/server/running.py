"""Runs a gateway in the event loop of a test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from server.config import GatewayConfig, parse_config
from server.gateway import Gateway
from server.serve import serve

PATIENCE_S = 20
QUICK = (
    '[users]\nlocal_role = "viewer"\n[http]\nport = 0\n[pipeline]\nflush_ms = 30\npublish_ms = 5\n'
)
"""Any free port, short waits, and whoever is on this machine may look."""


def gateway_config(
    url: str, text: str = QUICK, env: Mapping[str, str] | None = None
) -> GatewayConfig:
    """A configuration on a database."""
    variables = {"TELERIG_DATABASE_URL": url, **(env or {})}  # [instances] looks at it
    return parse_config(text, "telerig.toml", variables).with_database_url(url)


@contextlib.asynccontextmanager
async def running(config: GatewayConfig) -> AsyncIterator[Gateway]:
    """Run a gateway around a block; errors of `serve` come out at the end."""
    stop = asyncio.Event()
    ready: asyncio.Future[Gateway] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(config, stop=stop, on_ready=ready.set_result))
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_S)
    if task.done():
        await task
    try:
        yield ready.result()
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_S)
