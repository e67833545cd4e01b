"""Alerts by webhook: a signed POST of JSON.

    POST <url>
    Content-Type: application/json
    X-Telerig-Delivery: <id>                    the same on each try
    X-Telerig-Signature: t=<unix s>,v1=<hex>    HMAC-SHA256 of "<t>.<body>" under the secret

2xx is success. 408, 425, 429, 5xx and no answer are tried again; anything else is not. Redirects
are not followed.
"""

from __future__ import annotations

import hashlib
import hmac

from server.alerts.messages import Message
from server.outbound.addresses import Door
from server.outbound.errors import OutboundError
from server.outbound.http import HttpClient, parse_url

TIMEOUT_S = 15.0
_AGAIN = (408, 425, 429)


class HookRefused(OutboundError):  # noqa: N818 (named for what happened)
    """The receiver will never take this message."""


class HookLater(OutboundError):  # noqa: N818 (named for what happened)
    """Not now; perhaps after `after_s`."""

    def __init__(self, message: str, after_s: float) -> None:
        super().__init__(message)
        self.after_s = after_s


def signature(secret: str, body: bytes, unix_s: int) -> str:
    """Give the value of X-Telerig-Signature."""
    mac = hmac.new(secret.encode(), b"%d." % unix_s + body, hashlib.sha256)
    return f"t={unix_s},v1={mac.hexdigest()}"


async def post(message: Message, url: str, secret: str, door: Door, unix_s: int) -> None:
    """Send a message.

    Raises:
        HookRefused: for good.
        OutboundError: not now.
    """
    body = message.json
    headers = {
        "content-type": "application/json",
        "user-agent": "telerig",
        "connection": "close",
        "x-telerig-delivery": message.id,
        "x-telerig-signature": signature(secret, body, unix_s),
    }
    client = HttpClient(parse_url(url), door)
    try:
        answer = await client.post(body, headers, TIMEOUT_S)
    finally:
        client.close()
    if 200 <= answer.status < 300:
        return
    text = f"expected 2xx from {client.target.shown}, got {answer.status}"
    if answer.status in _AGAIN or answer.status >= 500:
        raise HookLater(text, answer.retry_after_s)
    raise HookRefused(text)
