"""Drives the vehicles of a fleet: timers and connections of an event loop, on its clock.

The loop may be one of wall time, or that of a virtual run: the code is the same. Each vehicle has a
connection of its own, which it keeps as long as the gateway does. Of several gateways it takes the
next one whenever a connection fails.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from rig.fleet.http import HttpConnection
from rig.fleet.record import Record
from rig.fleet.spec import FleetError
from sim.esp32.http_client import TIMEOUT_S
from sim.fleet.vehicle import Vehicle

SWEEP_S = 0.5  # how often requests without an answer are looked for
NETWORK_BACK_S = (1.0, 2.5)  # to be on the network again after an outage: sim.esp32.wifi
LONGEST_REJOIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where a gateway, or the balancer before some, listens."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Target:
        """Read `http://host:port`.

        Raises:
            FleetError: it is something else.
        """
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
            raise FleetError(f"expected a gateway as http://host:port, found {url!r}")
        return cls(parts.hostname, port or 80)


@dataclass(slots=True)
class FleetNetwork:
    """What lies between vehicles and gateways; times in seconds.

    Attributes:
        latency_s: shortest and longest time of one way.
        loss: probability that a request gets lost, and the same for its answer.
    """

    latency_s: tuple[float, float] = (0.0, 0.0)
    loss: float = 0.0


Where = Callable[[], Sequence[Target]]
"""Gives the gateways of now; none while nobody listens."""


class Driver:
    """Drives vehicles from `start` to `close`.

    Args:
        vehicles: in the order of their numbers.
        where: the gateways.
        record: told of requests and answers; the vehicles' listener tells the rest.
        rng: of jitter, losses and who is struck.
        network: between them.

    Attributes:
        waiting: packets in the vehicles' stores, as of the last look.
    """

    def __init__(
        self,
        vehicles: Sequence[Vehicle],
        where: Where,
        record: Record,
        rng: random.Random,
        network: FleetNetwork | None = None,
    ) -> None:
        self.vehicles = vehicles
        self.record = record
        self.network = network or FleetNetwork()
        self._where = where
        self._rng = rng
        self._seats = [_Seat(self, vehicle) for vehicle in vehicles]
        self._under_way: dict[_Seat, float] = {}  # in the order of their starts
        self._sweep: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that it runs in."""
        assert self._loop is not None
        return self._loop

    @property
    def rng(self) -> random.Random:
        """Of jitter and losses."""
        return self._rng

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return sum(seat.is_connected for seat in self._seats)

    @property
    def waiting(self) -> int:
        """Packets in the vehicles' stores."""
        return sum(len(vehicle.queue) for vehicle in self.vehicles)

    def start(self) -> None:
        """Begin, in the running loop."""
        self._loop = asyncio.get_running_loop()
        for seat in self._seats:
            seat.wake_later()
        self._sweep = self._loop.call_later(SWEEP_S, self._look_for_late)

    def stop(self, at_s: float) -> None:
        """Let no vehicle close a packet after `at_s`; what waits is still sent."""
        for vehicle in self.vehicles:
            vehicle.stop(at_s)

    async def drained(self, at_most_s: float) -> bool:
        """Wait until nothing waits any more; False where that takes longer than `at_most_s`."""
        until_s = self.loop.time() + at_most_s
        while self.waiting:
            if self.loop.time() >= until_s:
                return False
            await asyncio.sleep(min(0.2, at_most_s))
        return True

    def close(self) -> None:
        """End everything at once; what is under way is not known any more."""
        if self._sweep is not None:
            self._sweep.cancel()
        for seat in self._seats:
            seat.close()
        self._under_way.clear()

    # -- faults ------------------------------------------------------------------------------------
    def outage(self, share: float) -> Callable[[], None]:
        """Take the network from a share of the vehicles; return what gives it back.

        Requests under way get no answer, connections are gone. A vehicle is back on the network
        some seconds after it is there again: it looks for it with pauses that have grown
        meanwhile, spread by chance, as the boards' station does.
        """
        struck = self._rng.sample(self._seats, round(share * len(self._seats)))
        began_s = self.loop.time()
        for seat in struck:
            seat.outages += 1
            seat.vehicle.offline_until(math.inf)
            seat.lose_network()

        def back() -> None:
            lasted_s = self.loop.time() - began_s
            for seat in struck:
                seat.outages -= 1
                if not seat.outages:
                    pause_s = min(lasted_s, LONGEST_REJOIN_S) * self._rng.random()
                    pause_s += self._rng.uniform(*NETWORK_BACK_S)
                    seat.vehicle.offline_until(self.loop.time() + pause_s)
                    seat.wake_later()

        return back

    # -- what seats ask ----------------------------------------------------------------------------
    def target(self, turn: int) -> Target | None:
        """Return the gateway for the `turn`-th connection of a vehicle; None: nobody listens."""
        targets = self._where()
        return targets[turn % len(targets)] if targets else None

    def begun(self, seat: _Seat) -> None:
        """A request begins."""
        now_s = self.loop.time()
        self._under_way[seat] = now_s
        self.record.requests_by_second[int(now_s)] += 1

    def over(self, seat: _Seat) -> None:
        """A request is over."""
        self._under_way.pop(seat, None)

    def _look_for_late(self) -> None:
        late_s = self.loop.time() - TIMEOUT_S
        late = []
        for seat, began_s in self._under_way.items():
            if began_s > late_s:
                break
            late.append(seat)
        for seat in late:
            seat.give_up()
        self._sweep = self.loop.call_later(SWEEP_S, self._look_for_late)


