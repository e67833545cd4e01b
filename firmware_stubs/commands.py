"""Commands from the gateway: their templates, their checks, what they do.

A command is answered once, however often it comes: results are remembered by the command's number.
Those that take time answer ACCEPTED first, then DONE or FAILED.
"""

import json

from firmware_stubs import obd, plan, signals
from firmware_stubs.isotp import FUNCTIONAL
from firmware_stubs.plan import PlanError
from server.wire.codec.checks import content_hash
from server.wire.messages import (
    ACCEPTED,
    DONE,
    FAILED,
    REFUSED,
    Command,
    CommandResult,
    CommandTemplate,
    Hello,
)

MOST_REMEMBERED = 32
MOST_AT_WORK = 4
CLEAR_DTCS = b"\x04"
_NOTHING = '{"type":"object","additionalProperties":false}'
_MINUTES_10 = '{"type":"integer","minimum":1000,"maximum":600000}'


def _table_of_numbers(limits: str) -> str:
    """Give the schema of an object that maps signals to numbers from 0."""
    return (
        '{"type":"object","minProperties":1,"additionalProperties":{"type":"number","minimum":0'
        + limits
    )


def templates() -> list[CommandTemplate]:
    """Describe every command, as the device says it in its Hello."""
    # The names stand in one schema only: they are the longest part of a Hello.
    names = ',"propertyNames":{"enum":' + json.dumps(signals.names()) + "}}"
    rates = _table_of_numbers(f',"maximum":{plan.FASTEST_HZ}' + "}") + names
    bounds = _table_of_numbers("}}")
    anything = '{"type":"object"}'  # as in set_rates and set_bounds: the names stand there
    whole = (
        '{"type":"object","additionalProperties":false,"required":["rates"],"properties":{"rates":'
        + anything
        + ',"bounds":'
        + anything
        + ',"flush_ms":'
        + _MINUTES_10
        + "}}"
    )
    return [
        CommandTemplate(name=name, description=description, schema=schema)
        for name, description, schema in (
            ("start_logger", "Take readings.", _NOTHING),
            ("stop_logger", "Take no readings until start_logger or a restart.", _NOTHING),
            ("set_rates", "Readings per second of signals; 0 takes a signal out.", rates),
            ("set_bounds", "Largest error of signals, in their unit; 0 is lossless.", bounds),
            ("set_plan", "The whole sampling plan.", whole),
            ("request_keyframe", "Make the next packet stand alone.", _NOTHING),
            ("read_dtcs", "Read stored and pending trouble codes of all ECUs.", _NOTHING),
            ("clear_dtcs", "Clear trouble codes; refused while the engine runs.", _NOTHING),
            ("get_status", "Tell what the logger does.", _NOTHING),
            ("reboot", "Restart the device.", _NOTHING),
        )
    ]


def templates_hash() -> bytes:
    """Name the templates, as a Hello that leaves them out does."""
    return content_hash(Hello(templates=templates()).to_bytes())


class CommandRefusal(Exception):  # noqa: N818 - not an error of the device
    """A command is refused; the text says why."""


class Job:
    """A command that waits for the car's answers."""

    def __init__(self, id: int, name: str, requests: list[obd.Request]) -> None:
        self.id = id
        self.name = name
        self.requests = requests


