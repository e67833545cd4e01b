"""Events of other gateways: alerts, and how links are, told to the clients of all.

They are no readings: no order, no repetition. How the links of a gateway are is asked of it anew
by who joins (`ask`), and nobody's any more when it is gone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import msgspec

from server.instances.bus.base import Bus
from server.instances.members import Member, Members
from server.live.hub import Hub

SUBJECT = "event"
_OF_LINKS = ("link", "stale")


class Events:
    """Tells the other gateways of events of this one's hub, and its hub of theirs.

    Args:
        hub: the live stream of this gateway.
        bus: to and from other gateways.
        members: who lives.
        device: this gateway's, by which the others know it.
        left_out: takes what could not be read, and why.

    Attributes:
        on_event: called with each event of another gateway.
    """

    def __init__(
        self,
        hub: Hub,
        bus: Bus,
        members: Members,
        *,
        device: str,
        left_out: Callable[[str, Exception], None],
    ) -> None:
        self.on_event: list[Callable[[dict[str, Any]], None]] = []
        self._hub = hub
        self._bus = bus
        self._members = members
        self._device = device
        self._left_out = left_out
        self._gone: set[str] = set()
        self._end: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin to listen, and ask the others how their links are."""
        self._hub.others = self.tell
        self._members.on_change.append(self._members_changed)
        self._end = self._bus.subscribe(SUBJECT, self._take)
        self.tell({"type": "ask"})

    def close(self) -> None:
        """Listen no more."""
        self._hub.others = None
        self._end()
        with contextlib.suppress(ValueError):
            self._members.on_change.remove(self._members_changed)

    def tell(self, content: dict[str, Any]) -> None:
        """Tell the other gateways of something that their clients should hear of."""
        self._bus.publish(SUBJECT, msgspec.msgpack.encode({"gateway": self._device, **content}))

    def _take(self, data: bytes) -> None:
        try:
            content = msgspec.msgpack.decode(data, type=dict[str, Any])
            gateway, what = str(content.pop("gateway")), content["type"]
        except (msgspec.MsgspecError, KeyError) as error:
            self._left_out("an event of the bus", error)
            return
        if what == "ask":
            self._hub.tell_states()
            return
        if gateway in self._gone and what in _OF_LINKS:
            return  # its last words, late: how its links are nobody knows any more
        self._hub.from_elsewhere(gateway, content)
        for take in self.on_event:
            try:
                take({"gateway": gateway, **content})
            except Exception as error:  # noqa: BLE001 (whatever it is, it is counted and said)
                self._left_out(f"an event {what}", error)

    def _members_changed(self, joined: tuple[Member, ...], gone: tuple[Member, ...]) -> None:
        self._gone = {one.device for one in gone} | self._gone - {one.device for one in joined}
        for member in gone:
            self._hub.gateway_gone(member.device)
        if joined:
            self._hub.tell_states()
