"""The meshtastic library's stream interface, with what would block, print or grow taken out.

The library (GPL, extra `mesh`) stays unmodified: its handshake, its state of the radio and its
messages are used; its threads, timers, waits and topics are not. Importing this module loads it.
Packets are taken before the library decodes their payload: a malformed one raises in its reader
(a traceback, and the packet is gone), and decoding costs hundreds of times what is needed here.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError
from meshtastic.protobuf import config_pb2, mesh_pb2, telemetry_pb2
from meshtastic.stream_interface import StreamInterface

from server.mesh.air.airtime import PRESETS, Preset
from server.mesh.air.regions import duty_cycle_pct
from server.mesh.radio.packets import Channel, RadioInfo

# The library logs (and prints) what is counted here; without a handler Python writes it to stderr.
logging.getLogger("meshtastic").addHandler(logging.NullHandler())
logging.getLogger("meshtastic").propagate = False

MOST_CHANNELS = 8
_OVERHEAD_BYTES = 16 + 2  # the mesh header, and the bit field that the firmware adds
_DIRECT_BYTES = 12
_FRAME_BYTES = 255
_DEFAULT_HOPS = 3
_HANDSHAKE = ("my_info", "metadata", "config", "moduleConfig", "channel", "config_complete_id")

_random_lock = threading.Lock()


class RadioInterface(StreamInterface):  # type: ignore[misc]
    """The library's view of one radio; does no I/O: what it would write is collected in `written`.

    Args:
        on_complete: called when the radio's handshake is complete.
    """

    def __init__(self, on_complete: Callable[[], None]) -> None:
        self.written = bytearray()
        self._on_complete = on_complete
        self._ids = random.Random()
        self._owner = mesh_pb2.User()
        # The constructor seeds the generator that the whole process shares.
        with _random_lock:
            state = random.getstate()
            try:
                super().__init__(connectNow=False, noNodes=True)
            finally:
                random.setstate(state)
        self._localChannels: list[Any] = []

    # -- what is asked of it -----------------------------------------------------------------------
    def config_request(self) -> bytes:
        """Give the frame that starts the handshake."""
        self.isConnected.clear()
        self.localNode.localConfig.Clear()
        self._owner = mesh_pb2.User()
        self._startConfig()
        return self._taken()

    def heartbeat(self) -> bytes:
        """Give the frame that keeps the radio's attention, which it answers by a queue status."""
        self.sendHeartbeat()
        return self._taken()

    def goodbye(self) -> bytes:
        """Give the frame that says that nobody listens any longer."""
        self._sendDisconnect()
        return self._taken()

    def packet(
        self,
        payload: bytes,
        *,
        to: int,
        port: int,
        channel: int,
        want_ack: bool,
        hop_limit: int | None,
        priority: int | None,
    ) -> tuple[int, bytes]:
        """Give the id and the frame of a packet.

        Raises:
            ValueError: it is longer than the radio takes.
        """
        data = mesh_pb2.Data(portnum=port, payload=payload)
        is_direct = to != 0xFFFFFFFF
        size = data.ByteSize() + _OVERHEAD_BYTES + (_DIRECT_BYTES if is_direct else 0)
        if size > _FRAME_BYTES:
            raise ValueError(
                f"expected a payload of at most {len(payload) - size + _FRAME_BYTES} bytes, "
                f"found {len(payload)}"
            )
        sent = self.sendData(
            payload,
            destinationId=to,
            portNum=port,
            wantAck=want_ack,
            channelIndex=channel,
            hopLimit=self._hop_limit() if hop_limit is None else hop_limit,
            priority=priority,
        )
        return int(sent.id), self._taken()

    def info(self) -> RadioInfo:
        """Give what the radio has told of itself."""
        lora = self.localNode.localConfig.lora
        is_known = bool(self.localNode.localConfig.HasField("lora"))
        lora_config = config_pb2.Config.LoRaConfig
        region = _name(lora_config.RegionCode, lora.region)
        preset = _name(lora_config.ModemPreset, lora.modem_preset)
        if is_known and not lora.use_preset:
            preset = ""
        shape = PRESETS.get(preset) or Preset(
            float(lora.bandwidth), lora.spread_factor, lora.coding_rate
        )
        return RadioInfo(
            node=int(self.myInfo.my_node_num),
            long_name=self._owner.long_name,
            short_name=self._owner.short_name,
            hardware=_name(mesh_pb2.HardwareModel, self._owner.hw_model),
            firmware=self.metadata.firmware_version if self.metadata is not None else "",
            region=region,
            preset=preset,
            bandwidth_khz=shape.bandwidth_khz,
            spreading=shape.sf,
            coding=shape.cr,
            hop_limit=self._hop_limit(),
            sends=not is_known or bool(lora.tx_enabled),
            duty_cycle_pct=100.0 if lora.override_duty_cycle else duty_cycle_pct(region),
            channels=tuple(
                Channel(channel.index, channel.settings.name, channel.role == 1)
                for channel in self._localChannels or ()
                if channel.role
            ),
            settings_known=is_known,
        )

    def took(self, message: Any, variant: str) -> bool:
        """Hand a message of the handshake to the library; tell whether it was one."""
        if variant == "node_info":
            if self.myInfo is not None and message.node_info.num == self.myInfo.my_node_num:
                self._owner = message.node_info.user
            return True
        if variant not in _HANDSHAKE:
            return False
        if variant != "channel" or len(self._localChannels or ()) < MOST_CHANNELS:
            self._handleFromRadio(message.SerializeToString())
        return True

    # -- what the library would do by itself -------------------------------------------------------
    def _writeBytes(self, b: bytes) -> None:  # noqa: N802 (the library's name)
        self.written += b

    def _sendToRadio(self, toRadio: Any) -> None:  # noqa: N802, N803
        # The library's own waits in a loop, without an end, while the radio's queue is full.
        self._sendToRadioImpl(toRadio)

    def _waitConnected(self, timeout: float = 30.0) -> None:  # noqa: N802
        # The library's own waits for 30 s, in whatever thread has asked.
        if not self.isConnected.is_set():
            raise ConnectionError("the radio's handshake is not complete")

    def _connected(self) -> None:
        # The library's own starts a timer thread that outlives the process's other threads.
        self.isConnected.set()
        self._on_complete()

    def _generatePacketId(self) -> int:  # noqa: N802
        # The library's own draws from the generator that the whole process shares.
        number = self._ids.getrandbits(32) or 1
        self.currentPacketId = number
        return number

    # -- helpers -----------------------------------------------------------------------------------
    def _hop_limit(self) -> int:
        config = self.localNode.localConfig
        # A radio that did not tell its settings is not set to no relays at all.
        return int(config.lora.hop_limit) if config.HasField("lora") else _DEFAULT_HOPS

    def _taken(self) -> bytes:
        written = bytes(self.written)
        self.written.clear()
        return written