class Commander:
    """Carries out commands on the logger.

    Args:
        logger: `firmware_stubs.logger.Logger`.
    """

    def __init__(self, logger) -> None:  # type: ignore[no-untyped-def]
        self._logger = logger
        self._remembered: list[CommandResult] = []
        self._jobs: list[Job] = []

    def take(self, command: Command, utc_ms: int) -> None:
        """Carry out a command, or say why not."""
        for result in self._remembered:
            if result.id == command.id:
                self._logger.results.append(result)
                return
        if utc_ms and command.expires_ms and utc_ms > command.expires_ms:
            self._say(command.id, REFUSED, "it came too late")
            return
        try:
            self._run(command, _parameters(command))
        except (CommandRefusal, PlanError) as refusal:
            self._say(command.id, REFUSED, str(refusal))

    def poll(self) -> None:
        """Go on with the jobs whose answers are there."""
        for job in list(self._jobs):
            if all(request.done for request in job.requests):
                self._jobs.remove(job)
                self._go_on(job)

    def _say(self, id: int, status: int, detail: str) -> None:
        result = CommandResult(id=id, status=status, detail=detail)
        self._logger.results.append(result)
        # The last word on a command replaces what was said before.
        self._remembered = [known for known in self._remembered if known.id != id]
        self._remembered.append(result)
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.pop(0)

    def _done(self, id: int, value: object) -> None:
        self._say(id, DONE, json.dumps(value))

    def _run(self, command: Command, parameters: "dict[str, object]") -> None:
        logger = self._logger
        name = command.name
        if name in ("set_rates", "set_bounds", "set_plan"):
            self._set_plan(command, parameters)
            return
        if parameters:
            raise CommandRefusal("no parameters expected, found " + ", ".join(sorted(parameters)))
        if name in ("start_logger", "stop_logger"):
            logger.set_running(name == "start_logger")
            self._done(command.id, None)
        elif name == "request_keyframe":
            logger.need_key()
            self._done(command.id, None)
        elif name == "get_status":
            self._done(command.id, logger.status())
        elif name == "reboot":
            self._say(command.id, DONE, "null")
            logger.reboot_soon()
        elif name == "read_dtcs":
            requests = [obd.Request(FUNCTIONAL, bytes((service,)), True) for service in (3, 7)]
            self._begin(Job(command.id, name, requests))
        elif name == "clear_dtcs":
            self._begin(Job(command.id, name, [obd.engine_request()]))
        else:
            raise CommandRefusal("no command is named " + name)

    def _set_plan(self, command: Command, parameters: "dict[str, object]") -> None:
        wish = self._logger.plan.wish
        if command.name == "set_plan":
            for name in parameters:
                if name not in ("rates", "bounds", "flush_ms"):
                    raise CommandRefusal("rates, bounds or flush_ms expected, found " + name)
            wish = parameters
        else:
            part = "rates" if command.name == "set_rates" else "bounds"
            if not parameters:
                raise CommandRefusal("at least one signal expected")
            wish = plan.changed(wish, part, parameters)
        self._logger.change_plan(plan.Plan(wish))
        self._done(command.id, self._logger.plan.rates())

    def _begin(self, job: Job) -> None:
        if len(self._jobs) >= MOST_AT_WORK:
            raise CommandRefusal("busy with other commands")
        for request in job.requests:
            if not self._logger.obd.ask(request):
                raise CommandRefusal("too many questions to the car wait")
        if job not in self._jobs:
            self._jobs.append(job)
        self._say(job.id, ACCEPTED, "")

    def _go_on(self, job: Job) -> None:
        if job.name == "read_dtcs":
            self._read(job)
        elif job.requests[0].payload == CLEAR_DTCS:
            self._cleared(job)
        else:
            self._clear_if_the_engine_stands(job)

    def _read(self, job: Job) -> None:
        stored, pending = job.requests
        if not stored.answers and not pending.answers:
            self._say(job.id, FAILED, "the car does not answer")
            return
        codes = {"stored": obd.trouble_codes(stored), "pending": obd.trouble_codes(pending)}
        self._done(job.id, codes)

    def _clear_if_the_engine_stands(self, job: Job) -> None:
        for _, data in job.requests[0].positive():
            if len(data) == 3:
                if data[1] or data[2]:
                    self._say(job.id, REFUSED, "the engine runs")
                    return
                job.requests = [obd.Request(FUNCTIONAL, CLEAR_DTCS, True)]
                if self._logger.obd.ask(job.requests[0]):
                    self._jobs.append(job)
                    return
        self._say(job.id, FAILED, "the car does not say whether the engine runs")

    def _cleared(self, job: Job) -> None:
        request = job.requests[0]
        if request.positive():
            self._done(job.id, [f"{ecu:X}" for ecu, _ in request.positive()])
        elif request.refused():
            self._say(job.id, FAILED, f"the car refuses, code {request.refused():02X}")
        else:
            self._say(job.id, FAILED, "the car does not answer")


def _parameters(command: Command) -> "dict[str, object]":
    try:
        parameters = json.loads(command.parameters) if command.parameters else {}
    except ValueError:
        parameters = None
    if not isinstance(parameters, dict):
        raise CommandRefusal("the parameters are no JSON object")
    return parameters
