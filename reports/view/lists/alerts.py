"""Alerts, the rules behind them, silences, and who is told."""

from __future__ import annotations

from reports.view.form import Confirmation, Field, Form, Options, Reveal
from reports.view.listing import Action, Column, Filter, Kind, Listing
from reports.view.lists import signs
from reports.view.lists.exports import DEVICES, SIGNALS

_COMPARED = ("value", "rate")
_SEVERITIES = (("warning", "warning"), ("critical", "critical"), ("info", "info"))
_RULES = Options(api="/api/v1/alerts/rules", rows="rules", value="id", label="{id} {body.name}")
_TARGETS = Options(
    api="/api/v1/alerts/targets",
    rows="targets",
    value="name",
    label="{name} ({kind})",
    role="operator",
)

ALERTS = Listing(
    name="alerts",
    api="/api/v1/alerts",
    rows="alerts",
    columns=(
        Column(key="name", label="Alert"),
        Column(key="state", label="State", kind=Kind.SIGN, signs=signs.ALERTS),
        Column(key="severity", label="Severity", kind=Kind.SIGN, signs=signs.SEVERITIES),
        Column(key="condition", label="Condition", kind=Kind.CODE),
        Column(key="value", label="Value", kind=Kind.NUMBER),
        Column(key="extreme", label="Farthest", kind=Kind.NUMBER),
        Column(key="device", label="Device", link="/device/{device}"),
        Column(key="vin", label="Vehicle"),
        Column(key="fired_ns", label="Fired", kind=Kind.INSTANT_NS),
        Column(key="ended_ns", label="Ended", kind=Kind.INSTANT_NS),
        Column(key="ended_how", label="Because"),
        Column(key="times", label="Times", kind=Kind.NUMBER),
        Column(key="acked_by", label="Seen by"),
        Column(key="note", label="Note"),
        Column(key="told", label="Receivers know"),
    ),
    filters=(
        Filter(
            name="state",
            label="State",
            choices=(("firing", "firing"), ("resolved", "resolved")),
        ),
        Filter(name="severity", label="Severity", choices=_SEVERITIES),
        Filter(name="acked", label="Seen", choices=(("false", "not yet"), ("true", "seen"))),
        Filter(name="device", label="Device", kind="text"),
        Filter(name="signal", label="Signal", kind="text"),
        Filter(name="start", label="From", kind="instant"),
        Filter(name="end", label="To", kind="instant"),
    ),
    row_actions=(
        Action(
            name="ack",
            label="Acknowledge",
            role="operator",
            method="POST",
            path="/api/v1/alerts/{id}/ack",
            when={"acked_ns": ("",)},
            form=Form(
                title="Take note of: {name}",
                submit="Acknowledge",
                fields=(
                    Field(name="note", label="Note", kind="lines", wide=True, hint="All see it."),
                ),
            ),
            done="{name}: seen by {acked_by}.",
        ),
    ),
    first={"state": ("firing",)},
    paging="offset",
    refresh_s=3,
    in_url=True,
    empty="No alert yet.",
)

