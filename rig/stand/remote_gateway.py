"""A gateway on another box: nothing of it is started here; it is watched and asked as by anyone.

What it stored comes from its public API, or from its database where the bench file names it. It
may run for days already: readings are numbered from the first one that the rig saw, and older ones
do not count.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from websockets.exceptions import WebSocketException

from rig.bench import GatewayPlace
from rig.bench.credentials import headers_of
from rig.bench.power import run_command
from rig.errors import RigError
from rig.record.streams import Stored
from rig.worker.observer import LiveListener, watch_stream

TIMEOUT_S = 10.0
START_TIMEOUT_S = 30.0
LOOK_S = 0.3
AGAIN_S = 0.5
MS_NS = 1_000_000  # segments keep no finer instants
PAGE_ROWS = 10_000


OnEvent = Callable[[int, str, Mapping[str, Any]], None]


class RemoteGatewayError(RigError):
    """The gateway elsewhere does not answer as a gateway does."""


class RemoteGateway:
    """One gateway, by its address.

    Args:
        place: where it is, and how one gets in.

    Raises:
        RemoteGatewayError: its token is not there.
    """

    def __init__(self, place: GatewayPlace) -> None:
        self.place = place
        token = os.environ.get(place.token, "") if place.token else ""
        if place.token and not token:
            raise RemoteGatewayError(
                f"{place.place}: expected an access token or the API secret of the gateway in the "
                f"environment variable {place.token}, found none; set it"
            )
        self.headers = headers_of(token)
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    @property
    def live_url(self) -> str:
        """Of its live stream."""
        return "ws" + self.place.at.removeprefix("http") + "/api/v1/live?heartbeat=0"

    def start(self) -> None:
        """Run the command that starts it, if there is one, and wait until it answers.

        Raises:
            RemoteGatewayError: it does not.
        """
        if self.place.start:
            run_command(self.place.start, self.place.place)
        deadline_s = time.monotonic() + (START_TIMEOUT_S if self.place.start else 0.0)
        while True:
            try:
                self.links()
            except RemoteGatewayError:
                if time.monotonic() >= deadline_s:
                    raise
                time.sleep(LOOK_S)
            else:
                return

    def stop(self) -> None:
        """Run the command that stops it, if there is one."""
        if self.place.stop:
            run_command(self.place.stop, self.place.place)

    def links(self) -> dict[str, dict[str, Any]]:
        """Return its links by name.

        Raises:
            RemoteGatewayError: it does not answer as a gateway does.
        """
        try:
            return {link["name"]: link for link in self.get("/api/v1/links")["links"]}
        except (KeyError, TypeError) as error:
            raise RemoteGatewayError(
                f"{self.place.place}: expected a gateway at {self.place.at}, found another server"
            ) from error

    def get(self, path: str) -> Any:
        """GET a JSON document.

        Raises:
            RemoteGatewayError: there is none.
        """
        request = urllib.request.Request(self.place.at + path, headers=self.headers)
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            advice = "give it a token: `token: VARIABLE`" if error.code in (401, 403) else ""
            raise self._failure(path, f"{error.code} {error.reason}", advice) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise self._failure(path, str(reason), "is it running, and reachable?") from error

    async def watch(self, listener: LiveListener, on_event: OnEvent) -> None:
        """Follow its live stream until cancelled; one that ends is joined again."""
        is_lost = False
        while True:
            reason = "it closed the stream"
            try:
                if is_lost:
                    await asyncio.to_thread(self.links)
                    is_lost = False
                    on_event(time.time_ns(), "back", {})
                await watch_stream(self.live_url, listener, self.headers)
            except (OSError, WebSocketException, RemoteGatewayError) as error:
                reason = str(error) or type(error).__name__
            if not is_lost:
                is_lost = True
                on_event(time.time_ns(), "gone", {"reason": reason})
            await asyncio.sleep(AGAIN_S)

    def stored(self, start_ns: int, end_ns: int, devices: Collection[str]) -> Iterator[Stored]:
        """Yield what it stored of some time, of its own links and of `devices`; by its API.

        Raises:
            RemoteGatewayError: it does not say.
        """
        own = f"/api/v1/readings?{urlencode(_span(start_ns, end_ns))}"
        yield from self._pages(own, "")
        for device in devices:
            path = f"/api/v1/devices/{quote(device)}/history"
            try:
                yield from self._pages(f"{path}?{urlencode(_span(start_ns, end_ns))}", device)
            except RemoteGatewayError as error:
                if "404" not in str(error):  # it never heard of that device
                    raise

    def _pages(self, path: str, device: str) -> Iterator[Stored]:
        after = ""
        while True:
            page = self.get(path + (f"&{urlencode({'after': after})}" if after else ""))
            for row in page["readings"]:
                yield Stored(device, 0, row["signal"], row["time_ns"], row["value"], 0,
                             row["state"], 0, row["boot"])  # fmt: skip
            after = page["next"]
            if not after:
                return

    def _failure(self, path: str, found: str, advice: str) -> RemoteGatewayError:
        asked = path.partition("?")[0]
        return RemoteGatewayError(
            f"{self.place.place}: expected the gateway at {self.place.at} to answer {asked}, "
            f"found: {found}" + (f"; {advice}" if advice else "")
        )


def _span(start_ns: int, end_ns: int) -> dict[str, int]:
    return {"start_ns": start_ns, "end_ns": end_ns, "limit": PAGE_ROWS}


class Watch:
    """Follows the live stream of a gateway in a thread of its own, from `begin()` to `end()`.

    Args:
        remote: the gateway.
        listener: who hears it, in that thread.
        on_event: called as on_event(UTC ns, "gone" or "back", details) when the stream breaks.
    """

    def __init__(self, remote: RemoteGateway, listener: LiveListener, on_event: OnEvent) -> None:
        self._remote = remote
        self._listener = listener
        self._on_event = on_event
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="remote watcher", daemon=True)

    def begin(self) -> None:
        """Begin."""
        self._task = self._loop.create_task(self._remote.watch(self._listener, self._on_event))
        self._thread.start()

    def end(self) -> None:
        """End it, and wait until nothing more is heard."""
        if self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(TIMEOUT_S)
            self._task = None

    def _run(self) -> None:
        assert self._task is not None
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.close()


class Renumbered:
    """Passes on what a gateway says that was there before the run: its numbers begin with 1.

    Args:
        listener: who hears it.
        devices: those that count for themselves; readings of any other are the gateway's own.
    """

    def __init__(self, listener: LiveListener, devices: Collection[str]) -> None:
        self._listener = listener
        self._devices = devices
        self.bases: dict[int, int] = {}
        self.first_ns = 0
        self._earliest_ns: dict[tuple[str, int], int] = {}

    def published(self, arrived_ns: int, rows: list[list[Any]], device: str, boot: int) -> None:
        """Readings have come."""
        if not self.first_ns:
            self.first_ns = arrived_ns
        if device not in self._devices and rows:
            base = self.bases.setdefault(boot, rows[0][0] - 1)
            rows = [[row[0] - base, *row[1:]] for row in rows if row[0] > base]
            device = ""
        for row in rows:
            key = device, row[1]
            self._earliest_ns[key] = min(self._earliest_ns.get(key, row[2]), row[2])
        self._listener.published(arrived_ns, rows, device, boot)

    def stored_at(
        self, boot: int, upto_seq: int, time_ns: int, device: str, first_seq: int
    ) -> None:
        """Readings were committed."""
        if device not in self._devices:
            base = self.bases.get(boot)
            if base is None or upto_seq <= base:
                return
            upto_seq -= base
        self._listener.stored_at(boot, upto_seq, time_ns, device, first_seq)

    def gateway_event(self, time_ns: int, kind: str, detail: Mapping[str, Any]) -> None:
        """Something else has happened."""
        self._listener.gateway_event(time_ns, kind, detail)

    def of_this_run(self, rows: Iterable[Stored]) -> list[Stored]:
        """Return stored rows that have no numbers, without those from before the run."""
        return [
            row
            for row in rows
            if row.time_ns // MS_NS
            >= self._earliest_ns.get((row.device, row.signal), self.first_ns) // MS_NS
        ]

    def counted(self, rows: list[Stored]) -> list[Stored]:
        """Return stored rows as numbered here, without those from before the run."""
        found = []
        for row in rows:
            if row.device in self._devices or not row.seq:
                found.append(row)
                continue
            base = self.bases.get(row.boot)
            if base is not None and row.seq > base:
                found.append(row._replace(seq=row.seq - base))
        return found
