"""What the chip computes in hardware."""

from __future__ import annotations

from typing import Any

import pytest


def test_digests_are_those_of_the_standards(bench: Any) -> None:
    """FIPS 180: of "abc"."""
    assert bench.hal.sha256(b"abc").hex().startswith("ba7816bf8f01cfea")
    assert bench.hal.sha512(b"abc").hex().startswith("ddaf35a193617aba")


def test_a_power_is_as_long_as_its_modulus(bench: Any) -> None:
    """With zeros before it."""
    assert bench.hal.mod_exp(b"\x04", b"\x0d", b"\x01\xf1") == b"\x01\xbd"
    assert bench.hal.mod_exp(b"\x02", b"\x01", b"\x01\xf1") == b"\x00\x02"


def test_aes_gcm_opens_what_it_sealed_and_nothing_else(bench: Any) -> None:
    """Test case 14 of the GCM specification, and a flipped bit."""
    pytest.importorskip("cryptography", reason="needs the library cryptography")
    sealed = bench.hal.aes_gcm_seal(bytes(32), bytes(12), bytes(16))
    expected = "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
    assert sealed.hex() == expected
    assert bench.hal.aes_gcm_open(bytes(32), bytes(12), sealed) == bytes(16)
    broken = bytes([sealed[0] ^ 1]) + sealed[1:]
    assert bench.hal.aes_gcm_open(bytes(32), bytes(12), broken) is None
    assert bench.hal.aes_gcm_open(bytes(32), bytes(12), b"short") is None
