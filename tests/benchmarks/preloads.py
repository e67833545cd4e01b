"""What runs in a worker before its gateway starts (`rig.worker.job.Job.preload`)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import rig.worker.observer
from rig.worker.observer import LiveListener, get_json, watch_live

CLIENTS = 3
REQUEST_PERIOD_S = 1.0
PATHS = ("/api/v1/signals", "/api/v1/links", "/api/v1/readings?limit=100", "/ready")


class _Deaf:
    """A client that listens and keeps nothing."""

    def published(self, arrived_ns: int, rows: list[list[Any]]) -> None:
        """Drop them."""

    def stored_at(self, boot: int, upto_seq: int, time_ns: int) -> None:
        """Drop it."""

    def gateway_event(self, time_ns: int, kind: str, detail: Mapping[str, Any]) -> None:
        """Drop it."""


def no_observer() -> None:
    """Run without the one WebSocket client that a virtual run always has."""

    async def nobody(_port: int, _listener: LiveListener) -> None:
        return

    _replace_observer(nobody)


def web_clients() -> None:
    """Three more WebSocket clients, and four HTTP requests a second."""

    async def crowd(port: int, listener: LiveListener) -> None:
        async def ask() -> None:
            while True:
                await asyncio.sleep(REQUEST_PERIOD_S)
                for path in PATHS:
                    await get_json(port, path)

        others = [asyncio.create_task(watch_live(port, _Deaf())) for _ in range(CLIENTS)]
        others.append(asyncio.create_task(ask()))
        try:
            await watch_live(port, listener)
        finally:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    _replace_observer(crowd)


def _replace_observer(observer: Any) -> None:
    module: Any = rig.worker.observer
    assert hasattr(module, "watch_live"), "expected to be called in a virtual worker"
    module.watch_live = observer
