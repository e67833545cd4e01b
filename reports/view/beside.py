"""Pages beside something else: served by a thread, for `telerig run --view`."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

import uvicorn

from reports.view.errors import ViewError
from reports.view.server import Wanted, address, listening, make_app

HOST = "127.0.0.1"
END_WAIT_S = 5.0
GRACEFUL_S = 2
FAREWELL_S, LOOK_S = 3.0, 0.05


class PagesBeside:
    """Serves the runs of a folder until `close`.

    Args:
        runs: the folder.
        port: to listen on; None takes the usual one, or any if that is busy.
        usual_port: that one.
        stop: ends the run of a folder, if it is one of this process.

    Raises:
        ViewError: the port cannot be listened on.
    """

    def __init__(
        self, runs: Path, port: int | None, usual_port: int, stop: Callable[[Path], bool]
    ) -> None:
        self._stack = contextlib.ExitStack()
        app = make_app(Wanted(runs, None, HOST, port or 0, stop))
        try:
            first = usual_port if port is None else port
            listener = self._stack.enter_context(listening(HOST, first))
        except ViewError:
            if port is not None:
                raise
            listener = self._stack.enter_context(listening(HOST, 0))
        self.url = address(HOST, listener)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=GRACEFUL_S,
            )
        )
        # Signals are for whoever runs the scenarios.
        self._server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve(sockets=[listener])),
            name="pages",
            daemon=True,
        )
        self._thread.start()

    def close(self) -> None:
        """Serve no longer; may be called again.

        Whoever follows a run hears of its end first: its socket closes by itself then.
        """
        ends_s = time.monotonic() + FAREWELL_S
        while self._is_followed() and time.monotonic() < ends_s:
            time.sleep(LOOK_S)
        self._server.should_exit = True
        self._thread.join(END_WAIT_S)
        self._stack.close()

    def _is_followed(self) -> bool:
        """Return whether a WebSocket is open; the server's loop changes the set meanwhile."""
        with contextlib.suppress(RuntimeError):
            open_now = tuple(self._server.server_state.connections)
            return any("WebSocket" in type(one).__name__ for one in open_now)
        return True
