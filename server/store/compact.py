"""The compactor as a process of its own, `telerig compact`.

    gateways ([store] compactor = "elsewhere") --commit--> hot log <--compacts-- telerig compact

It compacts and drops what is too old, and does nothing else: no HTTP, no links, no devices. Among
several gateways it takes the lease of the store, as a gateway would, and no shards; beside a
gateway alone a lock of the database keeps two of them apart. So any number may run: one works, the
others wait for its end. Killed at whatever moment, what was in the middle never was.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import structlog

from server.clock import Clock, SystemClock
from server.config import GatewayConfig
from server.errors import MigrationError
from server.instances.lease import Leases
from server.instances.lease_rows import About
from server.instances.shard import STORE
from server.store.compactor import Compactor
from server.store.connection import connect
from server.store.migrate import applied_versions, load_migrations

log = structlog.get_logger("telerig.compact")

SUFFIX = "-compactor"
"""Behind a gateway's name, of one that has its configuration."""


async def compact(
    config: GatewayConfig,
    *,
    name: str | None = None,
    stop: asyncio.Event,
    tell: Callable[[str], None] = lambda status: None,
) -> None:
    """Compact until `stop` is set.

    Args:
        config: with a database URL.
        name: among several gateways; None: that of the configuration, with `SUFFIX`.
        stop: set it to end; what is in the middle is as if it had not begun.
        tell: takes in words what it does, first when it is ready.

    Raises:
        DatabaseUnreachable: the database is away at the start; later it is waited for.
        MigrationError: its schema is not that of this version.
        NameTaken: another one of this name lives.
    """
    url = config.database.url or ""
    await _check_schema(url)
    clock = SystemClock()
    leases = _leases(config, name, clock)

    def say(event: str, **about: object) -> None:
        log.info(event, **about)
        tell(" ".join([event, *(f"{key}={value}" for key, value in about.items())]))

    compactor = Compactor(
        url,
        clock,
        config.store,
        None if leases is None else lambda: leases.token(STORE),
        is_told=False,
        say=say,
    )

    def changed(taken: frozenset[int], lost: frozenset[int]) -> None:
        if STORE in taken:
            say("compacts from now on")
            compactor.look()
        elif STORE in lost and not stop.is_set():
            say("has lost the store: waits for it")

    try:
        if leases is None:
            compactor.look()
        else:
            leases.on_change.append(changed)
            await leases.start()
        say("ready", waits=leases is not None and leases.token(STORE) is None)
        await stop.wait()
    finally:
        await compactor.close()
        if leases is not None:
            await leases.close()
        done = compactor.counts
        log.info("stopped", cycles=done.cycles, samples=done.samples, busy_s=round(done.busy_s, 1))


def _leases(config: GatewayConfig, name: str | None, clock: Clock) -> Leases | None:
    """Make the lease of the store; None beside a gateway alone."""
    named = config.instances
    if named is None:
        return None
    boot = int.from_bytes(os.urandom(4), "big")
    about = About(name or f"{named.name}{SUFFIX}", boot, device="", url="", bus="")
    url = config.database.url or ""
    return Leases(url, about, lease_s=named.lease_s, clock=clock, places=[STORE])


async def _check_schema(url: str) -> None:
    connection = await connect(url)
    try:
        found = max(await applied_versions(connection), default=0)
    finally:
        await connection.close()
    newest = load_migrations()[-1].version
    if found != newest:
        raise MigrationError(
            f"expected the schema of this version, step {newest}, found step {found}: "
            "start a gateway of this version first, or telerig migrate"
        )
