"""A gateway without a database, which is quick to start."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager

import pytest

from server.config import parse_config
from server.gateway import Gateway
from tests.server.running import QUICK, running

LiveRunner = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture
def run_live() -> LiveRunner:
    """Run a gateway around a block: `async with run_live(toml, {variables}) as gateway`."""

    @contextlib.asynccontextmanager
    async def run(text: str = "", env: Mapping[str, str] | None = None) -> AsyncIterator[Gateway]:
        whole = f"{QUICK}[database]\nenabled = false\n{text}"
        async with running(parse_config(whole, "telerig.toml", env or {})) as gateway:
            yield gateway

    return run
