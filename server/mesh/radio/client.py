"""A Meshtastic radio as an object, over the unmodified meshtastic library.

    client = RadioClient("/dev/ttyACM0", clock=clock, on_packet=take, on_event=note)
    info = client.open()        # blocks until the radio has told what it is: in a thread of its own
    client.serve(stop)          # blocks, in the same thread, until `stop` is set; raises LinkLost
    client.send(b"...")         # from any thread; never blocks
    client.close()

One object for each connection attempt. `server.mesh.radio.link.RadioLink` does all of this for a
link. Nothing here blocks but `open` and `serve`, which do all the reading and writing themselves,
in `select`: the same code runs in virtual time.

Packets go to the radio one at a time: the next one when the radio has said what became of the one
before (`queueStatus`), and none while its queue is full, but for an urgent one: there it takes the
place of a packet that is less so. So its serial buffer never overflows, and `queue_free` is true.
What waits here is bounded.
"""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from server.clock import Clock
from server.errors import LinkLost
from server.mesh.radio.framing import WAKE, FrameReader
from server.mesh.radio.packets import (
    BROADCAST,
    PRIVATE_PORT,
    ROUTING_PORT,
    TELEMETRY_PORT,
    Acked,
    Event,
    Lost,
    Mute,
    Notice,
    Packet,
    Queued,
    RadioInfo,
    Ready,
    Rebooted,
    Refused,
    SendRefused,
    Utilisation,
)
from server.mesh.radio.transport import transport

if TYPE_CHECKING:
    from server.mesh.radio.interface import RadioInterface

HANDSHAKE_S = 15.0
WAKE_S = 0.1
"""A sleeping radio needs so long to hear again after its wake-up."""
ASK_AGAIN_S = 4.0
"""A board that was just powered, or reset by opening its port, hears nothing while it starts."""
MOST_HANDSHAKE_S = 60.0
"""A radio may go on talking (packets, log) without ever completing the handshake."""
HEARTBEAT_S = 60.0
"""The firmware gives a silent client up after 15 minutes."""
DRAIN_S = 2.0
"""While the radio's queue is not empty it is asked so often how full it is."""
STATUS_S = 5.0
"""What becomes of a packet is told within a fraction of a second; after this, it never is."""
STATUS_OLD_S = 0.2
"""The same for a firmware that does not tell at all."""
MUTE_S = 10.0
LOST_S = 30.0
STALL_S = 10.0
"""Bytes that the radio does not take for so long: it hangs."""
GAP_S = 0.5
"""A frame comes in one go: a longer pause inside it means that the rest is gone."""
LONGEST_WAIT_S = 5.0
QUEUE_SIZE = 16
"""Of the firmware, while it has not told."""
URGENT = 80
"""`MeshPacket.Priority` from which on a packet takes the place of another's in a full queue."""
PENDING = 256
"""Packets whose fate may still be told."""
EARLY = 64
"""Packets from before the end of the handshake."""
_FATE_UNKNOWN = 35
"""Result of a packet that the firmware has delivered locally (`ERRNO_SHOULD_RELEASE`)."""


