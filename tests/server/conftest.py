"""Fixtures: the real embedded PostgreSQL (one server a session, one database a test), a link."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import asyncpg
import pytest
import structlog

from server.clock import SystemClock
from server.config_section import Section, Where
from server.gateway import Gateway
from server.links.base import Link, LinkLost
from server.links.registry import BUILT_IN
from server.readings import Reading
from server.store.connection import connect
from server.store.embedded import EmbeddedPostgres
from server.store.migrate import migrate
from tests.server.running import QUICK, gateway_config, running

RPM = 12


class FakeLink(Link):
    """Reads a counter: RPM = 1, 2, 3, … every `period_s`; goes away after `lives` readings."""

    kind: ClassVar[str] = "fake"

    @classmethod
    def parse(cls, name: str, table: Mapping[str, Any], where: Where) -> dict[str, Any]:
        """Take `period_s`, `lives` and `vin`."""
        section = Section(table, where)
        options = {
            "period_s": section.number("period_s", 0.005, minimum=0.0001, maximum=10),
            "lives": section.integer("lives", 1_000_000, minimum=0, maximum=1_000_000),
            "vin": section.text("vin", None),
        }
        section.done()
        return options

    async def run(self) -> None:
        """Read until the lives are used up."""
        self.stale_s = {RPM: 5.0}
        if self.options["vin"]:
            self.report.vehicle(self.options["vin"])
        for value in range(1, self.options["lives"] + 1):
            now_ns = self.clock.now_ns()
            self.sink([Reading(RPM, now_ns, float(value), now_ns)])
            self.count("polls")
            await asyncio.sleep(self.options["period_s"])
        raise LinkLost("unplugged")


_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def fake_kind(monkeypatch: pytest.MonkeyPatch) -> type[FakeLink]:
    """Make the kind "fake" known."""
    monkeypatch.setitem(BUILT_IN, "fake", f"{FakeLink.__module__}:FakeLink")
    return FakeLink


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A server that is gone after the tests."""
    with EmbeddedPostgres(durable=False) as server:
        server.start()
        yield server


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres) -> str:
    """A database with all tables, to be copied: a copy takes a tenth of the migrations' time."""
    url = postgres.create_database("template_of_tests")

    async def fill() -> None:
        connection = await connect(url)
        await migrate(connection, SystemClock())
        await connection.close()

    # A loop of its own, in a thread of its own: one of the tests may be running in this one.
    thread = threading.Thread(target=lambda: asyncio.run(fill()))
    thread.start()
    thread.join()
    return "template_of_tests"


@pytest.fixture
def database_url(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    """A database with all tables, and nothing in them."""
    name = f"test_{next(_numbers)}"
    yield postgres.create_database(name, template)
    postgres.drop_database(name)


@pytest.fixture
def empty_database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database without a table."""
    name = f"test_{next(_numbers)}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture(autouse=True)
def quiet_logs() -> Iterator[None]:
    """Keep structlog's configuration of one test from the next."""
    structlog.configure(
        processors=[structlog.testing.LogCapture()], cache_logger_on_first_use=False
    )
    yield
    structlog.reset_defaults()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to a database with all tables."""
    connection = await connect(database_url)
    await migrate(connection, SystemClock())
    await connection.close()
    async with asyncpg.create_pool(database_url, min_size=0, max_size=2) as pool:
        yield pool


GatewayRunner = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture
def run_gateway(database_url: str) -> GatewayRunner:
    """Run a gateway around a block: `async with run_gateway(toml, {variables}) as gateway`."""

    @contextlib.asynccontextmanager
    async def run(
        text: str = "",
        env: Mapping[str, str] | None = None,
        url: str = database_url,
        http: str = "",
    ) -> AsyncIterator[Gateway]:
        whole = QUICK.replace("port = 0\n", f"port = 0\n{http}") + text
        async with running(gateway_config(url, whole, env)) as gateway:
            yield gateway

    return run
