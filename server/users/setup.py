"""The first admin of a gateway without users: whoever can read its log makes one.

At the start of a gateway without users a code is made and logged. It is kept in memory only, counts
once, and is another one at the next start. There is no default password.
"""

from __future__ import annotations

import base64
import hmac
import math
import secrets
from collections.abc import Callable

import structlog

from server.answers import Refusal
from server.api.role import Role
from server.clock import Clock
from server.devices.rate import Rate
from server.users.accounts import Accounts
from server.users.directory import User

log = structlog.get_logger("telerig.users")

CODE_BYTES = 10
GROUP = 4
WRONG_BURST, WRONG_PER_S = 20, 0.1


class Setup:
    """Makes the first admin.

    Args:
        accounts: where it is made.
        clock: for the rate of wrong codes.
        random: gives that many random bytes.
    """

    def __init__(
        self,
        accounts: Accounts,
        clock: Clock,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._accounts = accounts
        self._random = random
        self._wrong = Rate(WRONG_PER_S, WRONG_BURST, clock)
        self.code: str | None = None
        """The code that counts now; None: none does."""

    async def begin(self, url: str) -> None:
        """Make a code and log it, where there are no users.

        Raises:
            STORE_ERRORS: the users cannot be read.
        """
        if not await self._accounts.is_empty():
            return
        text = base64.b32encode(self._random(CODE_BYTES)).decode()
        self.code = "-".join(text[at : at + GROUP] for at in range(0, len(text), GROUP))
        log.warning(
            "no users yet: make the first admin with this code, once",
            code=self.code,
            how=f"POST {url}/api/v1/setup, or: telerig users create NAME --role admin",
        )

    async def is_needed(self) -> bool:
        """Tell whether the first admin is still to be made; users may have come by other ways.

        Raises:
            STORE_ERRORS: the users cannot be read.
        """
        if self.code is not None and not await self._accounts.is_empty():
            self.code = None
        return self.code is not None

    async def first_admin(self, code: str, name: str, password: str, email: str) -> User:
        """Make the first admin.

        Raises:
            Refusal: 403 wrong code, 409 there are users already, 429 too many wrong codes, 400 a
                wrong name or password.
        """
        if not await self.is_needed():
            raise Refusal(409, "setup", "a gateway without users, and a code of its log", "neither")
        if not hmac.compare_digest(_plain(code), _plain(self.code or "")):
            wait_s = self._wrong.take("")
            if wait_s:
                headers = {"retry-after": str(math.ceil(wait_s))}
                raise Refusal(429, "rate", "fewer wrong codes", "more", headers=headers)
            raise Refusal(403, "code", "the code in the gateway's log", "another one")
        user = await self._accounts.create(name, password, Role.ADMIN, email=email, first=True)
        self.code = None
        return user


def _plain(code: str) -> bytes:
    return code.upper().replace("-", "").replace(" ", "").encode(errors="replace")
