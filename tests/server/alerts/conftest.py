"""Receivers of alerts: a mail server with TLS, and one of webhooks."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from server.store.embedded import EmbeddedPostgres

PATIENCE_S = 30.0


class Hooked(NamedTuple):
    """A request that came."""

    headers: dict[str, str]
    body: bytes


class HookServer:
    """Takes webhooks; answers what it is told to.

    Attributes:
        answers: statuses (with further headers) of the next requests; then 204.
        requests: that came.
    """

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[str] = []
        self.requests: list[Hooked] = []
        self._came = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = head.split("\r\n")[1:-2]
            headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.requests.append(Hooked(headers, body))
            answer = self.answers.pop(0) if self.answers else "204 No Content"
            writer.write(f"HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n".encode())
            await writer.drain()
            self._came.set()
        writer.close()

    async def wait_for(self, count: int) -> list[Hooked]:
        """Give the requests when so many have come."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.requests) < count:
                self._came.clear()
                await self._came.wait()
        return self.requests


@pytest.fixture
async def hooks() -> AsyncIterator[HookServer]:
    """A server of webhooks on this machine."""
    made = HookServer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    yield made
    server.close()


class Authority(NamedTuple):
    """Certificates of a test."""

    context: ssl.SSLContext
    ca_file: Path


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate for localhost, and the file of who signed it."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return Authority(context, path)


class MailServer:
    """What came by mail.

    Attributes:
        mails: (envelope, whether over TLS).
        refuse: answers to the next mails, instead of taking them.
    """

    def __init__(self) -> None:
        self.mails: list[tuple[Any, bool]] = []
        self.refuse: list[str] = []
        self.port = 0
        self._changed = threading.Condition()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Take a mail (aiosmtpd's hook)."""
        with self._changed:
            if self.refuse:
                return self.refuse.pop(0)
            is_tls = server.transport.get_extra_info("sslcontext") is not None
            self.mails.append((envelope, is_tls))
            self._changed.notify_all()
        return "250 OK"

    async def wait_for(self, count: int) -> list[tuple[Any, bool]]:
        """Give the mails when so many have come."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.mails) < count:  # noqa: ASYNC110 (they come in another thread)
                await asyncio.sleep(0.01)
        return self.mails


class _Controller(Controller):
    """TLS from the first byte, or STARTTLS that is required."""

    def __init__(self, handler: MailServer, context: ssl.SSLContext, security: str) -> None:
        self._security, self._context = security, context
        super().__init__(
            handler,
            hostname="127.0.0.1",
            port=0,
            ssl_context=context if security == "tls" else None,
        )

    def factory(self) -> SMTP:
        """Make the protocol of one connection."""
        is_starttls = self._security == "starttls"
        return SMTP(
            self.handler,
            tls_context=self._context if is_starttls else None,
            require_starttls=is_starttls,
            auth_require_tls=is_starttls,
            authenticator=lambda *given: AuthResult(
                success=(given[4].login, given[4].password) == (b"gateway", b"secret word")
            ),
        )

    def _trigger_server(self) -> None:
        """Find out the port, which any free one is."""
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture(params=["starttls"])
def mail_security(request: pytest.FixtureRequest) -> str:
    """How the mail server encrypts."""
    return str(request.param)


@pytest.fixture
def mail_server(authority: Authority, mail_security: str) -> Iterator[MailServer]:
    """A mail server on this machine."""
    made = MailServer()
    controller = _Controller(made, authority.context, mail_security)
    controller.start()
    made.port = controller.port
    yield made
    time.sleep(0.1)  # its connections end by themselves: stop() would leave them open
    controller.stop()


_ALERT_TABLES = "alerts, alert_rules, alert_targets, alert_silences, alert_watched"


@pytest.fixture(scope="module")
def module_database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """One database for all tests of a module: to make one costs more than most of them."""
    yield postgres.create_database("alerts")
    postgres.drop_database("alerts")


@pytest.fixture
async def database_url(module_database: str) -> str:
    """A database without alerts; it may have readings."""
    connection = await asyncpg.connect(module_database)
    try:
        if await connection.fetchval("SELECT to_regclass('alerts')") is not None:
            await connection.execute(f"TRUNCATE {_ALERT_TABLES}, devices CASCADE")
    finally:
        await connection.close()
    return module_database
