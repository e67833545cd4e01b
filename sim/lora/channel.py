"""The air: who hears whose frame, how strong, and what becomes of it.

A transmission costs one SimPy event, at its end, and a little work per station in earshot at its
start and its end. Stations out of earshot cost nothing. Fixed stations' signal strengths are
computed once; where one end moves, at every transmission.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol

import simpy

from sim.lora.errors import LoraError
from sim.lora.presets import PREAMBLE_SYMBOLS, Preset, airtime_us
from sim.lora.propagation import PathLoss, Place, Shadowing
from sim.lora.reception import (
    CAPTURE_DB,
    DETECTION_MARGIN_DB,
    EARSHOT_MARGIN_DB,
    LOCK_SYMBOLS,
    frame_error,
    uniform,
)

Position = Place | Callable[[float], Place]
HIGHEST_SNR_DB = 12.0  # what the chip's estimate saturates at


class Outcome(StrEnum):
    """What became of a transmission at one station in earshot."""

    OK = "ok"
    WEAK = "weak"  # noise: not found, or its checksum is wrong
    COLLISION = "collision"  # another transmission within the capture margin
    BUSY = "busy"  # the station was sending, or switching over to it
    OFF = "off"  # one of the two had no power for a part of it


class Listener(Protocol):
    """What a station tells the radio that it belongs to. Instants are `env.now`."""

    def received(self, frame: Any, signal: Signal) -> None:
        """A frame was read."""

    def spoiled(self, signal: Signal) -> None:
        """A frame was followed to its end and its checksum is wrong."""

    def sent(self, transmission: Transmission) -> None:
        """A transmission of this station is over, or was cut by power off."""


class Transmission:
    """One frame on the air."""

    __slots__ = (
        "airtime_us",
        "critical_s",
        "cut",
        "end_s",
        "frame",
        "frame_bytes",
        "number",
        "over",
        "payload_s",
        "preset",
        "signals",
        "start_s",
        "station",
    )

    def __init__(
        self, station: Station, frame: Any, frame_bytes: int, number: int, start_s: float
    ) -> None:
        preset = station.preset
        self.station = station
        self.frame = frame
        self.frame_bytes = frame_bytes
        self.number = number
        self.preset = preset
        self.airtime_us = airtime_us(preset, frame_bytes)
        self.start_s = start_s
        self.end_s = start_s + self.airtime_us / 1e6
        symbol_s = preset.symbol_s
        # A receiver that is free by now still finds the frame.
        self.critical_s = start_s + (PREAMBLE_SYMBOLS - LOCK_SYMBOLS) * symbol_s
        self.payload_s = start_s + preset.preamble_ms / 1000
        self.signals: list[Signal] = []
        self.cut = False
        self.over = False


class Signal:
    """One transmission as it arrives at one station."""

    __slots__ = ("hit", "loss", "rssi_dbm", "snr_db", "station", "transmission")

    def __init__(
        self, transmission: Transmission, station: Station, rssi_dbm: float, snr_db: float
    ) -> None:
        self.transmission = transmission
        self.station = station
        self.rssi_dbm = rssi_dbm
        self.snr_db = snr_db
        self.loss: Outcome | None = None  # why it is not followed; None while it is
        self.hit = False  # followed, but another transmission spoils it

    @property
    def reported_snr_db(self) -> float:
        """The chip's estimate: quarter decibels, saturating."""
        return round(min(self.snr_db, HIGHEST_SNR_DB) * 4) / 4

    @property
    def reported_rssi_dbm(self) -> int:
        """The chip's figure: whole decibels."""
        return round(self.rssi_dbm)


