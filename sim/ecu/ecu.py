"""One electronic control unit: takes requests from the bus, answers after its own response time."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping

import simpy

from sim.can.bus import CanBus
from sim.can.isotp import IsoTpChannel, IsoTpOptions, Outcome
from sim.ecu.errors import NEGATIVE_RESPONSE, UNSAID_WHEN_FUNCTIONAL, Nrc, RefusedError
from sim.ecu.services import Service

FUNCTIONAL_ID = 0x7DF  # ISO 15765-4: the request that every emission-related ECU hears
MAX_QUEUED_REQUESTS = 4  # further ones are dropped and counted
PENDING_REPEAT_S = 4.5  # a tester waits P2* = 5 s after each "response pending" (ISO 15031-5)

_Request = tuple[bytes, bool, float]


def _always() -> bool:
    return True


class Ecu:
    """An ECU on the bus with its services.

    One request is served at a time; what comes meanwhile waits in a queue of `MAX_QUEUED_REQUESTS`
    (the newest is dropped). Values are sampled when the answer is made, that is after the response
    time.

    Args:
        env: the world's SimPy environment.
        bus: the bus it sits on.
        name: its name there.
        request_id: identifier of requests to it alone.
        response_id: identifier of its answers.
        services: what it can do.
        response_time_s: shortest and longest time from the end of a request to the answer.
        rng: its own random stream.
        functional_id: identifier of requests to everybody.
        transport: ISO-TP options.
        is_awake: False = the ECU sleeps (ignition off) and answers nothing.

    Attributes:
        response_time_s: may be changed at any time.
        service_times_s: SID -> further seconds that a service needs; "response pending" (7F xx 78)
            is sent meanwhile.
        muted: True lets it take requests on this bus and answer none; for faults.
        request_count, answer_count, dropped_requests: counters.
    """

    def __init__(
        self,
        env: simpy.Environment,
        bus: CanBus,
        name: str,
        request_id: int,
        response_id: int,
        services: Iterable[Service],
        response_time_s: tuple[float, float],
        rng: random.Random,
        *,
        functional_id: int = FUNCTIONAL_ID,
        transport: IsoTpOptions | None = None,
        is_awake: Callable[[], bool] = _always,
    ) -> None:
        check_response_time(name, response_time_s)
        self.name = name
        self.response_time_s = response_time_s
        self.service_times_s: dict[int, float] = {}
        self.muted = False
        self.request_count = 0
        self.answer_count = 0
        self.dropped_requests = 0
        self._env = env
        self._rng = rng
        self._is_awake = is_awake
        self._services: Mapping[int, Service] = {service.sid: service for service in services}
        self._queue: deque[_Request] = deque()
        self._serving = False
        self.node = bus.attach(name, self._ignore, {request_id, functional_id})
        self.channel = IsoTpChannel(
            env,
            self.node,
            response_id,
            request_id,
            self._on_request,
            functional_id=functional_id,
            options=transport,
        )
        self.node.on_frame = self.channel.on_frame

    @staticmethod
    def _ignore(_frame: object, _t_s: float) -> None:
        """Stand in until the channel exists."""

    # -- requests --------------------------------------------------------------------------------
    def _on_request(self, request: bytes, functional: bool) -> None:
        service = self._services.get(request[0])
        if functional and (service is None or not service.knows(request)):
            return
        self.request_count += 1
        if self.channel.awaits_flow_control:
            self.channel.abort_sending()  # who asks anew does not want the old answer's rest
        low_s, high_s = self.response_time_s
        delay_s = low_s + (high_s - low_s) * self._rng.random()
        if not self._serving:
            self._serve((request, functional, delay_s))
        elif len(self._queue) < MAX_QUEUED_REQUESTS:
            self._queue.append((request, functional, delay_s))
        else:
            self.dropped_requests += 1

    def _serve(self, job: _Request) -> None:
        self._serving = True
        event = self._env.timeout(job[2], job)
        event.callbacks.append(self._respond)

    def _respond(self, event: simpy.Event) -> None:
        job: _Request | None = event.value
        assert job is not None
        request, functional, _delay_s = job
        if self.muted or not self._is_awake():
            self._next()
            return
        work_s = self.service_times_s.get(request[0], 0.0)
        if work_s > 0:
            self._work(request, work_s)
        else:
            self._answer(request, functional)

    def _work(self, request: bytes, left_s: float) -> None:
        """Say "response pending" until the work is done, then answer."""
        self.channel.send(bytes((NEGATIVE_RESPONSE, request[0], Nrc.RESPONSE_PENDING)))
        step_s = min(left_s, PENDING_REPEAT_S)

        def done(_event: simpy.Event) -> None:
            if left_s > step_s:
                self._work(request, left_s - step_s)
            else:
                # After "pending" even a refusal must be said (ISO 14229-1, 7.5.5).
                self._answer(request, functional=False)

        event = self._env.timeout(step_s)
        event.callbacks.append(done)

    def _answer(self, request: bytes, functional: bool) -> None:
        answer = self._make_answer(request, functional)
        if answer is None:
            self._next()
            return
        self.answer_count += 1
        if len(answer) <= 7:
            self.channel.send(answer)
            self._next()
        else:
            self.channel.send(answer, self._sent)

    def _make_answer(self, request: bytes, functional: bool) -> bytes | None:
        sid = request[0]
        service = self._services.get(sid)
        try:
            if service is None:
                raise RefusedError(Nrc.SERVICE_NOT_SUPPORTED)
            return service.answer(request)
        except RefusedError as refusal:
            if functional and refusal.nrc in UNSAID_WHEN_FUNCTIONAL:
                return None
            return bytes((NEGATIVE_RESPONSE, sid, refusal.nrc))

    def _sent(self, _outcome: Outcome) -> None:
        self._next()

    def _next(self) -> None:
        self._serving = False
        if self._queue:
            self._serve(self._queue.popleft())


def check_response_time(name: str, response_time_s: tuple[float, float]) -> None:
    """Raise ValueError unless 0 <= shortest <= longest."""
    low_s, high_s = response_time_s
    if not 0 <= low_s <= high_s:
        raise ValueError(
            f"response time of ECU {name!r}: expected 0 <= shortest <= longest seconds, "
            f"got {low_s} and {high_s}"
        )
