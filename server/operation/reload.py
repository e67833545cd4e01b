"""Reading the configuration again while the gateway runs: `systemctl reload`, or SIGHUP.

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

from server.errors import ServerError
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

    def ask(self) -> None:
        """Order a reload of this gateway, and of those on the same database; call it in the event
        loop."""
        self.is_to_tell = True
        self.wanted.set()

    def heard(self, name: str) -> None:
        """Take the order of another gateway's operator."""
        log.info("reload ordered", by=name)
        self.wanted.set()


async def reload_forever(
    reload: Reload, gateway: Gateway, links: RunningLinks, tls: ssl.SSLContext | None
) -> None:
    """Carry out each order, until cancelled."""
    gateway.takers.on_reload(reload.heard)
    while True:
        await reload.wanted.wait()
        reload.wanted.clear()
        is_to_tell, reload.is_to_tell = reload.is_to_tell, False
        reload.began()
        if is_to_tell:
            await gateway.takers.tell_reload()
        try:
            said = await apply(reload.load(), gateway, links, tls)
            log.info("reloaded", changed="; ".join(said) or "nothing")
        except (ServerError, asyncpg.PostgresError, OSError) as error:
            log.error("not reloaded", reason=first_line(error), next="goes on as it was")
        finally:
            reload.ended()


async def apply(
    new: GatewayConfig, gateway: Gateway, links: RunningLinks, tls: ssl.SSLContext | None
) -> list[str]:
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
    return said


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
