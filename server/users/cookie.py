"""The cookie of a browser's session.

Over TLS its name begins with `__Host-`: browsers then take it from this host only, and only over
TLS, so that neither a neighbour's page nor a plain connection can plant another (RFC 6265bis
4.1.3.2).
"""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.responses import Response

NAME = "telerig_session"
SECURE_NAME = f"__Host-{NAME}"


def is_secure(connection: HTTPConnection) -> bool:
    """Tell whether the browser speaks TLS, with the gateway or with the proxy before it."""
    return connection.scope.get("scheme") in ("https", "wss")


def cookie_of(connection: HTTPConnection) -> str | None:
    """Give the secret that the cookie carries."""
    return connection.cookies.get(SECURE_NAME if is_secure(connection) else NAME)


def set_cookie(response: Response, connection: HTTPConnection, secret: str, life_s: int) -> None:
    """Give a browser its session."""
    secure = is_secure(connection)
    response.set_cookie(
        SECURE_NAME if secure else NAME,
        secret,
        max_age=life_s,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def clear_cookie(response: Response, connection: HTTPConnection) -> None:
    """Take a browser's session away."""
    secure = is_secure(connection)
    response.delete_cookie(
        SECURE_NAME if secure else NAME, path="/", secure=secure, httponly=True, samesite="lax"
    )
