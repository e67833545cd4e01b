"""The people of a gateway, as one object: `gateway.users`."""

from __future__ import annotations

import asyncpg

from server.clock import Clock
from server.users.accounts import Accounts
from server.users.audit import Audit
from server.users.config import UsersConfig
from server.users.directory import Directory
from server.users.password import Passwords
from server.users.principal import Principal
from server.users.sessions import Sessions
from server.users.setup import Setup
from server.users.signin import SignIn
from server.users.tickets import SharedTickets, Tickets
from server.users.tokens import Tokens


class Users:
    """Everything about users.

    Args:
        pool: connections; used when somebody first comes with a token, cookie or password.
        config: how people sign in.
        clock: for expiry and instants.
        is_kept: there is a database.

    Attributes:
        directory: what is known of users, sessions and keys.
        accounts: makes and changes users.
        sessions: of browsers and refresh tokens.
        tokens: for programs.
        tickets: for WebSockets.
        audit: who did what.
        sign_in: names and passwords.
        setup: the first admin.
    """

    def __init__(
        self, pool: asyncpg.Pool, config: UsersConfig, clock: Clock, *, is_kept: bool = True
    ) -> None:
        self._config = config
        self._pool = pool
        self._clock = clock
        self._shared: SharedTickets | None = None
        self._passwords = Passwords()
        self.directory = Directory(pool, clock)
        self.accounts = Accounts(self.directory, self._passwords, clock)
        self.sessions = Sessions(self.directory, config, clock)
        self.tokens = Tokens(self.directory, config, clock)
        self.tickets = Tickets(clock)
        self.audit = Audit(pool, clock, is_kept=is_kept)
        self.sign_in = SignIn(self.accounts, self.directory, self.audit, clock)
        self.setup = Setup(self.accounts, clock)

    def share(self) -> None:
        """Count on other gateways on the same database: sessions begin there too, and a ticket of
        one is shown to another."""
        self.directory.share()
        self._shared = SharedTickets(self._pool, self._clock)

    async def give_ticket(self, principal: Principal) -> str:
        """Make a ticket for somebody who was admitted.

        Raises:
            Refusal: 429, too many were given and not used.
            STORE_ERRORS: it is not kept.
        """
        if self._shared is not None:
            return await self._shared.give(principal)
        return self.tickets.give(principal)

    async def take_ticket(self, ticket: str) -> Principal | None:
        """Give whose ticket it is, once; None where it is none, was used, or is too old.

        Raises:
            STORE_ERRORS: nobody knows.
        """
        if self._shared is not None:
            return await self._shared.take(ticket)
        return self.tickets.take(ticket)

    async def open(self, url: str) -> None:
        """Offer to make the first admin, where there is no other way in from this machine.

        Args:
            url: of the gateway.

        Raises:
            STORE_ERRORS: the users cannot be read.
        """
        if self._config.local_role is None:
            await self.setup.begin(url)

    async def close(self) -> None:
        """Write what waits to be written, and end the threads."""
        self._passwords.close()
        await self.directory.close()
        await self.sessions.close()
        await self.audit.close()
