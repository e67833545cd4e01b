"""SRP-6a as ESP-IDF's protocomm computes it: the device's side.

The 3072-bit group of RFC 5054 with g = 5, and SHA-512. Powers and hashes come from the hardware
layer; the few multiplications modulo N are small enough for MicroPython's integers.

Numbers go into hashes without leading zeros (the host's tools strip them), except where 384 bytes
are called for. So that nothing depends on it, a salt or a public key B that begins with a zero
byte is never used.
"""

from firmware_stubs.hal import Hal

TYPE_CHECKING = False  # MicroPython has no typing; a checker takes this name for True
if TYPE_CHECKING:
    from collections.abc import Iterator

N_BYTES = bytes.fromhex(
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
    "08e24fa074e5ab3143db5bfce0fd108e4b82d120a93ad2caffffffffffffffff"
)
G_BYTES = b"\x05"
KEY_BYTES = 384
SALT_BYTES = 16
HASH_BYTES = 64
SECRET_BYTES = 32


class ForbiddenKeyError(Exception):
    """The client's public key is one that SRP forbids."""


def strip(data: bytes) -> bytes:
    """Give the bytes of a number without its leading zeros."""
    start = 0
    while start < len(data) and data[start] == 0:
        start += 1
    return data[start:]


def pad(data: bytes) -> bytes:
    """Give the bytes of a number as 384 bytes."""
    return bytes(KEY_BYTES - len(data)) + data


def same(left: bytes, right: bytes) -> bool:
    """Say whether two byte strings are equal, in a time that does not tell where they differ."""
    if len(left) != len(right):
        return False
    difference = 0
    for index in range(len(left)):
        difference |= left[index] ^ right[index]
    return difference == 0


def make_salt(hal: Hal) -> bytes:
    """Give a random salt that begins with no zero byte."""
    while True:
        salt = hal.random(SALT_BYTES)
        if salt[0]:
            return salt


def make_verifier(hal: Hal, user: bytes, password: bytes, salt: bytes) -> bytes:
    """Give v = g^x with x = H(salt | H(user:password)), 384 bytes."""
    inner = strip(hal.sha512(user + b":" + password))
    return hal.mod_exp(G_BYTES, hal.sha512(salt + inner), N_BYTES)


class Exchange:
    """One key exchange: from the client's public key to both proofs."""

    def __init__(self, hal: Hal, salt: bytes, verifier: bytes) -> None:
        self._hal = hal
        self._verifier = verifier
        self.salt = salt
        self.username = b""
        self.client_public = b""
        self.public = b""
        self.key = b""

    def run(self, username: bytes, client_public: bytes) -> "Iterator[None]":
        """Compute our public key and the session key; yield after each power (slow on a chip)."""
        hal = self._hal
        modulus = int.from_bytes(N_BYTES, "big")
        client_number = int.from_bytes(client_public, "big")
        if client_number % modulus == 0:
            raise ForbiddenKeyError("the client's public key is 0 modulo N")
        self.username = username
        self.client_public = client_public
        k = int.from_bytes(hal.sha512(N_BYTES + pad(G_BYTES)), "big")
        kv = k * int.from_bytes(self._verifier, "big") % modulus
        while True:
            secret = hal.random(SECRET_BYTES)
            power = int.from_bytes(hal.mod_exp(G_BYTES, secret, N_BYTES), "big")
            yield
            self.public = ((kv + power) % modulus).to_bytes(KEY_BYTES, "big")
            if self.public[0]:
                break
        u = hal.sha512(client_public + self.public)
        if not strip(u):
            raise ForbiddenKeyError("the scrambling number u is 0")
        power = int.from_bytes(hal.mod_exp(self._verifier, u, N_BYTES), "big")
        yield
        base = (client_number * power % modulus).to_bytes(KEY_BYTES, "big")
        self.key = hal.sha512(strip(hal.mod_exp(base, secret, N_BYTES)))
        yield

    def client_proof(self) -> bytes:
        """Give M, the proof that a client who knows the password sends."""
        sha512 = self._hal.sha512
        hash_n = sha512(N_BYTES)
        hash_g = sha512(pad(G_BYTES))
        mixed = bytes([hash_n[i] ^ hash_g[i] for i in range(HASH_BYTES)])
        return sha512(
            mixed + sha512(self.username) + self.salt + self.client_public + self.public + self.key
        )

    def device_proof(self, client_proof: bytes) -> bytes:
        """Give the proof that this device knows the verifier."""
        return self._hal.sha512(self.client_public + client_proof + self.key)
