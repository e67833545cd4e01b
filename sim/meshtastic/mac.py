"""When a node sends: its queue, contention windows, and listening before talking.

Sources: firmware src/mesh/RadioLibInterface.cpp (onNotify, setTransmitDelay),
RadioInterface.cpp (getTxDelayMsec...), MeshPacketQueue.cpp.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from typing import Protocol

import simpy

from sim.lora.channel import Channel, Position, Signal, Transmission
from sim.lora.presets import Preset, airtime_us
from sim.meshtastic.airtime import Airtime
from sim.meshtastic.packet import Packet

QUEUE_SIZE = 16  # MAX_TX_QUEUE
CW_MIN = 3
CW_MAX = 8
SNR_MIN_DB = -20
SNR_MAX_DB = 10
PROCESSING_MS = 4500
TURNAROUND_S = 0.0006  # propagation, and from receiving to sending


class Upper(Protocol):
    """What the medium access tells the node that it serves."""

    def frame_received(self, packet: Packet, signal: Signal) -> None:
        """A frame was read."""

    def frame_started(self, packet: Packet, transmission: Transmission) -> None:
        """A packet of the queue is on the air."""

    def queue_changed(self) -> None:
        """The number of packets in the queue changed."""


def contention_window(value: float, low: int, high: int) -> int:
    """Map a value onto windows 3-8 in whole numbers, as Arduino's map()."""
    scaled = int(value) - low
    window = CW_MIN + int(scaled * (CW_MAX - CW_MIN) / (high - low))
    return min(max(window, CW_MIN), CW_MAX)


