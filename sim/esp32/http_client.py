"""The board's HTTP client: a request goes through the air to the internet, an answer comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import simpy

from sim.esp32.wifi import CONNECTED, Station
from sim.network import LWIP_RTO_S

TIMEOUT_S = 10.0
REFUSED_S = 0.02  # the stack says at once that there is no network
MAX_ANSWER_BYTES = 16384

NO_NETWORK = b"no network"
TIMED_OUT = b"timed out"
TOO_LONG = b"answer too long"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What the board asks."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What it gets; status 0 with the reason in `body` where there was no answer."""

    status: int
    body: bytes


class Internet(Protocol):
    """What lies behind the access point."""

    def exchange(self, request: HttpRequest, answer: Callable[[HttpAnswer], None]) -> None:
        """Take a request now; call `answer` once, later, in the world's thread."""
        ...


class NoInternet:
    """An access point with nothing behind it."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env

    def exchange(self, request: HttpRequest, answer: Callable[[HttpAnswer], None]) -> None:
        """Refuse."""
        event = self._env.timeout(REFUSED_S)
        event.callbacks.append(lambda _event: answer(HttpAnswer(0, b"connection refused")))


OnBytes = Callable[[bool, int, bytes], None]
"""Called as on_bytes(to_host, status, body) when a request leaves and when an answer arrives."""


class HttpClient:
    """One request at a time, as the hardware layer promises.

    Args:
        env: the world's clock.
        station: the way into the air.
        internet: gives what lies behind it now.
        on_done: called when there is something for `poll`.
        on_bytes: told of every body, each attempt anew.

    Attributes:
        requests, failures: counters.
    """

    def __init__(
        self,
        env: simpy.Environment,
        station: Station,
        internet: Callable[[], Internet],
        on_done: Callable[[], None],
        on_bytes: OnBytes,
    ) -> None:
        self.requests = 0
        self.failures = 0
        self._env = env
        self._station = station
        self._internet = internet
        self._on_done = on_done
        self._on_bytes = on_bytes
        self._handle = 0
        self._open = False
        self._result: tuple[int, bytes] | None = None

    def start(self, request: HttpRequest) -> int:
        """Begin a request and return its handle; one that is still open is given up."""
        self._handle += 1
        self._open = True
        self._result = None
        self.requests += 1
        handle = self._handle
        if self._station.state != CONNECTED:
            self._after(REFUSED_S, lambda: self._finish(handle, 0, NO_NETWORK))
            return handle
        self._on_bytes(True, 0, request.body)
        self._after(TIMEOUT_S, lambda: self._finish(handle, 0, TIMED_OUT))
        self._travel(
            handle,
            len(request.body),
            lambda: self._internet().exchange(
                request, lambda answer: self._answered(handle, answer)
            ),
        )
        return handle

    def poll(self, handle: int) -> tuple[int, bytes] | None:
        """Return the answer once; None while there is none."""
        if handle != self._handle or self._result is None:
            return None
        result, self._result = self._result, None
        return result

    def cancel(self, handle: int) -> None:
        """Give a request up."""
        if handle == self._handle:
            self._open = False
            self._result = None

    def reset(self) -> None:
        """Forget everything: the chip resets."""
        self.cancel(self._handle)

    def _answered(self, handle: int, answer: HttpAnswer) -> None:
        self._travel(handle, len(answer.body), lambda: self._arrived(handle, answer))

    def _travel(self, handle: int, size_bytes: int, arrived: Callable[[], None]) -> None:
        """Let bytes go through the air and the network behind it, or get lost for good."""
        way_s = self._station.one_way_s()
        if way_s is None:
            return
        if self._station.network.is_good:
            self._after(way_s, arrived)
        else:
            self._send(handle, size_bytes, way_s, LWIP_RTO_S, arrived)

    def _send(
        self, handle: int, size_bytes: int, way_s: float, rto_s: float, arrived: Callable[[], None]
    ) -> None:
        """Send segments, and again after `rto_s` if they got lost; a client that left ends that."""
        if handle != self._handle or not self._open:
            return
        network = self._station.network
        if network.loses(size_bytes):
            self._after(rto_s, lambda: self._send(handle, size_bytes, way_s, 2.0 * rto_s, arrived))
        else:
            self._after(way_s + network.delay_s(size_bytes), arrived)

    def _arrived(self, handle: int, answer: HttpAnswer) -> None:
        if handle != self._handle or not self._open or self._station.level_dbm is None:
            return
        if answer.status:
            self._on_bytes(False, answer.status, answer.body)
        if len(answer.body) > MAX_ANSWER_BYTES:
            self._finish(handle, 0, TOO_LONG)
        else:
            self._finish(handle, answer.status, answer.body)

    def _finish(self, handle: int, status: int, body: bytes) -> None:
        if handle == self._handle and self._open:
            self._open = False
            self._result = status, body
            self.failures += status == 0
            self._on_done()

    def _after(self, delay_s: float, action: Callable[[], None]) -> None:
        event = self._env.timeout(delay_s)
        event.callbacks.append(lambda _event: action())
