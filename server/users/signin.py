"""Names and passwords become users; whoever tries many is slowed down.

Wrong passwords are counted for the address, for the account, and for both together. The account's
count holds for addresses that it is not signed in from: somebody who guesses elsewhere cannot lock
it out. A right password is not counted. The counts are token buckets by the gateway's clock, of a
bounded number of names (`server.devices.rate`).
"""

from __future__ import annotations

import ipaddress
import math

import structlog
from starlette.requests import HTTPConnection

from server.answers import Refusal
from server.clock import Clock
from server.devices.access import address
from server.devices.rate import Rate
from server.users.accounts import Accounts
from server.users.audit import Audit
from server.users.directory import Directory, User

log = structlog.get_logger("telerig.users")

WRONG = "Incorrect username or password"
ADDRESS_BURST, ADDRESS_PER_S = 30, 0.2
BOTH_BURST, BOTH_PER_S = 10, 1 / 30
ACCOUNT_BURST, ACCOUNT_PER_S = 30, 1 / 30
PREFIX_BITS = 64
"""An IPv6 network of this size is one sender: each has at least so many addresses."""

_Counts = list[tuple[Rate, str]]


class SignIn:
    """Checks names and passwords.

    Args:
        accounts: has the passwords.
        directory: knows from where users are signed in.
        audit: is told.
        clock: for the counts.
    """

    def __init__(
        self, accounts: Accounts, directory: Directory, audit: Audit, clock: Clock
    ) -> None:
        self._accounts = accounts
        self._directory = directory
        self._audit = audit
        self._by_address = Rate(ADDRESS_PER_S, ADDRESS_BURST, clock)
        self._by_both = Rate(BOTH_PER_S, BOTH_BURST, clock)
        self._by_account = Rate(ACCOUNT_PER_S, ACCOUNT_BURST, clock)

    async def user(self, connection: HTTPConnection, name: str, password: str) -> User:
        """Give the user of a name and password.

        Raises:
            Refusal: 401, the one or the other is wrong; 429, too many were.
            STORE_ERRORS: the users cannot be read.
        """
        where = address(connection)
        await self._directory.fresh()
        taken = self._take(name, where)
        try:
            user = await self._accounts.with_password(name, password)
        except BaseException:
            _give_back(taken)
            raise
        if user is None:
            self._note(name, where, "refused: name or password")
            log.warning("sign-in refused", user=name[:64], address=where)
            raise Refusal(
                401,
                "password",
                "the name and password of an active user",
                "others",
                detail=WRONG,
                headers={"www-authenticate": 'Bearer realm="telerig"'},
            )
        _give_back(taken)
        self._note(user.name, where, "done")
        return user

    def _note(self, name: str, where: str, outcome: str) -> None:
        self._audit.note(name, "password", where, "sign in", name, outcome)

    def _counts(self, name: str, where: str) -> _Counts:
        account, network = name.lower()[:64], network_of(where)
        counts = [(self._by_address, network), (self._by_both, f"{account}\0{network}")]
        user = self._directory.named(name)
        sessions = self._directory.sessions_of(user.id) if user is not None else []
        if where not in {session.address for session in sessions}:
            counts.append((self._by_account, account))
        return counts

    def _take(self, name: str, where: str) -> _Counts:
        """Count an attempt as a wrong one until it is known to be right."""
        counts = self._counts(name, where)
        wait_s = max(rate.wait_s(of) for rate, of in counts)
        if wait_s > 0:
            self._note(name, where, "refused: too many wrong ones")
            headers = {"retry-after": str(math.ceil(wait_s))}
            raise Refusal(429, "rate", "fewer wrong passwords", "more", headers=headers)
        for rate, of in counts:
            rate.take(of)
        return counts


def _give_back(taken: _Counts) -> None:
    for rate, of in taken:
        rate.give_back(of)


def network_of(text: str) -> str:
    """Give what counts as one sender: an IPv4 address, or a network of IPv6."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return text
    if isinstance(found, ipaddress.IPv4Address):
        return text
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), PREFIX_BITS), strict=False))
