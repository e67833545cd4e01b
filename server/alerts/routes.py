"""Alerts over HTTP.

GET    /api/v1/alerts                        the history, newest first
GET    /api/v1/alerts/{id}                   one
POST   /api/v1/alerts/{id}/ack               take note of it
GET    /api/v1/alerts/states                 how each rule stands for each device
GET    /api/v1/alerts/rules                  and POST, GET/PUT/DELETE …/{id}
GET    /api/v1/alerts/targets                receivers; POST, DELETE …/{name}, POST …/{name}/test
GET    /api/v1/alerts/silences               and POST, DELETE …/{id}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta
from starlette.responses import Response

from server.alerts.alert import Alert, Silence, SilenceBody, StoredRule
from server.alerts.outlet import OutletStatus
from server.alerts.rule import RuleBody, Severity, TargetName
from server.alerts.store import AlertFilter
from server.alerts.target import Target, TargetBody
from server.answers import NO_STORE, JsonResponse, Refusal
from server.api.endpoint import Call, Endpoint, Role, Socket
from server.api.parameters import DeviceId, Identifier, Limit, Offset, SignalName, Times, signal_ids
from server.catalogue import by_id
from server.outbound.errors import OutboundError
from server.outbound.http import BadUrl, parse_url

if TYPE_CHECKING:
    from server.gateway import Gateway
    from server.users.principal import Principal

BASE = "/api/v1/alerts"


class AlertsQuery(Times, kw_only=True):
    """Which alerts, of which time; one that began before and goes on counts."""

    state: Annotated[str, Meta(pattern="^(firing|resolved)$")] | None = None
    device: DeviceId | None = None
    rule: Identifier | None = None
    severity: Severity | None = None
    signal: SignalName | None = None
    acked: bool | None = None
    limit: Limit = 1_000
    offset: Offset = 0


class Acknowledgement(msgspec.Struct, forbid_unknown_fields=True):
    """Somebody takes note."""

    note: Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*$")] = ""


class AlertList(msgspec.Struct, frozen=True):
    """Alerts, the newest first."""

    alerts: list[Alert]


class RuleList(msgspec.Struct, frozen=True):
    """Rules by number."""

    rules: list[StoredRule]


class RuleState(msgspec.Struct, frozen=True):
    """How a rule stands for a device: ok, pending, firing or resolved, and since when."""

    rule_id: int
    name: str
    condition: str
    device: str
    state: str
    since_ns: int
    value: float | None
    time_ns: int


class RuleStates(msgspec.Struct, frozen=True):
    """How rules stand; `failing` says why alerts cannot be written, empty where they can."""

    states: list[RuleState]
    failing: str


class TargetShown(msgspec.Struct, frozen=True):
    """A receiver without its secret; of a URL only the host, but for admins."""

    name: str
    kind: str
    places: tuple[str, ...]
    made_ns: int
    made_by: str
    status: OutletStatus


class TargetList(msgspec.Struct, frozen=True):
    """Receivers by name."""

    targets: list[TargetShown]


class NewTarget(msgspec.Struct, frozen=True):
    """A new receiver; the secret of a webhook's signature is shown this once."""

    name: str
    kind: str
    places: tuple[str, ...]
    secret: str | None


class SilenceList(msgspec.Struct, frozen=True):
    """Silences that are not over."""

    silences: list[Silence]


class _Name(msgspec.Struct):
    name: TargetName