class Station:
    """One antenna with its transceiver: half duplex, one frame at a time."""

    __slots__ = (
        "_channel",
        "_moving",
        "_place",
        "_place_s",
        "_position",
        "antenna_gain_dbi",
        "deaf",
        "following",
        "listener",
        "neighbours",
        "neighbours_of",
        "number",
        "powered",
        "preset",
        "sending",
        "sent_count",
        "signals",
        "tx_power_dbm",
    )

    def __init__(
        self,
        channel: Channel,
        number: int,
        position: Position,
        listener: Listener,
        tx_power_dbm: float,
        antenna_gain_dbi: float,
    ) -> None:
        self._channel = channel
        self._position = position
        self._moving = not isinstance(position, Place)
        self._place = position if isinstance(position, Place) else Place(0.0, 0.0)
        self._place_s = -math.inf
        self.number = number
        self.listener = listener
        self.preset = channel.preset
        self.tx_power_dbm = tx_power_dbm
        self.antenna_gain_dbi = antenna_gain_dbi
        self.powered = True
        self.deaf = False  # between looking for others and sending
        self.sending: Transmission | None = None
        self.following: Signal | None = None
        self.signals: list[Signal] = []  # all on the air here
        self.sent_count = 0
        self.neighbours: list[tuple[Station, float]] = []
        self.neighbours_of = -1

    @property
    def moving(self) -> bool:
        """True if the place is a function of time."""
        return self._moving

    def place(self) -> Place:
        """Give where the antenna is now."""
        if not isinstance(self._position, Place):
            now_s = self._channel.env.now
            if now_s != self._place_s:
                self._place = self._position(now_s)
                self._place_s = now_s
        return self._place

    @property
    def receiving(self) -> bool:
        """True while a frame is being followed, good or spoiled."""
        return self.following is not None

    def channel_active(self) -> bool:
        """Look whether anything of this preset can be detected now."""
        return any(map(self.detects, self.signals))

    def detects(self, signal: Signal) -> bool:
        """True if a signal is strong enough to be noticed, which is less than to be read."""
        preset = self.preset
        return (
            signal.snr_db >= preset.snr_limit_db - DETECTION_MARGIN_DB
            and signal.transmission.preset == preset
        )


