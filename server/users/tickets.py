"""One-time tickets, with which a page opens a WebSocket: `?ticket=`.

A page cannot set headers of a WebSocket, and a token in an address ends up in logs. A ticket in
there is worth nothing afterwards: it counts once, for half a minute, on the gateway that gave it;
where many gateways share a database (`SharedTickets`), on any of them.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable

import asyncpg
import msgspec

from server.answers import Refusal
from server.clock import Clock
from server.users.principal import Principal
from server.users.secret import TICKET, hashed, is_secret, make_secret

LIFE_S = 30.0
TICKETS_LIMIT = 10_000
TICKETS_LIMIT_EACH = 100
"""Of one principal, at a time."""


class Tickets:
    """Tickets that were given and not used.

    Args:
        clock: monotonic time.
        random: gives that many random bytes.
    """

    def __init__(self, clock: Clock, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._clock = clock
        self._random = random
        # In order of expiry: all live equally long.
        self._given: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

    def give(self, principal: Principal) -> str:
        """Make a ticket for somebody who was admitted.

        Raises:
            Refusal: 429, too many were given and not used.
        """
        self._forget_old()
        same = sum(1 for _, given in self._given.values() if given == principal)
        if same >= TICKETS_LIMIT_EACH or len(self._given) >= TICKETS_LIMIT:
            raise _too_many()
        ticket = make_secret(TICKET, self._random)
        self._given[hashed(ticket)] = (self._clock.monotonic_s() + LIFE_S, principal)
        return ticket

    def take(self, ticket: str) -> Principal | None:
        """Give whose ticket it is, once; None where it is none, was used, or is too old."""
        self._forget_old()
        if not is_secret(TICKET, ticket):
            return None
        _, principal = self._given.pop(hashed(ticket), (0.0, None))
        return principal

    def clear(self) -> None:
        """Let none count any more."""
        self._given.clear()

    def _forget_old(self) -> None:
        now_s = self._clock.monotonic_s()
        while self._given:
            sha256, (end_s, _) = next(iter(self._given.items()))
            if end_s > now_s:
                return
            del self._given[sha256]


class SharedTickets:
    """Tickets in a table, for whichever gateway the WebSocket reaches.

    Args:
        pool: connections.
        clock: the instants; those of the gateways may differ by a part of LIFE_S.
        random: gives that many random bytes.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        clock: Clock,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._random = random

    async def give(self, principal: Principal) -> str:
        """Make a ticket for somebody who was admitted.

        Raises:
            Refusal: 429, too many were given and not used.
            STORE_ERRORS: it is not kept.
        """
        ticket = make_secret(TICKET, self._random)
        now_ns = self._clock.now_ns()
        done = await self._pool.execute(
            _GIVE,
            hashed(ticket),
            _encoder.encode(principal).decode(),
            now_ns,
            now_ns + round(LIFE_S * 1e9),
            TICKETS_LIMIT_EACH,
            TICKETS_LIMIT,
        )
        if not done.endswith(" 1"):
            raise _too_many()
        return ticket

    async def take(self, ticket: str) -> Principal | None:
        """Give whose ticket it is, once; None where it is none, was used, or is too old.

        Raises:
            STORE_ERRORS: nobody knows.
        """
        if not is_secret(TICKET, ticket):
            return None
        row = await self._pool.fetchrow(
            "DELETE FROM tickets WHERE sha256 = $1 RETURNING principal, expires_ns", hashed(ticket)
        )
        if row is None or row["expires_ns"] <= self._clock.now_ns():
            return None
        return msgspec.json.decode(row["principal"], type=Principal)


_encoder = msgspec.json.Encoder(order="deterministic")
_GIVE = """
    WITH old AS (DELETE FROM tickets WHERE expires_ns <= $3)
    INSERT INTO tickets (sha256, principal, expires_ns) SELECT $1, $2::text, $4::bigint
    WHERE (SELECT count(*) FROM tickets WHERE principal = $2::text AND expires_ns > $3) < $5
      AND (SELECT count(*) FROM tickets WHERE expires_ns > $3) < $6
"""


def _too_many() -> Refusal:
    headers = {"retry-after": f"{LIFE_S:.0f}"}
    expected = f"at most {TICKETS_LIMIT_EACH} tickets that are not used"
    return Refusal(429, "tickets", expected, "one more", headers=headers)
