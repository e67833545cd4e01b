"""A radio at the level of bytes: the serial API and no air. In memory, on a PTY, and on TCP."""

from __future__ import annotations

import contextlib
import errno
import os
import pty
import queue
import select
import socket
import threading
import tty
from collections.abc import Callable, Iterator
from typing import Any

from meshtastic.protobuf import mesh_pb2, portnums_pb2, telemetry_pb2

from server.errors import LinkLost
from server.mesh.radio.framing import FrameReader, frame

NODE = 0xA1B2C3D4
CAR = 0x00C0FFEE
ORDER_LIMIT_S = 30.0
HANDSHAKE = ("my_info", "node_info", "metadata", "channels", "config", "complete")


class FakeRadio:
    """Bytes in, bytes out.

    Attributes:
        left_out: parts of the handshake that it does not send.
        statuses: whether it tells about its queue.
        free: room in its queue; packets take it, `drain` gives it back.
        is_frozen: takes no bytes and gives none.
        result: `queueStatus.res` of packets.
        fate: `Routing.Error` that follows a packet; None for nothing.
        sent: packets that it was given.
        requests: handshakes that were asked for.
        heartbeats: taken.
        said_goodbye: the client has said that it goes.
    """

    def __init__(self, *, left_out: tuple[str, ...] = (), region: int = 3, preset: int = 0) -> None:
        self.left_out = left_out
        self.region = region
        self.preset = preset
        self.tx_enabled = True
        self.statuses = True
        self.free = 16
        self.keeps = False
        self.is_frozen = False
        self.result = 0
        self.fate: int | None = None
        self.sent: list[Any] = []
        self.requests = 0
        self.heartbeats = 0
        self.said_goodbye = False
        self.out = bytearray()
        self.on_sent: Callable[[Any], None] = lambda packet: None
        self._frames = FrameReader(self._take)

    def feed(self, data: bytes) -> None:
        """Take bytes of the client."""
        self._frames.feed(data)

    def say(self, **fields: Any) -> None:
        """Send a message."""
        self.out += frame(mesh_pb2.FromRadio(**fields).SerializeToString())

    def hears(self, **fields: Any) -> bytes:
        """Send a packet that came by the air; give its frame."""
        message = mesh_pb2.FromRadio()
        message.packet.CopyFrom(packet(**fields))
        framed = frame(message.SerializeToString())
        self.out += framed
        return framed

    def status(self, number: int = 0, result: int = 0) -> None:
        """Tell about the queue."""
        if self.statuses:
            told = mesh_pb2.QueueStatus(
                res=result, free=self.free, maxlen=16, mesh_packet_id=number
            )
            self.say(queueStatus=told)

    def routing(self, number: int, error: int, sender: int = CAR) -> None:
        """Send an acknowledgement, or that there is none."""
        self.hears(
            sender=sender,
            port=portnums_pb2.PortNum.ROUTING_APP,
            payload=mesh_pb2.Routing(error_reason=error).SerializeToString(),
            request_id=number,
        )

    def drain(self) -> None:
        """Have sent what was queued; it tells when the queue was full."""
        was_full = not self.free
        self.free = 16
        if was_full:
            self.status()

    def _take(self, data: bytes) -> bool:
        message = mesh_pb2.ToRadio.FromString(data)
        variant = message.WhichOneof("payload_variant")
        if variant == "want_config_id":
            self.requests += 1
            self._shake_hands(message.want_config_id)
        elif variant == "heartbeat":
            self.heartbeats += 1
            self.status()
        elif variant == "disconnect":
            self.said_goodbye = True
        elif variant == "packet":
            self._packet(message.packet)
        return True

    def _packet(self, packet: Any) -> None:
        self.sent.append(packet)
        if self.keeps:
            self.free = max(0, self.free - 1)
        self.status(packet.id, self.result)
        if self.fate is not None:
            self.routing(packet.id, self.fate)
        self.on_sent(packet)

    def _shake_hands(self, nonce: int) -> None:
        parts = [part for part in HANDSHAKE if part not in self.left_out]
        if "my_info" in parts:
            self.say(my_info=mesh_pb2.MyNodeInfo(my_node_num=NODE))
        if "node_info" in parts:
            user = mesh_pb2.User(
                id=f"!{NODE:08x}", long_name="Base", short_name="BASE", hw_model=43
            )
            metrics = telemetry_pb2.DeviceMetrics(channel_utilization=4.5, air_util_tx=1.25)
            self.say(node_info=mesh_pb2.NodeInfo(num=NODE, user=user, device_metrics=metrics))
        if "metadata" in parts:
            self.say(metadata=mesh_pb2.DeviceMetadata(firmware_version="2.7.11.fake"))
        if "channels" in parts:
            for index in range(8):
                message = mesh_pb2.FromRadio()
                message.channel.index = index
                message.channel.role = 1 if not index else 2 if index == 1 else 0
                message.channel.settings.name = "" if not index else "cars" if index == 1 else ""
                self.out += frame(message.SerializeToString())
        if "config" in parts:
            message = mesh_pb2.FromRadio()
            lora = message.config.lora
            lora.use_preset = True
            lora.modem_preset = self.preset
            lora.region = self.region
            lora.hop_limit = 3
            lora.tx_enabled = self.tx_enabled
            self.out += frame(message.SerializeToString())
        if "complete" in parts:
            self.say(config_complete_id=nonce)


