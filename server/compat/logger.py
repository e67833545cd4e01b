"""The supervised logger process: started and stopped on request, never by a shell.

It runs under a keeper (`server.compat.logger_keeper`) that ends it with its whole group when it is
stopped, when the gateway stops, and when the gateway is killed: a new gateway never finds an old
logger at the port. What it writes goes to the log and to the live stream, at most LINES_PER_S
lines a second; the rest is counted. A flood beyond BYTES_PER_S is not even read: it waits in the
pipe, and so does its writer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import structlog

from server.clock import Clock
from server.compat.config import LoggerConfig
from server.errors import LoggerError

log = structlog.get_logger("telerig.logger")

KEEPER = Path(__file__).with_name("logger_keeper.py")
START_TIMEOUT_S = 10.0
KILL_TIMEOUT_S = 5.0
LINES_PER_S = 50
BYTES_PER_S = 2_000_000
LINE_CHARACTERS = 500
CHUNK_BYTES = 65_536
RESTART_FIRST_S = 1.0
RESTART_LAST_S = 30.0
RESTART_RESET_S = 60.0

Tell = Callable[[str, str], None]
"""Takes level and text of a line; never blocks."""


class LoggerState(StrEnum):
    """How the process is."""

    STOPPED = "stopped"
    RUNNING = "running"
    ENDED = "ended"
    """It ended by itself."""


class LoggerStatus(msgspec.Struct, frozen=True):
    """The process as others see it; `exit_code` of the last end, negative: the signal."""

    state: LoggerState
    pid: int | None
    exit_code: int | None
    lines: int
    dropped_lines: int


class Logger:
    """Runs the configured command.

    Args:
        config: command and time-outs.
        clock: for the rate of lines.
        tell: takes the lines of the process, and what becomes of it.
    """

    def __init__(self, config: LoggerConfig, clock: Clock, tell: Tell) -> None:
        self._config = config
        self._tell = tell
        self._lines = _Lines(clock, self._line)
        self._state = LoggerState.STOPPED
        self._pid: int | None = None
        self._exit_code: int | None = None
        self._keeper: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._clock = clock

    @property
    def status(self) -> LoggerStatus:
        """How the process is now."""
        return LoggerStatus(
            self._state, self._pid, self._exit_code, self._lines.count, self._lines.dropped
        )

    async def start(self) -> bool:
        """Start the process; False where it runs already.

        Raises:
            LoggerError: none is configured, or it cannot be started.
        """
        if not self._config.command:
            raise LoggerError("[compat.logger] command", "none; name the program and its arguments")
        async with self._lock:
            if self._state is LoggerState.RUNNING:
                return False
            await self._end_supervisor()
            await self._launch()
            self._supervisor = asyncio.create_task(self._supervise(), name="logger")
            return True

    async def stop(self) -> bool:
        """End the process with its group; False where none runs."""
        async with self._lock:
            was_wanted = self._supervisor is not None and not self._supervisor.done()
            await self._end_supervisor()
            if was_wanted:
                self._state = LoggerState.STOPPED
                self._say("info", "logger stopped")
            return was_wanted

    async def _launch(self) -> None:
        """Start keeper and process."""
        try:
            keeper = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                str(KEEPER),
                str(self._config.stop_timeout_s),
                *self._config.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise LoggerError("a command that can be started", str(error)) from error
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                answer = await _heard(keeper)
        except TimeoutError:
            answer = {"error": f"not started within {START_TIMEOUT_S:g} s"}
        except BaseException:
            await _end(keeper, 0)
            raise
        if "pid" not in answer:
            await _end(keeper, 0)
            raise LoggerError("a logger that starts", str(answer.get("error", "its keeper died")))
        self._keeper, self._pid = keeper, answer["pid"]
        self._state, self._exit_code = LoggerState.RUNNING, None
        self._say("info", f"logger started, pid {self._pid}")

    async def _supervise(self) -> None:
        """Watch the process; start it again where that is wanted."""
        retry_s = RESTART_FIRST_S
        while True:
            began_s = self._clock.monotonic_s()
            await self._watch()
            if not self._config.restart:
                return
            if self._clock.monotonic_s() - began_s >= RESTART_RESET_S:
                retry_s = RESTART_FIRST_S
            while True:
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, RESTART_LAST_S)
                try:
                    await self._launch()
                    break
                except (LoggerError, OSError) as error:
                    self._say("error", f"logger not started again: {error}")

    async def _watch(self) -> None:
        """Take the lines of the process until it ends; end it when this task is cancelled."""
        keeper = self._keeper
        assert keeper is not None
        assert keeper.stderr is not None
        lines = asyncio.create_task(self._lines.read(keeper.stderr))
        try:
            answer = await _heard(keeper)
            # Everything of its group has ended, so its last lines are in the pipe.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await asyncio.shield(lines)
        finally:
            await asyncio.shield(self._ended(keeper, lines))
        self._exit_code = answer.get("exit")
        self._state = LoggerState.ENDED
        self._say("info" if self._exit_code == 0 else "warning", _farewell(self._exit_code))

    async def _ended(self, keeper: asyncio.subprocess.Process, lines: asyncio.Task[None]) -> None:
        await _end(keeper, self._config.stop_timeout_s)
        lines.cancel()
        await asyncio.gather(lines, return_exceptions=True)
        self._keeper = self._pid = None

    async def _end_supervisor(self) -> None:
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.cancel()
            await asyncio.gather(supervisor, return_exceptions=True)

    def _line(self, text: str) -> None:
        log.info("logger", line=text)
        self._tell("info", text)

    def _say(self, level: str, text: str) -> None:
        log.log(_LEVELS[level], text)
        self._tell(level, text)


_LEVELS = {"info": 20, "warning": 30, "error": 40}


class _Lines:
    """Takes lines out of a stream, at a bounded rate.

    Attributes:
        count: lines that came.
        dropped: of these, lines that were not told.
    """

    def __init__(self, clock: Clock, line: Callable[[str], None]) -> None:
        self.count = 0
        self.dropped = 0
        self._clock = clock
        self._line = line
        self._second_s = 0.0
        self._told = 0
        self._bytes = 0

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Read to the end of the stream."""
        rest = b""
        while chunk := await stream.read(CHUNK_BYTES):
            await self._slow_down(len(chunk))
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take(line)
            if len(rest) > LINE_CHARACTERS * 4:
                self._take(rest)
                rest = b""
        if rest:
            self._take(rest)

    async def _slow_down(self, size_bytes: int) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._second_s >= 1:
            self._second_s, self._told, self._bytes = now_s, 0, 0
        self._bytes += size_bytes
        if self._bytes > BYTES_PER_S:
            await asyncio.sleep(max(0.0, self._second_s + 1 - now_s))

    def _take(self, line: bytes) -> None:
        self.count += 1
        if self._told >= LINES_PER_S:
            self.dropped += 1
            return
        self._told += 1
        text = line[: LINE_CHARACTERS * 4].decode("utf-8", "replace")[:LINE_CHARACTERS].rstrip()
        self._line("".join(letter if letter.isprintable() else "�" for letter in text))


async def _heard(keeper: asyncio.subprocess.Process) -> dict[str, Any]:
    """Give what the keeper says next; nothing where it has died."""
    assert keeper.stdout is not None
    try:
        found = json.loads(await keeper.stdout.readline())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def _end(keeper: asyncio.subprocess.Process, stop_timeout_s: float) -> None:
    """Have the keeper end the process, and itself."""
    if keeper.stdin is not None:
        keeper.stdin.close()
    try:
        async with asyncio.timeout(stop_timeout_s + KILL_TIMEOUT_S):
            await keeper.wait()
    except TimeoutError:
        keeper.kill()
        await keeper.wait()


def _farewell(exit_code: int | None) -> str:
    if exit_code is None:
        return "logger ended with its keeper"
    if exit_code < 0:
        return f"logger ended by signal {-exit_code}"
    return f"logger ended with exit code {exit_code}"
