"""What can go wrong while a device is provisioned; each message is one line with the next step.

ProvisionError
├── DeviceUnreachable   no connection to the device, or it was lost
├── RequestRefused      the device answered a request with a status other than 200
└── BadAnswer           the device's answer cannot be read, or proves nothing
"""

from __future__ import annotations

from server.errors import ServerError


class ProvisionError(ServerError):
    """The device was not provisioned."""


class DeviceUnreachable(ProvisionError):  # noqa: N818
    """There is no connection to the device, or it was lost."""


class BadAnswer(ProvisionError, ValueError):  # noqa: N818
    """The device's answer cannot be read, or proves nothing."""


class RequestRefused(ProvisionError):  # noqa: N818
    """The device answered with a status other than 200.

    Args:
        endpoint: that refused.
        status: HTTP status, or what the transport has in its place; 0 when there is only a no.
        reason: the device's text; may be empty.
        retry_after_s: when to come back, if the device said so.
    """

    def __init__(
        self, endpoint: str, status: int, reason: str = "", retry_after_s: int | None = None
    ) -> None:
        told = f"status {status}" if status else "no answer"
        super().__init__(f"{endpoint} refused: {told}{', ' + reason if reason else ''}")
        self.endpoint = endpoint
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s


def printable(data: bytes, longest: int = 120) -> str:
    """Give a device's text so that it can be shown: one line, no control characters."""
    text = data[: 4 * longest].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))[:longest]