def endpoints(gateway: Gateway) -> list[Endpoint | Socket]:
    """Declare the endpoints."""
    rules, targets, silences = f"{BASE}/rules", f"{BASE}/targets", f"{BASE}/silences"
    return [
        _get(BASE, history, "Give alerts, the newest first", AlertList, query=AlertsQuery),
        _get(f"{BASE}/states", states, "Give how each rule stands for each device", RuleStates),
        _get(rules, list_rules, "Give the rules", RuleList),
        _post(rules, add_rule, "Add a rule", RuleBody, StoredRule),
        _get(f"{rules}/{{id:int}}", get_rule, "Give a rule", StoredRule),
        _change("PUT", f"{rules}/{{id:int}}", change_rule, "Change a rule", RuleBody, StoredRule),
        _delete(f"{rules}/{{id:int}}", remove_rule, "Remove a rule; its alerts end"),
        _get(targets, list_targets, "Give the receivers", TargetList, role=Role.OPERATOR),
        _post(targets, add_target, "Add a receiver", TargetBody, NewTarget, role=Role.ADMIN),
        _delete(f"{targets}/{{name}}", remove_target, "Remove a receiver", Role.ADMIN, _Name),
        Endpoint(
            "POST",
            f"{targets}/{{name}}/test",
            try_target,
            role=Role.ADMIN,
            summary="Send a receiver a test",
            tag="alerts",
            status=204,
            also=((404, "no such receiver"), (502, "it did not arrive; `found` says why")),
            path_types=_Name,
        ),
        _get(silences, list_silences, "Give the silences", SilenceList),
        _post(silences, add_silence, "Have nobody told for a while", SilenceBody, Silence),
        _delete(f"{silences}/{{id:int}}", end_silence, "End a silence"),
        _get(f"{BASE}/{{id:int}}", get_alert, "Give an alert", Alert),
        Endpoint(
            "POST",
            f"{BASE}/{{id:int}}/ack",
            acknowledge,
            role=Role.OPERATOR,
            summary="Take note of an alert, for all to see",
            tag="alerts",
            body=Acknowledgement,
            body_optional=True,
            answer=Alert,
            also=((404, "no such alert"),),
        ),
    ]


def _get(
    path: str,
    handler: Any,
    summary: str,
    answer: Any,
    *,
    query: Any = None,
    role: Role = Role.VIEWER,
) -> Endpoint:
    return Endpoint(
        "GET", path, handler, role=role, summary=summary, tag="alerts", query=query, answer=answer
    )


def _post(
    path: str, handler: Any, summary: str, body: Any, answer: Any, role: Role = Role.OPERATOR
) -> Endpoint:
    return _change("POST", path, handler, summary, body, answer, 201, role)


def _change(
    method: str,
    path: str,
    handler: Any,
    summary: str,
    body: Any,
    answer: Any,
    status: int = 200,
    role: Role = Role.OPERATOR,
) -> Endpoint:
    return Endpoint(
        method,
        path,
        handler,
        role=role,
        summary=summary,
        tag="alerts",
        body=body,
        answer=answer,
        status=status,
        also=(
            (404, "what it names is not there"),
            (409, "there are too many, or the name is taken"),
        ),
    )


def _delete(
    path: str, handler: Any, summary: str, role: Role = Role.OPERATOR, path_types: Any = None
) -> Endpoint:
    return Endpoint(
        "DELETE",
        path,
        handler,
        role=role,
        summary=summary,
        tag="alerts",
        status=204,
        also=((404, "there is none"), (409, "it stands in the configuration")),
        path_types=path_types,
    )


# -- alerts -------------------------------------------------------------------------------------
async def history(call: Call[AlertsQuery, None]) -> AlertList:
    """Give alerts that the caller may see."""
    query = call.query
    start_ns, end_ns = query.range_ns
    signal = None
    if query.signal is not None:
        (number,) = signal_ids([query.signal]) or (0,)
        signal = by_id(number).name
    wanted = AlertFilter(
        state=query.state,
        device=query.device,
        scope=call.who.visible(None),
        rule_id=query.rule,
        severity=query.severity,
        signal=signal,
        acked=query.acked,
        start_ns=start_ns,
        end_ns=end_ns,
    )
    return AlertList(await call.gateway.alerts.history(wanted, query.limit, query.offset))


async def get_alert(call: Call[None, None]) -> Alert:
    """Give an alert that the caller may see."""
    return await _alert(call)


async def acknowledge(call: Call[None, Acknowledgement]) -> Alert:
    """Take note of an alert that the caller may see."""
    found = await _alert(call)
    return await call.gateway.alerts.acknowledge(found.id, call.who.name, call.body.note)


async def _alert(call: Call[Any, Any]) -> Alert:
    found = await call.gateway.alerts.alert(call.path["id"])
    if not call.who.may_read(found.device):
        raise Refusal(404, "id", "the number of an alert", str(found.id))
    return found


async def states(call: Call[None, None]) -> RuleStates:
    """Give how rules stand for the devices that the caller may see."""
    alerts = call.gateway.alerts
    found = [
        RuleState(
            watch.rule.id,
            watch.rule.body.name,
            watch.rule.text,
            watch.device,
            watch.state,
            watch.since_ns,
            watch.value if watch.last_ns else None,
            watch.last_ns,
        )
        for watch in alerts.watches
        if call.who.may_read(watch.device)
    ]
    found.sort(key=lambda state: (state.rule_id, state.device))
    return RuleStates(found, alerts.failing)


