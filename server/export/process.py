"""Runs export processes: few at a time, each as fast as its client reads, none longer than it may.

What a client does not read waits in pipes of fixed size, and the process with it: memory stays the
same whatever is exported. When the client goes, or does not read any more, the process is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.answers import Refusal
from server.export.config import ExportConfig
from server.export.job import Job

log = structlog.get_logger("telerig.export")

CHUNK_BYTES = 65_536
STALL_S = 60.0
"""A client that has taken nothing for so long is given up."""
ERROR_BYTES = 65_536
RETRY_BUSY_S = 5
END_S = 5.0
_COMMAND = (sys.executable, "-P", "-m", "server.export")
_ROOT = str(Path(__file__).resolve().parents[2])
"""Where this package lies: the process runs the same one, whatever lies in the working folder."""


class _Failure(msgspec.Struct):
    """What an export process says of its failure."""

    status: int
    expected: str
    found: str


class Exports:
    """Starts exports.

    Args:
        config: how many at a time, and how long.

    Attributes:
        config: as given.
        running: exports that run now.
        done: exports that were delivered whole.
        broken: exports that were not.
    """

    def __init__(self, config: ExportConfig) -> None:
        self.running = 0
        self.done = 0
        self.broken = 0
        self.config = config
        self._processes: set[Process] = set()

    async def close(self) -> None:
        """End all exports."""
        for process in list(self._processes):
            _kill(process)
        await asyncio.gather(*(process.wait() for process in self._processes))

    @contextlib.asynccontextmanager
    async def run(self, job: Job) -> AsyncIterator[Process]:
        """Run a job around a block; it has ended afterwards.

        Raises:
            Refusal: 503, so many run already.
        """
        if self.running >= self.config.concurrent:
            expected = f"fewer than {self.config.concurrent} exports at a time"
            headers = {"retry-after": str(RETRY_BUSY_S)}
            raise Refusal(503, "exports", expected, f"{self.running} run", headers=headers)
        self.running += 1
        process: Process | None = None
        try:
            process = await asyncio.create_subprocess_exec(
                *_COMMAND,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                limit=CHUNK_BYTES,
                env={**os.environ, "PYTHONPATH": _python_path()},
            )
            self._processes.add(process)
            assert process.stdin is not None
            process.stdin.write(msgspec.json.encode(job) + b"\n")
            # Not closed: it is not read any further.
            with contextlib.suppress(ConnectionError):
                await process.stdin.drain()
            yield process
        finally:
            self.running -= 1
            if process is not None:
                await _end(process)
                self._processes.discard(process)


class ExportResponse(Response):
    """Sends an export as its process writes it.

    Args:
        exports: where it runs.
        job: what.
    """

    def __init__(self, exports: Exports, job: Job) -> None:
        self.status_code = 200
        self.background = None
        self._exports = exports
        self._job = job
        self._longest_s = exports.config.longest_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the job and send what it gives.

        What breaks off in its middle is not ended: the server then closes the connection, and the
        client sees that the file is not whole.

        Raises:
            Refusal: nothing was sent: too many run, there is nothing to export.
        """
        is_head = scope["method"] == "HEAD"
        async with self._exports.run(self._job) as process:
            work = asyncio.create_task(self._work(process, send, is_head))
            leaving = asyncio.create_task(_gone(receive))
            try:
                await asyncio.wait(
                    {work, leaving},
                    timeout=self._longest_s,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if work.done():
                    why = work.result()
                else:
                    why = "the client went away" if leaving.done() else "it took too long"
            finally:
                for task in (work, leaving):
                    task.cancel()
                await asyncio.gather(work, leaving, return_exceptions=True)
        if why:
            self._exports.broken += 1
            log.warning("export broken", file=self._job.file_name, reason=why)
        else:
            self._exports.done += 1

    async def _work(self, process: Process, send: Send, is_head: bool) -> str:
        """Send everything; give why it broke off, empty where it did not."""
        assert process.stdout is not None
        chunk = await process.stdout.read(CHUNK_BYTES)
        if not chunk:
            raise await _refusal(process)
        headers = [
            (b"content-type", self._job.media.encode()),
            (b"content-disposition", f'attachment; filename="{self._job.file_name}"'.encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while chunk and not is_head:
            try:
                async with asyncio.timeout(STALL_S):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except TimeoutError:
                return f"the client has read nothing for {STALL_S:g} s"
            chunk = await process.stdout.read(CHUNK_BYTES)
        if not is_head and await process.wait() != 0:
            return str(await _refusal(process))
        await send({"type": "http.response.body"})
        return ""


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refusal(process: Process) -> Refusal:
    """Give what a process that has ended says of its end."""
    assert process.stderr is not None
    told = await process.stderr.read(ERROR_BYTES)
    code = await process.wait()
    try:
        failure = msgspec.json.decode(told.splitlines()[-1], type=_Failure)
    except (msgspec.DecodeError, IndexError):
        log.error("export process failed", code=code, said=told[-2000:].decode("utf-8", "replace"))
        return Refusal(500, "export", "an export process that ends well", f"exit code {code}")
    headers = {"retry-after": str(RETRY_BUSY_S)} if failure.status == 503 else None
    return Refusal(failure.status, "export", failure.expected, failure.found, headers=headers)


def _python_path() -> str:
    return os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH", ""))))


async def _end(process: Process) -> None:
    """Kill a process that still runs, and close its pipes: they do so when they are read to the
    end, which is near."""
    _kill(process)
    assert process.stdin is not None
    process.stdin.close()
    for pipe in (process.stdout, process.stderr):
        while pipe is not None and await pipe.read(CHUNK_BYTES):
            pass
    await process.wait()


def _kill(process: Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
