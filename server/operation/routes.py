"""Endpoints of operation: what Prometheus reads, and questions to the car.

GET  /api/v1/obd/pids          what the car of the gateway's OBD link has
GET  /api/v1/obd/dtcs          its trouble codes
POST /api/v1/obd/dtcs/clear    {"confirm": true}; only while it stands
POST /api/v1/reload            read the configuration again
GET  /metrics   with `Authorization: Bearer` and the token of [metrics]; without a configured
                token for this machine, and for who may see everything else
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.answers import Refusal
from server.api.endpoint import Call, Endpoint, Role, Socket
from server.operation.diagnosis import Cleared, Diagnosis, Pids, TroubleCodes
from server.operation.metrics import CONTENT_TYPE, render
from server.operation.reload import Reloaded
from server.users.local import why_not_local

if TYPE_CHECKING:
    from server.gateway import Gateway


class OfLink(msgspec.Struct, forbid_unknown_fields=True):
    """Which link; not needed where there is one."""

    link: Annotated[str, msgspec.Meta(pattern="^[A-Za-z][A-Za-z0-9_-]{0,31}$")] | None = None


class Confirmed(msgspec.Struct, forbid_unknown_fields=True):
    """The word that it is meant."""

    confirm: bool


_CHALLENGE = {"www-authenticate": 'Bearer realm="metrics"'}


def endpoints(gateway: Gateway) -> list[Endpoint | Socket]:
    """Give what this room serves."""
    diagnosis = Diagnosis(gateway)

    async def pids(call: Call[OfLink, None]) -> Pids:
        return await diagnosis.pids(call.query.link)

    async def codes(call: Call[OfLink, None]) -> TroubleCodes:
        return await diagnosis.codes(call.query.link)

    async def clear(call: Call[OfLink, Confirmed]) -> Cleared:
        if not call.body.confirm:
            raise Refusal(400, "confirm", "true: this changes the car", "false")
        return await diagnosis.clear(call.query.link, call.who.name)

    away = ((404, "no such OBD link"), (409, "several links and no name"), (503, "no car answers"))
    return [
        Endpoint(
            "GET",
            "/api/v1/obd/pids",
            pids,
            role=Role.OPERATOR,
            summary="Ask the car which PIDs it has",
            tag="diagnostics",
            query=OfLink,
            answer=Pids,
            also=away,
        ),
        Endpoint(
            "GET",
            "/api/v1/obd/dtcs",
            codes,
            role=Role.OPERATOR,
            summary="Ask the car for its trouble codes",
            tag="diagnostics",
            query=OfLink,
            answer=TroubleCodes,
            also=away,
        ),
        Endpoint(
            "POST",
            "/api/v1/obd/dtcs/clear",
            clear,
            role=Role.OPERATOR,
            summary="Clear the car's trouble codes",
            tag="diagnostics",
            query=OfLink,
            body=Confirmed,
            answer=Cleared,
            also=(*away, (409, "the car moves, or does not say that it stands")),
            description="Refused unless the car says, at that moment, that it stands.",
        ),
        Endpoint(
            "POST",
            "/api/v1/reload",
            _reload,
            role=Role.ADMIN,
            summary="Read the configuration again",
            tag="operation",
            answer=Reloaded,
            also=(
                (409, "the configuration is wrong: file and line; nothing was changed"),
                (503, "the gateway stops, or its database is away"),
            ),
            description="As `systemctl reload`: from the gateway's own file and environment. Other"
            " gateways on the same database read theirs, and say in their logs what they took.",
        ),
        Endpoint(
            "GET",
            "/metrics",
            _metrics,
            role=Role.PUBLIC,
            summary="Give the metrics in Prometheus' text format",
            tag="operation",
            media=CONTENT_TYPE,
            answer=bytes,
            also=((401, "no or another token"), (403, "another machine, and no token is set")),
            description="Takes the token of `[metrics] token` as bearer. Where none is configured,"
            " answers this machine only, and whoever has the API secret.",
        ),
    ]


async def _reload(call: Call[None, None]) -> Reloaded:
    reload = call.gateway.reload
    if reload is None:
        raise Refusal(409, "gateway", "one with a configuration file", "one made by a program")
    return await reload.done()


async def _metrics(call: Call[None, None]) -> Response:
    _check(call.gateway, call.request)
    return Response(render(call.gateway), media_type=CONTENT_TYPE)


def _check(gateway: Any, request: Request) -> None:
    """Let pass who may.

    Raises:
        Refusal: 401 without the token, 403 from another machine where there is none.
    """
    if gateway.access.is_operator(request):
        return
    token = gateway.config.metrics.token
    if token is not None:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        is_right = hmac.compare_digest(_hash(given.strip()), _hash(token))
        if kind.lower() != "bearer" or not is_right:
            expected = "Bearer and the token of [metrics] token"
            found = "another token" if given else "no such header"
            raise Refusal(401, "authorization", expected, found, headers=_CHALLENGE)
        return
    found = why_not_local(request)
    if found:
        expected = "this machine (or set [metrics] token, and send it as bearer)"
        raise Refusal(403, "peer", expected, found)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
