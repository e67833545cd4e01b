"""An alert: from its beginning to its end; and what stands around it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from server.alerts.rule import Device, RuleBody


class Alert(msgspec.Struct, kw_only=True):
    """One alert.

    Attributes:
        id: number; later ones are greater.
        rule_id: of the rule.
        name: of the rule at that time.
        condition: for people.
        severity: info, warning, critical.
        device: whose readings.
        vin: the vehicle; empty while it is not known.
        signal: short name.
        kind: value, rate, stale.
        since_ns: instant at which the condition began.
        fired_ns: instant at which it fired, after the rule's duration.
        ended_ns: instant of the end; none while it fires.
        ended_how: cleared, rule changed, rule removed; empty while it fires.
        value: that fired it.
        extreme: farthest value while it fired.
        times: how often it began; within the cool-down it goes on.
        acked_ns: when somebody took note of it.
        acked_by: who.
        note: what they wrote.
        state: "firing" or "resolved".
        told: what the receivers know of it: nothing, "firing" or "resolved".
        told_ns: when they were told that it fires; 0: not.
    """

    id: int
    state: str
    rule_id: int
    name: str
    condition: str
    severity: str
    device: str
    vin: str
    signal: str
    kind: str
    since_ns: int
    fired_ns: int
    ended_ns: int | None = None
    ended_how: str = ""
    value: float
    extreme: float
    times: int = 1
    acked_ns: int | None = None
    acked_by: str = ""
    note: str = ""
    told: str = ""
    told_ns: int = 0


class Silence(msgspec.Struct, frozen=True):
    """Within these instants nobody is told; what does not match is not concerned."""

    id: int
    rule_id: int | None
    device: str | None
    from_ns: int
    to_ns: int
    note: str
    made_ns: int
    made_by: str

    def covers(self, alert: Alert, now_ns: int) -> bool:
        """Tell whether the alert is not to be told now."""
        return (
            self.from_ns <= now_ns < self.to_ns
            and self.rule_id in (None, alert.rule_id)
            and self.device in (None, alert.device)
        )


class SilenceBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A silence as users order it: from now on, or from `start`, for so long."""

    duration_s: Annotated[float, Meta(ge=0.001, le=366 * 86_400)]
    start_ns: Annotated[int, Meta(ge=0, lt=2**62)] | None = None
    rule_id: Annotated[int, Meta(ge=1, lt=2**62)] | None = None
    device: Device | None = None
    note: Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*$")] = ""


class StoredRule(msgspec.Struct, frozen=True):
    """A rule with its number; `problem` says why it is not applied, empty where it is."""

    id: int
    body: RuleBody
    made_ns: int
    made_by: str
    changed_ns: int
    problem: str = ""
