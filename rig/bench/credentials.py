"""How the rig shows a gateway elsewhere who it is."""

from __future__ import annotations

import re

_ACCESS_TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")


def headers_of(token: str) -> dict[str, str]:
    """Return the headers of a request: an access token lasts minutes, the API secret for ever."""
    if not token:
        return {}
    if _ACCESS_TOKEN.fullmatch(token):
        return {"Authorization": f"Bearer {token}"}
    return {"X-API-Key": token}
