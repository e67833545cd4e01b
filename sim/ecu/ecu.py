"""One electronic control unit: takes requests from the bus, answers after its own response time."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import simpy

from sim.can.bus import CanBus, FrameReceiver
from sim.can.frame import CanFrame
from sim.can.isotp import IsoTpChannel, IsoTpOptions, Outcome
from sim.ecu.addressing import EcuIds
from sim.ecu.errors import NEGATIVE_RESPONSE, UNSAID_WHEN_FUNCTIONAL, Nrc, RefusedError
from sim.ecu.services import Service
from sim.ecu.uds.server import KEEP_ALIVE, Reply, UdsServer

MAX_QUEUED_REQUESTS = 4  # further ones are dropped and counted
AUTO_RECOVER_S = 0.1  # from bus-off, as the car's broadcasting does
PENDING_REPEAT_S = 4.5  # a tester waits P2* = 5 s after each "response pending" (ISO 15031-5)


def _always() -> bool:
    return True


@dataclass(slots=True)
class _Job:
    """A request under way; `life` tells whether the ECU has restarted since it came."""

    request: bytes
    functional: bool
    delay_s: float
    life: int


class Ecu:
    """An ECU on the bus with its services.

    One request is served at a time; what comes meanwhile waits in a queue of `MAX_QUEUED_REQUESTS`
    (the newest is dropped). Values are sampled when the answer is made, that is after the response
    time. "Tester present" without answer (3E 80) takes no turn: it keeps the session at once.

    Args:
        env: the world's SimPy environment.
        bus: the bus it sits on.
        name: its name there.
        ids: identifiers of requests and answers.
        services: what it can do by SAE J1979.
        response_time_s: shortest and longest time from the end of a request to the answer.
        rng: random stream of its response times.
        uds: its services by ISO 14229-1; None = it has none. Their response times have a stream
            of their own (`UdsServer.rng`): no such request shifts the answers to the others.
        transport: ISO-TP options.
        is_awake: False = the ECU sleeps (ignition off) and answers nothing.

    Attributes:
        response_time_s: may be changed at any time.
        service_times_s: SID -> further seconds that a service needs; "response pending" (7F xx 78)
            is sent meanwhile.
        muted: True lets it take requests on this bus and answer none; for faults.
        request_count, answer_count, dropped_requests: counters.
        reception_failures: messages that were begun and not completed, by reason.
    """

    def __init__(
        self,
        env: simpy.Environment,
        bus: CanBus,
        name: str,
        ids: EcuIds,
        services: Iterable[Service],
        response_time_s: tuple[float, float],
        rng: random.Random,
        *,
        uds: UdsServer | None = None,
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
        self.reception_failures: dict[Outcome, int] = {}
        self._env = env
        self._rng = rng
        self._uds = uds
        self._is_awake = is_awake
        self._functional_id = ids.functional
        self._services: Mapping[int, Service] = {service.sid: service for service in services}
        self._queue: deque[_Job] = deque()
        self._serving = False
        self._life = 0
        self.node = bus.attach(name, self._ignore, {ids.request, ids.functional})
        self.node.auto_recover_s = AUTO_RECOVER_S
        self.channel = IsoTpChannel(
            env,
            self.node,
            ids.response,
            ids.request,
            self._on_request,
            functional_id=ids.functional,
            options=transport,
            is_extended=ids.is_extended,
            on_reception_failed=self._count_failure,
            may_receive=self._may_answer,
            give_up=self.node.withdraw,
        )
        self._hear: FrameReceiver = self.channel.on_frame if self._services else self._hear_uds
        self.node.on_frame = self._hear
        if uds is not None:
            uds.state.on_restart.append(self._on_restart)

    @staticmethod
    def _ignore(_frame: CanFrame, _t_s: float) -> None:
        """Hear nothing: the channel does not exist yet, or the ECU boots."""

    def _may_answer(self) -> bool:
        return not self.muted and self._is_awake()

    def _count_failure(self, outcome: Outcome) -> None:
        self.reception_failures[outcome] = self.reception_failures.get(outcome, 0) + 1

    def _hear_uds(self, frame: CanFrame, t_s: float) -> None:
        """Pass on what may concern an ECU without J1979: OBD traffic goes by at little cost."""
        data = frame.data
        if frame.arbitration_id != self._functional_id or self._knows_uds(
            data[1] if data[1:] else 0
        ):
            self.channel.on_frame(frame, t_s)

    # -- requests --------------------------------------------------------------------------------
    def _on_request(self, request: bytes, functional: bool) -> None:
        service = self._services.get(request[0])
        if service is None:
            if self._keeps_alive(request) or (functional and not self._knows_uds(request[0])):
                return
        elif functional and not service.knows(request):
            return
        self.request_count += 1
        if self.channel.awaits_flow_control:
            self.channel.abort_sending()  # who asks anew does not want the old answer's rest
        low_s, high_s = self.response_time_s
        rng = self._rng if service is not None or self._uds is None else self._uds.rng
        delay_s = low_s + (high_s - low_s) * rng.random()
        job = _Job(request, functional, delay_s, self._life)
        if not self._serving:
            self._serve(job)
        elif len(self._queue) < MAX_QUEUED_REQUESTS:
            self._queue.append(job)
        else:
            self.dropped_requests += 1

    def _knows_uds(self, sid: int) -> bool:
        return self._uds is not None and self._uds.knows(sid)

    def _keeps_alive(self, request: bytes) -> bool:
        if request != KEEP_ALIVE or self._uds is None:
            return False
        if not self._serving and self._may_answer():
            self._uds.state.keep_alive()
        return True

    def _serve(self, job: _Job) -> None:
        self._serving = True
        if self._uds is not None:
            self._uds.state.hold()
        event = self._env.timeout(job.delay_s, job)
        event.callbacks.append(self._respond)

    def _respond(self, event: simpy.Event) -> None:
        job: _Job | None = event.value
        assert job is not None
        if job.life != self._life:
            return
        if not self._may_answer():
            self._next()
            return
        work_s = self.service_times_s.get(job.request[0], 0.0)
        if work_s > 0:
            # After "pending" even a refusal must be said (ISO 14229-1, 7.5.5).
            self._work(job, work_s, lambda: self._answer(job, pending_said=True))
        else:
            self._answer(job, pending_said=False)

    def _work(self, job: _Job, left_s: float, finish: Callable[[], None]) -> None:
        """Say "response pending" until the work is done, then finish."""
        self.channel.send(bytes((NEGATIVE_RESPONSE, job.request[0], Nrc.RESPONSE_PENDING)))
        step_s = min(left_s, PENDING_REPEAT_S)

        def done(_event: simpy.Event) -> None:
            if job.life != self._life:
                return
            if not self._may_answer():
                self._next()
            elif left_s > step_s:
                self._work(job, left_s - step_s, finish)
            else:
                finish()

        event = self._env.timeout(step_s)
        event.callbacks.append(done)

    # -- answers ---------------------------------------------------------------------------------
    def _answer(self, job: _Job, pending_said: bool) -> None:
        request, functional = job.request, job.functional and not pending_said
        service = self._services.get(request[0])
        if service is not None or self._uds is None:
            self._say(self._obd_answer(service, request, functional))
            return
        reply = self._uds.handle(request, functional, pending_said)
        if reply.work_s > 0:
            self._work(job, reply.work_s, lambda: self._finish(job, reply))
        else:
            self._say(reply.data, reply.after)

    def _obd_answer(self, service: Service | None, request: bytes, functional: bool) -> bytes:
        try:
            if service is None:
                raise RefusedError(Nrc.SERVICE_NOT_SUPPORTED)
            return service.answer(request)
        except RefusedError as refusal:
            if functional and refusal.nrc in UNSAID_WHEN_FUNCTIONAL:
                return b""
            return bytes((NEGATIVE_RESPONSE, request[0], refusal.nrc))

    def _finish(self, job: _Job, reply: Reply) -> None:
        try:
            data = reply.data if reply.finish is None else reply.finish()
        except RefusedError as refusal:
            data = bytes((NEGATIVE_RESPONSE, job.request[0], refusal.nrc))
        self._say(data, reply.after)

    def _say(self, data: bytes, after: Callable[[], None] | None = None) -> None:
        """Send `data`; when it has passed, or if it is empty, do what comes after."""
        if not data:
            self._done(after)
            return
        self.answer_count += 1
        if len(data) <= 7 and after is None:
            self.channel.send(data)
            self._next()
            return
        life = self._life

        def sent(_outcome: Outcome) -> None:
            if life == self._life:
                self._done(after)

        self.channel.send(data, sent)

    def _done(self, after: Callable[[], None] | None) -> None:
        if after is not None:
            after()
        self._next()

    def _next(self) -> None:
        self._serving = False
        if self._uds is not None:
            self._uds.state.keep_alive()
        if self._queue:
            self._serve(self._queue.popleft())

    # -- restart ---------------------------------------------------------------------------------
    def _on_restart(self, begins: bool) -> None:
        """Forget everything and hear nothing; or hear again."""
        if not begins:
            self.node.on_frame = self._hear
            return
        self._life += 1
        self._queue.clear()
        self._serving = False
        self.node.on_frame = self._ignore
        self.channel.reset()


def check_response_time(name: str, response_time_s: tuple[float, float]) -> None:
    """Raise ValueError unless 0 <= shortest <= longest."""
    low_s, high_s = response_time_s
    if not 0 <= low_s <= high_s:
        raise ValueError(
            f"response time of ECU {name!r}: expected 0 <= shortest <= longest seconds, "
            f"got {low_s} and {high_s}"
        )
