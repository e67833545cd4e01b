"""A run that goes on, over a WebSocket: readings, events, phases, limits so far, the end.

    {"type": "begin"}                                  it has a record now: ask for its Info again
    {"type": "readings", "layer", "rows": [[name, t, value, state], ...], "sent_s"}
    {"type": "event", "event": Event}
    {"type": "phase", "name", "start_s", "end_s"}
    {"type": "limits", "limits": [Limit], "faults": [Fault], "end_s"}
    {"type": "state", "connection": "up", "server_now_s", "end_s"}      each second
    {"type": "end", "verdict", "end_s", "text"}                         nothing more will come

While somebody follows, the run's worker writes its rows at once (`rig.record.watching`). A client
that is slow gets them later, and holds up nobody: they wait in the record.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from reports.runs.events import shown
from reports.runs.faults import faults_of
from reports.runs.limits import limits_of
from reports.runs.listing import row_of
from reports.runs.problem import RunError
from reports.runs.run import REPORTED, TRUE, WIRE, Run
from reports.runs.store import Runs
from rig.errors import RigError
from rig.record.frames import FrameFile
from rig.record.streams import EVENTS, PUBLISHED, SAMPLES, TRUTH
from rig.record.watching import Watch, is_running

LOOK_S = 0.05
START_LOOK_S = 0.25
HEARTBEAT_S = 1.0
JUDGE_S = 3.0
JUDGE_SHARE = 10.0
"""Judging may take one part in so many of the time."""
VERDICT_WAIT_S = 10.0
MOST_FRAMES = 40
"""Of each stream, at one look: what is more comes at the next."""
POLICY, NORMAL = 1008, 1000
LAYERS = (REPORTED, TRUE, WIRE)
_STREAMS = {REPORTED: PUBLISHED, TRUE: TRUTH, WIRE: SAMPLES}

Row = tuple[str, float, float | None, int]


class Tail:
    """What is added to a run's record from now on.

    Args:
        run: the run.
        layers: which tellings of the signals are wanted.
    """

    def __init__(self, run: Run, layers: list[str]) -> None:
        self._run = run
        self._files = {layer: FrameFile(run.folder, _STREAMS[layer]) for layer in layers}
        self._next = {layer: len(file.scan()) for layer, file in self._files.items()}
        self._events = FrameFile(run.folder, EVENTS)
        self._next_event = len(self._events.scan())
        self._units: dict[tuple[str, Any], str] = {}
        self._truth = self._truth_names()
        self.latest_ns = 0

    def look(self) -> list[dict[str, Any]]:
        """Return the messages of what has come since the last look."""
        found: list[dict[str, Any]] = []
        for layer, file in self._files.items():
            rows = list(self._new(layer, file))
            if rows:
                found.append(
                    {"type": "readings", "layer": layer, "rows": rows, "sent_s": time.time()}
                )
        self._events.scan()
        for number in range(self._next_event, len(self._events.frames)):
            for event in self._events.rows(number):
                self.latest_ns = max(self.latest_ns, event.time_ns)
                found.append({"type": "event", "event": shown(event, self._run.names)})
        self._next_event = len(self._events.frames)
        return found

    def _new(self, layer: str, file: FrameFile) -> Iterator[Row]:
        file.scan()
        end = min(len(file.frames), self._next[layer] + MOST_FRAMES)
        numbers = range(self._next[layer], end)
        self._next[layer] = end
        for number in numbers:
            for row in file.rows(number):
                self.latest_ns = max(self.latest_ns, int(file.stream.time_ns(row)))
                yield from self._rows(layer, row)

    def _rows(self, layer: str, row: Any) -> Iterator[Row]:
        names = self._run.names
        if layer == REPORTED:
            key = names.device_of(row.device), row.signal
            yield self._name(key), row.time_ns / 1e9, row.value, row.state
        elif layer == WIRE:
            yield self._name((row.source, row.signal)), row.time_ns / 1e9, row.wire, 0
        else:
            for place, name, factor in self._truth:
                if place < len(row) and row[place] is not None:
                    yield name, row[0] / 1e9, row[place] * factor, 0

    def _name(self, key: tuple[str, Any]) -> str:
        name = self._units.get(key)
        if name is None:
            name = self._units[key] = self._run.names.of_key(key)
        return name

    def _truth_names(self) -> list[tuple[int, str, float]]:
        """Return (place in a row, series, factor) of the truth of each planned signal."""
        names, manifest = self._run.names, self._run.manifest
        devices = ["", *manifest.devices]
        found = []
        for signals in manifest.plan.values():
            for signal in signals:
                for name in dict.fromkeys(names.of(device, signal) for device in devices):
                    place = names.truth_of(name)
                    if place is not None:
                        column = names.truth_columns.index(place[0]) + 1
                        found.append((column, name, place[1]))
        return list(dict.fromkeys(found))


class Follower:
    """Tells one client of one run."""

    def __init__(self, socket: WebSocket, run: Run, layers: list[str]) -> None:
        self._socket = socket
        self._run = run
        self._layers = layers
        self._phase: str | None = None

    async def follow(self) -> None:
        """Speak until the run has ended."""
        watch = await run_in_threadpool(Watch, self._run.folder)
        try:
            tail = await run_in_threadpool(Tail, self._run, self._layers)
            async with asyncio.TaskGroup() as group:
                judging = group.create_task(self._judge())
                await self._tell(tail)
                judging.cancel()
        finally:
            watch.close()

    async def _tell(self, tail: Tail) -> None:
        beat_s = 0.0
        going = True
        while going:
            going = await run_in_threadpool(is_running, self._run.folder)
            while messages := await run_in_threadpool(tail.look):
                for message in messages:
                    await self._say(message)
                if going:
                    break
            now_s = time.monotonic()
            if now_s - beat_s >= HEARTBEAT_S:
                beat_s = now_s
                await self._beat(tail)
            if going:
                await asyncio.sleep(LOOK_S)

    async def _say(self, message: dict[str, Any]) -> None:
        await self._socket.send_text(msgspec.json.encode(message).decode())

    async def _beat(self, tail: Tail) -> None:
        end_s = tail.latest_ns / 1e9 if tail.latest_ns else None
        await self._say(
            {"type": "state", "connection": "up", "server_now_s": time.time(), "end_s": end_s}
        )
        for phase in self._run.manifest.phases:
            inside = phase.start_ns <= tail.latest_ns < phase.end_ns
            if inside and phase.name != self._phase:
                self._phase = phase.name
                await self._say(
                    {
                        "type": "phase",
                        "name": phase.name,
                        "start_s": phase.start_ns / 1e9,
                        "end_s": phase.end_ns / 1e9,
                    }
                )

    async def _judge(self) -> None:
        """Judge now and then what there is so far."""
        while True:
            begin_s = time.monotonic()
            message = await run_in_threadpool(limits_so_far, self._run)
            if message is not None:
                await self._say(message)
            took_s = time.monotonic() - begin_s
            await asyncio.sleep(max(JUDGE_S, JUDGE_SHARE * took_s))


def limits_so_far(run: Run) -> dict[str, Any] | None:
    """Return the message of the limits of a run that goes on; None where nothing can be judged."""
    run.forget_measures()
    try:
        verdicts = run.verdicts(judge_now=True)
        end_ns = run.end_ns()
        return {
            "type": "limits",
            "limits": limits_of(run, verdicts, end_ns),
            "faults": faults_of(run),
            "end_s": end_ns / 1e9,
        }
    except (RigError, OSError, ValueError, KeyError, IndexError, TypeError):
        return None


async def follow(socket: WebSocket, runs: Runs) -> None:
    """Serve one WebSocket: the run of its path, as long as it goes on."""
    await socket.accept()
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        if not is_own_page(socket):
            await _end(socket, "expected a page of this server, found another site's", POLICY)
            return
        name = socket.path_params["run"]
        layers = [w for w in socket.query_params.get("layers", REPORTED).split(",") if w]
        if unknown := [layer for layer in layers if layer not in LAYERS]:
            text = f"layers: expected some of {', '.join(LAYERS)}, found {unknown[0][:40]!r}"
            await _end(socket, text, POLICY)
            return
        try:
            run = await run_in_threadpool(runs.get, name)
        except RunError as error:
            await _end(socket, str(error), POLICY)
            return
        if run.starting:
            run = await _begun(socket, runs, name)
        if run.running and not await _followed(socket, run, layers):
            return
        await socket.send_text(msgspec.json.encode(await _last_words(runs, name)).decode())
        await socket.close(NORMAL)


async def _begun(socket: WebSocket, runs: Runs, name: str) -> Run:
    """Wait until a run has a record, or will have none; say so."""
    run = await run_in_threadpool(runs.get, name)
    while run.starting:
        await socket.send_text(
            msgspec.json.encode(
                {"type": "state", "connection": "connecting", "text": "the run is about to begin"}
            ).decode()
        )
        await asyncio.sleep(START_LOOK_S)
        run = await run_in_threadpool(runs.get, name)
    await socket.send_text('{"type":"begin"}')
    return run


async def _followed(socket: WebSocket, run: Run, layers: list[str]) -> bool:
    """Tell a client of a run until that ends; return False where the client has gone before."""
    try:
        # Not a mere gather: who cancels this from outside must hear its own cancellation again.
        async with asyncio.TaskGroup() as group:
            following = group.create_task(Follower(socket, run, layers).follow())
            gone = group.create_task(_gone(socket, following))
            following.add_done_callback(lambda _: gone.cancel())
    except* (WebSocketDisconnect, RuntimeError, OSError):
        following.cancel()
    return not following.cancelled() and following.exception() is None


async def _gone(socket: WebSocket, following: asyncio.Task[None]) -> None:
    """End what speaks to a client when that has gone; what it says is nothing to us."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
    following.cancel()


async def _last_words(runs: Runs, name: str) -> dict[str, Any]:
    """Return the message of a run's end, with its verdict as soon as there is one."""
    deadline_s = time.monotonic() + VERDICT_WAIT_S
    while True:
        try:
            run = await run_in_threadpool(runs.get, name)
            row = await run_in_threadpool(row_of, run.folder)
            end_s = await run_in_threadpool(run.end_ns) / 1e9
        except (RunError, OSError) as error:
            return {"type": "end", "verdict": None, "end_s": None, "text": str(error)}
        judged = row.outcome not in ("unjudged", "running")
        if judged or time.monotonic() > deadline_s:
            text = row.damaged or f"the run has ended: {row.outcome}"
            return {"type": "end", "verdict": row.outcome, "end_s": end_s, "text": text}
        await asyncio.sleep(LOOK_S)


async def _end(socket: WebSocket, text: str, code: int) -> None:
    await socket.send_text(
        msgspec.json.encode({"type": "end", "verdict": None, "end_s": None, "text": text}).decode()
    )
    await socket.close(code, text[:120])


def is_own_page(socket: WebSocket) -> bool:
    """Return whether the socket was opened by a page of this server, or by no page at all."""
    origin = socket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == socket.headers.get("host", "")