def packet(
    *,
    sender: int = CAR,
    to: int = 0xFFFFFFFF,
    port: int = 256,
    payload: bytes = b"",
    number: int = 1,
    encrypted: bytes = b"",
    snr: float = 6.25,
    rssi: int = -97,
    hop_start: int = 3,
    hop_limit: int = 3,
    request_id: int = 0,
    rx_time: int = 0,
) -> Any:
    """Make a packet as a radio hands it to its client."""
    made = mesh_pb2.MeshPacket(
        to=to,
        id=number,
        rx_snr=snr,
        rx_rssi=rssi,
        hop_start=hop_start,
        hop_limit=hop_limit,
        rx_time=rx_time,
    )
    setattr(made, "from", sender)
    if encrypted:
        made.encrypted = encrypted
    else:
        made.decoded.portnum = port
        made.decoded.payload = payload
        made.decoded.request_id = request_id
    return made


class ManualClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.time_s = 100.0
        self.utc_ns = 1_760_000_000_000_000_000

    def now_ns(self) -> int:
        return self.utc_ns + round(self.time_s * 1e9)

    def monotonic_s(self) -> float:
        return self.time_s


class MemoryTransport:
    """A transport to a fake radio in the same thread; waiting moves the clock."""

    def __init__(self, radio: FakeRadio, clock: ManualClock) -> None:
        self.radio = radio
        self.clock = clock
        self.is_gone = False
        self.is_open = False
        self.waits = 0
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.most_bytes = 4096
        self._is_woken = False

    def at(self, time_s: float, do: Callable[[], None]) -> None:
        """Do something when the clock is so far."""
        self.later.append((time_s, do))
        self.later.sort(key=lambda item: item[0])

    def open(self) -> None:
        self.is_open = True

    def exchange(self, out: bytes, timeout_s: float) -> tuple[bytes, int]:
        self.waits += 1
        if self.is_gone:
            raise LinkLost("port fake went away: hung up")
        radio = self.radio
        written = 0
        if out and not radio.is_frozen:
            written = min(len(out), self.most_bytes)
            radio.feed(out[:written])
        end_s = self.clock.time_s + timeout_s
        while (
            not written
            and not self._is_woken
            and (radio.is_frozen or not radio.out)
            and self.clock.time_s < end_s
        ):
            if self.later and self.later[0][0] <= end_s:
                time_s, do = self.later.pop(0)
                self.clock.time_s = max(self.clock.time_s, time_s)
                do()
            else:
                self.clock.time_s = end_s
        self._is_woken = False
        if self.is_gone:
            raise LinkLost("port fake went away: hung up")
        data = b""
        if not radio.is_frozen:
            data = bytes(radio.out[: self.most_bytes])
            del radio.out[: len(data)]
        return data, written

    def wake(self) -> None:
        self._is_woken = True

    def close(self) -> None:
        self.is_open = False


