"""Access tokens: short JWTs, which programs send in `Authorization: Bearer`.

A token says which session it belongs to, and nothing of what its user may do: that is looked up, so
that a revoked session, another role or scope count from the next request on. It is signed with
HS256 and nothing else, by a key of the database.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

import msgspec
import structlog

from server.clock import Clock
from server.users.config import UsersConfig
from server.users.directory import Directory, Session, TokenKey

log = structlog.get_logger("telerig.users")

ALGORITHM = "HS256"
ISSUER = "telerig"
AUDIENCE = "telerig-api"
TYPE = "at+jwt"  # RFC 9068 2.1: an access token, and no other JWT
KEY_BYTES = 32
KEY_LIFE_S = 90 * 86_400
"""A key that is older signs no more; the next token gets a new one."""
LENGTH_LIMIT = 2_000
LEEWAY_S = 60
"""What a token may come from the future: clocks of several gateways differ."""


class Claims(msgspec.Struct, frozen=True):
    """What a right token says."""

    user: int
    session: int
    expires_s: int


class Tokens:
    """Makes and checks access tokens.

    Args:
        directory: has the keys.
        config: how long a token lives.
        clock: for expiry.
        random: gives that many random bytes.
    """

    def __init__(
        self,
        directory: Directory,
        config: UsersConfig,
        clock: Clock,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._directory = directory
        self._config = config
        self._clock = clock
        self._random = random

    async def issue(self, session: Session) -> str:
        """Make the token of a session."""
        import jwt

        key = await self._signing_key()
        now_s = self._clock.now_ns() // 10**9
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(session.user),
            "sid": session.id,
            "iat": now_s,
            "exp": now_s + self._config.token_s,
            "jti": self._random(8).hex(),
        }
        headers = {"kid": key.id, "typ": TYPE}
        return jwt.encode(claims, key.secret, algorithm=ALGORITHM, headers=headers)

    async def claims(self, token: str) -> Claims | None:
        """Give what a token says; None where it is none of ours, or has expired."""
        import jwt

        if len(token) > LENGTH_LIMIT or token.count(".") != 2:
            return None
        await self._directory.fresh()
        now_s = self._clock.now_ns() // 10**9
        try:
            header = jwt.get_unverified_header(token)
            kid = header.get("kid")
            key = self._directory.keys.get(kid) if isinstance(kid, str) else None
            if key is None and await self._directory.look_up():
                key = self._directory.keys.get(kid) if isinstance(kid, str) else None
            if key is None or header.get("typ") != TYPE or not self._is_believed(key):
                return None
            said = jwt.decode(
                token,
                key.secret,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={
                    "require": ["exp", "iat", "iss", "aud", "sub", "sid"],
                    # By the gateway's clock, below; jwt would ask the process's.
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
            found = Claims(int(said["sub"]), _whole(said["sid"]), _whole(said["exp"]))
            made_s = _whole(said["iat"])
        except (jwt.InvalidTokenError, ValueError):
            return None
        is_now = made_s <= now_s + LEEWAY_S and now_s < found.expires_s
        return found if is_now else None

    async def rotate(self, *, end_others: bool) -> TokenKey:
        """Sign with a new key from now on.

        Args:
            end_others: a key has leaked: believe none of the others any more. Else tokens that are
                signed with them stay good until they expire.
        """
        now_ns = self._clock.now_ns()
        made = TokenKey(self._random(8).hex(), self._random(KEY_BYTES), now_ns, None)
        ended_ns = now_ns if end_others else now_ns + self._config.token_s * 10**9
        async with self._directory.changing() as connection:
            await connection.execute(
                "UPDATE token_keys SET retired_ns = least(coalesce(retired_ns, $1), $1)", ended_ns
            )
            await connection.execute("DELETE FROM token_keys WHERE retired_ns <= $1", now_ns)
            if end_others:
                await connection.execute("DELETE FROM tickets")
            await connection.execute(
                "INSERT INTO token_keys (id, secret, made_ns) VALUES ($1, $2, $3)",
                made.id,
                made.secret,
                made.made_ns,
            )
        log.info("token key rotated", key=made.id, others_ended=end_others)
        return made

    async def _signing_key(self) -> TokenKey:
        await self._directory.fresh()
        now_ns = self._clock.now_ns()
        newest = max(
            (key for key in self._directory.keys.values() if key.retired_ns is None),
            key=lambda key: key.made_ns,
            default=None,
        )
        if newest is None or now_ns - newest.made_ns > KEY_LIFE_S * 10**9:
            return await self.rotate(end_others=False)
        return newest

    def _is_believed(self, key: TokenKey) -> bool:
        return key.retired_ns is None or self._clock.now_ns() < key.retired_ns


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("no whole number")
    return value
