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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.errors import ServerError
from server.instances.bus.base import GAP_S
from server.instances.bus.server import ServerBus
from server.instances.config import bus_servers, shown_bus

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

LIMIT_BYTES = 1 << 20
"""What a server takes in one message unless it says another `max_payload`."""
WAITING_BYTES = 8 << 20
HEARD_MESSAGES = 65_536
HEARD_BYTES = 32 << 20
"""What waits on one subject for this process, at most; what comes then is dropped by the client."""
CONNECT_S = 2.0
FLUSH_S = 2
PING_S = 1.0
PINGS = 2
"""A server that does not answer so many pings is away."""
CLOSE_S = 1.0


class NatsBus(ServerBus):
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
    waiting_limit_bytes = WAITING_BYTES
    close_s = CLOSE_S

    def __init__(self, bus: str, *, name: str, ca_file: Path | None = None) -> None:
        super().__init__(shown_bus(bus))
        self._servers = bus_servers(bus)
        self.prefix = "telerig"
        self._name = name
        self._ca_file = ca_file
        self._client: Client | None = None
        self._subscriptions: dict[str, Subscription] = {}
        self._ended = asyncio.Event()
        self._gap_soon: asyncio.TimerHandle | None = None
        self._reason = ""

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
        from nats.errors import Error

        self.errors = (Error, OSError, ssl.SSLError)
        # What it says is said here, once and in one line.
        logging.getLogger("nats").setLevel(logging.CRITICAL)
        await super().start()

    async def close(self) -> None:
        """Send what waits, and disconnect."""
        await super().close()
        if self._gap_soon is not None:
            self._gap_soon.cancel()

    def _subject_begins(self, subject: str) -> None:
        self._wanted.set()

    def _subject_ends(self, subject: str) -> None:
        self._wanted.set()

    async def _serve(self) -> None:
        self._ended.clear()
        self._reason = ""
        self._client = client = _client(self._servers[0].startswith("tls://"))
        await self._connect(client)
        await self._subscribe(client)
        await client.flush(FLUSH_S)
        self._connected()
        await self._work(client)

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        self._subscriptions.clear()
        self._servers.append(self._servers.pop(0))
        if client is not None:
            await _close(client)

    def _why(self, error: Exception) -> str:
        return self._reason or _why(error)

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
