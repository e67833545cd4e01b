"""Leases of a gateway that dies."""

from __future__ import annotations

from server.instances.lease import Leases


def die(gateway: Leases) -> None:
    """End as a killed process: nothing is given up."""
    for task in gateway._tasks:
        task.cancel()
    gateway._tasks = []
    if gateway._connection is not None:
        gateway._connection.terminate()
