"""What a request goes through: balancer, gateway (its core, its writer), database.

    Balancer -> Gateway: core [queue] -> rows that wait -> commit -> answered
                                                           |
                                              Database: cores [queue], then the disk's sync

Times are virtual seconds. Nothing here is a process: callbacks on timeouts keep a run of millions
of requests short.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import simpy

ANSWERED, REFUSED, CUT = "answered", "refused", "cut"
"""How a request ends at a gateway: committed; 503 or 429; its connection went with the gateway."""


def after(env: simpy.Environment, delay_s: float, call: Callable[[], None]) -> None:
    """Call something later."""
    timeout = env.timeout(delay_s)
    assert timeout.callbacks is not None
    timeout.callbacks.append(lambda _event: call())


@dataclass(slots=True, eq=False)
class Request:
    """One upload.

    Attributes:
        samples: in it.
        sent_s: when it left.
        ended: told once how it ended; whoever does not wait any more sets it to None.
    """

    samples: float
    sent_s: float
    ended: Callable[[str], None] | None

    def end(self, how: str) -> None:
        """Tell the sender, if it still waits."""
        told, self.ended = self.ended, None
        if told is not None:
            told(how)


class Servers:
    """Servers that take from one queue, first come first served.

    Attributes:
        waiting_s: of service that waits for a server.
    """

    def __init__(self, env: simpy.Environment, count: int) -> None:
        self.waiting_s = 0.0
        self._env = env
        self._free = count
        self._queue: deque[tuple[float, Callable[[], None]]] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def serve(self, service_s: float, done: Callable[[], None]) -> None:
        """Serve when a server is free, then call `done`."""
        if self._free:
            self._free -= 1
            self._begin(service_s, done)
        else:
            self.waiting_s += service_s
            self._queue.append((service_s, done))

    def _begin(self, service_s: float, done: Callable[[], None]) -> None:
        after(self._env, service_s, lambda: self._served(done))

    def _served(self, done: Callable[[], None]) -> None:
        if self._queue:
            service_s, next_done = self._queue.popleft()
            self.waiting_s -= service_s
            self._begin(service_s, next_done)
        else:
            self._free += 1
        done()


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take.

    Attributes:
        servers: that a gateway has: 1 core.
        request_s: CPU of a request with so many samples.
        variation: of that time: 0 always the same, 1 exponential.
        sync_s: of a commit beside the database's CPU: round trip and the disk's sync.
        commit_s, row_s: CPU of the database for a commit, and for each of its rows.
        gateway_row_s: that a row takes in the gateway while it is committed.
        group_rows: in one commit, at most.
        database_cores: that all gateways share.
        connections: of a gateway; beyond them it refuses.
        waiting_bytes: that wait for their commit; beyond them it refuses.
        refuse_after_s: it refuses where so much work waits for its core; None: never.
        always_taken: so many are taken however much work waits.
    """

    request_s: Callable[[float], float]
    sync_s: float
    commit_s: float
    row_s: float
    servers: int = 1
    variation: float = 0.5
    gateway_row_s: float = 0.0
    group_rows: int = 1000
    database_cores: int = 16
    connections: int = 4000
    waiting_bytes: int = 64 * 1024 * 1024
    refuse_after_s: float | None = None
    always_taken: int = 0


ROW_BYTES = 1000  # what a row costs beside its body while it waits: server/store/devicelog.py
SAMPLE_BYTES = 2.2  # of a body: 445 bytes for 200 samples


