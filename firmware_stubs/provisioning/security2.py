"""Security scheme 2 of protocomm, patch version 1: one session at a time, then sealed messages.

The nonce is 8 random bytes and a counter that goes up after every message sealed and every
message opened, so no nonce is used twice and a replayed message does not open.
"""

from firmware_stubs.hal import Hal
from firmware_stubs.provisioning import messages
from firmware_stubs.provisioning.faults import Fault
from firmware_stubs.provisioning.srp import KEY_BYTES, Exchange, ForbiddenKeyError, same

TYPE_CHECKING = False  # MicroPython has no typing; a checker takes this name for True
if TYPE_CHECKING:
    from collections.abc import Generator

CLOSED = 0
OFFERED = 1  # our public key went out; the client's proof is awaited
OPEN = 2

PROOF_BYTES = 64
CIPHER_KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
COUNTER_END = 1 << 32
USERNAME_MAX_BYTES = 64


class WrongProofError(Fault):
    """The client does not know the password (or the user) of this device."""


class Security2:
    """The state of the one session."""

    def __init__(self, hal: Hal, salt: bytes, verifier: bytes) -> None:
        self._hal = hal
        self._salt = salt
        self._verifier = verifier
        self._exchange: Exchange | None = None
        self._key = b""
        self._prefix = b""
        self.counter = 0
        self.state = CLOSED

    def close(self) -> None:
        """Forget the session and its keys."""
        self._exchange = None
        self._key = b""
        self._prefix = b""
        self.counter = 0
        self.state = CLOSED

    def shake(self, body: bytes) -> "Generator[None, None, bytes]":
        """Answer one message of the handshake; yields while it computes."""
        kind, first, second = messages.read_session(body)
        if kind == messages.COMMAND0:
            return (yield from self._offer(first, second))
        return self._prove(first)

    def _offer(self, username: bytes, client_public: bytes) -> "Generator[None, None, bytes]":
        self.close()
        if len(client_public) != KEY_BYTES:
            raise Fault(500, f"client_pubkey: expected {KEY_BYTES} bytes, got {len(client_public)}")
        if not 0 < len(username) <= USERNAME_MAX_BYTES:
            longest = USERNAME_MAX_BYTES
            raise Fault(500, f"client_username: expected 1 to {longest}, got {len(username)} bytes")
        exchange = Exchange(self._hal, self._salt, self._verifier)
        try:
            yield from exchange.run(username, client_public)
        except ForbiddenKeyError as error:
            raise Fault(500, str(error)) from error
        self._exchange = exchange
        self.state = OFFERED
        return messages.session_response0(exchange.public, exchange.salt)

    def _prove(self, proof: bytes) -> bytes:
        exchange = self._exchange
        if exchange is None:
            raise Fault(500, "proof of the client: expected after command 0, came without one")
        if len(proof) != PROOF_BYTES:
            # Not a guess at the password, so it costs the session and no attempt.
            self.close()
            raise Fault(500, f"client_proof: expected {PROOF_BYTES} bytes, got {len(proof)}")
        if not same(exchange.client_proof(), proof):
            # Only one guess for each key exchange.
            self.close()
            raise WrongProofError(500, "wrong user or password")
        answer = exchange.device_proof(proof)
        self._key = exchange.key[:CIPHER_KEY_BYTES]
        self._prefix = self._hal.random(NONCE_BYTES - 4)
        self.counter = 1
        self._exchange = None
        self.state = OPEN
        return messages.session_response1(answer, self._nonce())

    def _nonce(self) -> bytes:
        return self._prefix + self.counter.to_bytes(4, "big")

    def _check_open(self) -> None:
        if self.state != OPEN:
            raise Fault(500, "no secure session")
        if self.counter >= COUNTER_END:
            self.close()
            raise Fault(500, "the session's nonces are used up: start a new one")

    def unseal(self, sealed: bytes) -> bytes:
        """Give the plain text of a message of this session."""
        self._check_open()
        if len(sealed) < TAG_BYTES:
            raise Fault(500, f"sealed message: expected a tag of {TAG_BYTES} bytes")
        plain = self._hal.aes_gcm_open(self._key, self._nonce(), sealed)
        if plain is None:
            raise Fault(500, "sealed message: the tag does not fit (altered, replayed or cut)")
        self.counter += 1
        return plain

    def seal(self, plain: bytes) -> bytes:
        """Give a message of this session."""
        self._check_open()
        sealed = self._hal.aes_gcm_seal(self._key, self._nonce(), plain)
        self.counter += 1
        return sealed
