"""Endpoints, sessions and refusals: what all transports of provisioning share."""

from firmware_stubs.hal import WARNING, Hal
from firmware_stubs.provisioning.faults import Fault
from firmware_stubs.provisioning.security2 import (
    CLOSED,
    OPEN,
    Security2,
    WrongProofError,
)

TYPE_CHECKING = False  # MicroPython has no typing; a checker takes this name for True
if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Handler = Callable[[bytes], bytes]
    Session = tuple[str, int]

MAX_BODY_BYTES = 4096
OFFERED_IDLE_MS = 5000  # a client that began a handshake and went away holds the device so long
OPEN_IDLE_MS = 15000  # and one with a session so long
FREE_ATTEMPTS = 5  # wrong passwords before the first pause
FIRST_PAUSE_MS = 10000
LONGEST_PAUSE_MS = 900000

VERSION_ENDPOINT = "proto-ver"
SESSION_ENDPOINT = "prov-session"
# Written out: MicroPython's dictionaries keep no order, and answers shall not differ by it.
VERSION_TEXT = '{"prov": {"ver": "v1.1", "sec_ver": 2, "sec_patch_ver": 1, "cap": ["wifi_scan"]}}'


class Core:
    """Takes requests of any transport and gives their answers.

    ESP-IDF lets a new client throw out the one that is there; here a session that is in use is
    kept, and the new client is told to come back.

    Args:
        security: the one session.
        endpoints: name -> function from plain request to plain answer; it may raise Fault.
    """

    def __init__(self, hal: Hal, security: Security2, endpoints: "dict[str, Handler]") -> None:
        self._hal = hal
        self._security = security
        self._endpoints = endpoints
        self.owner: Session | None = None
        self._used_ms = 0
        self._wrong_proofs = 0
        self._blocked_until_ms = 0

    def request(
        self, session: "Session", endpoint: str, body: bytes
    ) -> "Generator[None, None, bytes]":
        """Answer a request; yields while it computes, returns the answer or raises Fault.

        Args:
            session: what tells this client from others: the transport and a number.
            endpoint: name of the endpoint.
            body: as it came.
        """
        if not 0 < len(body) <= MAX_BODY_BYTES:
            raise Fault(500, f"body: expected 1 to {MAX_BODY_BYTES} bytes, got {len(body)}")
        if endpoint == VERSION_ENDPOINT:
            return VERSION_TEXT.encode()
        if endpoint == SESSION_ENDPOINT:
            self._admit(session)
            return (yield from self._shake(body))
        handler = self._endpoints.get(endpoint)
        if handler is None:
            raise Fault(404, "no such endpoint")
        self._admit(session)
        plain = self._security.unseal(body)
        return self._security.seal(handler(plain))

    def _admit(self, session: "Session") -> None:
        now = self._hal.ticks_ms()
        if self.owner != session:
            if self._busy(now):
                raise Fault(503, "another client is provisioning this device")
            self._security.close()
            self.owner = session
        self._used_ms = now

    def _busy(self, now: int) -> bool:
        state = self._security.state
        if self.owner is None or state == CLOSED:
            return False
        return now - self._used_ms < (OPEN_IDLE_MS if state == OPEN else OFFERED_IDLE_MS)

    def _shake(self, body: bytes) -> "Generator[None, None, bytes]":
        if self._hal.ticks_ms() < self._blocked_until_ms:
            raise Fault(429, "too many wrong passwords")
        try:
            answer = yield from self._security.shake(body)
        except WrongProofError:
            self._count_wrong_proof()
            raise
        self._used_ms = self._hal.ticks_ms()
        if self._security.state == OPEN:
            self._wrong_proofs = 0
        return answer

    def _count_wrong_proof(self) -> None:
        self._wrong_proofs += 1
        over = self._wrong_proofs - FREE_ATTEMPTS
        if over >= 0:
            pause_ms = min(FIRST_PAUSE_MS << min(over, 16), LONGEST_PAUSE_MS)
            self._blocked_until_ms = self._hal.ticks_ms() + pause_ms
            self._hal.log(WARNING, f"provisioning: wrong password, pausing {pause_ms // 1000} s")

    def retry_after_s(self, fault: Fault) -> int:
        """Give the seconds after which a client that was told 429 or 503 may come back."""
        now = self._hal.ticks_ms()
        if fault.status == 429:
            return max(1, (self._blocked_until_ms - now + 999) // 1000)
        idle = OPEN_IDLE_MS if self._security.state == OPEN else OFFERED_IDLE_MS
        return max(1, (self._used_ms + idle - now + 999) // 1000)
