"""A gateway as a task of a virtual run's own event loop; a run may have two."""

from __future__ import annotations

import asyncio
import contextvars
import traceback
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import structlog

from rig.assembly import GatewayPlan
from rig.errors import RigError
from rig.scenario.model import CAR
from rig.vtime.kernel import Kernel
from rig.vtime.loop import VirtualLoop
from rig.vtime.program import Program, current
from rig.worker.gateway_log import LogCapture
from rig.worker.observer import LiveListener, follow_live, get_json
from rig.worker.stored import StoredReadings, fetch_stored
from server.config import GatewayConfig
from server.errors import ServerError
from server.serve import serve

RESTART_S = 2.0  # RestartSec of deploy/telerig.service: one that cannot start is tried again


class LoopGateway:
    """`server.serve.serve` in the loop of the world, watched by a client.

    Args:
        plan: which one it is.
        config: its configuration, read.
        log: takes the last words of one that fails.
        listener: takes what its live stream says; None: nobody follows it, and of what is stored
            the record has no rows.
        kernel: of virtual time.
        loop: the world's.
        let_go: called when it is killed; gives the paths of what it has open besides sockets.

    Attributes:
        port: where its API listens; None while it does not.
    """

    def __init__(
        self,
        plan: GatewayPlan,
        config: GatewayConfig,
        log: LogCapture,
        listener: LiveListener | None,
        *,
        kernel: Kernel,
        loop: VirtualLoop,
        let_go: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self.plan = plan
        self.port: int | None = None
        self._config = config
        self._log = log
        self._listener = listener
        self._kernel = kernel
        self._loop = loop
        self._let_go = let_go
        self._program = Program(plan.name)
        self._stop = asyncio.Event()
        self._killed: asyncio.Future[None] = loop.create_future()
        self._task: asyncio.Task[None] | None = None
        self._live: asyncio.Task[None] | None = None
        self._coming_back: asyncio.Task[None] | None = None
        self._exit_code = 0
        self._is_over = False

    async def start(self) -> None:
        """Start it and watch its live stream.

        Raises:
            RigError: it ended at its start; ServerError: the gateway's own reason.
        """
        await self._begin()
        if self._listener is not None:
            followed = follow_live(lambda: self.port, self._listener, lambda: self._is_over)
            self._live = self._loop.create_task(followed)

    async def _begin(self) -> None:
        program = self._program = Program(self.plan.name)
        killed = self._killed = self._loop.create_future()
        stop = self._stop = asyncio.Event()
        ready: asyncio.Future[Any] = self._loop.create_future()
        gateway = serve(self._config, stop=stop, on_ready=ready.set_result)
        task = self._task = self._loop.create_task(gateway, context=self._context(program))
        await asyncio.wait({task, ready, killed}, return_when=asyncio.FIRST_COMPLETED)
        if killed.done():
            return
        if task.done():
            self._task = None
            await task
            raise RigError("expected the gateway to run until it is stopped; it ended at its start")
        self.port = urlsplit(ready.result().url).port

    def _context(self, program: Program) -> contextvars.Context:
        """Say whose everything is that it starts; where there are two, also in its log."""
        context = contextvars.copy_context()
        context.run(current.set, program)
        if self.plan.name != CAR:
            context.run(structlog.contextvars.bind_contextvars, gateway=self.plan.name)
        return context

    # -- faults of the process; the loop is at rest when they come ---------------------------------
    def pause(self) -> None:
        """SIGSTOP."""
        self._program.stop(self._kernel, self._loop)

    def go_on(self) -> None:
        """SIGCONT."""
        self._program.go_on(self._kernel, self._loop)

    def kill(self) -> None:
        """SIGKILL: what it had in memory is gone, and what it had open is closed."""
        if self._is_over:
            return
        if self._coming_back is not None:  # it waits for its next try, or for the gateway's start
            self._coming_back.cancel()
            self._coming_back = None
        self.port = None
        self._task = None
        self._program.kill(self._kernel, self._loop, self._let_go())
        if not self._killed.done():
            self._killed.set_result(None)

    def start_again(self) -> None:
        """Start it as whoever looks after services does: until it runs."""
        if not self._is_over:
            self._coming_back = self._loop.create_task(self._come_back())

    async def _come_back(self) -> None:
        while True:
            try:
                await self._begin()
            except Exception as error:  # noqa: BLE001  the process would end with it
                self._exit_code = self._last_words(error)
            else:
                self._exit_code = 0
                return
            await asyncio.sleep(RESTART_S)

    def _last_words(self, error: Exception) -> int:
        """Log what a process would say before it ends, and return its exit code."""
        if isinstance(error, ServerError):
            self._log.write(f"telerig serve: {error}\n")
            return error.exit_code
        self._log.write("".join(traceback.format_exception(error)))
        return 1

    # -- the end -----------------------------------------------------------------------------------
    async def counters(self) -> dict[str, dict[str, int]]:
        """Return the counters of its links since its last start, by link."""
        if self.port is None:
            return {}
        links = (await get_json(self.port, "/api/v1/links"))["links"]
        return {link["name"]: link["counters"] for link in links}

    async def stop(self) -> int:
        """Stop it, and return its exit code as the command of production would."""
        self._is_over = True
        if self._coming_back is not None:
            self._coming_back.cancel()
            await asyncio.gather(self._coming_back, return_exceptions=True)
        self._stop.set()
        if self._task is not None:
            try:
                await self._task
            except ServerError as error:  # as the command of production: a line, and its exit code
                self._exit_code = self._last_words(error)
        self.port = None
        if self._live is not None:
            await self._live
        return self._exit_code

    async def readings(self) -> StoredReadings:
        """Return what it stored; it has stopped."""
        return await fetch_stored(self.plan.database_url, with_rows=self._listener is not None)
