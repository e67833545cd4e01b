"""The board's Wi-Fi as a station, and the air around it.

Covers: association, a wrong passphrase, a network out of reach, an outage and how late the station
notices, loss and delay that grow with the distance. TCP, TLS and DHCP are not modelled apart: an
association includes the address, and what gets lost is a whole request or answer that TCP gave up.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import simpy

from sim.network import Way

IDLE, CONNECTING, CONNECTED, AUTH_FAILED, NOT_FOUND = range(5)
OPEN = 0
WPA2 = 3

SCAN_S = 2.0  # all channels, passively
REFUSAL_S = 3.0  # four tries of the handshake with a wrong key
BEACON_TIMEOUT_S = 6.0  # ESP-IDF gives a silent access point up after so long
WEAK_DBM = -75.0  # from here on loss grows …
DEAF_DBM = -92.0  # … up to here, where nothing is heard
WEAK_LOSS = 0.6  # at the edge


@dataclass(frozen=True, slots=True)
class Network:
    """An access point in reach of the car."""

    ssid: str = "telerig"
    passphrase: str = "drive safely"
    rssi_dbm: float = -60.0
    channel: int = 6
    authmode: int = WPA2
    bssid: bytes = bytes.fromhex("5ccf7f000001")


@dataclass(frozen=True, slots=True)
class WifiSetup:
    """The air around the boards.

    Attributes:
        networks: what can be joined.
        latency_s: shortest and longest time of one way through the air and the network behind.
        loss: probability that a request gets lost, and the same for its answer.
        associate_s: shortest and longest time to join a network and to have an address.
    """

    networks: tuple[Network, ...] = (Network(),)
    latency_s: tuple[float, float] = (0.015, 0.060)
    loss: float = 0.0
    associate_s: tuple[float, float] = (1.0, 2.5)


class Air:
    """What all boards of a world share: whether the networks can be heard.

    Attributes:
        out: nothing is heard.
        fade_db: weakens every signal.
        loss: of each way, beside the loss of a weak signal.
        network: behind the access point.
    """

    def __init__(self, setup: WifiSetup) -> None:
        self.setup = setup
        self.out = False
        self.fade_db = 0.0
        self.loss = setup.loss
        self.network = Way()
        self.on_change: list[Callable[[], None]] = []

    def heard(self) -> list[tuple[Network, float]]:
        """Return the networks that a station hears, the strongest first, with their dBm."""
        if self.out:
            return []
        levels = [(network, network.rssi_dbm - self.fade_db) for network in self.setup.networks]
        return sorted(
            ((network, level) for network, level in levels if level > DEAF_DBM),
            key=lambda pair: -pair[1],
        )

    def change(self, *, out: bool | None = None, fade_db: float | None = None) -> None:
        """Let the networks vanish, weaken or come back."""
        self.out = self.out if out is None else out
        self.fade_db = self.fade_db if fade_db is None else fade_db
        for callback in self.on_change:
            callback()


class Station:
    """One board's radio.

    Args:
        env: the world's clock.
        air: around it.
        rng: its own draws.
        on_change: called when the state has changed.
    """

    def __init__(
        self, env: simpy.Environment, air: Air, rng: random.Random, on_change: Callable[[], None]
    ) -> None:
        self.state = IDLE
        self._env = env
        self._air = air
        self._rng = rng
        self._on_change = on_change
        self._ssid = ""
        self._attempt = 0  # answers to what was given up come to nothing
        air.on_change.append(self._air_changed)

    @property
    def network(self) -> Way:
        """What lies between the access point and the gateway."""
        return self._air.network

    @property
    def level_dbm(self) -> float | None:
        """How strong the joined network is heard; None when it is not."""
        levels = [level for network, level in self._air.heard() if network.ssid == self._ssid]
        return levels[0] if levels and self.state == CONNECTED else None

    def connect(self, ssid: str, passphrase: str) -> None:
        """Begin to join."""
        self._ssid = ssid
        self._set(CONNECTING)
        self._attempt += 1
        found = [network for network, _ in self._air.heard() if network.ssid == ssid]
        if not found:
            self._later(SCAN_S, NOT_FOUND)
        elif found[0].authmode != OPEN and found[0].passphrase != passphrase:
            self._later(REFUSAL_S, AUTH_FAILED)
        else:
            low_s, high_s = self._air.setup.associate_s
            self._later(low_s + (high_s - low_s) * self._rng.random(), CONNECTED)

    def disconnect(self) -> None:
        """Leave, or stop trying; nobody is told, for the caller knows."""
        self._attempt += 1
        self.state = IDLE

    def scan(self) -> list[tuple[str, bytes, int, int, int]]:
        """Return what is heard now, each level with the scatter of a single beacon."""
        return [
            (n.ssid, n.bssid, n.channel, round(level + self._rng.gauss(0.0, 2.0)), n.authmode)
            for n, level in self._air.heard()
        ]

    def one_way_s(self) -> float | None:
        """Return how long a request or an answer travels now; None for one that is lost."""
        level_dbm = self.level_dbm
        chance, spread = self._rng.random(), self._rng.random()
        if level_dbm is None:
            return None
        weakness = max(0.0, (WEAK_DBM - level_dbm) / (WEAK_DBM - DEAF_DBM))
        if chance < self._air.loss + WEAK_LOSS * weakness:
            return None
        low_s, high_s = self._air.setup.latency_s
        return (low_s + (high_s - low_s) * spread) * (1.0 + 4.0 * weakness)

    def _later(self, delay_s: float, state: int) -> None:
        attempt = self._attempt

        def arrive(_event: simpy.Event) -> None:
            if attempt != self._attempt:
                return
            if state == CONNECTED and not self._can_hear():
                self._set(NOT_FOUND)
            else:
                self._set(state)

        event = self._env.timeout(delay_s)
        event.callbacks.append(arrive)

    def _can_hear(self) -> bool:
        return any(network.ssid == self._ssid for network, _ in self._air.heard())

    def _air_changed(self) -> None:
        if self.state == CONNECTED and not self._can_hear():
            attempt = self._attempt

            def give_up(_event: simpy.Event) -> None:
                if attempt == self._attempt and self.state == CONNECTED and not self._can_hear():
                    self._set(IDLE)

            event = self._env.timeout(BEACON_TIMEOUT_S)
            event.callbacks.append(give_up)

    def _set(self, state: int) -> None:
        if state != self.state:
            self.state = state
            self._on_change()
