"""Secrets of sessions and tickets: `vtg_<kind>_<secret>_<check>`.

As device keys (`server.devices.key`): prefix and check let a scanner of leaked secrets find one,
and let the gateway turn away what is none without asking anybody. 256 random bits need no slow
hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from server.devices.key import CHECK_LENGTH, SECRET_BYTES, SECRET_LENGTH, base62, check

COOKIE = "vtg_ses_"
REFRESH = "vtg_rft_"
TICKET = "vtg_tkt_"


def make_secret(prefix: str, random: Callable[[int], bytes]) -> str:
    """Make a secret of one of the kinds."""
    body = prefix + base62(int.from_bytes(random(SECRET_BYTES), "big"), SECRET_LENGTH)
    return f"{body}_{check(body)}"


def is_secret(prefix: str, text: str) -> bool:
    """Tell whether a text is well formed; says nothing about whether anybody knows it."""
    if len(text) != len(prefix) + SECRET_LENGTH + 1 + CHECK_LENGTH or not text.isascii():
        return False
    body, _, end = text.rpartition("_")
    return text.startswith(prefix) and check(body) == end


def hashed(secret: str) -> bytes:
    """Give what is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()
