"""The people of a gateway, as one object: `gateway.users`."""

from __future__ import annotations

import asyncpg

from server.clock import Clock
from server.users.accounts import Accounts
from server.users.audit import Audit
from server.users.config import UsersConfig
from server.users.directory import Directory
from server.users.password import Passwords
from server.users.sessions import Sessions
from server.users.setup import Setup
from server.users.signin import SignIn
from server.users.tickets import Tickets
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
        self._passwords = Passwords()
        self.directory = Directory(pool, clock)
        self.accounts = Accounts(self.directory, self._passwords, clock)
        self.sessions = Sessions(self.directory, config, clock)
        self.tokens = Tokens(self.directory, config, clock)
        self.tickets = Tickets(clock)
        self.audit = Audit(pool, clock, is_kept=is_kept)
        self.sign_in = SignIn(self.accounts, self.directory, self.audit, clock)
        self.setup = Setup(self.accounts, clock)

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
        await self.sessions.close()
        await self.audit.close()
