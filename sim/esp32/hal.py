"""The hardware layer of one board, as `firmware_stubs.hal` describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware_stubs.hal import Hal
from sim.esp32 import crypto
from sim.esp32.boot_log import log_line
from sim.esp32.http_client import HttpRequest

if TYPE_CHECKING:
    from sim.esp32.board import Board


class BoardHal(Hal):
    """What the firmware sees of a `Board`; a new one for each start."""

    def __init__(self, board: Board) -> None:
        self._board = board

    # -- time, chance, reset -----------------------------------------------------------------------
    def ticks_ms(self) -> int:
        return self._board.ticks_ms()

    def utc_ms(self) -> int:
        return self._board.utc_ms()

    def set_utc_ms(self, ms: int, source: str) -> None:
        self._board.set_utc_ms(ms, source)

    def random(self, n: int) -> bytes:
        return self._board.entropy.randbytes(n)

    def reset(self, reason: str) -> None:
        self._board.ask_reset(reason)

    def reset_reason(self) -> str:
        return self._board.reset_reason

    def log(self, level: int, text: str) -> None:
        self._board.console.write(log_line(level, self.ticks_ms(), text))

    # -- CAN ---------------------------------------------------------------------------------------
    def can_send(self, arbitration_id: int, data: bytes) -> bool:
        return self._board.can.send(arbitration_id, bytes(data))

    def can_receive(self) -> tuple[int, bytes, int] | None:
        return self._board.can.receive()

    # -- GNSS and console --------------------------------------------------------------------------
    def gnss_read(self) -> bytes:
        return self._board.gnss.read()

    def gnss_write(self, data: bytes) -> None:
        self._board.gnss.write(bytes(data))

    def console_read(self) -> bytes:
        return self._board.console.read()

    def console_write(self, data: bytes) -> int:
        return self._board.console.write(bytes(data))

    # -- Wi-Fi as a station ------------------------------------------------------------------------
    def wifi_connect(self, ssid: str, passphrase: str) -> None:
        self._board.station.connect(ssid, passphrase)

    def wifi_disconnect(self) -> None:
        self._board.station.disconnect()

    def wifi_state(self) -> int:
        return self._board.station.state

    def wifi_scan(self) -> list[tuple[str, bytes, int, int, int]]:
        return self._board.station.scan()

    # -- HTTP --------------------------------------------------------------------------------------
    def http_start(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> int:
        return self._board.http.start(HttpRequest(method, url, tuple(headers), bytes(body)))

    def http_poll(self, handle: int) -> tuple[int, bytes] | None:
        return self._board.http.poll(handle)

    def http_cancel(self, handle: int) -> None:
        self._board.http.cancel(handle)

    # -- the access point --------------------------------------------------------------------------
    def ap_start(self, ssid: str) -> None:
        self._board.soft_ap.start(ssid)

    def ap_stop(self) -> None:
        self._board.soft_ap.stop()

    def ap_receive(self) -> tuple[int, bytes, str, bytes] | None:
        return self._board.soft_ap.receive()

    def ap_reply(
        self, connection: int, status: int, headers: list[tuple[str, str]], body: bytes
    ) -> None:
        self._board.soft_ap.reply(connection, status, headers, bytes(body))

    # -- settings and flash ------------------------------------------------------------------------
    def nvs_get(self, key: str) -> bytes | None:
        return self._board.nvs.get(key)

    def nvs_set(self, key: str, value: bytes) -> None:
        self._board.nvs.set(key, value)

    def nvs_erase(self, key: str) -> None:
        self._board.nvs.erase(key)

    def nvs_commit(self) -> None:
        self._board.nvs.commit()

    def flash_size(self) -> int:
        return self._board.flash.size_bytes

    def flash_read(self, offset: int, n: int) -> bytes:
        return self._board.flash.read(offset, n)

    def flash_write(self, offset: int, data: bytes) -> None:
        self._board.flash.write(offset, bytes(data))

    def flash_erase(self, offset: int) -> None:
        self._board.flash.erase(offset)

    # -- mathematics -------------------------------------------------------------------------------
    def sha256(self, data: bytes) -> bytes:
        return crypto.sha256(data)

    def sha512(self, data: bytes) -> bytes:
        return crypto.sha512(data)

    def mod_exp(self, base: bytes, exponent: bytes, modulus: bytes) -> bytes:
        return crypto.mod_exp(base, exponent, modulus)

    def aes_gcm_seal(self, key: bytes, nonce: bytes, plain: bytes) -> bytes:
        return crypto.aes_gcm_seal(key, nonce, plain)

    def aes_gcm_open(self, key: bytes, nonce: bytes, sealed: bytes) -> bytes | None:
        return crypto.aes_gcm_open(key, nonce, sealed)
