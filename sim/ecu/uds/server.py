"""The frame around all services of ISO 14229-1: what may be asked when, and what stays unsaid.

Order of the checks: ISO 14229-1:2020, figures 5 and 6; suppression: 7.5.5, tables 4 to 7.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from sim.ecu.errors import NEGATIVE_RESPONSE, UNSAID_WHEN_FUNCTIONAL, Nrc, RefusedError
from sim.ecu.uds.state import DiagnosticState, Session

SUPPRESS_POSITIVE_RESPONSE = 0x80
POSITIVE = 0x40  # added to the service identifier
KEEP_ALIVE = b"\x3e\x80"

Subfunctions = Mapping[int, Collection[Session]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What comes of a request.

    Attributes:
        data: the response; empty = nothing is said.
        work_s: seconds until it is ready; "response pending" is sent meanwhile.
        finish: makes the response when the work is done; None = `data` it is. Raises RefusedError.
        after: what the ECU does when the response has passed on the bus.
    """

    data: bytes
    work_s: float = 0.0
    finish: Callable[[], bytes] | None = None
    after: Callable[[], None] | None = None


class UdsService(Protocol):
    """One service. `perform` gets a request that passed the checks that all services share."""

    @property
    def sid(self) -> int:
        """Service identifier."""
        ...

    @property
    def sessions(self) -> Collection[Session]:
        """Sessions in which it may be asked."""
        ...

    @property
    def subfunctions(self) -> Subfunctions | None:
        """Subfunction -> its sessions; None for a service without subfunctions."""
        ...

    @property
    def minimum_bytes(self) -> int:
        """Shortest request, service identifier included."""
        ...

    def perform(self, request: bytes) -> Reply:
        """Do what is asked; the suppression bit is cleared in `request`. Raises RefusedError."""
        ...


class UdsServer:
    """The services of one ECU and the rules for all of them.

    Args:
        services: what the ECU can do.
        state: what they share.
        rng: random stream of the response times.

    Attributes:
        state, rng: as given.
        refusals: SID -> code that is answered whatever is asked; for faults.
    """

    def __init__(
        self, services: Iterable[UdsService], state: DiagnosticState, rng: random.Random
    ) -> None:
        self.state = state
        self.rng = rng
        self.refusals: dict[int, Nrc] = {}
        self._services = {service.sid: service for service in services}

    def knows(self, sid: int) -> bool:
        """Return whether a functional request for `sid` concerns this ECU."""
        return sid in self._services

    def handle(self, request: bytes, functional: bool, pending_said: bool = False) -> Reply:
        """Return what `request` (1 byte or more) comes to.

        `pending_said`: after "response pending" the final response is never suppressed; a request
        is not `functional` any more then.
        """
        try:
            return self._perform(request, pending_said)
        except RefusedError as refusal:
            if functional and refusal.nrc in UNSAID_WHEN_FUNCTIONAL:
                return Reply(b"")
            return Reply(bytes((NEGATIVE_RESPONSE, request[0], refusal.nrc)))

    def _perform(self, request: bytes, pending_said: bool) -> Reply:
        service = self._checked(request)
        if service.subfunctions is None or not request[1] & SUPPRESS_POSITIVE_RESPONSE:
            return service.perform(request)
        plain = bytes((request[0], request[1] & ~SUPPRESS_POSITIVE_RESPONSE)) + request[2:]
        reply = service.perform(plain)
        if reply.work_s or pending_said:
            return reply
        return replace(reply, data=b"")

    def _checked(self, request: bytes) -> UdsService:
        """Return the service that `request` asks for, after the checks that all have in common."""
        service = self._services.get(request[0])
        if service is None:
            raise RefusedError(Nrc.SERVICE_NOT_SUPPORTED)
        if request[0] in self.refusals:
            raise RefusedError(self.refusals[request[0]])
        session = self.state.session
        if session not in service.sessions:
            raise RefusedError(Nrc.SERVICE_NOT_SUPPORTED_IN_SESSION)
        if service.subfunctions is not None:
            if len(request) < 2:
                raise RefusedError(Nrc.INVALID_LENGTH_OR_FORMAT)
            sessions = service.subfunctions.get(request[1] & ~SUPPRESS_POSITIVE_RESPONSE)
            if sessions is None:
                raise RefusedError(Nrc.SUBFUNCTION_NOT_SUPPORTED)
            if session not in sessions:
                raise RefusedError(Nrc.SUBFUNCTION_NOT_SUPPORTED_IN_SESSION)
        if len(request) < service.minimum_bytes:
            raise RefusedError(Nrc.INVALID_LENGTH_OR_FORMAT)
        return service


def positive(request: bytes, *parts: bytes, echoed: int = 2) -> bytes:
    """Return a positive response: the SID, the request's next bytes up to `echoed`, the parts."""
    return bytes((request[0] + POSITIVE,)) + request[1:echoed] + b"".join(parts)


def demand_length(request: bytes, *lengths: int) -> None:
    """Refuse a request whose length is none of `lengths`."""
    if len(request) not in lengths:
        raise RefusedError(Nrc.INVALID_LENGTH_OR_FORMAT)
