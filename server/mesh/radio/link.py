"""A link that has a radio: the base of `mesh` and `mesh_uplink`.

A thread of its own opens the radio and reads and writes; whatever comes is handed to `work()`, in
the event loop, through an inbox that is bounded.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import importlib.util
import threading
from abc import abstractmethod
from typing import Any

import structlog

from server.clock import Clock
from server.errors import LinkLost
from server.links.base import Link, LinkReport
from server.links.reader_thread import ReaderThread
from server.mesh.radio.client import RadioClient
from server.mesh.radio.packets import Event, Mute, Packet, RadioInfo, Ready
from server.readings import ReadingSink

if importlib.util.find_spec("meshtastic") is None:
    raise ImportError("No module named 'meshtastic'")

log = structlog.get_logger("telerig.mesh")

INBOX_PACKETS = 1024
"""Packets that may wait for the event loop; more are dropped and counted."""


class RadioLink(Link):
    """One radio, for one connection attempt.

    A subclass has options with a `port` and does its work in `work()`, which begins with the first
    `Ready` in the inbox:

        async def work(self) -> None:
            while True:
                item = await self.receive(timeout_s)    # Packet, Event, or None after timeout_s

    `self.client.send(...)` sends; `self.trouble("key", "what is wrong")` makes the link DEGRADED
    until `self.trouble("key", "")`.
    """

    def __init__(
        self, name: str, options: Any, *, sink: ReadingSink, clock: Clock, report: LinkReport
    ) -> None:
        super().__init__(name, options, sink=sink, clock=clock, report=report)
        self.client = RadioClient(
            options.port, clock=clock, on_packet=self._deliver, on_event=self._deliver
        )
        self.counters = self.client.counters
        self._inbox: collections.deque[Packet | Event] = collections.deque()
        self._troubles: dict[str, str] = {}
        self._told: str | None = None
        self._shown: RadioInfo | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived: asyncio.Event | None = None
        self._is_told = False  # the loop knows of what is in the inbox

    @abstractmethod
    async def work(self) -> None:
        """Do the link's work until cancelled."""

    async def run(self) -> None:
        """Open the radio and serve until cancelled.

        Raises:
            LinkLost: no radio, it went away, or takes or gives nothing any longer.
        """
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        radio = asyncio.ensure_future(
            ReaderThread(f"mesh-{self.name}", self._serve, self.client.stop).run()
        )
        work = asyncio.ensure_future(self.work())
        both = {radio, work}
        done: set[asyncio.Future[None]] = set()
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, radio):
                task.cancel()
            await asyncio.wait(both)
            for task in (work, radio):
                if not task.cancelled():
                    task.exception()  # seen: what ends after the other says nothing
        for task in (work, radio):  # a bug in the work before the radio's end that it caused
            if task in done:
                task.result()
        raise LinkLost("the radio's work ended by itself")

    async def receive(self, timeout_s: float | None = None) -> Packet | Event | None:
        """Give what came next; None after `timeout_s`."""
        arrived = self._arrived
        assert arrived is not None, "called by work()"
        if not self._inbox:
            arrived.clear()
            self._is_told = False
            if not self._inbox:  # it may have come between the two lines before
                try:
                    async with asyncio.timeout(timeout_s):
                        await arrived.wait()
                except TimeoutError:
                    return None
        return self.next_item()

    def next_item(self) -> Packet | Event | None:
        """Give what else is there already; None where there is nothing."""
        if not self._inbox:
            return None
        item = self._inbox.popleft()
        self._look(item)
        return item

    def trouble(self, key: str, reason: str) -> None:
        """Say what is wrong, or "" that it no longer is; the link is DEGRADED while anything is."""
        if reason:
            self._troubles[key] = reason
        else:
            self._troubles.pop(key, None)
        self._report()

    # -- in the radio's thread ---------------------------------------------------------------------
    def _serve(self, stop: threading.Event) -> None:
        try:
            self.client.open()
            self.client.serve(stop)
        finally:
            self.client.close()

    def _deliver(self, item: Packet | Event) -> None:
        waiting = len(self._inbox)
        if waiting >= INBOX_PACKETS and (isinstance(item, Packet) or waiting >= 2 * INBOX_PACKETS):
            self.count("packets_dropped" if isinstance(item, Packet) else "events_dropped")
            return
        self._inbox.append(item)
        loop, arrived = self._loop, self._arrived
        if loop is None or arrived is None or self._is_told or loop.is_closed():
            return
        self._is_told = True
        with contextlib.suppress(RuntimeError):  # closed in this moment
            loop.call_soon_threadsafe(arrived.set)

    # -- in the event loop -------------------------------------------------------------------------
    def _look(self, item: Packet | Event) -> None:
        if isinstance(item, Mute):
            self.trouble("mute", item.reason)
        elif isinstance(item, Ready):
            self._ready(item.info)

    def _ready(self, info: RadioInfo) -> None:
        if info != self._shown:  # not for each of its reboots
            self._shown = info
            log.info(
                "radio",
                link=self.name,
                node=info.id,
                name=info.long_name,
                preset=info.preset or "own settings",
                region=info.region,
                duty_cycle_pct=info.duty_cycle_pct,
                firmware=info.firmware,
            )
        self._troubles.clear()
        if not info.settings_known:
            self._troubles["settings"] = "the radio did not tell its settings: LONG_FAST assumed"
        elif info.region == "UNSET":
            self._troubles["settings"] = (
                "expected a region in the radio's settings, found none: it does not send "
                "(meshtastic --set lora.region EU_868)"
            )
        elif not info.sends:
            self._troubles["settings"] = (
                "the radio's transmitter is off (meshtastic --set lora.tx_enabled true)"
            )
        self._report()

    def _report(self) -> None:
        info = self.client.info
        if info is None:
            return
        reason = "; ".join(self._troubles.values())
        if reason == self._told:
            return
        self._told = reason
        if reason:
            self.report.degraded(reason)
        else:
            self.report.up(f"radio {info.id} {info.preset} {info.region}")
