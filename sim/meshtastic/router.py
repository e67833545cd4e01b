"""Which packets a node sends, relays, acknowledges and repeats.

The firmware's three routers in one: managed flooding, next hop for direct messages, and reliable
delivery. Sources: firmware src/mesh/FloodingRouter.cpp, NextHopRouter.cpp, ReliableRouter.cpp,
Router.cpp, modules/RoutingModule.cpp. Their order of steps is kept, so are their quirks.
"""

from __future__ import annotations

from typing import Protocol

import simpy

from sim.meshtastic import packet as wire
from sim.meshtastic.history import PacketHistory, Seen
from sim.meshtastic.mac import Mac
from sim.meshtastic.packet import NO_NEXT_HOP, UNREADABLE, Data, Packet

RELIABLE_ATTEMPTS = 3  # NUM_RELIABLE_RETX: of a node's own packets, the first one included
RELAY_ATTEMPTS = 2  # NUM_INTERMEDIATE_RETX
QUIET_ROLES = frozenset(("CLIENT_MUTE",))
STEADY_ROLES = frozenset(("ROUTER", "ROUTER_LATE", "REPEATER"))  # never cancel a relay
TEXT_PORTS = frozenset((wire.TEXT_MESSAGE_APP, wire.TEXT_MESSAGE_COMPRESSED_APP))


class Owner(Protocol):
    """The node that a router works for."""

    role: str
    rebroadcast_mode: str
    hop_limit: int
    number: int

    def can_read(self, packet: Packet) -> bool:
        """True if the node has the packet's key."""

    def refuses(self) -> bool:
        """True while the duty cycle is used up."""

    def new_packet_id(self) -> int:
        """Give an id that was not used."""

    def acknowledged(self, packet_id: int, error: int, packet: Packet | None) -> None:
        """A packet of this node was acknowledged or refused, by `packet` or by itself."""

    def note(self, packet: Packet) -> None:
        """A packet of another node was heard for the first time."""

    def deliver(self, packet: Packet) -> None:
        """A packet is for the client."""

    def relaying(self, packet: Packet) -> None:
        """A traceroute is passed on: the node writes itself into it."""


class Pending:
    """A packet that is sent again unless it is acknowledged."""

    __slots__ = ("due_s", "packet", "timer", "tries_left")

    def __init__(self, packet: Packet, attempts: int) -> None:
        self.packet = packet
        self.tries_left = attempts - 1
        self.due_s = 0.0
        self.timer: simpy.Event | None = None


