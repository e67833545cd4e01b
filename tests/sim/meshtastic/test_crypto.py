"""Keys, hashes and ciphertext are those of real radios."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.meshtastic import crypto


def test_one_byte_stands_for_a_key() -> None:
    """0 is no key, 1 the public one, 2 the same with its last byte one higher."""
    assert crypto.expand_key(b"\0") == b""
    assert crypto.expand_key(b"\1") == crypto.DEFAULT_KEY
    assert crypto.expand_key(b"\2") == crypto.DEFAULT_KEY[:-1] + b"\2"


def test_keys_of_other_lengths_are_filled_up() -> None:
    """A key of 5 bytes becomes one of 16, one of 20 bytes one of 32."""
    assert crypto.expand_key(b"short") == b"short" + bytes(11)
    assert len(crypto.expand_key(bytes(20))) == 32
    assert crypto.expand_key(b"") == b""


@pytest.mark.parametrize(("name", "psk"), [("LongFast", b"\1"), ("car", bytes(range(32)))])
def test_channel_hash_is_that_of_the_library(name: str, psk: bytes) -> None:
    """The library computes it for `--info` in the same way."""
    util = pytest.importorskip("meshtastic.util", reason="the package meshtastic is not installed")
    assert crypto.channel_hash(name, crypto.expand_key(psk)) == util.generate_channel_hash(
        name, psk
    )


def test_hash_of_the_public_channel_is_8() -> None:
    """Every radio with factory settings on LongFast sends 0x08 in its header."""
    assert crypto.channel_hash("LongFast", crypto.DEFAULT_KEY) == 8


@given(st.binary(max_size=239), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_channel_encryption_is_undone_with_the_same_key(
    payload: bytes, sender: int, packet_id: int
) -> None:
    """Counter mode: encrypting twice gives the plain text."""
    key = crypto.DEFAULT_KEY
    once = crypto.encrypt_channel(key, sender, packet_id, payload)
    assert len(once) == len(payload)
    assert crypto.encrypt_channel(key, sender, packet_id, once) == payload
    assert crypto.encrypt_channel(b"", sender, packet_id, payload) == payload


def test_channel_ciphertext_has_the_firmwares_nonce() -> None:
    """Packet id (64 bits), sender (32 bits), counter 0, little endian: computed independently."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    nonce = (0x11223344).to_bytes(8, "little") + (0xA1B2C3D4).to_bytes(4, "little") + bytes(4)
    cipher = Cipher(algorithms.AES(bytes(16)), modes.CTR(nonce)).encryptor()
    assert crypto.encrypt_channel(bytes(16), 0xA1B2C3D4, 0x11223344, b"hello") == cipher.update(
        b"hello"
    )


def test_a_public_key_belongs_to_its_private_key() -> None:
    """The same each time, another one for another key."""
    assert crypto.public_key(bytes(range(32))) == crypto.public_key(bytes(range(32)))
    assert crypto.public_key(bytes(range(32))) != crypto.public_key(bytes(range(1, 33)))