def read_message(data: bytes) -> Any | None:
    """Read a message of a radio; None where it is none."""
    message = mesh_pb2.FromRadio()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return None
    return message


def read_routing(payload: bytes) -> tuple[int, str] | None:
    """Read what became of a packet: number and name of the error; None where it cannot be read."""
    routing = mesh_pb2.Routing()
    try:
        routing.ParseFromString(payload)
    except DecodeError:
        return None
    return int(routing.error_reason), error_name(routing.error_reason)


def error_name(number: int) -> str:
    """Give the name of a `Routing.Error`."""
    return _name(mesh_pb2.Routing.Error, number) or f"ERROR_{number}"


def read_utilisation(payload: bytes) -> tuple[float, float] | None:
    """Read channel utilisation and transmit time from a telemetry message, percent."""
    telemetry = telemetry_pb2.Telemetry()
    try:
        telemetry.ParseFromString(payload)
    except DecodeError:
        return None
    if telemetry.HasField("device_metrics"):
        metrics: Any = telemetry.device_metrics
    elif telemetry.HasField("local_stats"):
        metrics = telemetry.local_stats
    else:
        return None
    return float(metrics.channel_utilization), float(metrics.air_util_tx)


def _name(enumeration: Any, number: int) -> str:
    try:
        return str(enumeration.Name(number))
    except ValueError:
        return ""
