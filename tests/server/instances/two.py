"""Two gateways on one database, and how a test hears what they say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from server.gateway import Gateway
from server.live.selection import Selection
from server.live.words import FORMS
from tests.server.live.outlet import FakeOutlet

PATIENCE_S = 15.0
SECRET = "sixteen-characters-and-more"


def config_of(name: str, more: str = "") -> str:
    """The configuration of one of them."""
    return (
        f'[gateway]\ndevice = "{name}"\n[instances]\nname = "{name}"\n'
        f'[api]\nsecret = "{SECRET}"\n{more}'
    )


@contextlib.asynccontextmanager
async def two_gateways(
    run_gateway: Callable[..., Any], env: dict[str, str] | None = None
) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """Run `a` and `b`."""
    async with run_gateway(config_of("a"), env) as a, run_gateway(config_of("b"), env) as b:
        yield a, b


class Heard:
    """A client of a gateway's live stream that keeps the events of one type."""

    def __init__(self, gateway: Gateway, kind: str, selection: Selection | None = None) -> None:
        self._outlet = FakeOutlet()
        self._kind = kind
        self._events: list[dict[str, Any]] = []
        client = gateway.hub.attach(self._outlet, FORMS["rows"], selection or Selection())
        gateway.hub.join(client)

    @property
    def events(self) -> list[dict[str, Any]]:
        """What has come so far."""
        self._events += [m for m in self._outlet.take() if m["type"] == self._kind]
        return self._events

    @property
    def has_ended(self) -> bool:
        """The gateway has ended the connection."""
        return not self._outlet.is_writable


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def until_true(condition: Callable[[], Awaitable[object]]) -> None:
    """Wait for a condition that has to ask."""
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
