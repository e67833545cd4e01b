"""The API that one client speaks over one line: handshake, packets, queue status.

Source: firmware, src/mesh/PhoneAPI.cpp, StreamAPI.cpp, SerialConsole.cpp.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from sim.meshtastic.framing import LONGEST_BYTES, Deframer, frame
from sim.meshtastic.limits import too_large
from sim.meshtastic.protobufs import (
    BROADCAST,
    config_pb2,
    mesh_pb2,
    module_config_pb2,
    portnums_pb2,
)
from sim.meshtastic.settings import CONFIG_SECTIONS, MODULE_SECTIONS
from sim.serial_line import SerialLine

if TYPE_CHECKING:
    from sim.meshtastic.radio import Radio

Port = portnums_pb2.PortNum

ONLY_CONFIG = 69420  # want_config_id: everything but other nodes
ONLY_NODES = 69421  # nodes alone
TO_PHONE_PACKETS = 32  # MAX_RX_TOPHONE; the same for queue statuses
TO_PHONE_NOTICES = 16
SILENCE_S = 15 * 60.0  # a serial client that says nothing for longer is taken for gone
AHEAD_S = 0.002  # what the radio writes ahead of the line: its UART's FIFO
RECENT_IDS = 20
LIGHT_SLEEP_S = 300  # default_ls_secs
# Ports on which a client is held back: seconds from one packet to the next.
LEAST_GAP_S = {
    Port.TRACEROUTE_APP: 30.0,
    Port.POSITION_APP: 10.0,
    Port.WAYPOINT_APP: 10.0,
    Port.ALERT_APP: 10.0,
    Port.TELEMETRY_APP: 10.0,
    Port.TEXT_MESSAGE_APP: 2.0,
}
# What is dropped for a newer packet when the queue to the client is full; others are not taken.
_DROPPABLE = (Port.TEXT_MESSAGE_APP, Port.RANGE_TEST_APP)
WARNING = mesh_pb2.LogRecord.Level.WARNING


class PhoneApi:
    """One line's end in the radio, and the client that may be at its other end.

    Args:
        radio: whose API it is.
        line: carries the frames, at its own pace.
        serial: a serial console: it forgets a silent client, and carries log text too.

    Attributes:
        connected: a client has asked for the configuration and has not left.
    """

    def __init__(self, radio: Radio, line: SerialLine, *, serial: bool) -> None:
        self._radio = radio
        self._line = line
        self._serial = serial
        self._deframer = Deframer()
        self._handshake: Iterator[Any] | None = None
        self._heartbeat = False
        self._statuses: deque[Any] = deque(maxlen=TO_PHONE_PACKETS)
        self._notifications: deque[Any] = deque(maxlen=TO_PHONE_NOTICES)
        self._packets: deque[Any] = deque()
        self._recent_ids: deque[int] = deque(maxlen=RECENT_IDS)
        self._last_sent_s: dict[int, float] = {}
        self._contact_s = 0.0
        self._waking = False
        self._watching = False
        self._boot = 0  # wake-ups of an earlier boot are void
        self.connected = False
        line.attach_device(self.receive)

    # -- from the client -------------------------------------------------------------------------
    def receive(self, data: bytes) -> None:
        """Take bytes from the line; a radio that is off hears nothing."""
        radio = self._radio
        if not radio.hears_clients or (self._serial and not radio.serial_enabled):
            return
        found, oversized = self._deframer.frames, self._deframer.oversized
        for message in self._deframer.feed(data):
            self._contact_s = radio.env.now
            self._handle(message)
            if not radio.hears_clients:
                break  # the command was to shut down
        counters = radio.counters
        counters["frames"] += self._deframer.frames - found
        counters["oversized"] += self._deframer.oversized - oversized

    @property
    def skipped_bytes(self) -> int:
        """Bytes outside frames that came from clients."""
        return self._deframer.skipped_bytes

    def _handle(self, message: bytes) -> None:
        radio = self._radio
        try:
            request = mesh_pb2.ToRadio.FromString(message)
        except DecodeError:
            self._ignore_malformed()
            return
        if too_large(request) is not None:
            self._ignore_malformed()
            return
        kind = request.WhichOneof("payload_variant")
        if kind == "packet":
            self._handle_packet(request.packet)
        elif kind == "want_config_id":
            self._start_config(request.want_config_id)
        elif kind == "disconnect":
            self.close()
            if not self._serial:
                self._line.hang_up()
        elif kind == "heartbeat":
            if request.heartbeat.nonce == 1:
                radio.services.send_node_info(BROADCAST, want_reply=True, urgent=True)
            else:
                self._heartbeat = True
        else:
            radio.counters["ignored"] += 1  # xmodem and MQTT without a broker; unknown kinds
        self.wake()

    def _ignore_malformed(self) -> None:
        self._radio.counters["malformed"] += 1
        self._radio.log("ERROR", "Error: ignore malformed toradio")

    def _handle_packet(self, packet: Any) -> None:
        radio = self._radio
        if packet.id and packet.id in self._recent_ids:
            radio.counters["duplicates"] += 1
            return
        if packet.id:
            self._recent_ids.append(packet.id)
        if packet.WhichOneof("payload_variant") != "decoded":
            radio.counters["ignored"] += 1
            radio.queue_status(self, 32, packet.id)  # BAD_REQUEST
            return
        port = packet.decoded.portnum
        if self._is_held_back(port):
            self._hold_back(packet, port)
            return
        if port == Port.TRACEROUTE_APP and packet.to == BROADCAST and packet.hop_limit > 0:
            self._warn(packet, "Multi-hop traceroute to broadcast address is not allowed")
            radio.queue_status(self, 0, packet.id)
            return
        if port == Port.TRACEROUTE_APP and packet.to != BROADCAST:
            packet.want_ack = True
        self._last_sent_s[port] = radio.env.now
        radio.send_from_client(packet, self)

    def _is_held_back(self, port: int) -> bool:
        last_s = self._last_sent_s.get(port)
        return last_s is not None and self._radio.env.now - last_s < LEAST_GAP_S.get(port, 0.0)

    def _hold_back(self, packet: Any, port: int) -> None:
        radio = self._radio
        radio.counters["rate_limited"] += 1
        radio.log("WARN", f"Rate limit portnum {port}")
        if port == Port.TRACEROUTE_APP:
            self._warn(packet, "TraceRoute can only be sent once every 30 seconds")
        radio.queue_status(self, 0, packet.id)
        if port == Port.TEXT_MESSAGE_APP:
            radio.refuse(packet, mesh_pb2.Routing.Error.RATE_LIMIT_EXCEEDED)

    def _warn(self, packet: Any, text: str) -> None:
        self.notify(
            mesh_pb2.ClientNotification(
                reply_id=packet.id, level=WARNING, time=self._radio.utc_s, message=text
            )
        )

    # -- connection ------------------------------------------------------------------------------
    def _start_config(self, nonce: int) -> None:
        if not self.connected:
            self.connected = True
            self._radio.client_event("connected", serial=self._serial)
            self._watch()
        self._handshake = self._configuration(nonce)

    def close(self) -> None:
        """The client has left: what it was to get waits for the next one."""
        if self.connected:
            self.connected = False
            self._handshake = None
            self._heartbeat = False
            self._radio.keep_for_next_client(
                self._packets, statuses=self._statuses, notices=self._notifications
            )
            for queue in (self._packets, self._statuses, self._notifications):
                queue.clear()
            self._last_sent_s.clear()
            self._radio.client_event("disconnected", serial=self._serial)

    def reset(self) -> None:
        """The radio has lost its power or boots: nothing is remembered."""
        self._boot += 1
        self.connected = False
        self._waking = self._watching = self._heartbeat = False
        self._handshake = None
        for queue in (self._statuses, self._notifications, self._packets, self._recent_ids):
            queue.clear()
        self._last_sent_s.clear()
        self._deframer.reset()

    def _watch(self) -> None:
        if self._serial and not self._watching:
            self._watching = True
            self._after(SILENCE_S, self._look_for_silence)

    def _look_for_silence(self) -> None:
        self._watching = False
        if not self.connected:
            return
        left_s = self._contact_s + SILENCE_S - self._radio.env.now
        if left_s <= 1e-9:
            self._radio.log("INFO", "Lost phone connection")
            self.close()
        else:
            self._watching = True
            self._after(left_s, self._look_for_silence)

    def _after(self, delay_s: float, action: Any) -> None:
        boot = self._boot
        event = self._radio.env.timeout(delay_s)
        event.callbacks.append(lambda _event: action() if boot == self._boot else None)

    # -- to the client ---------------------------------------------------------------------------
    def add_packet(self, packet: Any) -> None:
        """Queue a packet for the client."""
        if len(self._packets) >= TO_PHONE_PACKETS:
            self._radio.counters["dropped_for_clients"] += 1
            if packet.decoded.portnum not in _DROPPABLE:
                return
            self._packets.popleft()
        self._packets.append(packet)
        self.wake()

    def add_status(self, status: Any) -> None:
        """Queue a queue status; the oldest goes when there are too many."""
        self._statuses.append(status)
        self.wake()

    def notify(self, notification: Any) -> None:
        """Queue a notice for the person at the client."""
        self._notifications.append(notification)
        self.wake()

    def write_message(self, message: Any) -> None:
        """Send one `FromRadio` at once."""
        data = message.SerializeToString()
        if len(data) > LONGEST_BYTES:  # no client could read it
            self._radio.counters["too_long_for_clients"] += 1
            return
        self._line.write(frame(data))

    def write_text(self, text: str) -> None:
        """Send log text, between frames."""
        self._line.write(text.encode())

    def wake(self) -> None:
        """Write on as the line takes it: what is most urgent at each instant goes first."""
        if self._waking or self._radio.frozen:
            return
        direction, env = self._line.to_host, self._radio.env
        while not self._line.hung_up:
            if direction.free_at_s - env.now > AHEAD_S:
                self._waking = True
                self._after(direction.free_at_s - env.now - AHEAD_S / 2, self._wake_again)
                return
            message = self._next()
            if message is None:
                return
            self.write_message(message)

    def _wake_again(self) -> None:
        self._waking = False
        self.wake()

    def _next(self) -> Any | None:
        if self._heartbeat:
            self._heartbeat = False
            return mesh_pb2.FromRadio(queueStatus=self._radio.queue(0, 0))
        if self._handshake is not None:
            message = next(self._handshake, None)
            if message is not None:
                return message
            self._handshake = None
        if not self.connected:
            return None
        if self._statuses:
            return mesh_pb2.FromRadio(queueStatus=self._statuses.popleft())
        if self._notifications:
            return mesh_pb2.FromRadio(clientNotification=self._notifications.popleft())
        if self._packets:
            return mesh_pb2.FromRadio(packet=self._packets.popleft())
        return None

    # -- handshake -------------------------------------------------------------------------------
    def _configuration(self, nonce: int) -> Iterator[Any]:
        """Yield what a client gets before the packets; clients rely on the order."""
        radio = self._radio
        if nonce != ONLY_NODES:
            yield mesh_pb2.FromRadio(my_info=radio.my_info())
            yield mesh_pb2.FromRadio(deviceuiConfig=radio.settings.ui)
        yield mesh_pb2.FromRadio(node_info=radio.own_node_info())
        if nonce != ONLY_NODES:
            yield from self._settings()
        if nonce != ONLY_CONFIG:
            for node in radio.nodes.others():
                yield mesh_pb2.FromRadio(node_info=node)
        if nonce != ONLY_NODES:
            for name, size in radio.settings.files:
                yield mesh_pb2.FromRadio(
                    fileInfo=mesh_pb2.FileInfo(file_name=name, size_bytes=size)
                )
        yield mesh_pb2.FromRadio(config_complete_id=nonce)
        packets, statuses, notices = radio.take_waiting()
        self._packets.extend(packets)
        self._statuses.extendleft(reversed(statuses))
        self._notifications.extendleft(reversed(notices))

    def _settings(self) -> Iterator[Any]:
        radio = self._radio
        settings = radio.settings
        yield mesh_pb2.FromRadio(metadata=radio.metadata())
        for channel in settings.channels:
            yield mesh_pb2.FromRadio(channel=channel)
        for section in CONFIG_SECTIONS:
            config = config_section(settings.config, section)
            if section == "power":
                config.power.ls_secs = LIGHT_SLEEP_S  # apps rely on it, whatever is set
            yield mesh_pb2.FromRadio(config=config)
        for section in MODULE_SECTIONS:
            yield mesh_pb2.FromRadio(moduleConfig=module_section(settings.modules, section))


def config_section(config: Any, section: str) -> Any:
    """Return one section of a `LocalConfig` as `Config`."""
    result = config_pb2.Config()
    target = getattr(result, section)
    target.SetInParent()
    if section in config.DESCRIPTOR.fields_by_name:  # session key and UI stand elsewhere
        target.CopyFrom(getattr(config, section))
    return result


def module_section(modules: Any, section: str) -> Any:
    """Return one section of a `LocalModuleConfig` as `ModuleConfig`."""
    result = module_config_pb2.ModuleConfig()
    target = getattr(result, section)
    target.SetInParent()
    target.CopyFrom(getattr(modules, section))
    return result
