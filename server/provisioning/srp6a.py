"""SRP-6a as ESP-IDF computes it: the client's side. 3072-bit group of RFC 5054, g = 5, SHA-512.

Devices hash numbers without their leading zero bytes, and so does the tool that makes their
verifiers (the inner hash of x, too). A device wants the client's public key with all its 384
bytes, so one that is shorter is never used.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

G = 5
KEY_BYTES = 384
SECRET_BYTES = 32
N = int(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74"
    "020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437"
    "4fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed"
    "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf05"
    "98da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb"
    "9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b"
    "e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf695581718"
    "3995497cea956ae515d2261898fa051015728e5a8aaac42dad33170d04507a33"
    "a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7"
    "abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864"
    "d87602733ec86a64521f2b18177b200cbbe117577a615d6c770988c0bad946e2"
    "08e24fa074e5ab3143db5bfce0fd108e4b82d120a93ad2caffffffffffffffff",
    16,
)


class ForbiddenKeyError(ValueError):
    """The device's public key is one that SRP forbids: it proves nothing."""


def sha512(*parts: bytes) -> bytes:
    """Hash the parts one after the other."""
    return hashlib.sha512(b"".join(parts)).digest()


def padded(number: int) -> bytes:
    """Write a number with 384 bytes."""
    return number.to_bytes(KEY_BYTES, "big")


def private_key(user: bytes, password: bytes, salt: bytes, *, strip: bool = True) -> int:
    """Give x; `strip` leaves out the leading zeros of the inner hash, as Espressif's tools do."""
    inner = sha512(user, b":", password)
    return int.from_bytes(sha512(salt, inner.lstrip(b"\0") if strip else inner), "big")


class Srp6aClient:
    """One exchange: our public key out, the device's in, then both proofs.

    Args:
        user: name at the device.
        password: of that user.
        random: gives so many random bytes.
        strip: see `private_key`.

    Attributes:
        public: our public key.
        key: the session key, once the device's public key has come.
        zeros_met: a number began with a zero byte, where implementations differ.
    """

    def __init__(
        self, user: bytes, password: bytes, random: Callable[[int], bytes], *, strip: bool = True
    ) -> None:
        self._user, self._password, self._strip = user, password, strip
        self.public = b"\0"
        while self.public[0] == 0:
            self._secret = int.from_bytes(random(SECRET_BYTES), "big")
            self.public = padded(pow(G, self._secret, N))
        self.key = b""
        self.zeros_met = False
        self._proof = b""

    def proof(self, salt: bytes, device_public: bytes) -> bytes:
        """Take the device's salt and public key; give the proof that we know the password.

        Raises:
            ForbiddenKeyError: the key is 0 modulo N, too long, or gives u = 0.
        """
        b = int.from_bytes(device_public, "big")
        if len(device_public) > KEY_BYTES or b % N == 0:
            raise ForbiddenKeyError("the device's public key is 0 modulo N, or too long")
        u = int.from_bytes(sha512(self.public, padded(b)), "big")
        if u == 0:
            raise ForbiddenKeyError("the scrambling number u is 0")
        k = int.from_bytes(sha512(padded(N), padded(G)), "big")
        x = private_key(self._user, self._password, salt, strip=self._strip)
        shared = padded(pow(b - k * pow(G, x, N), self._secret + u * x, N))
        inner = sha512(self._user, b":", self._password)
        self.zeros_met = 0 in (shared[0], inner[0], *salt[:1], device_public[0])
        self.key = sha512(shared.lstrip(b"\0"))
        mixed = bytes(a ^ b for a, b in zip(sha512(padded(N)), sha512(padded(G)), strict=True))
        self._proof = sha512(mixed, sha512(self._user), salt, self.public, device_public, self.key)
        return self._proof

    def check(self, device_proof: bytes) -> bool:
        """Say whether the device has proven that it knows the verifier."""
        expected = sha512(self.public, self._proof, self.key)
        return hmac.compare_digest(expected, device_proof)