class Router:
    """Routing of one node."""

    def __init__(self, env: simpy.Environment, owner: Owner, mac: Mac) -> None:
        self._env = env
        self._owner = owner
        self._mac = mac
        self._byte = owner.number & 0xFF
        self._history = PacketHistory(owner.number)
        self._pending: dict[tuple[int, int], Pending] = {}
        self._next_hops: dict[int, int] = {}
        self.duplicates = 0
        self.relays_cancelled = 0

    def clear(self) -> None:
        """Forget everything: power is gone."""
        self._history.clear()
        self._pending.clear()
        self._next_hops.clear()

    # -- sending -------------------------------------------------------------------------------
    def send(self, packet: Packet) -> int:
        """Send a packet of this node; 0, or the error that it is refused with."""
        if packet.want_ack:
            packet.hop_limit = packet.hop_limit or self._owner.hop_limit
            self._repeat(packet.copy(), RELIABLE_ATTEMPTS)
        # Nothing can be heard while this is sent, so all other timers wait for it.
        self._postpone(self._mac.packet_ms(packet), but_for=packet.id)
        return self._flood(packet) if packet.broadcast else self._send_direct(packet)

    def _flood(self, packet: Packet) -> int:
        packet.relay_node = self._byte
        self._history.note(packet)
        return self._transmit(packet)

    def _send_direct(self, packet: Packet) -> int:
        packet.relay_node = self._byte
        self._history.note(packet)
        packet.next_hop = self._next_hop(packet.to)
        own_reliable = packet.sender == self._owner.number and packet.want_ack
        if (
            not own_reliable
            and packet.next_hop != NO_NEXT_HOP
            and (packet.hop_limit > 0 or packet.want_ack)
        ):
            self._repeat(packet.copy(), RELAY_ATTEMPTS)
        return self._transmit(packet)

    def _transmit(self, packet: Packet) -> int:
        own = packet.sender == self._owner.number
        if self._owner.refuses():
            if own:
                self._stop_repeating(packet.sender, packet.id)
                self._owner.acknowledged(packet.id, wire.DUTY_CYCLE_LIMIT, None)
            return wire.DUTY_CYCLE_LIMIT
        if packet.broadcast:
            packet.want_ack = False  # never in the air
        packet.relay_node = self._byte
        if own:
            packet.hop_start = packet.hop_limit
        if packet.priority == wire.UNSET:
            data = packet.data if self._owner.can_read(packet) else UNREADABLE
            packet.priority = wire.default_priority(packet.want_ack, data)
        return wire.NONE if self._mac.enqueue(packet) else wire.ERRNO_UNKNOWN

    # -- repeating -----------------------------------------------------------------------------
    def _repeat(self, packet: Packet, attempts: int) -> None:
        self._stop_repeating(packet.sender, packet.id)
        pending = Pending(packet, attempts)
        self._pending[packet.sender, packet.id] = pending
        self._set_due(pending)

    def _set_due(self, pending: Pending) -> None:
        delay_s = self._mac.retransmission_ms(pending.packet) / 1000
        pending.due_s = self._env.now + delay_s
        self._sleep(pending, delay_s)

    def _sleep(self, pending: Pending, delay_s: float) -> None:
        timer = pending.timer = self._env.timeout(delay_s, pending)
        timer.callbacks.append(self._timer_ran_out)

    def _timer_ran_out(self, event: simpy.Event) -> None:
        pending: Pending = event.value  # type: ignore[assignment]
        packet = pending.packet
        key = (packet.sender, packet.id)
        if self._pending.get(key) is not pending or pending.timer is not event:
            return
        left_s = pending.due_s - self._env.now
        if left_s > 1e-6:
            self._sleep(pending, left_s)
        elif pending.tries_left == 0:
            self._stop_repeating(*key)
            if packet.sender == self._owner.number:
                self._owner.acknowledged(packet.id, wire.MAX_RETRANSMIT, None)
        else:
            self._send_again(pending)

    def _send_again(self, pending: Pending) -> None:
        packet = pending.packet
        packet.attempt += 1
        again = packet.copy()
        if packet.broadcast:
            self._flood(again)
        elif pending.tries_left == 1:  # the last attempt floods
            self._next_hops.pop(packet.to, None)
            packet.next_hop = again.next_hop = NO_NEXT_HOP
            self._flood(again)
        else:
            self._send_direct(again)
        if self._pending.get((packet.sender, packet.id)) is pending:
            pending.tries_left -= 1
            self._set_due(pending)

    def _stop_repeating(self, sender: int, packet_id: int) -> bool:
        pending = self._pending.pop((sender, packet_id), None)
        if pending is None:
            return False
        pending.timer = None
        own = sender == self._owner.number
        # As in the firmware: only after a retransmission is the copy in the queue taken back.
        if pending.tries_left < RELIABLE_ATTEMPTS - 1 and (own or not self._steady):
            self._cancel(sender, packet_id)
        return True

    def _postpone(self, airtime_ms: int, *, but_for: int = 0) -> None:
        for pending in self._pending.values():
            if pending.packet.id != but_for:
                pending.due_s += airtime_ms / 1000

    # -- receiving -----------------------------------------------------------------------------
    def receive(self, rx: Packet) -> None:
        """Work through a packet as it was heard; it is not changed."""
        number = self._owner.number
        if rx.sender == number and (number, rx.id) in self._pending:
            self._owner.acknowledged(rx.id, wire.NONE, None)  # somebody relays it: implicit
            self._stop_repeating(number, rx.id)
        self._postpone(self._mac.packet_ms(rx))
        seen = self._history.note(rx)
        if seen.upgraded and self._upgrade(rx):
            return
        if seen.before:
            self.duplicates += 1
            if rx.broadcast:
                self._flooded_again(rx)
            else:
                self._direct_again(rx, seen)
            return
        self._handle(rx)

    def _upgrade(self, rx: Packet) -> bool:
        """Put a copy with more hops left in the place of the one that waits."""
        if not self._relays or rx.hop_limit == 0:
            return False
        if not self._mac.cancel(rx.sender, rx.id, hops_below=rx.hop_limit):
            return False
        self._relay(rx)
        return True

    def _flooded_again(self, rx: Packet) -> None:
        if rx.hops_away == 0:  # its sender repeats it: nobody's relay was heard
            if self._mac.find(rx.sender, rx.id) is None:
                self._relay(rx)
        else:
            self._cancel_duplicate(rx)

    def _direct_again(self, rx: Packet, seen: Seen) -> None:
        self._stop_repeating(rx.sender, rx.id)
        waits = self._mac.find(rx.sender, rx.id) is not None
        if rx.hops_away == 0:
            if not waits and not self._relay(rx) and self._for_us(rx) and rx.want_ack:
                self._answer(rx, wire.NONE, hop_limit=0)
        elif not seen.we_were_next_hop:
            self._cancel_duplicate(rx)

    def _cancel_duplicate(self, rx: Packet) -> None:
        if not self._steady and self._cancel(rx.sender, rx.id):
            self.relays_cancelled += 1
        if self._owner.role == "ROUTER_LATE":
            self._mac.delay_to_late_window(rx.sender, rx.id)

    def _handle(self, rx: Packet) -> None:
        self._owner.note(rx)
        readable = self._owner.can_read(rx)
        data = rx.data if readable else UNREADABLE
        for_us = self._for_us(rx)
        if (
            readable
            and self._owner.rebroadcast_mode == "CORE_PORTNUMS_ONLY"
            and data.port not in wire.CORE_PORTS
        ):
            self._cancel(rx.sender, rx.id)
            return
        if for_us:
            self._answer_if_asked(rx, data, readable)
            if data.request_id:
                self._stop_repeating(self._owner.number, data.request_id)
        if data.request_id or data.reply_id:
            self._learn(rx, data)
            if not for_us and not rx.broadcast:
                # The direct message that this answers has arrived: nobody need relay it.
                self._cancel(rx.to, data.request_id)
                self._stop_repeating(rx.to, data.request_id)
        self._relay(rx)
        if for_us and data.routing_error is not None and data.request_id:
            self._owner.acknowledged(data.request_id, data.routing_error, rx)
        elif for_us or rx.broadcast:
            self._owner.deliver(rx)

    def _answer_if_asked(self, rx: Packet, data: Data, readable: bool) -> None:
        if not rx.want_ack:
            if rx.next_hop == self._byte and rx.hop_limit > 0:
                self._answer(rx, wire.NONE, hop_limit=0)
        elif not readable:
            self._answer(rx, wire.NO_CHANNEL, hop_limit=self._answer_hops(rx))
        elif data.port in TEXT_PORTS:
            self._answer(rx, wire.NONE, hop_limit=self._answer_hops(rx), reliable=True)
        elif not data.request_id and not data.reply_id:
            self._answer(rx, wire.NONE, hop_limit=self._answer_hops(rx))
        elif rx.hops_away == 0 or rx.next_hop != NO_NEXT_HOP:
            self._answer(rx, wire.NONE, hop_limit=0)

    def _answer(self, rx: Packet, error: int, *, hop_limit: int, reliable: bool = False) -> None:
        """Send an acknowledgement or refusal back."""
        self.send(
            Packet(
                self._owner.number,
                rx.sender,
                self._owner.new_packet_id(),
                wire.routing_data(rx.id, error),
                channel_hash=rx.channel_hash,
                key=rx.key,
                hop_limit=hop_limit,
                want_ack=reliable,
                priority=wire.ACK,
            )
        )

    def _answer_hops(self, rx: Packet) -> int:
        """Hops of an answer: those that the question took, and two for another way back."""
        configured = self._owner.hop_limit
        used = rx.hops_away
        if used is not None:
            if used > configured:
                return used
            if used + 2 < configured:
                return used + 2
        return configured

    # -- relaying ------------------------------------------------------------------------------
    @property
    def _relays(self) -> bool:
        owner = self._owner
        return owner.role not in QUIET_ROLES and owner.rebroadcast_mode != "NONE"

    @property
    def _steady(self) -> bool:
        return self._owner.role in STEADY_ROLES

    def _for_us(self, packet: Packet) -> bool:
        return packet.to == self._owner.number

    def _relay(self, rx: Packet) -> bool:
        """Queue a copy with one hop less; False if this node does not relay it."""
        if (
            rx.hop_limit == 0
            or rx.id == 0
            or self._for_us(rx)
            or rx.sender == self._owner.number
            or not self._relays
            or rx.next_hop not in (NO_NEXT_HOP, self._byte)
        ):
            return False
        copy = rx.copy()
        copy.hop_limit -= 1
        copy.priority = wire.UNSET
        if copy.data.port == wire.TRACEROUTE_APP and self._owner.can_read(rx):
            self._owner.relaying(copy)
        if rx.next_hop == NO_NEXT_HOP:
            self._flood(copy)
        else:
            self._send_direct(copy)
        return True

    def _cancel(self, sender: int, packet_id: int) -> bool:
        if not self._mac.cancel(sender, packet_id):
            return False
        self._history.remove_relayer(sender, packet_id)
        return True

    def _next_hop(self, to: int) -> int:
        hop = self._next_hops.get(to, NO_NEXT_HOP)
        return NO_NEXT_HOP if hop == self._byte else hop

    def _learn(self, rx: Packet, data: Data) -> None:
        """An answer tells through whom its sender can be reached."""
        relayers = self._history.relayers(rx.to, data.request_id)
        we_relayed = self._byte in relayers
        both = we_relayed and rx.relay_node in relayers
        alone = relayers == [self._byte] and rx.hops_away == 0
        if both or alone:
            self._next_hops[rx.sender] = rx.relay_node
