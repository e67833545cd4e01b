"""GET /api/v1/forward: how far what is stored here has come to the other gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from server.api.endpoint import Call, Endpoint, Role, Socket
from server.forward.service import ForwardStatus

if TYPE_CHECKING:
    from server.gateway import Gateway


def endpoints(gateway: Gateway) -> list[Endpoint | Socket]:
    """Declare the endpoint."""
    return [
        Endpoint(
            "GET",
            "/api/v1/forward",
            status,
            role=Role.VIEWER,
            summary="Give how forwarding to another gateway goes",
            tag="forward",
            answer=ForwardStatus,
        )
    ]


async def status(call: Call[None, None]) -> ForwardStatus:
    """Give the streams of devices that the caller may see."""
    found = call.gateway.forward.status
    streams = [stream for stream in found.streams if call.who.may_read(stream.device)]
    return msgspec.structs.replace(found, streams=streams)
