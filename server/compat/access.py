"""Who may use the interfaces that had no authentication: this machine, or who has their key.

The API secret always works. Without a key in the configuration the interface answers only to
programs of this machine (`server.users.local`). Pages of other origins are refused for all paths
by `server.origins`.
"""

from __future__ import annotations

import hashlib
import hmac

from starlette.requests import HTTPConnection

from server.answers import Refusal
from server.devices.access import HEADER, Access, unauthorized
from server.users.local import why_not_local


class SurfaceAccess:
    """Checks who asks one interface.

    Args:
        access: knows the operator.
        name: of the interface in [compat].
        key: of the interface; None: this machine only.
    """

    def __init__(self, access: Access, name: str, key: str | None) -> None:
        self._access = access
        self._name = name
        self._key = None if key is None else hashlib.sha256(key.encode()).digest()

    def check(self, connection: HTTPConnection) -> None:
        """Let pass who may.

        Raises:
            Refusal: 401 without the key, 403 from another machine where there is no key.
        """
        if self._access.is_operator(connection):
            return
        if self._key is not None:
            given = hashlib.sha256(connection.headers.get(HEADER, "").encode()).digest()
            if not hmac.compare_digest(given, self._key):
                if HEADER in connection.headers:
                    why = f"is not that of [compat] {self._name}_key"
                    self._access.refused(why, connection)
                raise unauthorized(f"the key of [compat] {self._name}_key", connection)
            return
        found = why_not_local(connection)
        if found:
            expected = f"this machine (or set [compat] {self._name}_key, and send it in {HEADER})"
            raise Refusal(403, "peer", expected, found)
