"""Who holds rows of the database in memory, and hears when they change.

    devices                        Registry: keys and devices, and with them the streams of a key
    users, token_keys              Directory: people, sessions, keys, and the streams of a session
    commands, command_templates    Control
    sessions                       SessionNews: the live stream
    signals                        the catalogue
    reload                         the configuration file, each gateway its own

Alerts hear of their rules by themselves. What else a gateway keeps of the database is not
changed by others (`docs/instances.md`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from server.catalogue import register
from server.errors import CatalogueError
from server.instances.changes import RELOAD
from server.rereading import Rereading
from server.store.signals import keep_signals

if TYPE_CHECKING:
    from server.gateway import Gateway

log = structlog.get_logger("telerig.instances")


class Takers:
    """Connects a gateway with `gateway.instances.changes`.

    Args:
        gateway: whose memory it is.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._signals = Rereading("signals", self._read_signals)
        changes = gateway.instances.changes
        changes.on("devices", gateway.registry.changed_elsewhere)
        changes.on("users", gateway.users.directory.changed_elsewhere)
        changes.on("token_keys", gateway.users.directory.keys_changed_elsewhere)
        changes.on("commands", gateway.control.changed_elsewhere)
        changes.on("command_templates", gateway.control.templates_changed_elsewhere)
        changes.on("signals", self._signals.ask)
        if not gateway.instances.is_alone:
            gateway.registry.share(lambda: changes.is_listening)
            gateway.users.share()

    def on_reload(self, heard: Callable[[str], None]) -> None:
        """Call `heard` with the name of another gateway whose operator wants configurations read
        again."""
        instances = self._gateway.instances
        if not instances.is_alone:
            instances.changes.on(
                RELOAD, lambda name: heard(name) if name != instances.name else None
            )

    async def tell_reload(self) -> bool:
        """Tell the others that configurations are to be read again; give whether they were told."""
        instances = self._gateway.instances
        if instances.is_alone:
            return False
        are_told = await instances.changes.tell(RELOAD, instances.name)
        if not are_told:
            log.warning("other gateways not told of the reload", next="reload them one by one")
        return are_told

    async def close(self) -> None:
        """Read nothing more."""
        await self._signals.close()

    async def _read_signals(self, _: frozenset[str] | None) -> None:
        gateway = self._gateway
        async with gateway.pool.acquire() as connection:
            known = await keep_signals(connection, (), gateway.clock.now_ns())
        try:
            register(known)
        except CatalogueError as error:
            log.error("signals of another gateway not taken", reason=str(error))
