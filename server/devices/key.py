"""Device keys: `vtg_dev_<device>_<secret>_<check>`.

The prefix and the check let scanners of leaked secrets find a key without asking anybody. The
secret has 256 random bits; a plain SHA-256 of it is therefore enough to keep.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from typing import Self

import msgspec

PREFIX = "vtg_dev_"
SECRET_BYTES = 32
SECRET_LENGTH = 43  # digits of base 62 for 256 bits
CHECK_LENGTH = 6  # digits of base 62 for 32 bits
DEVICE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_IN_TEXT = re.compile(r"vtg_[a-z]+_[^/?&\s]+")
"""A secret of this gateway, whatever its kind: a device's key, a refresh token."""
LENGTH_LIMIT = len(PREFIX) + 64 + SECRET_LENGTH + CHECK_LENGTH + 2

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Key(msgspec.Struct, frozen=True):
    """The parts of a key that is well formed; says nothing about whether anybody knows it."""

    device: str
    secret: str

    @classmethod
    def make(cls, device: str, random: bytes) -> Self:
        """Make the key of a device from SECRET_BYTES random bytes."""
        if len(random) != SECRET_BYTES:
            raise ValueError(f"expected {SECRET_BYTES} random bytes, got {len(random)}")
        return cls(device, base62(int.from_bytes(random, "big"), SECRET_LENGTH))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Take a key apart; None where it is none, or mistyped."""
        if len(text) > LENGTH_LIMIT or not text.startswith(PREFIX) or not text.isascii():
            return None
        body, _, end = text.rpartition("_")
        device, _, secret = body.removeprefix(PREFIX).rpartition("_")
        if len(secret) != SECRET_LENGTH or end != check(body):
            return None
        return cls(device, secret) if DEVICE_ID.fullmatch(device) else None

    @property
    def sha256(self) -> bytes:
        """Hash of the secret: what is kept."""
        return hashlib.sha256(self.secret.encode()).digest()

    def __str__(self) -> str:
        body = f"{PREFIX}{self.device}_{self.secret}"
        return f"{body}_{check(body)}"

    def __repr__(self) -> str:
        return f"Key({self.device!r}, secret=…)"


def without_secrets(text: str) -> str:
    """Give a text for the log: secrets of a gateway that stand in it are left out."""
    return _IN_TEXT.sub("…", text)


def check(body: str) -> str:
    """Give the digits that tell a mistyped text from one that was made here."""
    return base62(zlib.crc32(body.encode()), CHECK_LENGTH)


def base62(number: int, length: int) -> str:
    """Give a number as so many letters and digits."""
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
