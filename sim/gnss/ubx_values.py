"""Configuration by key and value: UBX-CFG-VALSET and VALGET of chips from protocol 27 on.

Source: u-blox M9 SPG 4.04 interface description (UBX-21022436), chapter "Configuration interface".
Keys that the model does not know are taken and have no effect; they cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Protocol

from sim.gnss.controls import Controls

RATE_MEAS, UART1_BAUD = 0x30210001, 0x40520001
# Protocols in and out, by port: UBX; NMEA is the next key.
UART1, USB = 1, 3
IN_KEYS: Mapping[int, int] = MappingProxyType({UART1: 0x10730001, USB: 0x10770001})
OUT_KEYS: Mapping[int, int] = MappingProxyType({UART1: 0x10740001, USB: 0x10780001})
VALUE_BYTES: Mapping[int, int] = MappingProxyType({1: 1, 2: 1, 3: 2, 4: 4, 5: 8})  # bits 28-30
MOST_KEYS = 64  # of one VALGET

# CFG-MSGOUT: the key of the first port (I2C); UART1, UART2, USB and SPI follow.
MESSAGE_KEYS: Mapping[str, int] = MappingProxyType({
    "RMC": 0x209100AB, "VTG": 0x209100B0, "GGA": 0x209100BA, "GSA": 0x209100BF,
    "GSV": 0x209100C4, "GLL": 0x209100C9, "GST": 0x209100D3, "ZDA": 0x209100D8,
    "GBS": 0x209100DD,
    "NAV-PVT": 0x20910006, "NAV-SAT": 0x20910015, "NAV-STATUS": 0x2091001A,
    "NAV-POSECEF": 0x20910024, "NAV-POSLLH": 0x20910029, "NAV-DOP": 0x20910038,
    "NAV-VELECEF": 0x2091003D, "NAV-VELNED": 0x20910042, "NAV-TIMEGPS": 0x20910047,
    "NAV-TIMEUTC": 0x2091005B, "NAV-TIMELS": 0x20910060, "NAV-EOE": 0x2091015F,
})  # fmt: skip


class Port(Protocol):
    """What of the chip's port these keys reach (see UbloxDialect)."""

    @property
    def port(self) -> int: ...
    @property
    def masks(self) -> tuple[int, int]: ...
    def set_masks(self, inputs: int, outputs: int, receiver: Controls) -> None: ...
    def set_baud(self, baud: int, receiver: Controls) -> bool: ...
    def set_period(self, period_ms: int, receiver: Controls) -> bool: ...


class UbxValues:
    """The keys that the model knows, at the port of the host."""

    def __init__(self, port: Port) -> None:
        self._port = port
        number = port.port
        self._messages = {key + number: name for name, key in MESSAGE_KEYS.items()}
        # Key to (0 in or 1 out, bit of the mask).
        self._protocols = {
            keys[number] + bit: (side, bit)
            for side, keys in enumerate((IN_KEYS, OUT_KEYS))
            for bit in range(2)
        }

    def set(self, pairs: bytes, receiver: Controls) -> bool:
        """Set keys to values; False when they are cut short, or one cannot be."""
        return all(
            value is not None and self._set(key, value, receiver) for key, value in _pairs(pairs)
        )

    def read(self, payload: bytes, receiver: Controls) -> bytes | None:
        """Return the answer to VALGET; None when a key is not known or the request is none."""
        keys = payload[4:]
        if len(payload) < 8 or len(keys) % 4 or len(keys) > 4 * MOST_KEYS or payload[0] != 0:
            return None
        answer = b"\1" + payload[1:4]
        for at in range(0, len(keys), 4):
            key = int.from_bytes(keys[at : at + 4], "little")
            value = self._get(key, receiver)
            if value is None:
                return None
            answer += keys[at : at + 4] + value.to_bytes(VALUE_BYTES[key >> 28 & 7], "little")
        return answer

    def _set(self, key: int, value: int, receiver: Controls) -> bool:
        if key == RATE_MEAS:
            return self._port.set_period(value, receiver)
        if key == UART1_BAUD:
            return self._port.port != UART1 or self._port.set_baud(value, receiver)
        if key in self._messages:
            return receiver.set_every(self._messages[key], value)
        if key in self._protocols:
            side, bit = self._protocols[key]
            masks = list(self._port.masks)
            masks[side] = masks[side] & ~(1 << bit) | (value & 1) << bit
            self._port.set_masks(masks[0], masks[1], receiver)
        return True

    def _get(self, key: int, receiver: Controls) -> int | None:
        if key == RATE_MEAS:
            return round(1000.0 / receiver.rate_hz)
        if key == UART1_BAUD:
            return receiver.baud
        if key in self._messages:
            return receiver.every(self._messages[key])
        if key in self._protocols:
            side, bit = self._protocols[key]
            return self._port.masks[side] >> bit & 1
        return None


def _pairs(data: bytes) -> Iterator[tuple[int, int | None]]:
    """Yield (key, value); the value is None where it is cut short or of no size."""
    while data:
        key = int.from_bytes(data[:4], "little")
        size = VALUE_BYTES.get(key >> 28 & 7, 0)
        whole = size and len(data) >= 4 + size
        yield key, int.from_bytes(data[4 : 4 + size], "little") if whole else None
        data = data[4 + size :] if whole else b""
