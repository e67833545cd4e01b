"""The live stream: one JSON text per event, encoded once, to every WebSocket client.

Frames (documented for users in docs; `time_ns` UTC nanoseconds since 1970):

    {"type": "hello", "boot", "device", "server_now_ns", "signals": {id: name}}
    {"type": "readings", "device", "boot",
     "readings": [[seq, signal_id, time_ns, value, received_ns, state], …]}
    {"type": "stored", "device", "boot", "upto", "time_ns"}     everything up to this is committed
    {"type": "stored", "device", "boot", "first", "upto", "time_ns"}     of a remote device: these
    {"type": "link", "name", "state", "reason", "time_ns"}
    {"type": "stale", "link", "signals": [id, …], "time_ns"}    the complete list; empty: all fresh
    {"type": "store", "state": "ok" | "failing", "reason", "time_ns"}
    {"type": "command", "device", "id", "name", "state", "detail", "late", "time_ns"}
    {"type": "log", "source", "level", "text", "time_ns"}       of a process that the gateway runs
    {"type": "heartbeat", "time_ns"}   now and then, to those who listen to one device
    {"type": "dropped", "count"}       this client was too slow for that many frames

Readings of the gateway's own links are published in parallel with their commit: a client that must
not show what could still be lost waits for "stored". Those of remote devices are published after
it, and "stored" follows at once. A value that is not finite (state LOST) is null.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence

import msgspec
from starlette.websockets import WebSocket

from server.catalogue import SHORT_NAMES
from server.clock import Clock
from server.links.supervisor import LinkStatus
from server.readings import Reading

CLIENT_FRAMES = 256
"""Frames that wait for one client; then the oldest are dropped, counted, and the client is told."""
MAX_CLIENTS = 200
CLOSE_TRY_AGAIN = 1013
SUBPROTOCOL = "telerig.live"

_json = msgspec.json.Encoder()


class LiveClient:
    """The frames that wait for one client; drops the oldest when full.

    Args:
        limit: frames that wait at most.
        device: frames of other devices do not go here; empty: of all.

    Attributes:
        dropped: frames dropped so far.
    """

    def __init__(self, limit: int = CLIENT_FRAMES, device: str = "") -> None:
        self.dropped = 0
        self.device = device
        self._untold = 0
        self._limit = limit
        self._frames: deque[str] = deque()
        self._wake = asyncio.Event()
        self._sent = asyncio.Event()
        self._sent.set()

    def offer(self, frame: str) -> None:
        """Queue a frame; never blocks."""
        if len(self._frames) >= self._limit:
            self._frames.popleft()
            self.dropped += 1
            self._untold += 1
        self._frames.append(frame)
        self._sent.clear()
        self._wake.set()

    async def next(self) -> str:
        """Give the next frame, waiting for one; a report of drops comes first."""
        while True:
            if self._untold:
                count, self._untold = self._untold, 0
                return _frame({"type": "dropped", "count": count})
            if self._frames:
                return self._frames.popleft()
            self._sent.set()
            self._wake.clear()
            await self._wake.wait()

    async def drained(self) -> None:
        """Wait until every frame is on its way."""
        await self._sent.wait()


class Hub:
    """Hands frames to all clients.

    Args:
        device: named in every hello.
        boot: number of this run of the gateway.
        clock: for the instants in frames.
    """

    def __init__(self, device: str, boot: int, clock: Clock) -> None:
        self.dropped = 0
        self._device = device
        self._boot = boot
        self._clock = clock
        # A dict keeps the order of arrival: frames go out in the same order in each run.
        self._clients: dict[LiveClient, None] = {}
        self._links: dict[str, str] = {}
        self._stale: dict[str, str] = {}
        self._store = ""

    @property
    def clients(self) -> int:
        """How many clients listen."""
        return len(self._clients)

    def attach(self, device: str = "") -> LiveClient:
        """Give a new client: hello, then what is not as it should be, then what comes; all of it
        or only what concerns one device."""
        client = LiveClient(device=device)
        client.offer(
            _frame(
                {
                    "type": "hello",
                    "boot": self._boot,
                    "device": self._device,
                    "server_now_ns": self._clock.now_ns(),
                    "signals": SHORT_NAMES,
                }
            )
        )
        own = (*self._links.values(), *self._stale.values())
        for frame in (*(own if device in ("", self._device) else ()), self._store):
            if frame:
                client.offer(frame)
        self._clients[client] = None
        return client

    def detach(self, client: LiveClient) -> None:
        """Forget a client."""
        self._clients.pop(client, None)

    async def drained(self) -> None:
        """Wait until every client has its frames."""
        await asyncio.gather(*(client.drained() for client in self._clients))

    def readings(self, seq_first: int, readings: Sequence[Reading]) -> None:
        """Publish readings that were accepted."""
        if not self._clients:
            return
        self._readings(self._device, self._boot, enumerate(readings, seq_first))

    def _readings(self, device: str, boot: int, numbered: Iterable[tuple[int, Reading]]) -> None:
        rows = [(seq, r.signal, r.time_ns, r.value, r.received_ns, r.state) for seq, r in numbered]
        frame = {"type": "readings", "device": device, "boot": boot, "readings": rows}
        self._send(_frame(frame), device)

    def stored(self, upto: int, time_ns: int) -> None:
        """Publish how far the store is."""
        if self._clients:
            self._stored(self._device, self._boot, {"upto": upto}, time_ns)

    def _stored(self, device: str, boot: int, numbers: dict[str, int], time_ns: int) -> None:
        frame = {"type": "stored", "device": device, "boot": boot, **numbers, "time_ns": time_ns}
        self._send(_frame(frame), device)

    @property
    def wants_devices(self) -> bool:
        """Whether anybody listens."""
        return bool(self._clients)

    def device_readings(
        self, device: str, boot: int, rows: Sequence[tuple[int, Reading]], stored_ns: int
    ) -> None:
        """Publish readings of a remote device, which are committed."""
        self._readings(device, boot, rows)
        self._stored(device, boot, {"first": rows[0][0], "upto": rows[-1][0]}, stored_ns)

    def event(self, content: dict[str, object]) -> None:
        """Publish anything else that has happened; `content` has "type"; the instant is added."""
        if self._clients:
            frame = _frame({**content, "time_ns": self._clock.now_ns()})
            self._send(frame, str(content.get("device", "")))

    def beat(self, client: LiveClient) -> None:
        """Tell one client that the connection lives."""
        client.offer(_frame({"type": "heartbeat", "time_ns": self._clock.now_ns()}))

    def link(self, status: LinkStatus) -> None:
        """Publish the state of a link."""
        frame = _frame(
            {
                "type": "link",
                "name": status.name,
                "state": status.state,
                "reason": status.reason,
                "time_ns": self._clock.now_ns(),
            }
        )
        self._links[status.name] = frame
        self._send(frame, self._device)

    def stale(self, link: str, signals: tuple[int, ...], time_ns: int) -> None:
        """Publish which signals of a link are stale."""
        frame = _frame({"type": "stale", "link": link, "signals": signals, "time_ns": time_ns})
        self._stale[link] = frame if signals else ""
        self._send(frame, self._device)

    def store_failing(self, reason: str) -> None:
        """Publish whether commits succeed."""
        frame = _frame(
            {
                "type": "store",
                "state": "failing" if reason else "ok",
                "reason": reason,
                "time_ns": self._clock.now_ns(),
            }
        )
        self._store = frame if reason else ""
        self._send(frame)

    def _send(self, frame: str, device: str = "") -> None:
        for client in self._clients:
            if not device or client.device in ("", device):
                client.offer(frame)


async def serve_client(
    hub: Hub, socket: WebSocket, device: str = "", heartbeat_s: float | None = None
) -> None:
    """Serve one WebSocket until either side closes it; what the client says is ignored."""
    # A browser that offers subprotocols gives up where none is taken.
    await socket.accept(SUBPROTOCOL if SUBPROTOCOL in socket.scope["subprotocols"] else None)
    if hub.clients >= MAX_CLIENTS:
        await socket.close(CLOSE_TRY_AGAIN, f"more than {MAX_CLIENTS} clients")
        return
    client = hub.attach(device)
    tasks = [asyncio.create_task(send_frames(client, socket))]
    if heartbeat_s is not None:
        tasks.append(asyncio.create_task(_beat(hub, client, heartbeat_s)))
    try:
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass
    finally:
        hub.detach(client)
        hub.dropped += client.dropped
        for task in tasks:
            task.cancel()
        # Their end is awaited so that nothing is sent on a closed socket; how is no news.
        await asyncio.gather(*tasks, return_exceptions=True)


async def _beat(hub: Hub, client: LiveClient, interval_s: float) -> None:
    while True:
        await asyncio.sleep(interval_s)
        hub.beat(client)


async def send_frames(client: LiveClient, socket: WebSocket) -> None:
    """Send what waits for a client, for ever."""
    while True:
        await socket.send_text(await client.next())


def _frame(content: dict[str, object]) -> str:
    return _json.encode(content).decode()
