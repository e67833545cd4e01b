"""Keys of channels and nodes, and what a channel's packets are on the air.

Source: firmware, src/mesh/CryptoEngine.cpp and Channels.cpp. The channel itself carries packets in
plain together with the identity of their key; this is computed only for those who have no key.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

DEFAULT_KEY = bytes.fromhex("d4f1bb3a20290759f0bcffabcf4e6901")  # Channels.h: defaultpsk
KEY_BYTES = 32  # of X25519


def expand_key(psk: bytes) -> bytes:
    """Return the key that `psk` stands for: 16 or 32 bytes, or none where nothing is encrypted.

    One byte is an index: 0 no encryption, 1 the public default key, n that key with its last byte
    n - 1 higher. Others are filled up with zeros.
    """
    if len(psk) == 1:
        if psk[0] == 0:
            return b""
        return DEFAULT_KEY[:-1] + bytes([(DEFAULT_KEY[-1] + psk[0] - 1) & 0xFF])
    if not psk or len(psk) in (16, 32):
        return psk
    return psk.ljust(16 if len(psk) < 16 else 32, b"\0")


def channel_hash(name: str, key: bytes) -> int:
    """Return the byte by which packets of a channel are told: all bytes of name and key, xored."""
    value = 0
    for byte in name.encode() + key:
        value ^= byte
    return value


def encrypt_channel(key: bytes, sender: int, packet_id: int, payload: bytes) -> bytes:
    """Encrypt, or decrypt, with AES-CTR; without a key nothing changes."""
    if not key:
        return payload
    nonce = packet_id.to_bytes(8, "little") + sender.to_bytes(4, "little") + bytes(4)
    encryptor = Cipher(algorithms.AES(key), modes.CTR(nonce)).encryptor()
    return encryptor.update(payload) + encryptor.finalize()


def public_key(private_key: bytes) -> bytes:
    """Return the public half of an X25519 key."""
    return X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def token_key(token: object) -> bytes:
    """Return an AES key for a channel whose key is only a name in the world."""
    return hashlib.sha256(f"key {token!r}".encode()).digest()[:16]
