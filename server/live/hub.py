"""Hands what happens to all clients: said once in each kind of words, written in batches.

Clients that want the same in the same words are a group: what they get is made once. What happens
within a few milliseconds goes out as one write; after a pause it goes out at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import structlog

from server.catalogue import SHORT_NAMES
from server.clock import Clock
from server.links.supervisor import LinkStatus
from server.live.client import Bounds, Chunk, LiveClient, Outlet, Policy
from server.live.events import Event, Notice, Readings, Row, Said
from server.live.frames import encode, framed_all
from server.live.newest import Newest
from server.live.ring import Gap, Ring
from server.live.selection import EVERYTHING, Selection
from server.live.words import ROWS, Words
from server.readings import Reading

log = structlog.get_logger("telerig.live")

COALESCE_S = 0.005
"""What happens so soon after a write waits for the next one."""
FLUSH_BYTES = 262_144
"""More than this does not wait."""
CATCH_UP_BYTES = 65_536
RING_BYTES = 4_194_304
RESUME_S = 60.0
"""So long after the last client went its return is expected."""

EVERYWHERE = frozenset({"alert", "link", "stale"})
"""Events that clients of other gateways are told of as well."""
REMOTE_STATES = 1000
"""States of links of other gateways that are kept."""

Place = tuple[Words, Selection]


class Group:
    """Clients that get the same."""

    __slots__ = (
        "_blobs",
        "_bytes",
        "_events",
        "_messages",
        "_newest",
        "clients",
        "selection",
        "words",
    )

    def __init__(self, words: Words, selection: Selection) -> None:
        self.words = words
        self.selection = selection
        # A dict keeps the order of arrival: frames go out in the same order in each run.
        self.clients: dict[LiveClient, None] = {}
        self._newest: Newest | None = None
        self._clear()

    def _clear(self) -> None:
        self._blobs: list[bytes] = []
        self._events: list[Event] = []
        self._messages = 0
        self._bytes = 0

    def join(self, client: LiveClient) -> None:
        """Take a client; nothing waits to be written."""
        self.clients[client] = None
        if client.policy is Policy.LATEST and self._newest is None:
            self._newest = Newest()

    def add(self, event: Event) -> int:
        """Take an event; give the bytes that wait."""
        wanted = self.selection.take(event)
        if wanted is not None:
            try:
                said = wanted.said(self.words)
            except Exception:
                # One event that cannot be said must end neither the stream nor the ingest.
                log.exception("event not said", words=type(self.words).__name__)
                return self._bytes
            if said.messages:
                self._blobs.append(said.blob)
                if self._newest is not None:
                    self._events.append(wanted)
                self._messages += said.messages
                self._bytes += len(said.blob)
        return self._bytes

    def add_texts(self, texts: Sequence[bytes]) -> int:
        """Take messages; give the bytes that wait."""
        blob = framed_all(texts)
        self._blobs.append(blob)
        self._messages += len(texts)
        self._bytes += len(blob)
        return self._bytes

    def flush(self) -> None:
        """Hand what waits to the clients."""
        if not self._blobs:
            return
        newest = self._newest
        mark = None if newest is None else newest.mark
        chunk = Chunk(b"".join(self._blobs), self._messages, newest, mark)
        if newest is not None:
            newest.take(self._events)
        self._clear()
        for client in self.clients:
            client.offer(chunk)


class Counts(msgspec.Struct, frozen=True):
    """How the stream is; sums are since the start."""

    clients: int
    sent: int
    dropped: int
    superseded: int
    queued_bytes: int
    ring_bytes: int
    number: int
    resumed: int
    gaps: int


class Hub:
    """The live stream.

    Args:
        device: the gateway's own, named in every hello.
        boot: number of this run of the gateway; names the stream.
        clock: for the instants in frames.
        ring_bytes: kept for clients that come back.
        bounds: of what waits for one client.
        coalesce_s: what happens within this time goes out together.

    Attributes:
        number: of the newest event.
        on_awake: called when somebody begins to listen, and when nobody does any more.
        others: told of events that clients of other gateways should hear of.
        late_ns: clocks of gateways differ by so much: a gap ends so much later.
    """

    def __init__(
        self,
        device: str,
        boot: int,
        clock: Clock,
        *,
        ring_bytes: int = RING_BYTES,
        bounds: Bounds | None = None,
        coalesce_s: float = COALESCE_S,
    ) -> None:
        self.number = 0
        self.on_awake: Callable[[bool], None] | None = None
        self.others: Callable[[dict[str, Any]], None] | None = None
        self.late_ns = 0
        self._device = device
        self._boot = boot
        self._clock = clock
        self._ring = Ring(ring_bytes)
        self._bounds = bounds
        self._coalesce_s = coalesce_s
        self._groups: dict[Place, Group] = {}
        self._clients: dict[LiveClient, Place] = {}
        self._links: dict[str, Notice] = {}
        self._stale: dict[str, Notice] = {}
        self._remote: dict[tuple[str, str, str], Notice] = {}
        self._store: Notice | None = None
        self._is_awake = False
        self._sleep_timer: asyncio.TimerHandle | None = None
        self._flush_timer: asyncio.Handle | None = None
        self._flushed_s = -1.0
        self._beats: dict[int, tuple[dict[LiveClient, None], asyncio.TimerHandle]] = {}
        self._gone = [0, 0, 0]
        self._resumed = self._gaps = 0

    @property
    def stream(self) -> str:
        """The name of the stream: numbers count in it."""
        return str(self._boot)

    @property
    def clients(self) -> int:
        """How many clients listen."""
        return len(self._clients)

    @property
    def dropped(self) -> int:
        """Messages that clients were too slow for, since the start."""
        return self.counts.dropped

    @property
    def counts(self) -> Counts:
        """How the stream is."""
        sent, dropped, superseded = self._gone
        queued = 0
        for client in self._clients:
            sent += client.sent
            dropped += client.dropped
            superseded += client.superseded
            queued += client.queued_bytes
        return Counts(
            len(self._clients),
            sent,
            dropped,
            superseded,
            queued,
            self._ring.bytes,
            self.number,
            self._resumed,
            self._gaps,
        )

    # Clients.

    def attach(
        self,
        outlet: Outlet,
        words: Words = ROWS,
        selection: Selection = EVERYTHING,
        policy: Policy = Policy.DROP_OLDEST,
        bounds: Bounds | None = None,
    ) -> LiveClient:
        """Give a new client, which gets nothing yet: `greet` it, then `join` or `catch_up`."""
        return LiveClient(outlet, words, selection, policy, bounds or self._bounds)

    def greet(self, client: LiveClient, **more: object) -> None:
        """Tell a client where it is, and what is not as it should be."""
        self._wake()
        hello = {
            "type": "hello",
            "boot": self._boot,
            "device": self._device,
            "server_now_ns": self._clock.now_ns(),
            "stream": self.stream,
            "n": self.number,
            "policy": client.policy,
            **more,
            "signals": SHORT_NAMES,
        }
        client.tell(encode(hello))
        states = (*self._links.values(), *self._stale.values(), *self._remote.values())
        for notice in (*states, self._store):
            if notice is not None and client.selection.sees(notice.device):
                client.offer(_chunk(client.words, notice))

    def join(self, client: LiveClient) -> None:
        """Let a client have what happens from now on."""
        self.flush()
        self._wake()
        place = (client.words, client.selection)
        group = self._groups.get(place)
        if group is None:
            group = self._groups[place] = Group(*place)
        group.join(client)
        self._clients[client] = place

    async def catch_up(self, client: LiveClient, stream: str, after: int) -> None:
        """Let a client have what it has missed since a number, then what happens; where something
        of that is not kept any more it is told what, and where to fetch it."""
        known: int | None = after if stream == self.stream and after <= self.number else None
        self._resumed += 1
        while True:
            self.flush()
            gap = self._ring.gap(known, self.number, self._clock.now_ns())
            if gap is not None:
                self._gaps += 1
                client.tell(_gap(gap, self.late_ns))
                known = gap.resumes_at - 1
            assert known is not None
            missed = self._ring.since(known, CATCH_UP_BYTES)
            if not missed:
                self.join(client)
                return
            for event in missed:
                wanted = client.selection.take(event, known)
                if wanted is not None:
                    client.offer(_chunk(client.words, wanted))
            known = missed[-1].last
            await client.drained()
            # Others have their turn, however much there is to say.
            await asyncio.sleep(0)

    def change(self, client: LiveClient, selection: Selection) -> None:
        """Let a client have something else from now on."""
        self.flush()
        client.settle()
        self._leave(client)
        client.selection = selection
        self.join(client)

    def detach(self, client: LiveClient) -> None:
        """Forget a client; once more does nothing."""
        if not client.is_gone:
            self._leave(client)
            client.gone()
            self._gone[0] += client.sent
            self._gone[1] += client.dropped
            self._gone[2] += client.superseded
        if not self._clients and self._is_awake and self._sleep_timer is None:
            loop = asyncio.get_running_loop()
            self._sleep_timer = loop.call_later(RESUME_S, self._sleep)

    def _leave(self, client: LiveClient) -> None:
        place = self._clients.pop(client, None)
        if place is None:
            return
        group = self._groups[place]
        del group.clients[client]
        if not group.clients:
            del self._groups[place]

    def _wake(self) -> None:
        if self._sleep_timer is not None:
            self._sleep_timer.cancel()
            self._sleep_timer = None
        if not self._is_awake:
            self._is_awake = True
            # What happened while nobody was expected has no numbers: one stands for it all.
            self.number += 1
            if self.on_awake is not None:
                self.on_awake(True)

    def _sleep(self) -> None:
        self._sleep_timer = None
        if not self._clients:
            self._is_awake = False
            self._ring.clear()
            if self.on_awake is not None:
                self.on_awake(False)

    @property
    def sessions(self) -> frozenset[int]:
        """Numbers of the sessions that clients listen to."""
        asked = (client.selection.session for client in self._clients)
        return frozenset(number for number in asked if number is not None)

    def end(self, reason: str, session: int | None = None) -> None:
        """Close the connections of all clients, or of those that listen to a session."""
        self.flush()
        for client in list(self._clients):
            if session is None or client.selection.session == session:
                client.end(reason)

    def close(self) -> None:
        """End the timers."""
        for timer in (self._sleep_timer, self._flush_timer, *(t for _, t in self._beats.values())):
            if timer is not None:
                timer.cancel()
        self._beats.clear()
        self._sleep_timer = self._flush_timer = None

    async def drained(self) -> None:
        """Wait until every client has its frames."""
        self.flush()
        await asyncio.gather(*(client.drained() for client in self._clients))

    # What is published.

    def readings(self, seq_first: int, readings: Sequence[Reading]) -> None:
        """Publish readings that were accepted."""
        if self._is_awake:
            self.publish(self._device, self._boot, enumerate(readings, seq_first))

    def publish(self, device: str, boot: int, numbered: Iterable[tuple[int, Reading]]) -> None:
        """Publish readings of any device."""
        rows: list[Row] = [
            (seq, r.signal, r.time_ns, r.value, r.received_ns, int(r.state)) for seq, r in numbered
        ]
        if rows:
            self.emit(Readings(device, boot, rows))

    def stored(self, upto: int, time_ns: int) -> None:
        """Publish how far the store is."""
        if self._is_awake:
            self._stored(self._device, self._boot, {"upto": upto}, time_ns)

    def _stored(self, device: str, boot: int, numbers: dict[str, int], time_ns: int) -> None:
        content = {"type": "stored", "device": device, "boot": boot, **numbers, "time_ns": time_ns}
        self.emit(Notice(content, device))

    @property
    def wants_devices(self) -> bool:
        """Whether anybody listens, or may come back."""
        return self._is_awake

    def device_readings(
        self, device: str, boot: int, rows: Sequence[tuple[int, Reading]], stored_ns: int
    ) -> None:
        """Publish readings of a remote device, which are committed."""
        if self._is_awake:
            self.publish(device, boot, rows)
            numbers = {"first": rows[0][0], "upto": rows[-1][0]}
            self._stored(device, boot, numbers, stored_ns)

    def event(self, content: dict[str, object]) -> None:
        """Publish anything else that has happened; `content` has "type"; the instant is added."""
        self._tell_others(content)
        self._event(content)

    def _tell_others(self, content: dict[str, Any]) -> None:
        if self.others is not None and content["type"] in EVERYWHERE:
            self.others(content)

    def _event(self, content: dict[str, object]) -> None:
        if self._is_awake:
            device = str(content.get("device", ""))
            self.emit(Notice({**content, "time_ns": self._clock.now_ns()}, device))
            if content["type"] == "session" and content.get("state") in ("ended", "removed"):
                number = content.get("id")
                if isinstance(number, int):
                    self.end("the session has ended", number)

    def link(self, status: LinkStatus) -> None:
        """Publish the state of a link."""
        content = {
            "type": "link",
            "name": status.name,
            "state": status.state,
            "reason": status.reason,
            "time_ns": self._clock.now_ns(),
        }
        self._links[status.name] = self._state(Notice(content, self._device))
        self._tell_others(content)

    def stale(self, link: str, signals: tuple[int, ...], time_ns: int) -> None:
        """Publish which signals of a link are stale."""
        content = {"type": "stale", "link": link, "signals": signals, "time_ns": time_ns}
        notice = self._state(Notice(content, self._device))
        self._tell_others(content)
        if signals:
            self._stale[link] = notice
        else:
            self._stale.pop(link, None)

    def store_failing(self, reason: str) -> None:
        """Publish whether commits succeed."""
        content = {
            "type": "store",
            "state": "failing" if reason else "ok",
            "reason": reason,
            "time_ns": self._clock.now_ns(),
        }
        notice = self._state(Notice(content))
        self._store = notice if reason else None

    # Of other gateways.

    def tell_states(self) -> None:
        """Tell the other gateways how the links of this one are."""
        for notice in (*self._links.values(), *self._stale.values()):
            self._tell_others(notice.content)

    def from_elsewhere(self, gateway: str, content: dict[str, Any]) -> None:
        """Publish what another gateway has told; states of its links have its name."""
        if content["type"] not in ("link", "stale"):
            self._event(content)
            return
        name = str(content.get("name", content.get("link", "")))
        place = gateway, str(content["type"]), name
        content = {**content, "device": gateway}
        known = self._remote.pop(place, None)
        if known is not None and {**known.content, "time_ns": 0} == {**content, "time_ns": 0}:
            self._remote[place] = known  # said again for somebody who has just come
            return
        notice = self._state(Notice(content, gateway))
        if content["type"] == "link" or content.get("signals"):
            self._remote[place] = notice
        while len(self._remote) > REMOTE_STATES:
            del self._remote[next(iter(self._remote))]

    def gateway_gone(self, gateway: str) -> None:
        """Take note that another gateway has gone: how its links are nobody knows."""
        for place in [place for place in self._remote if place[0] == gateway]:
            notice = self._remote.pop(place)
            if place[1] == "link":
                now_ns = self._clock.now_ns()
                unknown = {"state": "unknown", "reason": "its gateway is gone", "time_ns": now_ns}
                self._state(Notice({**notice.content, **unknown}, gateway))

    def hole(self, device: str, boot: int, start_ns: int | None, end_ns: int) -> None:
        """Publish that readings of a device, committed between these instants, are not in the
        stream, and where to fetch them."""
        if self._is_awake:
            after = self.number
            gap = Gap(after, after + 2, start_ns, end_ns + self.late_ns)
            self.emit(Notice({**_gap_words(gap, device), "device": device, "boot": boot}, device))

    def _state(self, notice: Notice) -> Notice:
        if self._is_awake:
            self.emit(notice)
        return notice

    def emit(self, event: Event) -> None:
        """Publish an event: it gets its numbers, and goes to those who want it."""
        event.first = self.number + 1
        self.number += event.size
        waiting = 0
        for group in self._groups.values():
            waiting = max(waiting, group.add(event))
        self._ring.add(event, self._clock.now_ns())
        if waiting >= FLUSH_BYTES:
            self.flush()
        elif waiting and self._flush_timer is None:
            self._arm()

    def say(self, words: Words, texts: Sequence[bytes]) -> None:
        """Send messages to the clients of some words alone; they are no events of the stream."""
        waiting = 0
        for group in self._groups.values():
            if group.words is words:
                waiting = max(waiting, group.add_texts(texts))
        if waiting and self._flush_timer is None:
            self._arm()

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        wait_s = self._flushed_s + self._coalesce_s - loop.time()
        # After a pause at once, but for what else happens in this turn of the loop.
        self._flush_timer = (
            loop.call_later(wait_s, self.flush) if wait_s > 0 else loop.call_soon(self.flush)
        )

    def flush(self) -> None:
        """Write what waits to be written together."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        self._flushed_s = asyncio.get_running_loop().time()
        for group in self._groups.values():
            group.flush()

    # The heart.

    def beats(self, client: LiveClient, interval_s: int) -> None:
        """Tell a client now and then that the connection lives, until it is detached."""
        found = self._beats.get(interval_s)
        if found is None:
            timer = asyncio.get_running_loop().call_later(interval_s, self._beat, interval_s)
            found = self._beats[interval_s] = ({}, timer)
        found[0][client] = None

    def _beat(self, interval_s: int) -> None:
        clients, _ = self._beats.pop(interval_s)
        self.flush()
        content = {"type": "heartbeat", "n": self.number, "time_ns": self._clock.now_ns()}
        beat = encode(content)
        live = [client for client in clients if client in self._clients]
        for client in live:
            client.tell(beat)
        if live:
            timer = asyncio.get_running_loop().call_later(interval_s, self._beat, interval_s)
            self._beats[interval_s] = (dict.fromkeys(live), timer)


def _chunk(words: Words, event: Event) -> Chunk:
    said = Said(words.say(event))
    return Chunk(said.blob, said.messages)


def _gap(gap: Gap, late_ns: int) -> bytes:
    gap = msgspec.structs.replace(gap, end_ns=gap.end_ns + late_ns)
    return encode(_gap_words(gap, "{device}"))


def _gap_words(gap: Gap, device: str) -> dict[str, Any]:
    times = f"&end_ns={gap.end_ns}"
    if gap.start_ns is not None:
        times = f"&start_ns={gap.start_ns}{times}"
    return {
        "type": "gap",
        "after": gap.after,
        "resumes_at": gap.resumes_at,
        "start_ns": gap.start_ns,
        "end_ns": gap.end_ns,
        "fetch": f"/api/v1/readings?device={device}{times}",
    }