class _Served:
    """A fake radio behind a descriptor, in a thread of its own.

    Only that thread closes what it waits for: a descriptor that another one closes may be in its
    select already, or be a new file of the same number by then.
    """

    def __init__(self, radio: FakeRadio) -> None:
        self.radio = radio
        self.lock = threading.Lock()  # hold it to make the radio say something
        self._wake_reading, self._wake_writing = os.pipe()
        self._is_ending = False
        self._orders: queue.SimpleQueue[tuple[Callable[[], None], threading.Event]]
        self._orders = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def poke(self) -> None:
        """Look at the radio: it has something to say."""
        os.write(self._wake_writing, b"\0")

    def end(self) -> None:
        """End the thread and close all."""
        self._is_ending = True
        self.poke()
        self._thread.join(5)
        os.close(self._wake_reading)
        os.close(self._wake_writing)

    def start(self) -> None:
        self._thread.start()

    def order(self, do: Callable[[], None]) -> None:
        """Have the thread that serves do something; return when it is done. Needs the lock free."""
        is_done = threading.Event()
        self._orders.put((do, is_done))
        self.poke()
        assert is_done.wait(ORDER_LIMIT_S), "the fake radio's thread does not answer"

    def read_from(self) -> list[Any]:
        raise NotImplementedError

    def ready(self, item: Any) -> None:
        raise NotImplementedError

    def write(self, data: bytes) -> int:
        raise NotImplementedError

    def _run(self) -> None:
        while not self._is_ending:
            with self.lock:
                if self.radio.out and not self.radio.is_frozen:
                    del self.radio.out[: self.write(bytes(self.radio.out))]
                waits = bool(self.radio.out)
            watched = [] if self.radio.is_frozen else self.read_from()
            ready, _, _ = select.select(
                [*watched, self._wake_reading], [], [], 0.005 if waits else None
            )
            for item in ready:
                if item == self._wake_reading:
                    os.read(item, 64)
                else:
                    with self.lock:
                        self.ready(item)
            while not self._orders.empty():
                do, is_done = self._orders.get_nowait()
                with self.lock:
                    do()
                is_done.set()


class PtyRadio(_Served):
    """On a PTY."""

    def __init__(self, radio: FakeRadio) -> None:
        super().__init__(radio)
        self.master, self._slave = pty.openpty()
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self._slave)
        tty.setraw(self._slave)

    def read_from(self) -> list[Any]:
        return [self.master] if self.master >= 0 else []

    def ready(self, item: Any) -> None:
        with contextlib.suppress(OSError):
            self.radio.feed(os.read(item, 4096))

    def write(self, data: bytes) -> int:
        try:
            return os.write(self.master, data[:1024])
        except OSError as error:
            return 0 if error.errno == errno.EAGAIN else len(data)

    def unplug(self) -> None:
        """Hang up."""
        self.order(self._close)

    def end(self) -> None:
        super().end()
        self._close()

    def _close(self) -> None:
        if self.master >= 0:
            os.close(self._slave)
            os.close(self.master)
            self.master = self._slave = -1


class TcpRadio(_Served):
    """On TCP: one client, the newest."""

    def __init__(self, radio: FakeRadio) -> None:
        super().__init__(radio)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._client: socket.socket | None = None

    def read_from(self) -> list[Any]:
        return [self._listener, *([self._client] if self._client is not None else [])]

    def ready(self, item: Any) -> None:
        if item is self._listener:
            self._close()
            self._client, _ = self._listener.accept()
            return
        try:
            data = item.recv(4096)
        except OSError:
            data = b""
        if data:
            self.radio.feed(data)
        else:
            self._close()

    def write(self, data: bytes) -> int:
        if self._client is None:
            return 0
        with contextlib.suppress(OSError):
            return self._client.send(data)
        return len(data)

    def hang_up(self) -> None:
        """Close the connection."""
        self.order(self._close)

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def end(self) -> None:
        super().end()
        self._close()
        self._listener.close()


@contextlib.contextmanager
def on_pty(radio: FakeRadio) -> Iterator[PtyRadio]:
    """Serve a radio on a PTY."""
    served = PtyRadio(radio)
    served.start()
    try:
        yield served
    finally:
        served.end()


@contextlib.contextmanager
def on_tcp(radio: FakeRadio) -> Iterator[TcpRadio]:
    """Serve a radio on TCP."""
    served = TcpRadio(radio)
    served.start()
    try:
        yield served
    finally:
        served.end()
