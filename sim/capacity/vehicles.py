"""Vehicles that send what they have, and try again when it fails: the firmware's own pauses."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import simpy

from firmware_stubs.backoff import Backoff
from firmware_stubs.hal import Hal
from firmware_stubs.uplink import FIRST_PAUSE_MS, LONGEST_PAUSE_MS, MOST_PACKETS
from sim.capacity.fleet import Fleet
from sim.capacity.stations import ANSWERED, Balancer, Request, after

TIMEOUT_S = 15.0
"""firmware_stubs/links.py: HttpLink.timeout_ms."""
LOOK_S = 0.25
"""How exactly a timeout is kept: one look for all vehicles."""


class _Chance(Hal):
    """The chance of a pause, and nothing else of a board."""

    def __init__(self, random: Random | None) -> None:
        self._random = random

    def random(self, n: int) -> bytes:
        """Give random bytes; without a source always the longest pause, the same for all."""
        return b"\xff" * n if self._random is None else self._random.randbytes(n)


@dataclass(slots=True)
class Tally:
    """What happened, by the second of the run.

    Attributes:
        tried, failed, late: requests sent, those that failed at once, those without an answer in
            time; by second.
        answers_ms: how long answered requests took, with the second in which they were sent.
    """

    tried: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    answers_ms: array[float] = field(default_factory=lambda: array("d"))
    answered_at_s: array[float] = field(default_factory=lambda: array("d"))

    def count(self, series: list[int], now_s: float) -> None:
        """Count one in its second."""
        second = int(now_s)
        if second >= len(series):
            series.extend([0] * (second + 1 - len(series)))
        series[second] += 1


class Vehicle:
    """One vehicle.

    Attributes:
        delivered_s: everything measured before this instant is committed.
    """

    __slots__ = ("_due_s", "_pause", "_road", "delivered_s")

    def __init__(self, road: Road, chance: _Chance, phase_s: float) -> None:
        self.delivered_s = 0.0
        self._road = road
        self._pause = Backoff(chance, FIRST_PAUSE_MS, LONGEST_PAUSE_MS)
        self._due_s = phase_s
        after(road.env, phase_s, self._send)

    def _rest(self) -> None:
        """Wait for the next batch; those that were due while it tried went with this one."""
        env = self._road.env
        while self._due_s <= env.now:
            self._due_s += self._road.interval_s()
        after(env, self._due_s - env.now, self._send)

    def _send(self) -> None:
        road = self._road
        now_s = road.env.now
        most_s = road.fleet.batch_s * MOST_PACKETS
        until_s = min(now_s, self.delivered_s + most_s)
        samples = (until_s - self.delivered_s) * road.fleet.rate_hz * road.fleet.signals
        request = Request(samples, now_s, None)
        request.ended = lambda how: self._ended(request, until_s, how)
        road.tally.count(road.tally.tried, now_s)
        road.watch(request, self._late)
        road.balancer.take(request)

    def _ended(self, request: Request, until_s: float, how: str) -> None:
        road = self._road
        now_s = road.env.now
        if how != ANSWERED:
            self._failed(road.tally.failed)
            return
        road.tally.answers_ms.append((now_s - request.sent_s) * 1e3)
        road.tally.answered_at_s.append(now_s)
        self._pause.worked()
        self.delivered_s = until_s
        road.delivered(self, until_s)
        if now_s - until_s > road.fleet.batch_s:
            self._send()  # there is more than fits into one
        else:
            self._rest()

    def _late(self) -> None:
        self._failed(self._road.tally.late)

    def _failed(self, series: list[int]) -> None:
        env = self._road.env
        self._road.tally.count(series, env.now)
        now_ms = int(env.now * 1000)
        self._pause.failed(now_ms)
        after(env, max(1, self._pause.wait_ms(now_ms)) / 1000, self._send)


class Road:
    """All vehicles that send.

    Args:
        fleet: of them, as many as `count` send.
        jitter: False takes all chance out of the vehicles: one pause for all.
        spread_s: their first batches are due within so many seconds; 0: all at once.
        at_random: intervals between batches are exponential, as the formulas of queueing assume.

    Attributes:
        drained_s: when the last vehicle had delivered what it had at `since_s`.
        drained_99_s: when 99 % of them had.
    """

    def __init__(
        self,
        env: simpy.Environment,
        fleet: Fleet,
        balancer: Balancer,
        random: Random,
        *,
        count: int,
        jitter: bool = True,
        spread_s: float | None = None,
        at_random: bool = False,
    ) -> None:
        self.env = env
        self.fleet = fleet
        self.balancer = balancer
        self.tally = Tally()
        self.drained_s: float | None = None
        self.drained_99_s: float | None = None
        self._random = random
        self._at_random = at_random
        self._since_s: float | None = None
        self._behind: set[Vehicle] = set()
        self._watched: deque[tuple[Request, Callable[[], None]]] = deque()
        chance = _Chance(random if jitter else None)
        spread = fleet.batch_s if spread_s is None else spread_s
        self._vehicles = [
            # Exponential from the start: a uniform phase before it would begin with a rush.
            Vehicle(self, chance, self.interval_s() if at_random else random.uniform(0, spread))
            for _ in range(count)
        ]
        after(env, LOOK_S, self._look)

    def interval_s(self) -> float:
        """Give the time until a vehicle's next batch."""
        if self._at_random:
            return self._random.expovariate(1 / self.fleet.batch_s)
        return self.fleet.batch_s

    def watch(self, request: Request, late: Callable[[], None]) -> None:
        """Call `late` where a request is not answered in time; it may be committed all the same."""
        self._watched.append((request, late))

    def measure_from(self, since_s: float) -> None:
        """From now on find out when everybody has delivered what was measured before."""
        self._since_s = since_s
        self.drained_s = self.drained_99_s = None
        self._behind = {v for v in self._vehicles if v.delivered_s < since_s}

    def delivered(self, vehicle: Vehicle, until_s: float) -> None:
        """A vehicle has delivered what it had until an instant."""
        if self._since_s is None or until_s < self._since_s or vehicle not in self._behind:
            return
        self._behind.discard(vehicle)
        if self.drained_99_s is None and len(self._behind) <= len(self._vehicles) // 100:
            self.drained_99_s = self.env.now
        if not self._behind:
            self.drained_s = self.env.now

    def _look(self) -> None:
        now_s = self.env.now
        while self._watched and self._watched[0][0].sent_s + TIMEOUT_S <= now_s:
            request, late = self._watched.popleft()
            if request.ended is not None:
                request.ended = None
                late()
        after(self.env, LOOK_S, self._look)