class _Seat:
    """A vehicle and its connection."""

    __slots__ = (
        "_connecting", "_connection", "_driver", "_request", "_timer", "_turn", "outages", "vehicle"
    )  # fmt: skip

    def __init__(self, driver: Driver, vehicle: Vehicle) -> None:
        self.vehicle = vehicle
        self.outages = 0
        self._driver = driver
        self._connection: HttpConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._request: list[bytes] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._turn = vehicle.number

    @property
    def is_connected(self) -> bool:
        return self._connection is not None and self._connection.is_open

    # -- timers ------------------------------------------------------------------------------------
    def wake_later(self) -> None:
        """Wake when the vehicle has something to do."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = self._driver.loop
        at_s = self.vehicle.wake_s(loop.time())
        if at_s < math.inf:
            self._timer = loop.call_at(at_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        vehicle, driver = self.vehicle, self._driver
        now_s = driver.loop.time()
        pieces = vehicle.request(now_s)
        if pieces is not None:
            self._begin(pieces)
        self.wake_later()

    # -- a request ---------------------------------------------------------------------------------
    def _begin(self, body: list[bytes]) -> None:
        driver = self._driver
        driver.begun(self)
        size = sum(map(len, body))
        head = (
            f"POST {self.vehicle.path} HTTP/1.1\r\nHost: gateway\r\n"
            f"X-API-Key: {self.vehicle.key}\r\n"
            f"Content-Type: application/x-protobuf\r\nContent-Length: {size}\r\n\r\n"
        )
        self._request = [head.encode(), *body]
        network = driver.network
        if network.loss and driver.rng.random() < network.loss:
            return  # `give_up` comes
        self._travel(self._send)

    def _travel(self, then: Callable[[], None]) -> None:
        """Let one way of the network pass."""
        low, high = self._driver.network.latency_s
        if high <= 0.0:
            then()
        else:
            self._driver.loop.call_later(self._driver.rng.uniform(low, high), then)

    def _send(self) -> None:
        request = self._request
        if request is None or self.outages:
            return  # given up meanwhile
        connection = self._connection
        if connection is not None and connection.is_open:
            connection.send(request)
        elif self._connecting is None:
            self._connecting = self._driver.loop.create_task(self._connect())

    async def _connect(self) -> None:
        driver = self._driver
        target = driver.target(self._turn)
        try:
            if target is None:
                raise ConnectionRefusedError
            _, connection = await driver.loop.create_connection(
                lambda: HttpConnection(self), target.host, target.port
            )
        except OSError:
            self._connecting = None
            self.answer(0, b"no connection")
            return
        self._connecting = None
        if self._request is None or self.outages:
            connection.abort()
            return
        self._connection = connection
        connection.send(self._request)

    # -- its answer --------------------------------------------------------------------------------
    def answer(self, status: int, body: bytes) -> None:
        """Take what came of the request."""
        driver = self._driver
        if self._request is None:
            return
        if not status:
            self._connection = None
            self._turn += 1
        network = driver.network
        if status and network.loss and driver.rng.random() < network.loss:
            return  # `give_up` comes
        if status and network.latency_s[1] > 0.0:
            request = self._request
            self._travel(lambda: self._arrived(request, status, body))
        else:
            self._arrived(self._request, status, body)

    def _arrived(self, request: list[bytes], status: int, body: bytes) -> None:
        if self._request is not request or (status and self.outages):
            return
        driver, vehicle = self._driver, self.vehicle
        self._request = None
        driver.over(self)
        driver.record.answers[status] += 1
        now_s = driver.loop.time()
        if 200 <= status < 300:
            vehicle.answered(now_s, body)
        else:
            vehicle.failed(now_s, status)
        if vehicle.queue:
            self._wake()
        else:
            self.wake_later()

    def closed(self) -> None:
        """The gateway has closed a connection that nobody used."""
        self._connection = None

    def give_up(self) -> None:
        """There was no answer in time."""
        request = self._request
        self._drop_connection()
        self._turn += 1
        if request is not None:
            self._arrived(request, 0, b"timed out")

    def lose_network(self) -> None:
        """The network is gone: connections die without a word."""
        self._drop_connection()

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            connecting.cancel()

    def close(self) -> None:
        """End it."""
        self._request = None
        if self._timer is not None:
            self._timer.cancel()
        self._drop_connection()