class Mac:
    """Medium access of one node on a LoRa channel.

    The queue holds 16 packets. When it is full, a packet of higher priority takes the place of the
    last one, any other is refused.
    """

    def __init__(
        self,
        env: simpy.Environment,
        channel: Channel,
        number: int,
        position: Position,
        stream: random.Random,
        upper: Upper,
        airtime: Airtime,
        *,
        tx_power_dbm: float,
        antenna_gain_dbi: float,
    ) -> None:
        self._env = env
        self._channel = channel
        self._number = number
        self._stream = stream
        self._upper = upper
        self._airtime = airtime
        self.station = channel.add(
            number,
            position,
            self,
            tx_power_dbm=tx_power_dbm,
            antenna_gain_dbi=antenna_gain_dbi,
        )
        self.role = "CLIENT"
        self.queue: list[Packet] = []
        self.dropped = 0  # packets that a more urgent one displaced
        self._timer: simpy.Event | None = None  # the one that counts; others are stale
        self._starting: simpy.Event | None = None

    @property
    def preset(self) -> Preset:
        """The modem preset in force."""
        return self.station.preset

    def packet_ms(self, packet: Packet) -> int:
        """Give the time on air of a packet, rounded as the firmware does."""
        return airtime_us(self.station.preset, packet.frame_bytes) // 1000

    # -- the queue -----------------------------------------------------------------------------
    def enqueue(self, packet: Packet) -> bool:
        """Take a packet; False if the queue is full of packets at least as urgent."""
        if len(self.queue) >= QUEUE_SIZE and not self._displace(packet):
            return False
        self._insert(packet)
        self._upper.queue_changed()
        self._set_delay()
        return True

    def find(self, sender: int, packet_id: int) -> Packet | None:
        """Give a packet that waits, or None."""
        for packet in self.queue:
            if packet.id == packet_id and packet.sender == sender:
                return packet
        return None

    def cancel(self, sender: int, packet_id: int, *, hops_below: int | None = None) -> bool:
        """Take a packet out of the queue (one with fewer hops left than `hops_below`)."""
        packet = self.find(sender, packet_id)
        if packet is None or (hops_below is not None and packet.hop_limit >= hops_below):
            return False
        self.queue.remove(packet)
        self._upper.queue_changed()
        return True

    def delay_to_late_window(self, sender: int, packet_id: int) -> None:
        """Let ROUTER_LATE send behind everybody else."""
        packet = self.find(sender, packet_id)
        if packet is None or packet.tx_after_s:
            return
        self.queue.remove(packet)
        packet.tx_after_s = self._env.now + self._worst_relay_delay_ms(packet) / 1000
        self._insert(packet)

    def clear(self) -> None:
        """Forget everything: power is gone."""
        self.queue.clear()
        self._timer = None
        self._starting = None

    def _rank(self, packet: Packet) -> tuple[bool, int, bool]:
        # Packets already on the mesh go before own ones of the same priority.
        return packet.tx_after_s > 0, -packet.priority, packet.sender == self._number

    def _insert(self, packet: Packet) -> None:
        self.queue.insert(bisect_right(self.queue, self._rank(packet), key=self._rank), packet)

    def _displace(self, packet: Packet) -> bool:
        for last in reversed(self.queue):
            if last.tx_after_s:
                continue
            if last.priority < packet.priority:
                self.queue.remove(last)
                self.dropped += 1
                return True
            return False
        return False

    # -- contention ----------------------------------------------------------------------------
    def own_window(self) -> int:
        """Give the window of own packets, from how busy the channel is."""
        return contention_window(self._airtime.channel_utilisation_pct(), 0, 100)

    def retransmission_ms(self, packet: Packet) -> int:
        """Give the time after which a packet that nobody acknowledged is sent again."""
        slots = (1 << self.own_window()) + 2 * CW_MAX + (1 << (CW_MAX + CW_MIN) // 2)
        return 2 * self.packet_ms(packet) + slots * self.preset.slot_ms + PROCESSING_MS

    def _own_delay_ms(self) -> int:
        return self._stream.randrange(1 << self.own_window()) * self.preset.slot_ms

    def _relay_delay_ms(self, packet: Packet) -> int:
        window = contention_window(packet.rx_snr_db or 0.0, SNR_MIN_DB, SNR_MAX_DB)
        if self.role == "ROUTER":
            return self._stream.randrange(2 * window) * self.preset.slot_ms
        slots = 2 * CW_MAX + self._stream.randrange(1 << window)
        return slots * self.preset.slot_ms

    def _worst_relay_delay_ms(self, packet: Packet) -> int:
        window = contention_window(packet.rx_snr_db or 0.0, SNR_MIN_DB, SNR_MAX_DB)
        return (2 * CW_MAX + (1 << window)) * self.preset.slot_ms

    def _delay_ms(self, packet: Packet) -> int:
        return self._own_delay_ms() if packet.rx_rssi_dbm is None else self._relay_delay_ms(packet)

    def _set_delay(self, *, after_s: float = 0.0) -> None:
        """Start the wait for the first packet of the queue, unless one is under way."""
        if not self.queue or not self.station.powered:
            return
        packet = self.queue[0]
        now_s = self._env.now
        if packet.tx_after_s:
            add_s = self._delay_ms(packet) / 1000
            latest_s = now_s + 2 * self._worst_relay_delay_ms(packet) / 1000
            packet.tx_after_s = min(max(packet.tx_after_s + add_s, now_s + add_s), latest_s)
            self._wait(packet.tx_after_s - now_s)
        elif self._timer is None:
            self._wait(after_s + self._delay_ms(packet) / 1000)

    def _wait(self, delay_s: float) -> None:
        if self._timer is None:
            self._timer = self._env.timeout(max(0.0, delay_s))
            self._timer.callbacks.append(self._delay_over)

    def _delay_over(self, event: simpy.Event) -> None:
        if event is not self._timer:
            return
        self._timer = None
        if not self.queue:
            return
        station = self.station
        if station.sending is not None or self._starting is not None or station.following:
            self._set_delay()
            return
        left_s = self.queue[0].tx_after_s - self._env.now
        if left_s > 0:
            self._wait(left_s)
        elif station.channel_active():
            self._set_delay(after_s=self.preset.cad_s)
        else:
            self._channel.switch_over(station)
            self._starting = self._env.timeout(self.preset.cad_s + TURNAROUND_S)
            self._starting.callbacks.append(self._start)

    def _start(self, event: simpy.Event) -> None:
        if event is not self._starting:
            return
        self._starting = None
        if not self.queue:  # the packet was cancelled while the radio looked for others
            self._channel.listen(self.station)
            return
        packet = self.queue.pop(0)
        transmission = self._channel.transmit(self.station, packet, packet.frame_bytes)
        self._upper.frame_started(packet, transmission)
        self._upper.queue_changed()

    # -- from the channel ----------------------------------------------------------------------
    def received(self, frame: Packet, signal: Signal) -> None:
        """Count a frame and begin the wait anew, then hand it up."""
        self._airtime.log_received(signal.transmission.airtime_us // 1000)
        self._begin_wait()
        self._upper.frame_received(frame, signal)

    def spoiled(self, signal: Signal) -> None:
        """Count a frame whose checksum is wrong and begin the wait anew."""
        self._airtime.log_received(signal.transmission.airtime_us // 1000)
        self._begin_wait()

    def sent(self, transmission: Transmission) -> None:
        """Count what was sent and begin the wait for the next packet."""
        self._airtime.log_sent(transmission.airtime_us // 1000)
        self._begin_wait()

    def _begin_wait(self) -> None:
        # An interrupt of the radio takes the place of a wait that is under way.
        self._timer = None
        self._set_delay()
