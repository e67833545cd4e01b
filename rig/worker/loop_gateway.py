"""A gateway as a task of a virtual run's own event loop; a run may have two."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any
from urllib.parse import urlsplit

import structlog

from rig.assembly import GatewayPlan
from rig.errors import RigError
from rig.scenario.model import CAR
from rig.worker.gateway_log import LogCapture
from rig.worker.observer import LiveListener, get_json, watch_live
from server.config import GatewayConfig
from server.errors import ServerError
from server.serve import serve
from server.store.reader import StoredReading, fetch_readings


class LoopGateway:
    """`server.serve.serve` in the loop of the world, watched by a client.

    Args:
        plan: which one it is.
        config: its configuration, read.
        log: takes the last words of one that fails.
        listener: takes what its live stream says.
    """

    def __init__(
        self, plan: GatewayPlan, config: GatewayConfig, log: LogCapture, listener: LiveListener
    ) -> None:
        self.plan = plan
        self.port = 0
        self._config = config
        self._log = log
        self._listener = listener
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None]
        self._live: asyncio.Task[None]

    async def start(self) -> None:
        """Start it and watch its live stream.

        Raises:
            RigError: it ended at its start; ServerError: the gateway's own reason.
        """
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[Any] = loop.create_future()
        gateway = serve(self._config, stop=self._stop, on_ready=ready.set_result)
        self._task = loop.create_task(gateway, context=self._context())
        await asyncio.wait({self._task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            await self._task
            raise RigError("expected the gateway to run until it is stopped; it ended at its start")
        port = urlsplit(ready.result().url).port
        assert port is not None
        self.port = port
        self._live = loop.create_task(watch_live(self.port, self._listener))

    def _context(self) -> contextvars.Context:
        """Let each line of its log say whose it is, where there are two."""
        context = contextvars.copy_context()
        if self.plan.name != CAR:
            context.run(structlog.contextvars.bind_contextvars, gateway=self.plan.name)
        return context

    async def counters(self) -> dict[str, dict[str, int]]:
        """Return the counters of its links, by link."""
        links = (await get_json(self.port, "/api/v1/links"))["links"]
        return {link["name"]: link["counters"] for link in links}

    async def stop(self) -> int:
        """Stop it, and return its exit code as the command of production would."""
        self._stop.set()
        exit_code = 0
        try:
            await self._task
        except ServerError as error:  # as the command of production: a line, and its exit code
            self._log.write(f"telerig serve: {error}\n")
            exit_code = error.exit_code
        await self._live
        return exit_code

    async def readings(self) -> list[StoredReading]:
        """Return what it stored; it has stopped."""
        return await fetch_readings(self.plan.database_url)