class Channel:
    """One frequency, with all stations on it.

    Stations of different presets neither hear nor disturb each other (spreading factors are
    16-36 dB apart). Losses are drawn from the seed, the stations' numbers and the sender's count of
    transmissions alone: a further station out of earshot changes nothing.

    Args:
        env: the world's SimPy environment.
        preset: modem preset of stations that are not told otherwise.
        frequency_mhz: for the record; the path loss has its own.
        stream: seeds shadowing and losses; one number is drawn.
        path_loss: mean loss between two places.
        shadowing_db: deviation of the log-normal shadowing, 0 for none.
        decorrelation_m: way after which shadowing is correlated by 1/e.
    """

    def __init__(
        self,
        env: simpy.Environment,
        preset: Preset,
        frequency_mhz: float,
        stream: random.Random,
        path_loss: PathLoss,
        *,
        shadowing_db: float = 6.0,
        decorrelation_m: float = 50.0,
    ) -> None:
        self.env = env
        self.preset = preset
        self.frequency_mhz = frequency_mhz
        self.on_outcome: list[Callable[[float, Signal, Outcome], None]] = []
        self.stations: dict[int, Station] = {}
        self.transmissions = 0
        self._seed = stream.getrandbits(64)
        self._path_loss = path_loss
        self._shadowing = Shadowing(
            self._seed, deviation_db=shadowing_db, decorrelation_m=decorrelation_m
        )
        self._generation = 0

    def add(
        self,
        number: int,
        position: Position,
        listener: Listener,
        *,
        tx_power_dbm: float = 22.0,
        antenna_gain_dbi: float = 0.0,
    ) -> Station:
        """Put a station on the channel; its number is its name in every random draw."""
        if number in self.stations:
            raise LoraError(f"expected one station of number {number}; found a second")
        station = Station(self, number, position, listener, tx_power_dbm, antenna_gain_dbi)
        self.stations[number] = station
        self._generation += 1
        return station

    def reconfigure(
        self, station: Station, *, preset: Preset | None = None, tx_power_dbm: float | None = None
    ) -> None:
        """Give a station another preset or power; what it was receiving is lost."""
        if preset is not None and preset != station.preset:
            self._lose_all(station, Outcome.OFF)
            station.preset = preset
        if tx_power_dbm is not None:
            station.tx_power_dbm = tx_power_dbm
        self._generation += 1

    def link(self, sender: Station, receiver: Station) -> tuple[float, float]:
        """Give signal strength (dBm) and signal-to-noise ratio (dB) from one to another now."""
        rssi_dbm = self._rssi_dbm(sender, receiver)
        return rssi_dbm, rssi_dbm - sender.preset.noise_dbm

    def transmit(self, station: Station, frame: Any, frame_bytes: int) -> Transmission:
        """Send a frame; what the station was receiving is lost."""
        if not station.powered:
            raise LoraError(f"expected station {station.number} to have power; found it off")
        if station.sending is not None:
            raise LoraError(f"expected station {station.number} to be free; found it sending")
        station.sent_count += 1
        self.transmissions += 1
        transmission = Transmission(station, frame, frame_bytes, station.sent_count, self.env.now)
        self._drop_followed(station, Outcome.BUSY)
        station.deaf = False
        station.sending = transmission
        noise_dbm = station.preset.noise_dbm
        signals = transmission.signals
        for receiver, rssi_dbm in self._in_earshot(station):
            signal = Signal(transmission, receiver, rssi_dbm, rssi_dbm - noise_dbm)
            signals.append(signal)
            self._arrive(receiver, signal)
        done = self.env.timeout(transmission.airtime_us / 1e6, transmission)
        done.callbacks.append(self._end)
        return transmission

    def switch_over(self, station: Station) -> None:
        """Stop listening, on the way to sending."""
        self._drop_followed(station, Outcome.BUSY)
        station.deaf = True

    def listen(self, station: Station) -> None:
        """Take `switch_over` back: nothing is to be sent after all."""
        station.deaf = False
        self._look_again(station)

    def power(self, station: Station, on: bool) -> None:
        """Switch a station; off cuts what it sends and loses what it receives."""
        if station.powered == on:
            return
        station.powered = on
        if on:
            return
        self._lose_all(station, Outcome.OFF)
        station.deaf = False
        transmission = station.sending
        if transmission is not None:
            transmission.cut = True
            self._finish(transmission)

    # -- strengths -----------------------------------------------------------------------------
    def _rssi_dbm(self, sender: Station, receiver: Station) -> float:
        place, other = sender.place(), receiver.place()
        shadow_db = self._shadowing.loss_db(
            sender.number,
            place if sender.moving else None,
            receiver.number,
            other if receiver.moving else None,
        )
        gains_db = sender.antenna_gain_dbi + receiver.antenna_gain_dbi
        return sender.tx_power_dbm + gains_db - self._path_loss(place, other) - shadow_db

    def _in_earshot(self, sender: Station) -> list[tuple[Station, float]]:
        """Stations that a transmission matters to: strengths of fixed pairs are kept."""
        if sender.neighbours_of != self._generation:
            sender.neighbours_of = self._generation
            sender.neighbours = self._list_neighbours(sender)
        if not sender.moving and not any(math.isnan(rssi) for _, rssi in sender.neighbours):
            return sender.neighbours
        floor_dbm = _earshot_dbm(sender.preset)
        heard = []
        for receiver, rssi_dbm in sender.neighbours:
            if math.isnan(rssi_dbm):
                rssi_dbm = self._rssi_dbm(sender, receiver)
                if rssi_dbm < floor_dbm:
                    continue
            heard.append((receiver, rssi_dbm))
        return heard

    def _list_neighbours(self, sender: Station) -> list[tuple[Station, float]]:
        """Fixed stations in earshot with their strength, moving ones with NaN for "ask"."""
        floor_dbm = _earshot_dbm(sender.preset)
        neighbours = []
        for receiver in self.stations.values():
            if receiver is sender or receiver.preset != sender.preset:
                continue
            if sender.moving or receiver.moving:
                neighbours.append((receiver, math.nan))
                continue
            rssi_dbm = self._rssi_dbm(sender, receiver)
            if rssi_dbm >= floor_dbm:
                neighbours.append((receiver, rssi_dbm))
        return neighbours

    # -- reception -----------------------------------------------------------------------------
    def _arrive(self, station: Station, signal: Signal) -> None:
        station.signals.append(signal)
        if not station.powered:
            signal.loss = Outcome.OFF
            return
        if station.sending is not None or station.deaf:
            signal.loss = Outcome.BUSY
            return
        if not station.detects(signal):
            signal.loss = Outcome.WEAK
        followed = station.following
        if followed is None:
            if signal.loss is None:
                self._follow(station, signal)
            return
        if followed.rssi_dbm - signal.rssi_dbm >= CAPTURE_DB:
            signal.loss = signal.loss or Outcome.COLLISION
            return
        stronger = signal.rssi_dbm - followed.rssi_dbm >= CAPTURE_DB
        if stronger and signal.loss is None and self.env.now < followed.transmission.payload_s:
            followed.loss = Outcome.COLLISION
            self._follow(station, signal)
            return
        followed.hit = True
        signal.loss = signal.loss or Outcome.COLLISION

    def _follow(self, station: Station, signal: Signal) -> None:
        """Lock on to a frame; others that last beyond its early preamble may spoil it."""
        station.following = signal
        signal.loss = None
        critical_s = signal.transmission.critical_s
        for other in station.signals:
            if (
                other is not signal
                and signal.rssi_dbm - other.rssi_dbm < CAPTURE_DB
                and other.transmission.end_s > critical_s
            ):
                signal.hit = True
                return

    def _look_again(self, station: Station) -> None:
        """A receiver that came free finds the strongest frame whose preamble still lasts."""
        if not station.powered or station.sending is not None or station.deaf:
            return
        now_s = self.env.now
        found = [
            signal
            for signal in station.signals
            if now_s <= signal.transmission.critical_s and station.detects(signal)
        ]
        if found:
            self._follow(station, max(found, key=lambda signal: signal.rssi_dbm))

    def _drop_followed(self, station: Station, loss: Outcome) -> None:
        followed = station.following
        if followed is not None:
            followed.loss = loss
            station.following = None

    def _lose_all(self, station: Station, loss: Outcome) -> None:
        station.following = None
        for signal in station.signals:
            signal.loss = loss

    def _end(self, event: simpy.Event) -> None:
        transmission: Any = event.value
        if not transmission.over:
            self._finish(transmission)

    def _finish(self, transmission: Transmission) -> None:
        transmission.over = True
        sender = transmission.station
        sender.sending = None
        if sender.signals:
            self._look_again(sender)
        ended = [self._part(signal) for signal in transmission.signals]
        transmission.signals = []  # else each would hold the other until the collector comes
        now_s = self.env.now
        for signal, followed, outcome in ended:
            for observe in self.on_outcome:
                observe(now_s, signal, outcome)
            if not followed:
                continue
            if outcome is Outcome.OK:
                signal.station.listener.received(transmission.frame, signal)
            else:
                signal.station.listener.spoiled(signal)
        sender.listener.sent(transmission)

    def _part(self, signal: Signal) -> tuple[Signal, bool, Outcome]:
        """Take a signal off its station: was it followed, and what became of it?"""
        station = signal.station
        station.signals.remove(signal)
        if station.following is not signal:
            return signal, False, signal.loss or Outcome.COLLISION
        station.following = None
        outcome = self._judge(signal)
        if station.signals:
            self._look_again(station)
        return signal, True, outcome

    def _judge(self, signal: Signal) -> Outcome:
        transmission = signal.transmission
        if transmission.cut:
            return Outcome.OFF
        if signal.hit:
            return Outcome.COLLISION
        error = frame_error(transmission.preset, signal.snr_db, transmission.frame_bytes)
        if error and error > uniform(
            self._seed, transmission.station.number, transmission.number, signal.station.number
        ):
            return Outcome.WEAK
        return Outcome.OK


def _earshot_dbm(preset: Preset) -> float:
    return preset.noise_dbm + preset.snr_limit_db - EARSHOT_MARGIN_DB
