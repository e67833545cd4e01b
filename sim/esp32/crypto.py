"""The mathematics that the chip does in hardware: digests, big powers, AES-GCM."""

from __future__ import annotations

import hashlib

TAG_BYTES = 16


def sha256(data: bytes) -> bytes:
    """Return the digest, 32 bytes."""
    return hashlib.sha256(data).digest()


def sha512(data: bytes) -> bytes:
    """Return the digest, 64 bytes."""
    return hashlib.sha512(data).digest()


def mod_exp(base: bytes, exponent: bytes, modulus: bytes) -> bytes:
    """Return base ** exponent % modulus, big endian, as long as the modulus."""
    numbers = (int.from_bytes(number, "big") for number in (base, exponent, modulus))
    return pow(*numbers).to_bytes(len(modulus), "big")


def aes_gcm_seal(key: bytes, nonce: bytes, plain: bytes) -> bytes:
    """Return the cipher text and its tag."""
    # Here and not above: boards that are never provisioned need no cryptography library.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key).encrypt(nonce, plain, None)


def aes_gcm_open(key: bytes, nonce: bytes, sealed: bytes) -> bytes | None:
    """Return the plain text; None when the tag does not fit."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(sealed) < TAG_BYTES:
        return None
    try:
        return AESGCM(key).decrypt(nonce, sealed, None)
    except InvalidTag:
        return None
