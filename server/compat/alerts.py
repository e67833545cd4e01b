"""POST /api/alerts of S0: {"name", "pid", "condition", "threshold"} becomes a rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from server.alerts.rule import RuleBody
from server.answers import BadParameter, Refusal
from server.api.endpoint import Call, Endpoint, Role, Socket
from server.catalogue import by_id, by_name
from server.errors import CatalogueError

if TYPE_CHECKING:
    from server.gateway import Gateway

_HEX_PID = re.compile(r"(?:0[xX])?(?:01)?([0-9A-Fa-f]{2})")


class S0Alert(msgspec.Struct, forbid_unknown_fields=True):
    """An alert as S0's clients order it; `pid` is a name (RPM) or a PID (0C, 0x0C, 010C)."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
    pid: Annotated[str, Meta(min_length=1, max_length=200)] | int
    condition: Annotated[str, Meta(max_length=40)]
    threshold: Annotated[float, Meta(ge=-1e300, le=1e300)]


class S0Made(msgspec.Struct, frozen=True):
    """The alert that was made; further words as in /api/v1/alerts/rules."""

    id: int
    name: str
    pid: str
    condition: str
    threshold: float
    status: str = "created"


def endpoints(gateway: Gateway) -> list[Endpoint | Socket]:
    """Declare the endpoint, where [compat] s0 is on."""
    if not gateway.config.compat.s0:
        return []
    return [
        Endpoint(
            "POST",
            "/api/alerts",
            add,
            role=Role.OPERATOR,
            summary="Add an alert as S0 has it",
            tag="older systems",
            body=S0Alert,
            answer=S0Made,
            also=((409, "there are too many rules"),),
        )
    ]


async def add(call: Call[None, S0Alert]) -> S0Made:
    """Add a rule for all devices."""
    if call.who.visible(None) is not None:
        raise Refusal(403, "device", "somebody who may see all devices", "one who sees some")
    body = RuleBody(
        name=call.body.name,
        signal=signal_of(call.body.pid),
        condition=call.body.condition,
        threshold=call.body.threshold,
    )
    made = await call.gateway.alerts.add_rule(body, call.who.name)
    return S0Made(
        made.id,
        made.body.name,
        str(made.body.signal),
        made.body.condition or "",
        call.body.threshold,
    )


def signal_of(pid: str | int) -> str:
    """Give the short name of a signal by name or PID.

    Raises:
        BadParameter: there is none.
    """
    try:
        if isinstance(pid, int):
            return by_id(pid).name
        found = _HEX_PID.fullmatch(pid)
        return by_id(int(found[1], 16)).name if found else by_name(pid.upper()).name
    except CatalogueError as error:
        raise BadParameter("pid", "a name of /api/v1/signals, or a PID", str(error)[:300]) from None
