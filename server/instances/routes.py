"""GET /api/v1/instances: who lives, who owns what, how the bus is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.api.endpoint import Call, Endpoint, Role, Socket
from server.instances.instances import InstancesStatus

if TYPE_CHECKING:
    from server.gateway import Gateway


def endpoints(gateway: Gateway) -> list[Endpoint | Socket]:
    """Declare the endpoint."""
    return [
        Endpoint(
            "GET",
            "/api/v1/instances",
            _status,
            role=Role.OPERATOR,
            summary="Give which gateways share the database, and what this one owns",
            tag="instances",
            answer=InstancesStatus,
            description="`living` is what the database said when this gateway last renewed its "
            "leases: a third of `lease_s` ago, or less.",
        )
    ]


async def _status(call: Call[None, None]) -> InstancesStatus:
    return call.gateway.instances.status()