# -- rules --------------------------------------------------------------------------------------
async def list_rules(call: Call[None, None]) -> RuleList:
    """Give the rules of devices that the caller may see, and those of all devices."""
    return RuleList([rule for rule in call.gateway.alerts.rules if _may_see(call.who, rule)])


async def get_rule(call: Call[None, None]) -> StoredRule:
    """Give a rule."""
    return _rule(call)


async def add_rule(call: Call[None, RuleBody]) -> StoredRule:
    """Add a rule."""
    _check_scope(call.who, call.body.device)
    return await call.gateway.alerts.add_rule(call.body, call.who.name)


async def change_rule(call: Call[None, RuleBody]) -> StoredRule:
    """Change a rule."""
    _check_scope(call.who, _rule(call).body.device)
    _check_scope(call.who, call.body.device)
    return await call.gateway.alerts.change_rule(call.path["id"], call.body)


async def remove_rule(call: Call[None, None]) -> Response:
    """Remove a rule."""
    _check_scope(call.who, _rule(call).body.device)
    await call.gateway.alerts.remove_rule(call.path["id"])
    return Response(status_code=204)


def _rule(call: Call[Any, Any]) -> StoredRule:
    found = call.gateway.alerts.rule(call.path["id"])
    if not _may_see(call.who, found):
        raise Refusal(404, "id", "the number of a rule", str(found.id))
    return found


def _may_see(who: Principal, rule: StoredRule) -> bool:
    return rule.body.device is None or who.may_read(rule.body.device)


def _check_scope(who: Principal, device: str | None) -> None:
    """Refuse to change what concerns devices that the caller may not see."""
    if device is not None and not who.may_read(device):
        raise Refusal(404, "device", "the id of a registered device", repr(device))
    if device is None and who.visible(None) is not None:
        raise Refusal(403, "device", "one of the devices that you may see", "all devices")


# -- receivers ----------------------------------------------------------------------------------
async def list_targets(call: Call[None, None]) -> TargetList:
    """Give the receivers."""
    is_admin = call.who.may(Role.ADMIN)
    shown = []
    for outlet in call.gateway.alerts.outlets:
        target = outlet.target
        places = target.places if is_admin else _shown_places(target)
        status = outlet.status if is_admin else msgspec.structs.replace(outlet.status, error="")
        shown.append(
            TargetShown(target.name, target.kind, places, target.made_ns, target.made_by, status)
        )
    return TargetList(shown)


def _shown_places(target: Target) -> tuple[str, ...]:
    """Give where messages go, without what may be a secret: paths of webhooks often are."""
    if target.kind != "webhook":
        return target.places
    try:
        return (parse_url(target.places[0]).host,)
    except BadUrl:
        return ()


async def add_target(call: Call[None, TargetBody]) -> Response:
    """Add a receiver."""
    made = await call.gateway.alerts.add_target(call.body, call.who.name)
    shown = NewTarget(made.name, made.kind, made.places, made.secret or None)
    return JsonResponse(shown, status_code=201, headers=NO_STORE)


async def remove_target(call: Call[None, None]) -> Response:
    """Remove a receiver."""
    await call.gateway.alerts.remove_target(call.path["name"])
    return Response(status_code=204)


async def try_target(call: Call[None, None]) -> Response:
    """Send a receiver a test."""
    try:
        await call.gateway.alerts.try_target(call.path["name"])
    except OutboundError as error:
        raise Refusal(502, "target", "a message that arrives", str(error)) from None
    return Response(status_code=204)


# -- silences -----------------------------------------------------------------------------------
async def list_silences(call: Call[None, None]) -> SilenceList:
    """Give the silences that concern what the caller may see."""
    return SilenceList(
        [
            one
            for one in call.gateway.alerts.silences
            if one.device is None or call.who.may_read(one.device)
        ]
    )


async def add_silence(call: Call[None, SilenceBody]) -> Silence:
    """Have nobody told for a while."""
    _check_scope(call.who, call.body.device)
    return await call.gateway.alerts.silence(call.body, call.who.name)


async def end_silence(call: Call[None, None]) -> Response:
    """End a silence."""
    number = call.path["id"]
    for one in call.gateway.alerts.silences:
        if one.id == number:
            if one.device is not None and not call.who.may_read(one.device):
                break
            _check_scope(call.who, one.device)
            await call.gateway.alerts.end_silence(number)
            return Response(status_code=204)
    raise Refusal(404, "id", "the number of a silence", str(number))