class RadioClient:
    """One radio, for one connection attempt.

    Args:
        port: device path, pyserial URL, or `tcp://host` (port 4403) or `tcp://host:port`.
        clock: wall and monotonic time.
        on_packet: takes each packet that the radio could read, in the order of arrival; called in
            the thread of `open` and `serve`; it must not block, and may call `send`.
        on_event: takes what becomes of packets and of the radio; like `on_packet`.
        handshake_s: longest silence of the radio before its handshake is complete.

    Attributes:
        counters: counts of anything worth seeing (`packets`, `frames_damaged`); only grow.
        info: what the radio is; None before its handshake is complete.
    """

    def __init__(
        self,
        port: str,
        *,
        clock: Clock,
        on_packet: Callable[[Packet], None],
        on_event: Callable[[Event], None],
        handshake_s: float = HANDSHAKE_S,
    ) -> None:
        self._counts: collections.Counter[str] = collections.Counter(packets=0, packets_sent=0)
        self.counters: dict[str, int] = self._counts
        self.info: RadioInfo | None = None
        self._port = port
        self._clock = clock
        self._on_packet = on_packet
        self._on_event = on_event
        self._handshake_s = handshake_s
        self._transport = transport(port)
        self._frames = FrameReader(self._accept)
        self._interface: RadioInterface | None = None
        # Shared with the threads that send.
        self._lock = threading.Lock()
        self._is_ready = False
        self._waiting: collections.deque[tuple[int, bytes, bool]] = collections.deque()
        self._pending: collections.OrderedDict[int, bool] = collections.OrderedDict()
        self._in_flight: tuple[int, float] | None = None  # id, since
        self._free: int | None = None  # as the radio told last
        self._size = QUEUE_SIZE
        # Of the thread that reads and writes.
        self._is_stopping = False
        self._out = b""
        self._moved_s = 0.0  # the radio took bytes
        self._bytes = 0
        self._heard_s = 0.0  # bytes came
        self._said_s = 0.0  # a message came
        self._asked_s: float | None = None  # what the radio has not answered
        self._answers = False
        self._is_mute = False
        self._beat_s = 0.0
        self._complete = False
        self._messages = 0  # of the handshake
        self._early: list[Any] = []  # packets from before its end

    # -- in the thread of the radio ----------------------------------------------------------------
    def open(self) -> RadioInfo:
        """Open the port and wait for the radio's handshake.

        Raises:
            LinkLost: no such port, in use, no radio there, or the handshake was not complete in
                time; the text says which.
        """
        from server.mesh.radio.interface import RadioInterface  # loads the library: 0.5 s

        self._interface = RadioInterface(self._completed)
        try:
            self._transport.open()
            return self._shake_hands()
        except LinkLost as error:
            self._on_event(Lost(str(error)))
            raise

    def serve(self, stop: threading.Event) -> None:
        """Read and write until `stop` is set (then `wake()`), or the radio is gone.

        Raises:
            LinkLost: hang-up, it takes or gives no bytes for too long, or its handshake after a
                reboot was not complete in time.
        """
        try:
            while not stop.is_set() and not self._is_stopping:
                if not self._is_ready:
                    self._shake_hands()
                self._keep_up()
                self._exchange(self._wait_s())
        except LinkLost as error:
            self._on_event(Lost(str(error)))
            raise

    def close(self) -> None:
        """Close the port, by the thread that opened it; what waits is not sent."""
        with self._lock:
            self._is_ready = False
            self._waiting.clear()
        interface = self._interface
        if interface is not None and self.info is not None and not self._out:
            with contextlib.suppress(LinkLost):  # there may be nobody to say it to
                self._transport.exchange(interface.goodbye(), 0.0)
        self._transport.close()

    # -- from any thread ---------------------------------------------------------------------------
    def wake(self) -> None:
        """Make `serve` look at its `stop`."""
        self._transport.wake()

    def stop(self) -> None:
        """Make `open` raise LinkLost, and `serve` return."""
        self._is_stopping = True
        self._transport.wake()

    def send(
        self,
        payload: bytes,
        *,
        to: int = BROADCAST,
        port: int = PRIVATE_PORT,
        channel: int = 0,
        want_ack: bool = False,
        hop_limit: int | None = None,
        priority: int | None = None,
    ) -> int:
        """Take a packet for sending; give its id. Never blocks.

        With `want_ack`, exactly one `Acked` or `Refused` follows, unless the radio reboots or goes.
        Without, a `Refused` where the radio does not take it.

        Args:
            payload: at most `most_bytes(to, port)`.
            to: node number, or BROADCAST.
            port: application, `PortNum`.
            channel: index.
            want_ack: whether the radio repeats it until it is acknowledged (up to three times).
            hop_limit: relays at most; None: as the radio is set.
            priority: `MeshPacket.Priority`; None: as the radio chooses. From `URGENT` on it is
                taken with a full queue too, one at a time.

        Raises:
            SendRefused: not taken: too long (never), or no room or no radio now (`again`).
        """
        if port < 1 or not 0 < to <= BROADCAST:
            raise SendRefused(f"expected a port and a node, found {port} and {to}", again=False)
        with self._lock:
            interface = self._interface
            if not self._is_ready or interface is None:
                raise SendRefused("the radio is not ready", again=True)
            if not self._takes(priority):
                raise SendRefused("the radio's queue is full", again=True)
            try:
                number, framed = interface.packet(
                    payload,
                    to=to,
                    port=port,
                    channel=channel,
                    want_ack=want_ack,
                    hop_limit=hop_limit,
                    priority=priority,
                )
            except ValueError as error:
                raise SendRefused(str(error), again=False) from error
            self._waiting.append((number, framed, _is_urgent(priority)))
            self._pending[number] = want_ack
            if len(self._pending) > PENDING:
                self._pending.popitem(last=False)
        self._transport.wake()
        return number

    @property
    def queue_free(self) -> int:
        """How many packets `send` would take now."""
        with self._lock:
            return max(0, self._room()) if self._is_ready else 0

    def takes(self, priority: int) -> bool:
        """Tell whether `send` would take a packet of this priority now."""
        with self._lock:
            return self._is_ready and self._takes(priority)

    @property
    def queue_size(self) -> int:
        """How many packets the radio's queue takes when it is empty."""
        return self._size

    # -- reading and writing -----------------------------------------------------------------------
    def _exchange(self, timeout_s: float) -> None:
        """Wait for bytes, read and write what can be."""
        data, written = self._transport.exchange(self._out, max(0.0, timeout_s))
        now_s = self._clock.monotonic_s()
        if written:
            self._out = self._out[written:]
        if written or not self._out:
            self._moved_s = now_s
        elif now_s - self._moved_s > STALL_S:
            raise LinkLost(
                f"expected the radio at {self._port} to take bytes, it took none for {STALL_S:g} s "
                f"({len(self._out)} wait): it hangs, or nobody reads there"
            )
        if data:
            self._heard_s = now_s
            self._bytes += len(data)
            self._frames.feed(data)
        elif self._frames.waits and now_s - self._heard_s > GAP_S:
            self._frames.give_up()
        self._counts["bytes"] = self._bytes
        self._counts["frames_damaged"] = self._frames.damaged
        self._counts["log_bytes"] = self._frames.text_bytes

    def _write(self, data: bytes) -> None:
        if not self._out:
            self._moved_s = self._clock.monotonic_s()
        self._out += data

    def _wait_s(self) -> float:
        """Give the seconds until there is something to do without anything coming."""
        now_s = self._clock.monotonic_s()
        due_s = now_s + LONGEST_WAIT_S
        with self._lock:
            beat_s = DRAIN_S if self._drains() else HEARTBEAT_S
            due_s = min(due_s, self._beat_s + beat_s)
            if self._in_flight is not None:
                due_s = min(due_s, self._in_flight[1] + self._status_s())
        if self._asked_s is not None and self._answers:
            silent_s = max(self._asked_s, self._said_s)
            due_s = min(due_s, silent_s + (LOST_S if self._is_mute else MUTE_S))
        if self._frames.waits:
            due_s = min(due_s, self._heard_s + GAP_S)
        if self._out:
            due_s = min(due_s, self._moved_s + STALL_S)
        return due_s - now_s + 0.001  # a rounded timer must not fire just before the instant

    def _keep_up(self) -> None:
        """Write what is due: the next packet, a heartbeat; notice a radio that does not answer."""
        interface = self._interface
        assert interface is not None, "open() comes first"
        now_s = self._clock.monotonic_s()
        self._listen(now_s)
        with self._lock:
            if self._in_flight is not None and now_s - self._in_flight[1] >= self._status_s():
                self._counts["statuses_missing"] += 1
                self._in_flight = None
            if self._out:
                return  # it has not taken what it was given before
            may_go = self._waiting and (self._free != 0 or self._waiting[0][2])
            if may_go and self._in_flight is None:
                number, framed, _ = self._waiting.popleft()
                self._in_flight = (number, now_s)
                self._counts["packets_sent"] += 1
                self._ask(framed, now_s)
            beat_s = DRAIN_S if self._drains() else HEARTBEAT_S
            if now_s - self._beat_s >= beat_s:
                self._beat_s = now_s
                self._ask(interface.heartbeat(), now_s)

    def _ask(self, framed: bytes, now_s: float) -> None:
        self._write(framed)
        if self._asked_s is None:
            self._asked_s = now_s

    def _listen(self, now_s: float) -> None:
        """Notice that the radio does not answer what it always answers; its log is no answer."""
        if self._asked_s is None or not self._answers:
            return
        silent_s = now_s - max(self._asked_s, self._said_s)
        if silent_s >= LOST_S:
            found = (
                "silence" if now_s - self._heard_s >= LOST_S else "no message, only other bytes,"
            )
            raise LinkLost(
                f"expected the radio at {self._port} to answer within a second, "
                f"found {found} for {LOST_S:g} s: it hangs"
            )
        if silent_s >= MUTE_S and not self._is_mute:
            self._is_mute = True
            self._counts["mute"] += 1
            self._on_event(Mute(f"the radio does not answer for {MUTE_S:g} s"))

    def _answered(self) -> None:
        self._asked_s = None
        self._answers = True
        if self._is_mute:
            self._is_mute = False
            self._on_event(Mute(""))

    def _status_s(self) -> float:
        return STATUS_S if self._answers else STATUS_OLD_S

    def _drains(self) -> bool:
        """Whether the radio's queue was not empty when it told last. Under the lock."""
        return self._free is not None and self._free < self._size

    def _takes(self, priority: int | None) -> bool:
        """Whether there is room, or the packet makes some. Under the lock."""
        is_idle = not self._waiting and self._in_flight is None
        return self._room() > 0 or (is_idle and _is_urgent(priority))

    def _room(self) -> int:
        """How many packets may be taken: what is free, less what is on the way. Under the lock."""
        free = self._size if self._free is None else self._free
        return free - len(self._waiting) - (self._in_flight is not None)

    # -- the handshake -----------------------------------------------------------------------------
    def _shake_hands(self) -> RadioInfo:
        """Wake the radio, ask for what it is, wait for all of it.

        Raises:
            LinkLost: not in time.
        """
        interface = self._interface
        assert interface is not None, "open() comes first"
        begin_s = self._clock.monotonic_s()
        self._complete = False
        self._messages = 0
        self._moved_s = begin_s
        silent_since_s = begin_s
        asked_s: float | None = None
        woken_s = begin_s
        seen = -1
        self._out = WAKE
        again = 1  # a line may lose the one message with its settings
        while True:
            if self._is_stopping:
                raise LinkLost("stopped")
            now_s = self._clock.monotonic_s()
            if self._complete:
                if not again or interface.info().settings_known:
                    break
                again -= 1
                self._complete = False
                asked_s = now_s
                self._write(interface.config_request())
            if self._messages != seen:
                seen = self._messages
                silent_since_s = now_s
            silent_s = now_s - silent_since_s
            if silent_s >= self._handshake_s or now_s - begin_s >= MOST_HANDSHAKE_S:
                raise LinkLost(self._no_handshake(now_s - begin_s))
            if asked_s is None and now_s - woken_s >= WAKE_S:
                asked_s = now_s
                self._write(interface.config_request())
            elif asked_s is not None and now_s - max(asked_s, silent_since_s) >= ASK_AGAIN_S:
                asked_s = None
                woken_s = now_s
                if not self._out:
                    self._write(WAKE)
            self._exchange(WAKE_S if asked_s is None else 0.5)
        info = interface.info()
        now_s = self._clock.monotonic_s()
        self._beat_s = now_s
        with self._lock:
            self.info = info
            self._is_ready = True
            self._ask(interface.heartbeat(), now_s)  # tells how much its queue takes
        self._on_event(Ready(info))
        early, self._early = self._early, []
        for packet in early:
            self._packet(packet)
        return info

    def _completed(self) -> None:
        """Take the library's word that the handshake is complete."""
        interface = self._interface
        assert interface is not None, "open() comes first"
        if interface.myInfo is None:
            self._counts["handshakes_cut"] += 1  # the tail of one that another client had begun
            return
        self._complete = True

    def _no_handshake(self, after_s: float) -> str:
        frames, interface = self._frames, self._interface
        if not self._bytes:
            found = "silence (switched on? the right port? its serial API enabled?)"
        elif not frames.frames:
            found = f"{self._bytes} bytes and no message of a radio (another device? {_TEXT})"
        elif interface is None or interface.myInfo is None:
            found = f"{self._messages} messages, none of them my_info"
        else:
            found = f"{self._messages} messages without an end (config_complete_id)"
        return (
            f"expected the handshake of a Meshtastic radio at {self._port} "
            f"within {after_s:.0f} s, found {found}"
        )

    # -- what comes --------------------------------------------------------------------------------
    def _accept(self, data: bytes) -> bool:
        """Take the message of a frame; tell whether it is one."""
        from server.mesh.radio.interface import read_message

        message = read_message(data)
        if message is None:
            return False
        self._said_s = self._clock.monotonic_s()
        variant = message.WhichOneof("payload_variant") or ""
        interface = self._interface
        assert interface is not None, "open() comes first"
        if variant == "packet":
            self._packet(message.packet)
        elif variant == "queueStatus":
            self._status(message.queueStatus)
        elif variant == "rebooted":
            self._rebooted()
        elif variant == "clientNotification":
            self._notice(message.clientNotification.message)
        elif variant == "log_record":
            self._counts["log_records"] += 1
        else:
            self._of_handshake(message, variant)
        return True

    def _of_handshake(self, message: Any, variant: str) -> None:
        interface = self._interface
        assert interface is not None, "open() comes first"
        try:
            is_known = interface.took(message, variant)
        except Exception:  # noqa: BLE001 - the library's, on what a radio can say: counted
            self._counts["handshakes_bad"] += 1
            return
        if is_known:
            self._messages += 1
            if variant == "node_info" and not self._is_ready:
                metrics = message.node_info.device_metrics
                if interface.myInfo is not None and (
                    message.node_info.num == interface.myInfo.my_node_num
                ):
                    self._utilisation(metrics.channel_utilization, metrics.air_util_tx)
        else:
            self._counts["messages_unknown"] += 1

    def _packet(self, packet: Any) -> None:
        """Hand on what the radio has received."""
        sender = int(getattr(packet, "from"))
        kind = packet.WhichOneof("payload_variant")
        if kind != "decoded":
            self._counts["packets_encrypted" if kind == "encrypted" else "packets_empty"] += 1
            return
        data = packet.decoded
        if data.portnum == ROUTING_PORT:
            self._fate(packet, sender)
            return
        own = self.info.node if self.info is not None else None
        if sender in (0, own):
            self._counts["packets_own"] += 1
            if data.portnum == TELEMETRY_PORT:
                self._own_telemetry(data.payload)
            return
        if self.info is None:  # who is here is not known yet
            self._counts["packets_early"] += 1
            if len(self._early) < EARLY:
                self._early.append(packet)
            return
        self._counts["packets"] += 1
        # hop_start 0: an old firmware that does not tell, or a packet that is not to be relayed.
        hops = packet.hop_start - packet.hop_limit if packet.hop_start else None
        is_heard = bool(packet.rx_rssi)  # else it came some other way, or the radio does not tell
        self._on_packet(
            Packet(
                sender=sender,
                to=int(packet.to),
                port=int(data.portnum),
                payload=data.payload,
                id=int(packet.id),
                channel=int(packet.channel),
                hops=hops if hops is not None and 0 <= hops <= 7 else None,
                snr_db=float(packet.rx_snr) if is_heard else None,
                rssi_dbm=float(packet.rx_rssi) if is_heard else None,
                received_ns=self._clock.now_ns(),
                request_id=int(data.request_id),
                via_mqtt=bool(packet.via_mqtt),
                heard_s=int(packet.rx_time),
            )
        )

    def _own_telemetry(self, payload: bytes) -> None:
        from server.mesh.radio.interface import read_utilisation

        found = read_utilisation(payload)
        if found is not None:
            self._utilisation(*found)

    def _utilisation(self, channel_pct: float, sent_pct: float) -> None:
        if 0.0 <= channel_pct <= 100.0 and 0.0 <= sent_pct <= 100.0:  # no NaN either
            self._on_event(Utilisation(channel_pct, sent_pct))

    def _fate(self, packet: Any, sender: int) -> None:
        """Take what became of a packet that was sent from here."""
        from server.mesh.radio.interface import read_routing

        fate = read_routing(packet.decoded.payload)
        if fate is None:
            self._counts["payloads_bad"] += 1
            return
        number = int(packet.decoded.request_id)
        with self._lock:
            want_ack = self._pending.get(number)
            if want_ack is None or (not fate[0] and not want_ack):
                return  # another's, or told before
            del self._pending[number]
        if fate[0]:
            self._counts["packets_refused"] += 1
            self._on_event(Refused(number, *fate))
            return
        self._counts["packets_acked"] += 1
        is_heard = bool(packet.rx_rssi)
        self._on_event(
            Acked(
                number,
                sender,
                float(packet.rx_snr) if is_heard else None,
                float(packet.rx_rssi) if is_heard else None,
            )
        )

    def _status(self, status: Any) -> None:
        """Take how full the radio's queue is, and what became of the packet before."""
        from server.mesh.radio.interface import error_name

        number = int(status.mesh_packet_id)
        is_refused = status.res not in (0, _FATE_UNKNOWN)
        with self._lock:
            self._free = int(status.free)
            self._size = max(int(status.maxlen), self._free, 1)
            if self._in_flight is not None and self._in_flight[0] == number:
                self._in_flight = None
            is_refused = is_refused and self._pending.pop(number, None) is not None
        self._answered()
        self._on_event(Queued(self._free, self._size))
        if is_refused:
            self._counts["packets_refused"] += 1
            self._on_event(Refused(number, int(status.res), error_name(status.res)))

    def _rebooted(self) -> None:
        """Forget what the radio has forgotten; `serve` shakes hands anew."""
        self._counts["reboots"] += 1
        if not self._is_ready:
            return  # in a handshake, which is asked for again
        with self._lock:
            self._is_ready = False
            self._waiting.clear()
            self._pending.clear()
            self._in_flight = None
            self._free = None
        self._asked_s = None
        self._on_event(Rebooted())

    def _notice(self, text: str) -> None:
        self._counts["notices"] += 1
        shown = "".join(c if c.isprintable() else "\ufffd" for c in text[:200])
        self._on_event(Notice(shown))


_TEXT = "only its log?"


def _is_urgent(priority: int | None) -> bool:
    return priority is not None and priority >= URGENT


def most_bytes(to: int = BROADCAST, port: int = PRIVATE_PORT) -> int:
    """Give the greatest payload that a radio takes: 231 on port 256, 219 in a direct message.

    The library's own limit (233) is that of the message's field: longer ones than these get
    TOO_LARGE from the firmware, which adds two bytes and a header of 16 to the encoded message, and
    12 more to a direct one, which is encrypted for its receiver alone.
    """
    return (231 if port > 127 else 232) - (0 if to == BROADCAST else 12)