_RULE = Form(
    title="A rule",
    submit="Save",
    fields=(
        Field(name="name", label="Name"),
        Field(name="signal", label="Signal", options=SIGNALS, kind="text"),
        Field(
            name="kind",
            label="Looks at",
            choices=(
                ("value", "the value"),
                ("rate", "its change per second"),
                ("stale", "silence: no reading"),
            ),
        ),
        Field(
            name="condition",
            label="Condition",
            kind="choice",
            choices=(
                ("gt", "> greater than"),
                ("ge", "≥ at least"),
                ("lt", "< less than"),
                ("le", "≤ at most"),
                ("eq", "= equal to"),
                ("ne", "≠ other than"),
            ),
            needed=True,
            when={"kind": _COMPARED},
        ),
        Field(name="threshold", label="Limit", needed=True, when={"kind": _COMPARED}),
        Field(
            name="hysteresis",
            label="Hysteresis",
            hint="It ends only when the value is so far on the good side.",
            when={"kind": _COMPARED},
        ),
        Field(
            name="duration_s",
            label="For (s)",
            hint="The condition must hold so long before it fires.",
            when={"kind": _COMPARED},
        ),
        Field(
            name="window_s",
            label="Over (s)",
            hint="The change is taken over so long.",
            when={"kind": ("rate",)},
        ),
        Field(
            name="stale_s",
            label="No reading for (s)",
            needed=True,
            when={"kind": ("stale",)},
        ),
        Field(name="severity", label="Severity", choices=_SEVERITIES),
        Field(name="device", label="Device", hint="Empty: every device.", options=DEVICES),
        Field(name="vin", label="Vehicle", hint="Empty: every vehicle."),
        Field(
            name="cooldown_s",
            label="Cool-down (s)",
            hint="Back within so long, the alert goes on and is not told again; empty: as"
            " configured.",
        ),
        Field(
            name="notify",
            label="Receivers",
            hint="None: all of them.",
            options=_TARGETS,
            wide=True,
        ),
        Field(name="enabled", label="Looked at"),
    ),
)
_FILLED = Form(title="Rule {id}", submit="Save", fields=_RULE.fields, fill="body")

RULES = Listing(
    name="rules",
    api="/api/v1/alerts/rules",
    rows="rules",
    columns=(
        Column(key="body.name", label="Rule"),
        Column(key="body.signal", label="Signal"),
        Column(key="body.kind", label="Looks at"),
        Column(key="body.condition", label="Condition", kind=Kind.CODE),
        Column(key="body.threshold", label="Limit", kind=Kind.NUMBER),
        Column(key="body.hysteresis", label="Hysteresis", kind=Kind.NUMBER),
        Column(key="body.duration_s", label="For", kind=Kind.DURATION_S),
        Column(key="body.stale_s", label="Silent for", kind=Kind.DURATION_S),
        Column(key="body.severity", label="Severity", kind=Kind.SIGN, signs=signs.SEVERITIES),
        Column(key="body.device", label="Device", empty="all"),
        Column(key="body.notify", label="Receivers", kind=Kind.WORDS, empty="all"),
        Column(key="body.enabled", label="Looked at", kind=Kind.FLAG),
    ),
    actions=(
        Action(
            name="add-rule",
            label="Add a rule",
            role="operator",
            method="POST",
            path="/api/v1/alerts/rules",
            tone="primary",
            form=_RULE,
            done="Rule {id} is there: {body.name}.",
        ),
    ),
    row_actions=(
        Action(
            name="edit",
            label="Edit",
            role="operator",
            method="PUT",
            path="/api/v1/alerts/rules/{id}",
            form=_FILLED,
            done="Rule {id} was changed.",
        ),
        Action(
            name="delete",
            label="Delete",
            role="operator",
            method="DELETE",
            path="/api/v1/alerts/rules/{id}",
            tone="danger",
            confirm=Confirmation("Delete rule {body.name}? Its alerts end.", "Delete"),
            done="Rule {body.name} was deleted.",
        ),
    ),
    problem="problem",
    empty="No rule yet: without one there is no alert.",
)

STATES = Listing(
    name="rule-states",
    title="How the rules stand",
    api="/api/v1/alerts/states",
    rows="states",
    key="rule_id",
    columns=(
        Column(key="name", label="Rule"),
        Column(key="state", label="State", kind=Kind.SIGN, signs=signs.RULES),
        Column(key="device", label="Device", link="/device/{device}"),
        Column(key="condition", label="Condition", kind=Kind.CODE),
        Column(key="value", label="Value", kind=Kind.NUMBER),
        Column(key="since_ns", label="Since", kind=Kind.INSTANT_NS),
        Column(key="time_ns", label="Last reading", kind=Kind.INSTANT_NS),
    ),
    refresh_s=3,
    empty="No rule has seen a reading yet.",
)

