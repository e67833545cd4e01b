"""What the session needs of a way to the device."""

from __future__ import annotations

from typing import Protocol


class Transport(Protocol):
    """Carries one request at a time to an endpoint and brings its answer.

    Attributes:
        networks_per_answer: how many networks of a scan fit into one answer.
    """

    networks_per_answer: int

    def exchange(self, endpoint: str, body: bytes) -> bytes:
        """Send a request and give the answer.

        Raises:
            RequestRefused: the device says no.
            DeviceUnreachable: it cannot be reached, or not any more.
        """
        ...

    def close(self) -> None:
        """Give the way up."""
        ...
