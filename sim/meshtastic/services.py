"""What a radio says of itself: who it is, where it is, how it is, and the way to it.

Each service answers requests, takes in what others say, and speaks by itself at intervals. Sources:
firmware, src/modules/NodeInfoModule.cpp, PositionModule.cpp, Telemetry/DeviceTelemetry.cpp,
TraceRouteModule.cpp; Default.h for the intervals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from sim.meshtastic.protobufs import BROADCAST, config_pb2, mesh_pb2, portnums_pb2, telemetry_pb2

if TYPE_CHECKING:
    from sim.meshtastic.radio import Radio

Port = portnums_pb2.PortNum
Priority = mesh_pb2.MeshPacket.Priority
PositionFlags = config_pb2.Config.PositionConfig.PositionFlags

NODE_INFO_GAP_S = 10 * 60.0  # from one to the next, asked for or not
URGENT_NODE_INFO_GAP_S = 60.0
POSITION_REPLY_GAP_S = 3 * 60.0
FIRST_BROADCAST_S = 30.0  # after boot; the next service 10 s later
BROADCAST_SPACING_S = 10.0
METRICS_TO_CLIENT_S = 60.0
STATS_TO_CLIENT_S = 15 * 60.0
POSITION_S = 15 * 60.0
TELEMETRY_S = 30 * 60.0
MOST_CHANNEL_PCT = 40.0
POLITE_CHANNEL_PCT = 25.0
BATTERY_PCT = 101  # "powered": what a radio on USB says
VOLTAGE_V = 4.2
UNKNOWN_SNR = -128
MOST_ROUTE_HOPS = 8
IGNORED = object()  # asked for, and deliberately not answered


@dataclass(frozen=True, slots=True)
class Fix:
    """Where a radio is.

    Attributes:
        speed_mps, track_deg: over ground; None where they are unknown.
    """

    latitude_deg: float
    longitude_deg: float
    altitude_m: float = 0.0
    speed_mps: float | None = None
    track_deg: float | None = None
    satellites: int = 9


@dataclass(frozen=True, slots=True)
class Beacons:
    """Seconds from one broadcast to the next; None leaves it to the radio's settings, 0 is never.

    `first_s` is the instant after boot of the first one; None draws it, as nodes do not boot
    together.
    """

    node_info_s: float | None = None
    position_s: float | None = None
    telemetry_s: float | None = None
    first_s: float | None = None


class Services:
    """The services of one radio."""

    def __init__(self, radio: Radio, beacons: Beacons) -> None:
        self._radio = radio
        self.beacons = beacons
        self._node_info_s: float | None = None
        self._position_reply_s: float | None = None
        self._sequence = 0
        self._boot = 0

    # -- by itself -------------------------------------------------------------------------------
    def start(self) -> None:
        """Boot: the intervals begin."""
        self.stop()
        radio, beacons = self._radio, self.beacons
        first_s = beacons.first_s
        if first_s is None:
            first_s = FIRST_BROADCAST_S + radio.stream.uniform(0.0, FIRST_BROADCAST_S)
        self._repeat(first_s, self._node_info_period_s, self._say_node_info)
        self._repeat(first_s + BROADCAST_SPACING_S, self._position_period_s, self._say_position)
        self._repeat(
            first_s + 2 * BROADCAST_SPACING_S, self._telemetry_period_s, self._say_telemetry
        )
        self._repeat(METRICS_TO_CLIENT_S, lambda: METRICS_TO_CLIENT_S, self._tell_client_metrics)
        self._repeat(STATS_TO_CLIENT_S, lambda: STATS_TO_CLIENT_S, self._tell_client_stats)

    def stop(self) -> None:
        """Power off: nothing is due any more."""
        self._boot += 1
        self._node_info_s = self._position_reply_s = None

    def _repeat(
        self, first_s: float, period_s: Callable[[], float], action: Callable[[], None]
    ) -> None:
        boot = self._boot

        def run(_event: Any) -> None:
            if boot != self._boot:
                return
            next_s = period_s()
            if next_s > 0:
                action()
                self._later(next_s, run)

        self._later(first_s, run)

    def _later(self, delay_s: float, run: Callable[[Any], None]) -> None:
        callbacks = self._radio.env.timeout(delay_s).callbacks
        assert callbacks is not None
        callbacks.append(run)

    def _node_info_period_s(self) -> float:
        set_s = self._radio.settings.config.device.node_info_broadcast_secs
        return _first(self.beacons.node_info_s, set_s)

    def _position_period_s(self) -> float:
        set_s = self._radio.settings.config.position.position_broadcast_secs
        return _first(self.beacons.position_s, set_s or POSITION_S)

    def _telemetry_period_s(self) -> float:
        set_s = self._radio.settings.modules.telemetry.device_update_interval
        return _first(self.beacons.telemetry_s, set_s or TELEMETRY_S)

    def _may_speak(self) -> bool:
        """Hold back on a busy channel, and when half of the duty cycle is used up."""
        radio = self._radio
        airtime = radio.node.airtime
        if airtime.channel_utilisation_pct() >= POLITE_CHANNEL_PCT:
            return False
        limit_pct = radio.duty_cycle_pct
        return limit_pct >= 100 or airtime.tx_utilisation_pct() < limit_pct / 2

    def _say_node_info(self) -> None:
        if self._may_speak():
            self.send_node_info()

    def _say_position(self) -> None:
        if self._may_speak():
            self.send_position()

    def _say_telemetry(self) -> None:
        if self._may_speak() and self._radio.settings.modules.telemetry.device_telemetry_enabled:
            packet = self._packet(Port.TELEMETRY_APP, self.metrics(), Priority.BACKGROUND)
            self._radio.send(packet, copy_to_client=True)

    def _tell_client_metrics(self) -> None:
        if not self._radio.has_client:
            return
        telemetry = self.metrics()
        self._radio.nodes.update_metrics(self._radio.number, telemetry.device_metrics)
        packet = self._packet(Port.TELEMETRY_APP, telemetry, Priority.BACKGROUND)
        self._radio.to_clients(packet)

    def _tell_client_stats(self) -> None:
        if self._radio.has_client:
            packet = self._packet(Port.TELEMETRY_APP, self._local_stats(), Priority.BACKGROUND)
            self._radio.to_clients(packet)

    # -- on request ------------------------------------------------------------------------------
    def answer(self, packet: Any) -> Any:
        """Return the message that answers a packet, IGNORED, or None if no service answers it."""
        port = packet.decoded.portnum
        if port == Port.NODEINFO_APP:
            return self._answer_node_info(packet)
        if port == Port.POSITION_APP:
            return self._answer_position()
        if port == Port.TELEMETRY_APP:
            return self._answer_telemetry(packet.decoded.payload)
        if port == Port.TRACEROUTE_APP:
            return _parse(mesh_pb2.RouteDiscovery, packet.decoded.payload)
        return None

    def _answer_node_info(self, _packet: Any) -> Any:
        if self._radio.node.airtime.channel_utilisation_pct() >= MOST_CHANNEL_PCT:
            return IGNORED
        return self._node_info_if_due(NODE_INFO_GAP_S) or IGNORED

    def _node_info_if_due(self, gap_s: float) -> Any | None:
        now_s = self._radio.env.now
        if self._node_info_s is not None and now_s - self._node_info_s < gap_s:
            return None
        self._node_info_s = now_s
        return self._radio.settings.owner

    def _answer_position(self) -> Any:
        now_s = self._radio.env.now
        last_s = self._position_reply_s
        if last_s is not None and now_s - last_s < POSITION_REPLY_GAP_S:
            return IGNORED
        position = self.position()
        if position is not None:
            self._position_reply_s = now_s
        return position

    def _answer_telemetry(self, payload: bytes) -> Any:
        request = _parse(telemetry_pb2.Telemetry, payload)
        variant = None if request is None else request.WhichOneof("variant")
        if variant == "device_metrics":
            return self.metrics()
        if variant == "local_stats":
            return self._local_stats()
        return None  # no sensor for anything else

    # -- sending ---------------------------------------------------------------------------------
    def send_node_info(
        self,
        to: int = BROADCAST,
        *,
        want_reply: bool = False,
        urgent: bool = False,
        channel: int = 0,
    ) -> None:
        """Tell who this is, unless that was told a short while ago."""
        user = self._node_info_if_due(URGENT_NODE_INFO_GAP_S if urgent else NODE_INFO_GAP_S)
        if user is None:
            return
        packet = self._packet(
            Port.NODEINFO_APP, user, Priority.DEFAULT if urgent else Priority.BACKGROUND
        )
        packet.to = to
        packet.channel = channel
        packet.decoded.want_response = want_reply
        self._radio.send(packet)

    def send_position(self) -> None:
        """Tell where this is, on the first channel that positions are shared on."""
        position = self.position()
        if position is None:
            return
        channels = self._radio.settings.channels
        for index in range(8):
            if channels.key(index) is not None and channels.position_precision(index):
                packet = self._packet(Port.POSITION_APP, position, Priority.BACKGROUND)
                packet.channel = index
                self._radio.send(packet)
                return

    def position(self) -> Any | None:
        """Return the position with the fields that are configured, or None if it is unknown."""
        radio = self._radio
        settings = radio.settings
        position = mesh_pb2.Position()
        if settings.config.position.fixed_position:
            fixed = settings.fixed_position
            position.latitude_i, position.longitude_i = fixed.latitude_i, fixed.longitude_i
            position.altitude = fixed.altitude
            position.location_source = mesh_pb2.Position.LocSource.LOC_MANUAL
            position.time = radio.utc_s
        else:
            fix = radio.fix()
            if fix is None:
                own = radio.nodes.own.position
                position.CopyFrom(own)
            else:
                _fill(position, fix, settings.config.position.position_flags)
                position.time = position.timestamp = radio.utc_s
        if not position.latitude_i and not position.longitude_i:
            return None
        self._sequence += 1
        position.seq_number = self._sequence
        return position

    def metrics(self) -> Any:
        """Return device metrics as telemetry: powered, channel use, time since boot."""
        telemetry = telemetry_pb2.Telemetry(time=self._radio.utc_s)
        metrics, airtime = telemetry.device_metrics, self._radio.node.airtime
        metrics.battery_level = BATTERY_PCT
        metrics.voltage = VOLTAGE_V
        metrics.channel_utilization = airtime.channel_utilisation_pct()
        metrics.air_util_tx = airtime.tx_utilisation_pct()
        metrics.uptime_seconds = int(self._radio.uptime_s)
        return telemetry

    def _local_stats(self) -> Any:
        radio = self._radio
        telemetry = telemetry_pb2.Telemetry(time=radio.utc_s)
        stats, airtime = telemetry.local_stats, radio.node.airtime
        stats.uptime_seconds = int(radio.uptime_s)
        stats.channel_utilization = airtime.channel_utilisation_pct()
        stats.air_util_tx = airtime.tx_utilisation_pct()
        stats.num_online_nodes = radio.nodes.online(radio.utc_s)
        stats.num_total_nodes = len(radio.nodes)
        stats.num_packets_tx = radio.counters["sent"]
        stats.num_packets_rx = radio.counters["received"]
        return telemetry

    def _packet(self, port: int, message: Any, priority: int) -> Any:
        packet = self._radio.new_packet(port, message.SerializeToString())
        packet.priority = priority
        return packet

    # -- what others say -------------------------------------------------------------------------
    def take_in(self, packet: Any) -> None:
        """Learn from a packet that was read, whoever it is for; a traceroute is written on."""
        port, payload = packet.decoded.portnum, packet.decoded.payload
        sender = getattr(packet, "from")
        nodes = self._radio.nodes
        if port == Port.NODEINFO_APP:
            user = _parse(mesh_pb2.User, payload)
            if user is not None and sender != self._radio.number:
                nodes.update_user(sender, user)
        elif port == Port.POSITION_APP:
            position = _parse(mesh_pb2.Position, payload)
            if position is not None:
                nodes.update_position(sender, position)
        elif port == Port.TELEMETRY_APP:
            telemetry = _parse(telemetry_pb2.Telemetry, payload)
            if telemetry is not None and telemetry.HasField("device_metrics"):
                nodes.update_metrics(sender, telemetry.device_metrics)
        elif port == Port.TRACEROUTE_APP and packet.to == self._radio.number:
            write_route(packet, None)
        else:
            return
        if port != Port.TRACEROUTE_APP and payload and _is_malformed(port, payload):
            self._radio.counters["undecodable"] += 1


def write_route(packet: Any, relay: int | None) -> None:
    """Write into a traceroute how a node heard it; `relay` is that node if it passes it on.

    Hops that did not write themselves down become unknown ones (node 0xFFFFFFFF, SNR -128).
    """
    route = _parse(mesh_pb2.RouteDiscovery, packet.decoded.payload)
    if route is None:
        return
    back = bool(packet.decoded.request_id)
    hops = route.route_back if back else route.route
    snrs = route.snr_back if back else route.snr_towards
    if packet.hop_start and packet.hop_limit <= packet.hop_start:
        taken = packet.hop_start - packet.hop_limit
        while len(hops) < min(taken, MOST_ROUTE_HOPS):
            hops.append(BROADCAST)
        while len(snrs) < len(hops):
            snrs.append(UNKNOWN_SNR)
    if len(snrs) < MOST_ROUTE_HOPS:
        snrs.append(max(-127, min(127, int(packet.rx_snr * 4))))
    if relay is not None and len(hops) < MOST_ROUTE_HOPS:
        hops.append(relay)
    packet.decoded.payload = route.SerializeToString()


def truncate_position(position: Any, precision_bits: int) -> None:
    """Give a position only `precision_bits` of precision: it moves to the middle of its cell.

    With 0 only the time is left. Source: firmware, src/mesh/PositionPrecision.cpp.
    """
    if precision_bits == 0:
        time_s = position.time
        position.Clear()
        position.time = time_s
        return
    position.precision_bits = precision_bits
    if precision_bits < 32:
        position.latitude_i = _truncate(position.latitude_i, precision_bits)
        position.longitude_i = _truncate(position.longitude_i, precision_bits)


def _truncate(coordinate: int, bits: int) -> int:
    high = coordinate & 0xFFFFFFFF & (0xFFFFFFFF << (32 - bits))
    middle = (high + (1 << (31 - bits))) & 0xFFFFFFFF
    return middle - (1 << 32) if middle >= 1 << 31 else middle


def _fill(position: Any, fix: Fix, flags: int) -> None:
    position.latitude_i = round(fix.latitude_deg * 1e7)
    position.longitude_i = round(fix.longitude_deg * 1e7)
    position.location_source = mesh_pb2.Position.LocSource.LOC_INTERNAL
    if flags & PositionFlags.ALTITUDE:
        position.altitude = round(fix.altitude_m)
    if flags & PositionFlags.SPEED and fix.speed_mps is not None:
        position.ground_speed = round(fix.speed_mps)
    if flags & PositionFlags.HEADING and fix.track_deg is not None:
        position.ground_track = round(fix.track_deg % 360 * 1e5)
    if flags & PositionFlags.SATINVIEW:
        position.sats_in_view = fix.satellites
    if flags & PositionFlags.DOP:
        position.PDOP = 150


def _parse(factory: Any, payload: bytes) -> Any | None:
    try:
        return factory.FromString(payload)
    except DecodeError:
        return None


_TYPES = {
    Port.NODEINFO_APP: mesh_pb2.User,
    Port.POSITION_APP: mesh_pb2.Position,
    Port.TELEMETRY_APP: telemetry_pb2.Telemetry,
}


def _is_malformed(port: int, payload: bytes) -> bool:
    return _parse(_TYPES[port], payload) is None


def _first(given: float | None, otherwise: float) -> float:
    return float(otherwise if given is None else given)
