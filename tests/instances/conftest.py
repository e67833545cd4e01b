"""Fixtures: a PostgreSQL on TCP, processes, and gateways that share one database."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.instances.children import Children
from tests.instances.database import Database
from tests.instances.gateways import GatewayProcess, settled
from tests.server.alerts.conftest import HookServer

DEVICES = tuple(f"van-{number:02}" for number in range(1, 17))
_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def quiet_logs() -> Iterator[None]:
    """Keep what migrations say out of the output."""
    structlog.configure(
        processors=[structlog.testing.LogCapture()], cache_logger_on_first_use=False
    )
    yield
    structlog.reset_defaults()


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    """Processes of one test."""
    with Children(tmp_path) as children:
        yield children


@pytest.fixture(scope="session")
def database_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A server whose database `fleet` has all tables; it is there to be copied."""
    with (
        Children(tmp_path_factory.mktemp("database")) as children,
        Database(children) as database,
    ):
        database.start()
        yield database


@pytest.fixture
def database_url(database_server: Database) -> Iterator[str]:
    """A database of one test, with all tables."""
    name = f"fleet_{next(_numbers)}"
    yield database_server.fresh(name)
    database_server.drop(name)


class Fleet:
    """Gateways on one database.

    Attributes:
        gateways: that were started.
    """

    def __init__(self, children: Children, database_url: str) -> None:
        self.children = children
        self.database_url = database_url
        self.gateways: list[GatewayProcess] = []

    async def start(
        self, *names: str, devices: tuple[str, ...] = DEVICES, **options: Any
    ) -> list[GatewayProcess]:
        """Start gateways at the same time; return them when each takes readings and its share."""
        options.setdefault("database", self.database_url)
        started = [GatewayProcess(self.children, name, devices, **options) for name in names]
        for gateway in started:
            gateway.start()
        await asyncio.gather(*(gateway.ready() for gateway in started))
        self.gateways += started
        await settled([gateway for gateway in self.gateways if gateway.is_alive])
        return started


@pytest.fixture
def fleet(children: Children, database_url: str) -> Fleet:
    """Gateways of one test, on a database of its own."""
    return Fleet(children, database_url)


@pytest.fixture
async def hooks() -> AsyncIterator[HookServer]:
    """A server of webhooks on this machine."""
    made = HookServer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    yield made
    server.close()
