"""Who asks: the operator with the API secret, or a device with its key; both in `X-API-Key`."""

from __future__ import annotations

import hashlib
import hmac
import math

from starlette.requests import HTTPConnection

from server.answers import Refusal
from server.clock import Clock
from server.devices.rate import Rate
from server.devices.refused_keys import KeyRefusal, RefusedKeys
from server.devices.registry import Device, Registry

HEADER = "X-API-Key"
INVALID = "Invalid API key"
"""Text that clients of older systems look for."""
NO_SECRET = (
    "the API secret, and none is configured: set [api] secret or TELERIG_API_SECRET to 16 "
    "characters or more, "
    "for example from: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
)
FAILURES_PER_S = 1.0
FAILURES_BURST = 100.0
"""Wrong secrets that an address may try: so many, then one a second."""
BURST_S = 10
"""A device that was silent may send so many seconds' requests at once: it catches up."""
_CHALLENGE = {"www-authenticate": f'ApiKey header="{HEADER}", Bearer realm="telerig"'}


class Access:
    """Checks keys of requests.

    Args:
        registry: knows the devices.
        secret: the operator's; None lets no operator in.
        clock: for rates.
        refused: told of each key that is refused.
        requests_per_s: of one device; 0: as many as it likes.
    """

    def __init__(
        self,
        registry: Registry,
        secret: str | None,
        clock: Clock,
        refused: RefusedKeys,
        requests_per_s: int = 0,
    ) -> None:
        self._refused = refused
        self._requests = Rate(requests_per_s, requests_per_s * BURST_S, clock)
        self._failures = Rate(FAILURES_PER_S, FAILURES_BURST, clock)
        self._registry = registry
        self._secret = None if secret is None else _hash(secret)

    def operator(self, connection: HTTPConnection) -> None:
        """Let the operator pass.

        Raises:
            Refusal: 401 for anybody else, 429 where the peer has tried too many secrets.
        """
        # The right secret first, in constant time: who guesses, behind the same proxy perhaps, must
        # not lock the operator out.
        if self.is_operator(connection):
            return
        if HEADER in connection.headers:
            self.refused("is not the API secret", connection)
            wait_s = self._failures.take(address(connection))
            _check_rate(wait_s, "fewer wrong secrets from one address")
        raise unauthorized(self.secret_expected, connection)

    @property
    def secret_expected(self) -> str:
        """What to say to somebody who should have sent the API secret."""
        return "the API secret" if self._secret else NO_SECRET

    def is_operator(self, connection: HTTPConnection) -> bool:
        """Tell whether the request carries the API secret."""
        key = connection.headers.get(HEADER)
        return (
            key is not None
            and self._secret is not None
            and hmac.compare_digest(_hash(key), self._secret)
        )

    async def device(self, connection: HTTPConnection) -> Device:
        """Give the device whose key the request carries.

        Raises:
            Refusal: 401 where the key is missing, unknown, revoked or expired; 429 where the
                device asks too often.
            STORE_ERRORS: the registry cannot be read.
        """
        device, _ = await self.device_and_key(connection)
        return device

    async def device_and_key(self, connection: HTTPConnection) -> tuple[Device, int | None]:
        """As `device`, with the id of the key; None for a key of the configuration."""
        key = connection.headers.get(HEADER)
        found = await self._registry.identify(key) if key else None
        if found is None:
            if key:
                self._refused.note(self._registry.why_refused(key), address(connection))
            raise unauthorized("a live key of an active device", connection)
        wait_s = self._requests.take(found[0].id)
        _check_rate(wait_s, "fewer requests a second of one device")
        return found

    def refused(self, why: str, connection: HTTPConnection) -> None:
        """Leave a trace of a key that is no device's, and was refused."""
        self._refused.note(KeyRefusal(why), address(connection))

    async def reader(self, connection: HTTPConnection, device: str) -> None:
        """Let pass who may see a device: the operator, and the device itself.

        Raises:
            Refusal: 401 for anybody else.
        """
        if self.is_operator(connection):
            return
        found = await self.device(connection)
        if found.id != device:
            raise unauthorized("the API secret, or a key of that device", connection)


def address(connection: HTTPConnection) -> str:
    """Give the address of who asks."""
    return connection.client.host[:64] if connection.client is not None else ""


def unauthorized(expected: str, connection: HTTPConnection) -> Refusal:
    """Make the refusal of a request without the right key; never shows the key that came."""
    found = "another key" if HEADER in connection.headers else "no such header"
    return Refusal(401, HEADER, expected, found, detail=INVALID, headers=_CHALLENGE)


def _check_rate(wait_s: float, expected: str) -> None:
    if wait_s:
        headers = {"retry-after": str(math.ceil(wait_s))}
        raise Refusal(429, "rate", expected, "more", headers=headers)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