@dataclass(slots=True, eq=False)
class Gateway:
    """One gateway process.

    Attributes:
        is_up: False after `die`.
        open: requests that it has not answered.
        most_open: at a time, ever.
        commits, rows: committed so far.
        in_vain: rows whose sender did not wait any more: they come again.
    """

    env: simpy.Environment
    pace: Pace
    database: Servers
    random: Random
    is_up: bool = True
    most_open: int = 0
    commits: int = 0
    rows: int = 0
    in_vain: int = 0
    open: set[Request] = field(default_factory=set)
    core: Servers = field(init=False)
    _waiting: deque[Request] = field(default_factory=deque)
    _waiting_bytes: float = 0.0
    _is_writing: bool = False

    def __post_init__(self) -> None:
        self.core = Servers(self.env, self.pace.servers)

    def take(self, request: Request) -> None:
        """Take a request, or refuse it."""
        pace = self.pace
        is_full = self._waiting_bytes > pace.waiting_bytes
        if pace.refuse_after_s is not None and len(self.open) >= pace.always_taken:
            is_full |= self.core.waiting_s / pace.servers > pace.refuse_after_s
        if is_full or len(self.open) >= pace.connections:
            request.end(REFUSED)
            return
        self.open.add(request)
        self.most_open = max(self.most_open, len(self.open))
        self.core.serve(self._request_s(request), lambda: self._read(request))

    def die(self) -> None:
        """Vanish with all that was not answered."""
        self.is_up = False
        cut, self.open = self.open, set()
        for request in sorted(cut, key=lambda request: request.sent_s):
            request.end(CUT)

    def rise(self) -> None:
        """Start again, empty."""
        self.core = Servers(self.env, self.pace.servers)
        self._waiting.clear()
        self._waiting_bytes = 0.0
        self._is_writing = False
        self.is_up = True

    def _request_s(self, request: Request) -> float:
        mean_s = self.pace.request_s(request.samples)
        if not self.pace.variation:
            return mean_s
        shape = self.pace.variation**-2
        return self.random.gammavariate(shape, mean_s / shape)

    def _read(self, request: Request) -> None:
        if request not in self.open:  # it went with the gateway
            return
        self._waiting.append(request)
        self._waiting_bytes += ROW_BYTES + request.samples * SAMPLE_BYTES
        if not self._is_writing:
            self._write()

    def _write(self) -> None:
        count = min(len(self._waiting), self.pace.group_rows)
        group = [self._waiting.popleft() for _ in range(count)]
        self._is_writing = True
        cpu_s = self.pace.commit_s + count * self.pace.row_s
        rest_s = self.pace.sync_s + count * self.pace.gateway_row_s
        self.database.serve(cpu_s, lambda: after(self.env, rest_s, lambda: self._committed(group)))

    def _committed(self, group: Sequence[Request]) -> None:
        if not self.is_up or group[0] not in self.open:
            return
        self.commits += 1
        self.rows += len(group)
        self._is_writing = False
        for request in group:
            self.open.discard(request)
            self._waiting_bytes -= ROW_BYTES + request.samples * SAMPLE_BYTES
            self.in_vain += request.ended is None
            request.end(ANSWERED)
        if self._waiting:
            self._write()


class Balancer:
    """Gives each request to the gateway with the fewest open ones, as haproxy's `leastconn`.

    Args:
        detect_s: until a gateway that is gone gets none any more; until then a request that meets
            it is given to another one (`option redispatch`), `RETRIES` times.
        at_random: to any gateway instead: what the formulas of queueing assume.
    """

    RETRIES = 3

    def __init__(
        self,
        env: simpy.Environment,
        gateways: Sequence[Gateway],
        random: Random,
        *,
        detect_s: float = 3.0,
        at_random: bool = False,
    ) -> None:
        self.gateways = gateways
        self._env = env
        self._random = random
        self._detect_s = detect_s
        self._at_random = at_random
        self._listed = list(gateways)

    def take(self, request: Request) -> None:
        """Pass a request on; without any gateway it is refused at once."""
        left = list(self._listed)
        for _ in range(min(1 + self.RETRIES, len(left))):
            gateway = self._choose(left)
            if gateway.is_up:
                gateway.take(request)
                return
            left.remove(gateway)
        request.end(REFUSED)

    def gone(self, gateways: Sequence[Gateway]) -> None:
        """Some gateways vanish; it is noticed after a while."""
        for gateway in gateways:
            gateway.die()
        after(self._env, self._detect_s, self._look)

    def back(self, gateways: Sequence[Gateway]) -> None:
        """Some gateways start again, and are found."""
        for gateway in gateways:
            gateway.rise()
        self._look()

    def _look(self) -> None:
        self._listed = [gateway for gateway in self.gateways if gateway.is_up]

    def _choose(self, listed: Sequence[Gateway]) -> Gateway:
        if self._at_random:
            return self._random.choice(listed)
        least = min(len(gateway.open) for gateway in listed)
        return self._random.choice([each for each in listed if len(each.open) == least])
