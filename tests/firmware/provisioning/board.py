"""A board for provisioning's tests: the hardware layer on lists, hashlib and cryptography."""

from __future__ import annotations

import hashlib
import random
from collections import deque
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from firmware_stubs import hal as layer
from firmware_stubs.provisioning.provisioner import Provisioner

HOME = ("Home", b"\x02\x00\x00\x00\x00\x01", 6, -48, 3)
CAFE = ("Café", b"\x02\x00\x00\x00\x00\x02", 11, -71, 0)
PASSPHRASE = "correct horse"


@dataclass(frozen=True)
class Reply:
    """What the board answered over its access point."""

    status: int
    headers: dict[str, str]
    body: bytes


class Board(layer.Hal):
    """Everything that provisioning asks of a board; its clock goes when a test says so."""

    def __init__(self, seed: int = 1, nvs: dict[str, bytes] | None = None) -> None:
        self.now_ms = 0
        self.chance = random.Random(seed)
        self.nvs = dict(nvs or {})
        self.uncommitted = False
        self.ap_name: str | None = None
        self.requests: deque[tuple[int, bytes, str, bytes]] = deque()
        self.replies: dict[int, Reply] = {}
        self.lines: list[str] = []
        self.console_out = bytearray()
        self.console_room = 1 << 30
        self.networks: list[tuple[str, bytes, int, int, int]] = [CAFE, HOME]
        self.passphrases = {"Home": PASSPHRASE, "Café": ""}
        self.joins: list[tuple[str, str]] = []
        self.join_takes_ms = 500
        self.powers = 0

    def ticks_ms(self) -> int:
        return self.now_ms

    def random(self, n: int) -> bytes:
        return self.chance.randbytes(n)

    def log(self, level: int, text: str) -> None:
        self.lines.append(text)

    def console_write(self, data: bytes) -> int:
        taken = data[: self.console_room]
        self.console_out += taken
        return len(taken)

    def wifi_connect(self, ssid: str, passphrase: str) -> None:
        self.joins.append((ssid, passphrase))
        self._join_ms = self.now_ms

    def wifi_disconnect(self) -> None:
        self._join_ms = None

    _join_ms: int | None = None

    def wifi_state(self) -> int:
        if self._join_ms is None:
            return layer.WIFI_IDLE
        if self.now_ms - self._join_ms < self.join_takes_ms:
            return layer.WIFI_CONNECTING
        ssid, passphrase = self.joins[-1]
        if ssid not in [network[0] for network in self.networks]:
            return layer.WIFI_NOT_FOUND
        if self.passphrases[ssid] != passphrase:
            return layer.WIFI_AUTH_FAILED
        return layer.WIFI_CONNECTED

    def wifi_scan(self) -> list[tuple[str, bytes, int, int, int]]:
        return list(self.networks)

    def ap_start(self, ssid: str) -> None:
        self.ap_name = ssid

    def ap_stop(self) -> None:
        self.ap_name = None

    def ap_receive(self) -> tuple[int, bytes, str, bytes] | None:
        return self.requests.popleft() if self.requests else None

    def ap_reply(
        self, connection: int, status: int, headers: list[tuple[str, str]], body: bytes
    ) -> None:
        assert connection not in self.replies, "two answers to one request"
        self.replies[connection] = Reply(status, dict(headers), body)

    def nvs_get(self, key: str) -> bytes | None:
        assert len(key) <= 15
        return self.nvs.get(key)

    def nvs_set(self, key: str, value: bytes) -> None:
        assert len(key) <= 15
        assert isinstance(value, bytes)
        self.nvs[key] = value
        self.uncommitted = True

    def nvs_erase(self, key: str) -> None:
        if self.nvs.pop(key, None) is not None:
            self.uncommitted = True

    def nvs_commit(self) -> None:
        self.uncommitted = False

    def sha512(self, data: bytes) -> bytes:
        return hashlib.sha512(data).digest()

    def mod_exp(self, base: bytes, exponent: bytes, modulus: bytes) -> bytes:
        self.powers += 1
        numbers = [int.from_bytes(part, "big") for part in (base, exponent, modulus)]
        return pow(numbers[0], numbers[1], numbers[2]).to_bytes(len(modulus), "big")

    def aes_gcm_seal(self, key: bytes, nonce: bytes, plain: bytes) -> bytes:
        assert len(key) == 32
        return AESGCM(key).encrypt(nonce, plain, None)

    def aes_gcm_open(self, key: bytes, nonce: bytes, sealed: bytes) -> bytes | None:
        try:
            return AESGCM(key).decrypt(nonce, sealed, None)
        except InvalidTag:
            return None


@dataclass
class Rig:
    """A board that is being provisioned, and hands to use it."""

    board: Board = field(default_factory=Board)
    settings: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def __post_init__(self) -> None:
        self.provisioner = Provisioner(self.board, self.settings)
        self.provisioner.start()

    def poll(self, ms: int = 0) -> None:
        """Let the time go on, polling every 20 ms, and until nothing is to do at once."""
        end_ms = self.board.now_ms + ms
        while True:
            while self.provisioner.poll() == 0:
                pass
            if self.board.now_ms >= end_ms:
                return
            self.board.now_ms += 20

    def post(self, endpoint: str, body: bytes, cookie: bytes = b"") -> Reply:
        """Send a request to the access point and give the answer."""
        self.count += 1
        self.board.requests.append((self.count, cookie, "/" + endpoint, body))
        self.poll()
        return self.board.replies[self.count]

    def reset(self) -> None:
        """Restart the board: only what was committed to NVS is left."""
        assert not self.board.uncommitted
        self.board = Board(seed=self.board.chance.getrandbits(32), nvs=self.board.nvs)
        self.__post_init__()
