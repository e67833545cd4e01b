"""The hardware layer: all that the logger needs from the board under it.

A board subclasses `Hal`: the world's ESP32 does it in simulated time, a real ESP32 with
MicroPython on its own drivers (docs/porting.md), a test with lists. No method waits: each gives
at once what is there, and the logger calls again on its next `poll()`.

Instants are milliseconds since reset (`ticks_ms`) or UTC milliseconds since 1970 (`utc_ms`).
Numbers are whole, text is str, everything that goes over a wire is bytes.
"""

WIFI_IDLE = 0
WIFI_CONNECTING = 1
WIFI_CONNECTED = 2
WIFI_AUTH_FAILED = 3
WIFI_NOT_FOUND = 4

# Levels of `log`, as in Python's logging.
DEBUG = 10
INFO = 20
WARNING = 30
ERROR = 40

SECTOR_BYTES = 4096  # what flash_erase erases


class Hal:
    """What a board offers. Every method returns at once."""

    # --- time, chance, reset ---

    def ticks_ms(self) -> int:
        """Give the milliseconds since reset; it never goes back and does not wrap."""
        raise NotImplementedError

    def utc_ms(self) -> int:
        """Give the board's UTC, milliseconds since 1970; 0 while it is not known."""
        raise NotImplementedError

    def set_utc_ms(self, ms: int, source: str) -> None:
        """Set the board's UTC; `source` is "gnss", "network" or "gateway"."""
        raise NotImplementedError

    def random(self, n: int) -> bytes:
        """Give `n` random bytes, good enough for keys."""
        raise NotImplementedError

    def reset(self, reason: str) -> None:
        """Restart the board; `reset_reason` gives `reason` afterwards. May return before it."""
        raise NotImplementedError

    def reset_reason(self) -> str:
        """Tell why the board started: "power-on", "watchdog", "brown-out", "command"."""
        raise NotImplementedError

    def log(self, level: int, text: str) -> None:
        """Show a line to whoever watches the board; may drop it."""
        raise NotImplementedError

    # --- the car's CAN bus, 500 kbit/s, 11-bit identifiers ---

    def can_send(self, arbitration_id: int, data: bytes) -> bool:
        """Queue a frame of at most 8 bytes; False when the controller cannot take it now."""
        raise NotImplementedError

    def can_receive(self) -> tuple[int, bytes, int] | None:
        """Give the oldest received frame as (identifier, data, ticks_ms of its end), or None.

        The controller's filter passes 7E8 to 7EF; other frames may come and are ignored. A frame
        with no data and identifier -1 tells of a bus error.
        """
        raise NotImplementedError

    # --- the GNSS receiver's UART ---

    def gnss_read(self) -> bytes:
        """Give the bytes that came since the last call; b"" when none did."""
        raise NotImplementedError

    def gnss_write(self, data: bytes) -> None:
        """Send bytes to the receiver."""
        raise NotImplementedError

    # --- the USB console ---

    def console_read(self) -> bytes:
        """Give the bytes that the host sent since the last call; b"" when it sent none."""
        raise NotImplementedError

    def console_write(self, data: bytes) -> int:
        """Send bytes to the host and give how many were taken; the rest is offered again."""
        raise NotImplementedError

    # --- Wi-Fi as a station ---

    def wifi_connect(self, ssid: str, passphrase: str) -> None:
        """Begin to join a network; `wifi_state` tells how it goes."""
        raise NotImplementedError

    def wifi_disconnect(self) -> None:
        """Leave the network, or stop trying."""
        raise NotImplementedError

    def wifi_state(self) -> int:
        """Give one of the WIFI_ constants."""
        raise NotImplementedError

    def wifi_scan(self) -> list[tuple[str, bytes, int, int, int]]:
        """Give the networks heard as (ssid, bssid of 6 bytes, channel, rssi in dBm, authmode).

        authmode as ESP-IDF numbers it: 0 open, 1 WEP, 2 WPA, 3 WPA2, 4 WPA/WPA2, 6 WPA3.
        """
        raise NotImplementedError

    # --- HTTP as a client, one request at a time ---

    def http_start(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> int:
        """Begin a request and give its handle, a number above 0."""
        raise NotImplementedError

    def http_poll(self, handle: int) -> tuple[int, bytes] | None:
        """Give (status, body) of the answer, (0, reason) of a failure, or None: not yet.

        The handle is used up by an answer or a failure. An answer longer than 16 KiB is a failure.
        """
        raise NotImplementedError

    def http_cancel(self, handle: int) -> None:
        """Give up a request; nothing of it comes any more."""
        raise NotImplementedError

    # --- Wi-Fi as an access point with an HTTP server on port 80 (provisioning) ---

    def ap_start(self, ssid: str) -> None:
        """Open a network of this name, without a passphrase, and listen."""
        raise NotImplementedError

    def ap_stop(self) -> None:
        """Close the network."""
        raise NotImplementedError

    def ap_receive(self) -> tuple[int, bytes, str, bytes] | None:
        """Give a POST as (connection, Cookie header or b"", path, body), or None; at most 4 KiB."""
        raise NotImplementedError

    def ap_reply(
        self, connection: int, status: int, headers: list[tuple[str, str]], body: bytes
    ) -> None:
        """Answer the request that came on this connection."""
        raise NotImplementedError

    # --- settings in non-volatile storage (keys of at most 15 characters) ---

    def nvs_get(self, key: str) -> bytes | None:
        """Give the value of a key, None when it is not set."""
        raise NotImplementedError

    def nvs_set(self, key: str, value: bytes) -> None:
        """Set a key; it survives a reset after `nvs_commit`."""
        raise NotImplementedError

    def nvs_erase(self, key: str) -> None:
        """Remove a key if it is there."""
        raise NotImplementedError

    def nvs_commit(self) -> None:
        """Make all changes so far survive a reset, all of them or none."""
        raise NotImplementedError

    # --- the queue's flash partition ---

    def flash_size(self) -> int:
        """Give the bytes of the partition, a multiple of SECTOR_BYTES; 0 when there is none."""
        raise NotImplementedError

    def flash_read(self, offset: int, n: int) -> bytes:
        """Give `n` bytes."""
        raise NotImplementedError

    def flash_write(self, offset: int, data: bytes) -> None:
        """Clear the bits that are 0 in `data`; bits that are 0 already stay so (NOR flash)."""
        raise NotImplementedError

    def flash_erase(self, offset: int) -> None:
        """Set every bit of the sector that begins at `offset`."""
        raise NotImplementedError

    # --- mathematics that a board does in hardware or in C ---

    def sha256(self, data: bytes) -> bytes:
        """Give the digest, 32 bytes."""
        raise NotImplementedError

    def sha512(self, data: bytes) -> bytes:
        """Give the digest, 64 bytes."""
        raise NotImplementedError

    def mod_exp(self, base: bytes, exponent: bytes, modulus: bytes) -> bytes:
        """Give base ** exponent % modulus, big endian, as long as the modulus."""
        raise NotImplementedError

    def aes_gcm_seal(self, key: bytes, nonce: bytes, plain: bytes) -> bytes:
        """Encrypt: the cipher text, then a tag of 16 bytes. No additional data."""
        raise NotImplementedError

    def aes_gcm_open(self, key: bytes, nonce: bytes, sealed: bytes) -> bytes | None:
        """Decrypt what `aes_gcm_seal` gave; None when the tag does not fit."""
        raise NotImplementedError