SILENCES = Listing(
    name="silences",
    api="/api/v1/alerts/silences",
    rows="silences",
    columns=(
        Column(key="id", label="Silence", kind=Kind.NUMBER),
        Column(key="rule_id", label="Rule", empty="all"),
        Column(key="device", label="Device", empty="all"),
        Column(key="from_ns", label="From", kind=Kind.INSTANT_NS),
        Column(key="to_ns", label="To", kind=Kind.INSTANT_NS),
        Column(key="note", label="Note"),
        Column(key="made_by", label="Made by"),
    ),
    actions=(
        Action(
            name="add-silence",
            label="Silence",
            role="operator",
            method="POST",
            path="/api/v1/alerts/silences",
            tone="primary",
            form=Form(
                title="Have nobody told for a while",
                submit="Silence",
                fields=(
                    Field(
                        name="duration_s",
                        label="For",
                        kind="choice",
                        value="3600",
                        choices=(
                            ("900", "15 minutes"),
                            ("3600", "an hour"),
                            ("28800", "8 hours"),
                            ("86400", "a day"),
                            ("604800", "a week"),
                        ),
                    ),
                    Field(
                        name="rule_id",
                        label="Rule",
                        kind="choice",
                        hint="None: all rules.",
                        options=_RULES,
                    ),
                    Field(
                        name="device", label="Device", hint="Empty: all devices.", options=DEVICES
                    ),
                    Field(name="note", label="Note", wide=True, hint="Why; all see it."),
                ),
            ),
            done="Nobody is told for a while (silence {id}).",
        ),
    ),
    row_actions=(
        Action(
            name="end",
            label="End",
            role="operator",
            method="DELETE",
            path="/api/v1/alerts/silences/{id}",
            done="Silence {id} has ended.",
        ),
    ),
    refresh_s=10,
    empty="Nothing is silenced.",
)

TARGETS = Listing(
    name="targets",
    api="/api/v1/alerts/targets",
    rows="targets",
    key="name",
    role="operator",
    columns=(
        Column(key="name", label="Receiver"),
        Column(key="kind", label="Kind"),
        Column(key="places", label="Where", kind=Kind.WORDS),
        Column(key="status.sent", label="Sent", kind=Kind.NUMBER),
        Column(key="status.waiting", label="Waiting", kind=Kind.NUMBER),
        Column(key="status.failed", label="Failed", kind=Kind.NUMBER),
        Column(key="status.given_up", label="Given up", kind=Kind.NUMBER),
        Column(key="status.error", label="Last error"),
        Column(key="made_by", label="Made by"),
    ),
    actions=(
        Action(
            name="add-target",
            label="Add a receiver",
            role="admin",
            method="POST",
            path="/api/v1/alerts/targets",
            tone="primary",
            form=Form(
                title="A receiver",
                submit="Add",
                fields=(
                    Field(name="name", label="Name"),
                    Field(
                        name="mail",
                        label="Mail addresses",
                        hint="With commas. Either these or a webhook.",
                    ),
                    Field(
                        name="webhook",
                        label="Webhook",
                        kind="text",
                        wide=True,
                        hint="https://… gets each message as JSON, signed.",
                    ),
                ),
            ),
            done="Receiver {name} is there.",
            reveal=(
                Reveal(
                    "secret", "Secret of its signature", "It is shown this once (docs/alerts.md)."
                ),
            ),
        ),
    ),
    row_actions=(
        Action(
            name="test",
            label="Test",
            role="admin",
            method="POST",
            path="/api/v1/alerts/targets/{name}/test",
            done="The test reached {name}.",
        ),
        Action(
            name="delete",
            label="Delete",
            role="admin",
            method="DELETE",
            path="/api/v1/alerts/targets/{name}",
            tone="danger",
            confirm=Confirmation("Delete receiver {name}? Nothing is told to it.", "Delete"),
            done="Receiver {name} was deleted.",
        ),
    ),
    refresh_s=10,
    empty="Nobody is told yet.",
)
