"""A command to a device, from the operator's order to the device's result.

    queued -> sent -> accepted -> done | failed
    queued, sent, accepted     -> refused | timed_out

A result that comes after the time-out still counts, marked `late`: what the device did, it did.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol

import msgspec


class State(StrEnum):
    """How far a command is."""

    QUEUED = "queued"
    SENT = "sent"
    ACCEPTED = "accepted"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


OPEN = (State.QUEUED, State.SENT, State.ACCEPTED)
"""States in which something is still to come."""
RESULTS = (State.ACCEPTED, State.DONE, State.REFUSED, State.FAILED)
"""States by the number of `CommandResult.Status` in server/wire/telemetry.proto."""


class Command(msgspec.Struct, frozen=True):
    """A command as it is handed to the device; fields as in server/wire/telemetry.proto."""

    id: int
    name: str
    parameters: str
    expires_ms: int


class CommandResult(Protocol):
    """What a device says about a command; `telemetry_pb2.CommandResult` is one."""

    @property
    def id(self) -> int: ...

    @property
    def status(self) -> int: ...

    @property
    def detail(self) -> str: ...


class CommandStatus(msgspec.Struct, frozen=True):
    """A command as it is shown.

    Attributes:
        detail: the device's result (a JSON value or a text), or the reason of the state.
        late: the result came after the time-out.
        sent_ns: instant at which it was last handed to the device's link.
        ended_ns: instant of the result, refusal or time-out.
    """

    id: int
    device: str
    name: str
    parameters: dict[str, Any]
    state: State
    detail: str
    late: bool
    queued_ns: int
    expires_ns: int
    sent_ns: int | None
    ended_ns: int | None
