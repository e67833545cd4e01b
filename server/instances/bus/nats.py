"""The bus over NATS: bodies too, at its core's guarantee: at most once.

The client's own reconnection is not used: it gives up on refused credentials and keeps what was
published meanwhile, which others have read in the database by then. Here a new client is made
whenever one has ended, for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import ssl
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from server.errors import ServerError
from server.instances.bus.base import GAP_S, Listeners
from server.instances.config import bus_servers, shown_bus

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

log = structlog.get_logger("telerig.instances")

LIMIT_BYTES = 1 << 20
"""What a server takes in one message unless it says another `max_payload`."""
WAITING_BYTES = 8 << 20
"""What waits to be sent, at most; what comes then is dropped."""
HEARD_MESSAGES = 65_536
HEARD_BYTES = 32 << 20
"""What waits on one subject for this process, at most; what comes then is dropped by the client."""
CONNECT_S = 2.0
FLUSH_S = 2
PING_S = 1.0
PINGS = 2
"""A server that does not answer so many pings is away."""
RETRY_FIRST_S = 0.1
RETRY_LAST_S = 1.0
CLOSE_S = 1.0


class NatsBus(Listeners):
    """Tells through NATS servers.

    Args:
        bus: URLs, with commas between.
        name: of the gateway, for whoever looks at the server.
        ca_file: certificates to trust instead of the machine's.

    Attributes:
        prefix: of the subjects; keeps fleets on one server apart. Set it before the start.
    """

    kind = "nats"
    carries_bodies = True

    def __init__(self, bus: str, *, name: str, ca_file: Path | None = None) -> None:
        super().__init__(shown_bus(bus))
        self._servers = bus_servers(bus)
        self.prefix = "telerig"
        self._name = name
        self._ca_file = ca_file
        self._client: Client | None = None
        self._subscriptions: dict[str, Subscription] = {}
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._waiting_bytes = 0
        self._is_complete = True
        self._wanted = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._ended = asyncio.Event()
        self._tried = asyncio.Event()
        self._gap_soon: asyncio.TimerHandle | None = None
        self._reason = ""
        self._task: asyncio.Task[None] | None = None

    @property
    def limit_bytes(self) -> int:
        """What the server takes in one message."""
        return LIMIT_BYTES if self._client is None else min(LIMIT_BYTES, self._client.max_payload)

    async def start(self) -> None:
        """Connect, and go on trying.

        Raises:
            ServerError: the client is not installed.
        """
        if importlib.util.find_spec("nats") is None:
            raise ServerError(
                "expected the NATS client for [instances] bus, found none: "
                "pip install 'telerig[nats]', or choose bus = \"notify\""
            )
        if self._task is None:
            # What it says is said here, once and in one line.
            logging.getLogger("nats").setLevel(logging.CRITICAL)
            self._task = asyncio.create_task(self._run(), name="bus")
            await self._tried.wait()

    def publish(self, subject: str, data: bytes) -> None:
        """Send it in the event loop's next turn."""
        if (
            self.failing
            or len(data) > self.limit_bytes
            or self._waiting_bytes + len(data) > WAITING_BYTES
        ):
            self.counts.dropped += 1
            self._is_complete = False
            self._wanted.set()
            return
        self._waiting.append((subject, data))
        self._waiting_bytes += len(data)
        self._drained.clear()
        self._wanted.set()

    async def close(self) -> None:
        """Send what waits, and disconnect."""
        task, self._task = self._task, None
        if task is not None:
            if not self.failing:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CLOSE_S):
                        await self._drained.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._gap_soon is not None:
            self._gap_soon.cancel()
        await self._end_repeating()

    def _subject_begins(self, subject: str) -> None:
        self._wanted.set()

    def _subject_ends(self, subject: str) -> None:
        self._wanted.set()

    async def _run(self) -> None:
        retry_s = RETRY_FIRST_S
        while True:
            self._ended.clear()
            self._reason = ""
            client = _client(self._servers[0].startswith("tls://"))
            try:
                await self._connect(client)
                self._client = client
                await self._subscribe(client)
                await client.flush(FLUSH_S)  # from here on everything is heard
                self._is_back()
                self._tried.set()
                retry_s = RETRY_FIRST_S
                await self._work(client)
            except Exception as error:
                if not isinstance(error, _errors()):
                    log.exception("the bus failed")
                self._is_away(self._reason or _why(error))
            finally:
                self._client = None
                self._subscriptions.clear()
                await _close(client)
            self._tried.set()
            self._forget()
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, RETRY_LAST_S)
            self._servers.append(self._servers.pop(0))

    def _forget(self) -> None:
        """What waits is old by the time a server is back, and others read it in the database."""
        self.counts.dropped += len(self._waiting)
        self._is_complete = False
        self._waiting.clear()
        self._waiting_bytes = 0
        self._drained.set()

    async def _connect(self, client: Client) -> None:
        options: dict[str, Any] = {}
        if self._servers[0].startswith("tls://"):
            options["tls"] = ssl.create_default_context(cafile=self._ca_file)
        async with asyncio.timeout(2 * CONNECT_S):
            await client.connect(
                [self._servers[0]],
                name=f"telerig {self._name}",
                no_echo=True,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=CONNECT_S,  # type: ignore[arg-type]  # it takes any number
                ping_interval=PING_S,  # type: ignore[arg-type]
                max_outstanding_pings=PINGS,
                pending_size=WAITING_BYTES,
                error_cb=self._error,
                disconnected_cb=self._lost,
                closed_cb=self._lost,
                **options,
            )

    async def _error(self, error: Exception) -> None:
        from nats.errors import SlowConsumerError

        if isinstance(error, SlowConsumerError):
            if self._gap_soon is None:
                loop = asyncio.get_running_loop()
                self._gap_soon = loop.call_later(GAP_S, self._slow)
            return
        self._reason = _why(error)

    def _slow(self) -> None:
        self._gap_soon = None
        self.gap("more came than was taken")

    async def _lost(self) -> None:
        self._ended.set()
        self._wanted.set()

    async def _work(self, client: Client) -> None:
        """Send and subscribe until the client has ended.

        Raises:
            ConnectionError: it has.
        """
        self._wanted.set()
        while not self._ended.is_set():
            await self._wanted.wait()
            self._wanted.clear()
            await self._subscribe(client)
            if not self._is_complete:
                self._is_complete = True
                await client.publish(self._subject(_GAP), self._name.encode())
            while self._waiting and not self._ended.is_set():
                subject, data = self._waiting.popleft()
                self._waiting_bytes -= len(data)
                await client.publish(self._subject(subject), data)
                self.counts.sent += 1
                self.counts.sent_bytes += len(data)
            self._drained.set()
        raise ConnectionResetError("the connection was cut")

    async def _subscribe(self, client: Client) -> None:
        """Ask for what somebody here listens to, and no longer for the rest."""
        for subject in {_GAP, *self._takers} - set(self._subscriptions):
            self._subscriptions[subject] = await client.subscribe(
                self._subject(subject),
                cb=self._heard,
                pending_msgs_limit=HEARD_MESSAGES,
                pending_bytes_limit=HEARD_BYTES,
            )
        for subject in set(self._subscriptions) - {_GAP, *self._takers}:
            await self._subscriptions.pop(subject).unsubscribe()

    async def _heard(self, message: Msg) -> None:
        subject = message.subject[len(self.prefix) + 1 :]
        if subject == _GAP:
            self.gap(f"{message.data[:64].decode(errors='replace')} could not tell everything")
        else:
            self._deliver(subject, message.data)

    def _subject(self, subject: str) -> str:
        return f"{self.prefix}.{subject}"


_GAP = "gap"


def _client(is_tls_wanted: bool) -> Client:
    from nats.aio.client import Client
    from nats.errors import Error

    class Checked(Client):
        """Sends no credentials in the clear where TLS was asked for."""

        async def _process_info(
            self, info: dict[str, Any], initial_connection: bool = False
        ) -> None:
            if is_tls_wanted and initial_connection and not info.get("tls_required"):
                raise Error("nats: expected a server with TLS, found one without")
            await super()._process_info(info, initial_connection)

    return Checked()


def _errors() -> tuple[type[Exception], ...]:
    from nats.errors import Error

    return (Error, OSError, ssl.SSLError)


def _why(error: BaseException) -> str:
    """Say why in one line, without what was asked with."""
    if isinstance(error, TimeoutError) or "timeout" in str(error).lower():
        return "no answer"
    text = str(error).strip() or type(error).__name__
    return shown_bus(text.splitlines()[0].removeprefix("nats: "))


async def _close(client: Client) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_S):
            await client.close()
