"""Reading the configuration again while the gateway runs: `systemctl reload`, SIGHUP, or a request.

At once: links that are new, gone or changed; the log's format and level; the TLS certificate. The
rest takes effect at the next start, and the log names it. A configuration that is wrong changes
nothing.

Where several gateways share a database, the order goes to all of them: each reads its own file.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
import structlog

from server.answers import Refusal
from server.errors import ConfigError, ServerError
from server.links.running import RunningLinks
from server.operation.tls import load_certificate
from server.store.connection import first_line
from server.store.signals import keep_signals

if TYPE_CHECKING:
    from server.config import GatewayConfig
    from server.gateway import Gateway

log = structlog.get_logger("telerig.serve")

AT_ONCE = frozenset({"links", "log.format", "log.level", "notes", "taken"})
"""What a reload changes."""
CERTIFICATE = "http.tls"


class Reloaded(msgspec.Struct, frozen=True):
    """What a reload has done.

    Attributes:
        changed: what is different now, in words.
        needs_restart: keys, `section.key`, whose new values take effect at the next start.
        others_told: other gateways share the database, and were told to read theirs.
    """

    changed: list[str]
    needs_restart: list[str]
    others_told: bool = False


class Reload:
    """Orders to read the configuration again.

    Args:
        load: gives the configuration as it is now.
        began: called when a reload begins.
        ended: called when it is over, well or not.
    """

    def __init__(
        self,
        load: Callable[[], GatewayConfig],
        began: Callable[[], None] = lambda: None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.load = load
        self.began = began
        self.ended = ended
        self.wanted = asyncio.Event()
        self.is_to_tell = False
        """The order came from this gateway's operator: the others are to be told."""
        self.asked: list[asyncio.Future[Reloaded]] = []
        """Who waits for what becomes of it."""

    def ask(self) -> None:
        """Order a reload of this gateway, and of those on the same database; call it in the event
        loop."""
        self.is_to_tell = True
        self.wanted.set()

    async def done(self) -> Reloaded:
        """Order a reload as `ask` does, and wait for it.

        Raises:
            Refusal: 409, the configuration is wrong; 503, the gateway stops. Nothing is changed.
            PostgresError, OSError: the database is away; nothing is changed.
        """
        future: asyncio.Future[Reloaded] = asyncio.get_running_loop().create_future()
        self.asked.append(future)
        self.ask()
        try:
            return await future
        except ConfigError as error:
            where = error.file if error.line is None else f"{error.file}:{error.line}"
            raise Refusal(409, where, error.expected, error.found) from None

    def heard(self, name: str) -> None:
        """Take the order of another gateway's operator."""
        log.info("reload ordered", by=name)
        self.wanted.set()


async def reload_forever(
    reload: Reload, gateway: Gateway, links: RunningLinks, tls: ssl.SSLContext | None
) -> None:
    """Carry out each order, until cancelled."""
    gateway.reload = reload
    gateway.takers.on_reload(reload.heard)
    try:
        while True:
            await reload.wanted.wait()
            reload.wanted.clear()
            await _carry_out(reload, gateway, links, tls)
    finally:
        _answer(reload.asked, _stops())


async def _carry_out(
    reload: Reload, gateway: Gateway, links: RunningLinks, tls: ssl.SSLContext | None
) -> None:
    is_to_tell, reload.is_to_tell = reload.is_to_tell, False
    asked, reload.asked = reload.asked, []
    came: Reloaded | Exception = _stops()
    reload.began()
    try:
        are_told = is_to_tell and await gateway.takers.tell_reload()
        said = await apply(reload.load(), gateway, links, tls)
        came = msgspec.structs.replace(said, others_told=are_told)
        log.info("reloaded", changed="; ".join(said.changed) or "nothing")
    except (ServerError, asyncpg.PostgresError, OSError) as error:
        came = error
        log.error("not reloaded", reason=first_line(error), next="goes on as it was")
    finally:
        _answer(asked, came)
        reload.ended()


def _stops() -> Refusal:
    return Refusal(503, "gateway", "one that runs", "one that stops")


def _answer(asked: list[asyncio.Future[Reloaded]], came: Reloaded | Exception) -> None:
    for future in asked:
        if future.done():  # who asked is gone
            continue
        if isinstance(came, Reloaded):
            future.set_result(came)
        else:
            future.set_exception(came)


async def apply(
    new: GatewayConfig, gateway: Gateway, links: RunningLinks, tls: ssl.SSLContext | None
) -> Reloaded:
    """Bring a running gateway to a configuration, as far as that is possible; say what changed.

    Raises:
        ServerError, PostgresError, OSError: nothing is changed.
    """
    old = gateway.config
    said = []
    if new.signals and gateway.config.database.enabled:
        async with gateway.pool.acquire() as connection:
            await keep_signals(connection, new.signals, gateway.clock.now_ns())
    if tls is not None and new.http.tls is not None:
        load_certificate(tls, *new.http.tls)
        said.append("certificate read again")
    if new.log != old.log:
        from server.logs import reconfigure_logs

        if (new.log.format, new.log.level) != (old.log.format, old.log.level):
            reconfigure_logs(format=new.log.format, level=new.log.level)
            said.append(f"log {new.log.format}, {new.log.level}")
    said += await links.exchange(new.links)
    later = [
        key
        for key in changed_keys(old, new)
        if key not in AT_ONCE and not (key == CERTIFICATE and tls is not None and new.http.tls)
    ]
    if later:
        log.warning("these changes need a restart", keys=", ".join(later))
    gateway.config = msgspec.structs.replace(
        old,
        links=new.links,
        log=msgspec.structs.replace(new.log, requests=old.log.requests),
    )
    return Reloaded(said, later)


def changed_keys(old: GatewayConfig, new: GatewayConfig) -> list[str]:
    """Give the names of keys, `section.key`, in which two configurations differ."""
    found = []
    for field in old.__struct_fields__:
        before, after = getattr(old, field), getattr(new, field)
        if isinstance(before, msgspec.Struct):
            found += [f"{field}.{key}" for key in _differing(before, after)]
        elif before != after:
            found.append(field)
    return found


def _differing(before: msgspec.Struct, after: Any) -> list[str]:
    names = before.__struct_fields__
    return [name for name in names if getattr(before, name) != getattr(after, name)]
