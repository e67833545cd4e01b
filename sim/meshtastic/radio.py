"""A Meshtastic radio: one node of the mesh, and the clients that use it.

Covers: the way of a packet from a client onto the air and back, acknowledgements and refusals,
reboots, power and faults. Handshake, settings, services, and the packets' form on the air stand in
modules of their own. Modelled on firmware 2.7 on an ESP32.

Sources: firmware, src/mesh/MeshService.cpp, Router.cpp, MeshModule.cpp, main.cpp.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import simpy
from google.protobuf.message import DecodeError

from sim.lora.presets import PRESETS, Preset
from sim.lora.regions import REGIONS
from sim.meshtastic.admin import Admin, Reply
from sim.meshtastic.node import MeshNode, Reception
from sim.meshtastic.node_db import NodeDb
from sim.meshtastic.packet import DUTY_CYCLE_LIMIT, ERRNO_DISABLED, Packet
from sim.meshtastic.phone import TO_PHONE_NOTICES, TO_PHONE_PACKETS, WARNING, PhoneApi
from sim.meshtastic.protobufs import BROADCAST, mesh_pb2, portnums_pb2
from sim.meshtastic.services import IGNORED, Beacons, Fix, Services
from sim.meshtastic.settings import STATE_VERSION, Flash, LoRa, RadioSetup, Settings
from sim.meshtastic.tcp_side import TcpSide
from sim.meshtastic.translation import Refused, Translation
from sim.serial_line import SerialLine

Error = mesh_pb2.Routing.Error
Port = portnums_pb2.PortNum
Priority = mesh_pb2.MeshPacket.Priority
OnEvent = Callable[[float, str, Mapping[str, Any]], None]

FIRMWARE = "2.7.15.567b8ea"
LEAST_APP_VERSION = 30200
BAUD = 115200
RESET_S = 0.3  # from a reset to the first words
BOOT_S = 2.5  # from a reset until the API is served
UART_BYTES = 256  # what a radio that is not at its UART keeps of what came there
_BANDWIDTHS_HZ = {31: 31_250, 62: 62_500}  # named without their fraction
BOOT_TEXT = (
    "ets Jul 29 2019 12:21:46\r\n\r\nrst:0xc (SW_CPU_RESET),boot:0x17 (SPI_FAST_FLASH_BOOT)\r\n"
)


class Radio:
    """One radio. It begins running, booted long ago, unless it is told to begin without power.

    Args:
        env: the world's SimPy environment.
        line: its serial port; None for a node that nobody is plugged into.
        node: the mesh node that it is; its callbacks and keys are taken.
        stream: draws keys and the first broadcasts.
        setup: what it is when its flash is empty.
        flash: what it remembers over power and worlds; a dict of its own without one.
        epoch_ns: UTC nanoseconds at `env.now` 0, as its own receiver knows it; None: it does not
            know the time before a client tells it.
        fix: where it is, by its own receiver.
        beacons: how often it speaks by itself.
        on_event: told (time, kind, detail) of "boot", "reboot", "power", "freeze", "client",
            "settings".
        log_text: its log stands between the frames on the serial line, as with the firmware.

    Attributes:
        counters: frames, malformed, oversized, duplicates, rate_limited, undecodable, encrypted,
            sent, received, refused, dropped_for_clients...: counted, never fatal.
        tcp: where clients connect over TCP.
    """

    def __init__(
        self,
        env: simpy.Environment,
        line: SerialLine | None,
        node: MeshNode,
        stream: random.Random,
        *,
        setup: RadioSetup | None = None,
        flash: Flash | None = None,
        epoch_ns: int | None = None,
        fix: Callable[[], Fix | None] | None = None,
        beacons: Beacons | None = None,
        on_event: OnEvent | None = None,
        log_text: bool = True,
    ) -> None:
        self.env = env
        self.line = line
        self.node = node
        self.number = node.number
        self.stream = stream
        self.counters: Counter[str] = Counter()
        self.running = True
        self.frozen = False
        self._powered = True
        flash = {} if flash is None else flash
        self.settings = Settings(self.number, setup or RadioSetup(), flash, stream)
        self.nodes = NodeDb(self.number, flash)
        self._fix = fix
        self._epoch_s = None if epoch_ns is None else epoch_ns / 1e9
        self._has_gps_time = epoch_ns is not None
        self._on_event = on_event
        self._log_text = log_text
        self._boot_s = env.now
        self._due = 0  # reboots and shut-downs of an earlier number are called off
        self._life = 0  # what an earlier life of the radio still had to do is void
        self._waiting: deque[Any] = deque(maxlen=TO_PHONE_PACKETS)
        self._waiting_statuses: deque[Any] = deque(maxlen=TO_PHONE_PACKETS)
        self._waiting_notices: deque[Any] = deque(maxlen=TO_PHONE_NOTICES)
        self._early = bytearray()
        self._last_free = node.queue_free
        self._admin = Admin(self)
        self.services = Services(self, beacons or Beacons())
        self.tcp = TcpSide(self)
        self._translation = Translation(self)
        self._serial: PhoneApi | None = None
        if line is not None:
            self._serial = PhoneApi(self, line, serial=True)
            line.attach_device(self._receive_serial)
        node.on_packet = self._heard
        node.on_ack = self._acknowledged
        node.on_queue = self._queue_changed
        node.on_relay = self._translation.write_route
        self._apply_settings()
        self.services.start()

    # -- what it is ------------------------------------------------------------------------------
    @property
    def hears_clients(self) -> bool:
        """True while commands are served."""
        return self.running and not self.frozen

    @property
    def serial_enabled(self) -> bool:
        """The serial API can be switched off in the security settings."""
        return bool(self.settings.config.security.serial_enabled)

    @property
    def has_client(self) -> bool:
        """True while a client is connected."""
        return any(True for _ in self._clients())

    @property
    def baud(self) -> int:
        """Of the serial port."""
        return BAUD if self.line is None else self.line.baud

    @property
    def utc_s(self) -> int:
        """UTC in whole seconds, 0 while the radio does not know it."""
        return 0 if self._epoch_s is None else int(self._epoch_s + self.env.now)

    @property
    def uptime_s(self) -> float:
        """Seconds since boot."""
        return self.env.now - self._boot_s

    @property
    def duty_cycle_pct(self) -> float:
        """The share of an hour in which it may send."""
        if self.settings.config.lora.override_duty_cycle:
            return 100.0
        return float(self.node.region.duty_cycle_pct)

    def fix(self) -> Fix | None:
        """Return where its receiver says it is."""
        return None if self._fix is None else self._fix()

    def set_time(self, utc_s: int) -> None:
        """Take the time from a client; a radio with a receiver knows better."""
        if not self._has_gps_time:
            self._epoch_s = utc_s - self.env.now

    def know(self, others: Iterable[Radio]) -> None:
        """Know other radios by name and key, as after a day on the same mesh."""
        for other in others:
            if other is not self:
                self.nodes.update_user(other.number, other.settings.owner)

    def beacon(
        self, period_s: float, position: tuple[float, float, float] | Callable[[], Fix | None]
    ) -> None:
        """Tell position and telemetry every `period_s` seconds, as an ordinary node set up so.

        `position` is latitude, longitude (degrees) and height (metres), or tells where it is.
        """
        if callable(position):
            self._fix = position
        else:
            fix = Fix(*position)
            self._fix = lambda: fix
        self.services.beacons = Beacons(position_s=period_s, telemetry_s=period_s)
        self.services.start()

    def my_info(self) -> Any:
        """Return the first message of the handshake."""
        return mesh_pb2.MyNodeInfo(
            my_node_num=self.number,
            reboot_count=self.settings.reboots,
            min_app_version=LEAST_APP_VERSION,
            device_id=self.number.to_bytes(4, "big") * 4,
            pio_env="heltec-v3",
            nodedb_count=len(self.nodes),
        )

    def own_node_info(self) -> Any:
        """Return its own entry, brought up to date."""
        own = self.nodes.own
        own.user.CopyFrom(self.settings.owner)
        own.last_heard = self.utc_s
        own.device_metrics.CopyFrom(self.services.metrics().device_metrics)
        position = self.services.position()
        if position is not None:
            self.nodes.update_position(self.number, position)
        own.position.time = self.utc_s
        own.is_favorite = True
        return own

    def metadata(self) -> Any:
        """Return what the device is."""
        config = self.settings.config
        return mesh_pb2.DeviceMetadata(
            firmware_version=FIRMWARE,
            device_state_version=STATE_VERSION,
            canShutdown=True,
            hasWifi=True,
            hasBluetooth=True,
            role=config.device.role,
            position_flags=config.position.position_flags,
            hw_model=self.settings.owner.hw_model,
            hasPKC=True,
        )

    # -- settings --------------------------------------------------------------------------------
    def can_use(self, lora: Any) -> bool:
        """True if the chip can do what a LoRa configuration asks for."""
        region = LoRa.RegionCode.Name(lora.region)
        return (region == "UNSET" or region in REGIONS) and self._preset(lora) is not None

    def settings_changed(self) -> None:
        """Save the settings, and use them from now on."""
        self.settings.save()
        self._apply_settings()
        self._event("settings", {})

    def _apply_settings(self) -> None:
        settings, lora = self.settings, self.settings.config.lora
        channels = settings.channels
        keys: set[tuple[int, Hashable]] = set()
        for index in range(8):
            hash_, key = channels.hash(index), channels.key(index)
            if hash_ is not None:
                keys.add((hash_, key))
        self.node.keys = keys
        region = REGIONS.get(settings.region)
        self.node.override_duty_cycle = lora.override_duty_cycle
        self.node.reconfigure(
            preset=self._preset(lora),
            region=region,
            tx_power_dbm=float(lora.tx_power),
            hop_limit=settings.hop_limit,
            role=settings.role,
        )

    def _preset(self, lora: Any) -> Preset | None:
        if lora.use_preset:
            return PRESETS.get(LoRa.ModemPreset.Name(lora.modem_preset))
        hertz = _BANDWIDTHS_HZ.get(lora.bandwidth, lora.bandwidth * 1000)
        possible = 7 <= lora.spread_factor <= 12 and 5 <= lora.coding_rate <= 8
        if not possible or hertz not in (62_500, 125_000, 250_000, 500_000):
            return None
        return Preset("CUSTOM", hertz, lora.spread_factor, lora.coding_rate)

    # -- clients ---------------------------------------------------------------------------------
    def _clients(self) -> Iterable[PhoneApi]:
        for api in (self._serial, self.tcp.api):
            if api is not None and api.connected:
                yield api

    def client_event(self, what: str, *, serial: bool) -> None:
        """A client came or went."""
        self._event("client", {"what": what, "over": "serial" if serial else "tcp"})

    def to_clients(self, packet: Any) -> None:
        """Give a packet to every client; without one it waits for the next."""
        clients = list(self._clients())
        for api in clients:
            api.add_packet(packet)
        if not clients:
            self.keep_for_next_client((packet,))

    def keep_for_next_client(
        self,
        packets: Iterable[Any] = (),
        *,
        statuses: Iterable[Any] = (),
        notices: Iterable[Any] = (),
    ) -> None:
        """Keep what nobody took; the oldest go when there are too many."""
        if not self.has_client:
            self._waiting.extend(packets)
            self._waiting_statuses.extend(statuses)
            self._waiting_notices.extend(notices)

    def take_waiting(self) -> tuple[list[Any], list[Any], list[Any]]:
        """Return the packets, queue statuses and notices that waited for a client."""
        queues = (self._waiting, self._waiting_statuses, self._waiting_notices)
        packets, statuses, notices = (list(queue) for queue in queues)
        self._forget_waiting()
        return packets, statuses, notices

    def _forget_waiting(self) -> None:
        for queue in (self._waiting, self._waiting_statuses, self._waiting_notices):
            queue.clear()

    def notify(self, text: str, reply_id: int = 0) -> None:
        """Tell the person at the client."""
        notice = mesh_pb2.ClientNotification(level=WARNING, time=self.utc_s, message=text)
        if reply_id:
            notice.reply_id = reply_id
        for api in self._clients():
            api.notify(notice)
        self.keep_for_next_client(notices=(notice,))

    def queue(self, result: int, packet_id: int) -> Any:
        """Return the state of the queue to the air."""
        self._last_free = self.node.queue_free
        return mesh_pb2.QueueStatus(
            res=result,
            free=self._last_free,
            maxlen=self.node.queue_size,
            mesh_packet_id=packet_id,
        )

    def queue_status(self, api: PhoneApi | None, result: int, packet_id: int) -> None:
        """Tell a client, or all, what became of a packet on its way to the queue."""
        status = self.queue(result, packet_id)
        for each in self._clients() if api is None else (api,):
            each.add_status(status)
        self.keep_for_next_client(statuses=(status,))

    def _queue_changed(self, free: int) -> None:
        if self._last_free == 0 and free > 0:
            self.queue_status(None, 0, 0)

    def log(self, level: str, text: str) -> None:
        """Write a line of log: text between frames, or a frame where the client asked for it."""
        api = self._serial
        if api is None or not self._log_text or not self.running or self.frozen:
            return
        if api.connected and self.settings.config.security.debug_log_api_enabled:
            record = mesh_pb2.LogRecord(
                message=text, time=self.utc_s, level=mesh_pb2.LogRecord.Level.Value(_LEVELS[level])
            )
            api.write_message(mesh_pb2.FromRadio(log_record=record))
        elif self.serial_enabled:
            day_s = self.utc_s % 86400
            clock = "??:??:??"
            if self.utc_s:
                clock = f"{day_s // 3600:02}:{day_s // 60 % 60:02}:{day_s % 60:02}"
            api.write_text(f"{level:<5} | {clock} {int(self.uptime_s)} {text}\r\n")

    def _receive_serial(self, data: bytes) -> None:
        """Bytes of the serial line: a radio that boots or hangs finds some of them later."""
        assert self._serial is not None
        if self.hears_clients:
            self._serial.receive(data)
        elif self._powered:
            room = UART_BYTES - len(self._early)
            self._early += data[:room]
            self.counters["lost_bytes"] += max(0, len(data) - room)

    def _look_at_uart(self) -> None:
        early = bytes(self._early)
        self._early.clear()
        if early and self._serial is not None:
            self._serial.receive(early)

    # -- packets of clients ----------------------------------------------------------------------
    def new_packet(self, port: int, payload: bytes) -> Any:
        """Return a packet of this node, to all."""
        packet = mesh_pb2.MeshPacket(
            to=BROADCAST,
            id=self.node.new_packet_id(),
            hop_limit=self.settings.hop_limit,
            rx_time=self.utc_s,
        )
        setattr(packet, "from", self.number)
        packet.decoded.portnum = port
        packet.decoded.payload = payload
        return packet

    def send_from_client(self, packet: Any, api: PhoneApi) -> None:
        """Take a packet that a client sends."""
        setattr(packet, "from", 0)  # clients do not say who they are
        packet.id = packet.id or self.node.new_packet_id()
        packet.rx_time = self.utc_s
        if packet.to == self.number:
            self.queue_status(api, 0, packet.id)
            self._receive_local(packet)
            return
        if packet.to == BROADCAST:
            self._receive_local(packet)
        if packet.want_ack and packet.hop_limit == 0:
            packet.hop_limit = self.settings.hop_limit
        result = self._transmit(packet)
        self.queue_status(api, result, packet.id)

    def send(self, packet: Any, *, copy_to_client: bool = False) -> int:
        """Send a packet of the radio itself; the clients are told of the queue all the same."""
        if packet.to == self.number:
            self.queue_status(None, 0, packet.id)
            self.to_clients(packet)
            return 0
        result = self._transmit(packet)
        self.queue_status(None, result, packet.id)
        if result == 0 and copy_to_client:
            self.to_clients(packet)
        return result

    def refuse(self, packet: Any, error: int) -> None:
        """Tell the client that its packet was refused."""
        self._tell_routing(packet.id, error)

    def _receive_local(self, packet: Any) -> None:
        """A client's packet for this node, or for all and so for this node too."""
        self.log("INFO", f"[Router] Received local packet id=0x{packet.id:08x}")
        decoded = packet.decoded
        if decoded.portnum == Port.POSITION_APP:
            self._take_client_position(decoded.payload)
        if packet.to == BROADCAST:
            if decoded.want_response:  # nobody answers the node itself by broadcast
                self._tell_routing(packet.id, Error.NO_RESPONSE)
            return
        if decoded.portnum == Port.ADMIN_APP:
            answer = self._admin.handle(packet)
        else:
            answer = self.services.answer(packet) if decoded.want_response else None
            if answer is None and decoded.want_response:
                answer = Error.NO_RESPONSE
        if answer is None or answer is IGNORED:
            if packet.want_ack and answer is None:
                self._tell_routing(packet.id, Error.NONE)
        elif isinstance(answer, int):
            self._tell_routing(packet.id, answer)
        else:
            self.send(self._reply(packet, answer))

    def _take_client_position(self, payload: bytes) -> None:
        """A client may tell the radio where it is, and the time."""
        try:
            position = mesh_pb2.Position.FromString(payload)
        except DecodeError:
            self.counters["undecodable"] += 1
            return
        if position.time:
            self.set_time(position.time)
        if not self.settings.config.position.fixed_position:
            self.nodes.update_position(self.number, position)

    def _tell_routing(self, packet_id: int, error: int, reception: Reception | None = None) -> None:
        """Give clients an acknowledgement or a refusal: from this node, or as it was received."""
        routing = mesh_pb2.Routing()
        routing.error_reason = error
        packet = self.new_packet(Port.ROUTING_APP, routing.SerializeToString())
        packet.to = self.number
        packet.priority = Priority.ACK
        packet.decoded.request_id = packet_id
        if reception is not None:
            setattr(packet, "from", reception.sender)
            self._write_reception(packet, reception)
            if reception.hops is not None:
                packet.hop_start = max(self.settings.hop_limit, reception.hops)
                packet.hop_limit = packet.hop_start - reception.hops
        self.to_clients(packet)

    def _write_reception(self, packet: Any, reception: Reception) -> None:
        packet.rx_time = self.utc_s
        packet.rx_snr = reception.snr_db
        packet.rx_rssi = reception.rssi_dbm
        packet.transport_mechanism = mesh_pb2.MeshPacket.TransportMechanism.TRANSPORT_LORA

    def _reply(self, request: Any, answer: Any) -> Any:
        port = Port.ADMIN_APP if isinstance(answer, Reply) else request.decoded.portnum
        reply = self.new_packet(port, answer.SerializeToString())
        sender = getattr(request, "from")
        reply.to = sender or self.number
        reply.channel = request.channel
        reply.want_ack = bool(sender) and request.want_ack
        reply.priority = Priority.RELIABLE
        reply.decoded.request_id = request.id
        if sender and request.pki_encrypted:
            reply.pki_encrypted = True
        return reply

    # -- onto the air ----------------------------------------------------------------------------
    def _transmit(self, packet: Any) -> int:
        """Hand a packet to the node; returns `res` of the queue status."""
        if self.settings.region == "UNSET" or not self.settings.config.lora.tx_enabled:
            return ERRNO_DISABLED
        try:
            air = self._translation.to_air(packet)
        except Refused as refusal:
            self.counters["refused"] += 1
            if refusal.is_told:
                self._tell_routing(packet.id, refusal.error)
            return refusal.error
        result = self.node.send(air)
        self.counters["refused" if result else "sent"] += 1
        self.log(
            "DEBUG",
            f"[Router] enqueue for send (id=0x{packet.id:08x} fr=0x{self.number:08x} "
            f"to=0x{packet.to:08x} Portnum={packet.decoded.portnum}) res={result}",
        )
        return result

    def _acknowledged(self, packet_id: int, error: int, reception: Reception | None) -> None:
        if error == DUTY_CYCLE_LIMIT and reception is None:
            minutes = self.node.silent_minutes()
            self.notify(
                f"Duty cycle limit exceeded. You can send again in {minutes} mins", packet_id
            )
        if self.running:
            self._tell_routing(packet_id, error, reception)

    # -- from the air ----------------------------------------------------------------------------
    def _heard(self, air: Packet, reception: Reception) -> None:
        """A packet for this node, or for all."""
        known = self.nodes.get(air.sender)
        if not self.running or (known is not None and known.is_ignored):
            return
        self.counters["received"] += 1
        packet = self._translation.from_air(air)
        self._write_reception(packet, reception)
        if packet.WhichOneof("payload_variant") == "encrypted":
            self.counters["encrypted"] += 1
            self.to_clients(packet)
            return
        self.log(
            "DEBUG",
            f"[Router] Received fr=0x{air.sender:08x} to=0x{air.to:08x} id=0x{air.id:08x} "
            f"Portnum={packet.decoded.portnum} rxSNR={reception.snr_db:g}",
        )
        self.nodes.heard(
            air.sender,
            snr_db=reception.snr_db,
            time_s=self.utc_s,
            hops=air.hops_away,
            channel=packet.channel,
        )
        self.services.take_in(packet)
        self._answer(packet)
        self._greet_stranger(packet)
        self.to_clients(packet)

    def _answer(self, packet: Any) -> None:
        decoded = packet.decoded
        to_us = packet.to == self.number
        if decoded.portnum == Port.ADMIN_APP and to_us:
            answer = self._admin.handle(packet)
            if answer is None:
                return
        elif decoded.want_response:
            answer = self.services.answer(packet)
            if answer is None:
                answer = Error.NO_RESPONSE
        else:
            return
        if answer is IGNORED or not self.running:
            return
        if isinstance(answer, int):
            routing = mesh_pb2.Routing()
            routing.error_reason = answer
            reply = self._reply(packet, routing)
            reply.decoded.portnum = Port.ROUTING_APP
            reply.priority = Priority.ACK
            reply.want_ack = False
            reply.pki_encrypted = False
        else:
            reply = self._reply(packet, answer)
        self.send(reply)

    def _greet_stranger(self, packet: Any) -> None:
        """Tell a node that is heard for the first time who this is, and ask it the same."""
        sender = getattr(packet, "from")
        node = self.nodes.get(sender)
        is_answer = packet.decoded.portnum == Port.TELEMETRY_APP and packet.decoded.request_id
        if node is None or node.HasField("user") or is_answer:
            return
        if self.settings.role in ("ROUTER", "ROUTER_LATE", "REPEATER", "CLIENT_HIDDEN"):
            return
        if self.node.airtime.channel_utilisation_pct() < 25:
            self.services.send_node_info(sender, want_reply=True, channel=packet.channel)

    # -- power and faults ------------------------------------------------------------------------
    def reboot(self, delay_s: float | None = 0.0) -> None:
        """Boot anew in `delay_s` seconds; None calls off what was due.

        The queue is lost and so is what was not saved. Nothing is served for `BOOT_S` seconds; on
        the serial line come boot text, `rebooted`, and then the API as before.
        """
        self._schedule(delay_s, self._reset)

    def shut_down(self, delay_s: float | None = 0.0) -> None:
        """Switch itself off in `delay_s` seconds; None calls it off."""
        self._schedule(delay_s, self._switch_off)

    def power(self, on: bool) -> None:
        """Give the radio its power, or take it."""
        if on == self._powered:
            return
        self._powered = on
        self._event("power", {"on": on})
        if on:
            self._reset()
        else:
            self._halt()

    def freeze(self, frozen: bool = True) -> None:
        """Serve no client from now on, or again: a hung radio takes no more bytes, and says none.

        The mesh goes on meanwhile; what comes for the client waits.
        """
        if self.frozen == frozen:
            return
        self.frozen = frozen
        self._event("freeze", {"on": frozen})
        if frozen:
            if self.line is not None:
                self.line.stall()
            self.tcp.stall()
            return
        if self.line is not None:
            self.line.resume()
        self.tcp.resume()
        self._look_at_uart()
        for api in self._clients():
            api.wake()

    def _switch_off(self) -> None:
        self.nodes.save()
        self.power(False)

    def _schedule(self, delay_s: float | None, action: Callable[[], None]) -> None:
        self._due += 1
        if delay_s is None or not self._powered:
            return
        if delay_s <= 0:
            action()
            return
        due = self._due
        self._after(delay_s, lambda: action() if due == self._due else None)

    def _after(self, delay_s: float, action: Callable[[], Any]) -> None:
        callbacks = self.env.timeout(delay_s).callbacks
        assert callbacks is not None
        callbacks.append(lambda _event: action())

    def _halt(self) -> None:
        """Everything in RAM is gone."""
        self._due += 1
        self._life += 1
        self.running = False
        self.freeze(False)
        self.node.power_off()
        self.services.stop()
        self.tcp.drop()
        self._forget_waiting()
        self._early.clear()
        if self._serial is not None:
            self._serial.reset()

    def _reset(self) -> None:
        if self.running:
            self.nodes.save()  # an orderly reboot; a power cut forgets what was heard of late
        self._halt()
        life = self._life
        self._event("reboot", {})
        self._after(RESET_S, lambda: self._say_rebooted() if life == self._life else None)
        self._after(BOOT_S, lambda: self._boot() if life == self._life else None)

    def _say_rebooted(self) -> None:
        if self._serial is not None:
            if self._log_text:
                self._serial.write_text(BOOT_TEXT)
            self._serial.write_message(mesh_pb2.FromRadio(rebooted=True))

    def _boot(self) -> None:
        self.settings.load()
        self.settings.reboots += 1
        self.settings.save()
        self.nodes.load()
        self._admin.reset()
        self._boot_s = self.env.now - BOOT_S
        if not self._has_gps_time:
            self._epoch_s = None
        self.running = True
        self.node.power_on()
        self._apply_settings()
        self._last_free = self.node.queue_free
        self.services.start()
        self.log("INFO", "S:B:43,2.7.15.567b8ea,heltec-v3,meshtastic/firmware")
        self._event("boot", {"reboots": self.settings.reboots})
        self._look_at_uart()

    def _event(self, kind: str, detail: Mapping[str, Any]) -> None:
        if self._on_event is not None:
            self._on_event(self.env.now, kind, detail)


_LEVELS = {"DEBUG": "DEBUG", "INFO": "INFO", "WARN": "WARNING", "ERROR": "ERROR"}
