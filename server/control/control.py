"""Commands to devices: checked against templates, kept until the device has them, watched.

A command is handed out with the next answer to the device (`pending`), and again every RESEND_S
until the device says something about it: an answer may be lost on its way. A device therefore
takes a command that it has already seen as a question for its result.

The queue is a table, so that it survives a restart; what is open is held in memory as well, so
that a device without commands costs no query. One gateway at a time serves a device.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import asyncpg
import msgspec
import structlog

from server.clock import Clock
from server.control.command import OPEN, RESULTS, Command, CommandResult, CommandStatus, State
from server.control.schema import SchemaError, check
from server.control.standing import why_not_standing
from server.control.templates import Template, TemplateText, read_templates
from server.errors import CommandRefused, StoreError
from server.store.connection import DATABASE_ERRORS, first_line

log = structlog.get_logger("telerig.control")

QUEUE_LIMIT = 32
"""Open commands of one device; further ones are refused."""
RESEND_S = 5.0
DETAIL_LIMIT = 4096
PARAMETERS_LIMIT_BYTES = 4_096
EXPIRE_RETRY_S = 1.0
TIMEOUT_LIMIT_S = 7 * 86_400.0
TIMEOUT_S = 30.0

_UNHEARD: Mapping[State, str] = {
    State.QUEUED: "the device did not fetch it in time",
    State.SENT: "the device did not answer in time",
    State.ACCEPTED: "the device accepted it and did not finish in time",
}
_COLUMNS = (
    "id, device, name, parameters, state, detail, late, queued_ns, expires_ns, sent_ns, ended_ns"
)

Publish = Callable[[CommandStatus], None]
"""Takes each change of a command; called in the event loop; never blocks."""


class _Open:
    """A command that is not at its end, and the timer of its end."""

    def __init__(self, status: CommandStatus, standing: bool) -> None:
        self.status = status
        self.standing = standing
        self.sent_s: float | None = None
        self.timer: asyncio.TimerHandle | None = None


class Control:
    """The commands of all devices.

    Args:
        pool: connections; used when the first command or template is asked for.
        clock: for time-outs.
        publish: told about every change.
        templates: gives the templates of a file, for all devices.
        standing: names of commands that only a standing vehicle gets.
        allowed: names of commands that may be given at all; None: all that have a template.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        clock: Clock,
        publish: Publish,
        *,
        templates: Callable[[], Sequence[Template]] = tuple,
        standing: Iterable[str] = ("clear_dtcs",),
        allowed: Iterable[str] | None = None,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._publish = publish
        self._general = templates
        self._standing = frozenset(standing)
        self._allowed = None if allowed is None else frozenset(allowed)
        self._open: dict[str, dict[int, _Open]] = {}
        self._templates: dict[str, list[Template]] = {}
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loaded = False
        self._lock = asyncio.Lock()

    # Templates.

    async def hello(self, device: str, templates: Iterable[TemplateText]) -> list[str]:
        """Take the templates of a device that has connected; give what was wrong with them.

        Raises:
            STORE_ERRORS: they are not kept; the hello is to be taken again.
        """
        found, problems = read_templates(templates)
        for problem in problems:
            log.warning("template refused", device=device, reason=str(problem))
        if found != await self._own_templates(device):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute("DELETE FROM command_templates WHERE device = $1", device)
                now_ns = self._clock.now_ns()
                await connection.executemany(
                    "INSERT INTO command_templates (device, name, description, schema, told_ns)"
                    " VALUES ($1, $2, $3, $4, $5)",
                    [
                        (device, t.name, _clean(t.description), _json(t.parameters), now_ns)
                        for t in found
                    ],
                )
            self._templates[device] = found
        return [str(problem) for problem in problems]

    async def templates(self, device: str) -> list[Template]:
        """Give the templates of a device, by name."""
        own = {template.name: template for template in await self._own_templates(device)}
        every = {template.name: template for template in self._general()} | own
        return [every[name] for name in sorted(every)]

    async def _own_templates(self, device: str) -> list[Template]:
        found = self._templates.get(device)
        if found is None:
            async with self._pool.acquire() as connection:
                rows = await connection.fetch(
                    "SELECT name, description, schema FROM command_templates WHERE device = $1",
                    device,
                )
            found = [
                Template(row["name"], row["description"], msgspec.json.decode(row["schema"]))
                for row in rows
            ]
            self._templates[device] = found
        return found

    # From the operator.

    async def order(
        self, device: str, name: str, parameters: Mapping[str, Any], timeout_s: float = TIMEOUT_S
    ) -> CommandStatus:
        """Check a command and queue it for the device.

        Raises:
            CommandRefused: with the reason.
            STORE_ERRORS: it is not queued.
        """
        await self._load()
        await self._check(device, name, parameters)
        now_ns = self._clock.now_ns()
        async with self._pool.acquire() as connection:
            if name in self._standing:
                reason = await why_not_standing(connection, device, now_ns)
                if reason:
                    raise CommandRefused(409, "vehicle", f"to stand for {name}", reason)
            waiting = self._open.setdefault(device, {})
            if len(waiting) >= QUEUE_LIMIT:
                expected = f"fewer than {QUEUE_LIMIT} open commands of a device"
                raise CommandRefused(429, "device", expected, f"{len(waiting)}; wait for results")
            row = await connection.fetchrow(
                "INSERT INTO commands (device, name, parameters, state, queued_ns, expires_ns)"
                f" VALUES ($1, $2, $3, 'queued', $4, $5) RETURNING {_COLUMNS}",
                device,
                name,
                _json(parameters),
                now_ns,
                now_ns + round(timeout_s * 1e9),
            )
        status = _status(row)
        self._watch(status)
        log.info("command queued", device=device, command=status.id, name=name)
        self._publish(status)
        for listener in list(self._listeners.get(device, ())):
            listener()
        return status

    async def _check(self, device: str, name: str, parameters: Mapping[str, Any]) -> None:
        templates = {template.name: template for template in await self.templates(device)}
        template = templates.get(name)
        if template is None:
            expected = (
                f"one of {', '.join(templates)}"
                if templates
                else "a device that has told its commands (it does when it connects)"
            )
            raise CommandRefused(404, "name", expected, repr(name[:80]))
        if self._allowed is not None and name not in self._allowed:
            allowed = ", ".join(sorted(self._allowed)) or "none"
            expected = f"a command of [control] allowed ({allowed})"
            raise CommandRefused(403, "name", expected, repr(name[:80]))
        try:
            check(parameters, template.parameters)
        except SchemaError as error:
            raise CommandRefused(400, error.where, error.expected, error.found) from None
        size = len(_json(parameters))
        if size > PARAMETERS_LIMIT_BYTES:
            expected = f"at most {PARAMETERS_LIMIT_BYTES} bytes"
            raise CommandRefused(400, "parameters", expected, f"{size} bytes")

    async def commands(
        self, device: str, limit: int = 100, before: int | None = None
    ) -> list[CommandStatus]:
        """Give the commands of a device, the newest first; `before` is the id of the last seen."""
        await self._load()
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(
                f"SELECT {_COLUMNS} FROM commands WHERE device = $1"
                " AND ($3::bigint IS NULL OR id < $3) ORDER BY id DESC LIMIT $2",
                device,
                limit,
                before,
            )
        return [_status(row) for row in rows]

    async def command(self, device: str, command_id: int) -> CommandStatus | None:
        """Give a command of a device; None where it has no such."""
        await self._load()
        async with self._pool.acquire() as connection:
            row = await connection.fetchrow(
                f"SELECT {_COLUMNS} FROM commands WHERE device = $1 AND id = $2",
                device,
                command_id,
            )
        return _status(row) if row is not None else None

    def is_open(self, device: str, command_id: int) -> bool:
        """Tell whether something is still to come of a command."""
        return command_id in self._open.get(device, {})

    def listen(self, device: str, queued: Callable[[], None]) -> Callable[[], None]:
        """Be called when a command is queued for a device, for links that can send at any time;
        gives what ends it."""
        self._listeners.setdefault(device, []).append(queued)

        def end() -> None:
            listeners = self._listeners.get(device, [])
            if queued in listeners:
                listeners.remove(queued)
            if not listeners:
                self._listeners.pop(device, None)

        return end

    # From and to the device.

    async def pending(self, device: str) -> list[Command]:
        """Give the commands that are to go to the device now, oldest first.

        Raises:
            STORE_ERRORS: ask again later.
        """
        await self._load()
        waiting = self._open.get(device)
        if not waiting:
            return []
        now_s = self._clock.monotonic_s()
        due = [
            command
            for command in waiting.values()
            if command.status.state in (State.QUEUED, State.SENT)
            and (command.sent_s is None or now_s - command.sent_s >= RESEND_S)
        ]
        handed = []
        for command in due:
            status = await self._hand_out(command)
            if status is not None:
                expires_ms = status.expires_ns // 1_000_000
                parameters = _json(status.parameters)
                handed.append(Command(status.id, status.name, parameters, expires_ms))
        return handed

    async def _hand_out(self, command: _Open) -> CommandStatus | None:
        """Note that a command goes out; a vehicle that has started to move does not get it."""
        status = command.status
        now_ns = self._clock.now_ns()
        if status.expires_ns <= now_ns:
            return None
        async with self._pool.acquire() as connection:
            reason = (
                await why_not_standing(connection, status.device, now_ns)
                if command.standing
                else ""
            )
            if reason and status.state is State.QUEUED:
                detail = f"the vehicle is not known to stand: {reason}"
                await self._change(connection, status, State.REFUSED, detail)
                return None
            if reason:
                return None
            changed = await self._change(connection, status, State.SENT, "")
        if changed is not None:
            command.sent_s = self._clock.monotonic_s()
        return changed

    async def results(self, device: str, results: Iterable[CommandResult]) -> None:
        """Take what a device says about its commands; the same again changes nothing.

        Raises:
            STORE_ERRORS: not all is kept; the device is to say it again.
        """
        results = list(results)
        if not results:
            return
        await self._load()
        async with self._pool.acquire() as connection:
            for result in results:
                await self._result(connection, device, result)

    async def _result(
        self, connection: asyncpg.Connection, device: str, result: CommandResult
    ) -> None:
        row = None
        if 0 < result.id < 2**63:
            row = await connection.fetchrow(
                f"SELECT {_COLUMNS} FROM commands WHERE device = $1 AND id = $2", device, result.id
            )
        if row is None or not 0 <= result.status < len(RESULTS):
            log.warning(
                "result of no command", device=device, command=result.id, status=result.status
            )
            return
        status = _status(row)
        state = RESULTS[result.status]
        if status.state in OPEN:
            if state is not State.ACCEPTED or status.state is not State.ACCEPTED:
                await self._change(connection, status, state, _clean(result.detail))
        elif status.state is State.TIMED_OUT and state is not State.ACCEPTED:
            await self._change(connection, status, state, _clean(result.detail), late=True)

    # Changes and time-outs.

    async def _change(
        self,
        connection: asyncpg.Connection,
        status: CommandStatus,
        state: State,
        detail: str,
        *,
        late: bool = False,
    ) -> CommandStatus | None:
        """Bring a command into a state, from the one in which it was seen; None where somebody
        else was first."""
        now_ns = self._clock.now_ns()
        row = await connection.fetchrow(
            f"""
            UPDATE commands SET state = $3, detail = $4, late = $5,
                sent_ns = CASE WHEN $3 = 'sent' THEN $6 ELSE sent_ns END,
                ended_ns = CASE WHEN $3 IN ('sent', 'accepted') THEN NULL ELSE $6 END
            WHERE id = $1 AND state = $2 RETURNING {_COLUMNS}
            """,
            status.id,
            status.state,
            state,
            detail,
            late,
            now_ns,
        )
        if row is None:
            return None
        changed = _status(row)
        self._watch(changed)
        if changed.state is not status.state:
            log.info(
                "command",
                device=changed.device,
                command=changed.id,
                name=changed.name,
                state=changed.state.value,
                detail=changed.detail[:200],
            )
            self._publish(changed)
        return changed

    def _watch(self, status: CommandStatus) -> None:
        """Keep an open command and its timer; forget one that is at its end."""
        waiting = self._open.setdefault(status.device, {})
        command = waiting.get(status.id)
        if status.state in OPEN:
            if command is None:
                command = waiting[status.id] = _Open(status, status.name in self._standing)
                self._arm(command)
            command.status = status
            return
        if command is not None:
            del waiting[status.id]
            if command.timer is not None:
                command.timer.cancel()
        if not waiting:
            del self._open[status.device]

    def _arm(self, command: _Open, wait_s: float | None = None) -> None:
        if wait_s is None:
            wait_s = (command.status.expires_ns - self._clock.now_ns()) / 1e9
        loop = asyncio.get_running_loop()
        command.timer = loop.call_later(max(0.0, wait_s), self._start_expire, command)

    def _start_expire(self, command: _Open) -> None:
        task = asyncio.create_task(self._expire(command), name="command time-out")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _expire(self, command: _Open) -> None:
        status = command.status
        left_s = (status.expires_ns - self._clock.now_ns()) / 1e9
        if left_s > 0:  # timers may be early
            self._arm(command, left_s)
            return
        try:
            async with self._pool.acquire() as connection:
                detail = _UNHEARD[status.state]
                changed = await self._change(connection, status, State.TIMED_OUT, detail)
        except (StoreError, *DATABASE_ERRORS) as error:
            log.warning("time-out not stored", command=status.id, reason=first_line(error))
            changed = None
        # A result may have come in between: then there is nothing left to watch.
        if changed is None and status.id in self._open.get(status.device, {}):
            self._arm(command, EXPIRE_RETRY_S)

    async def _load(self) -> None:
        """Read the open commands of earlier runs, once."""
        if self._loaded:
            return
        async with self._lock:
            if self._loaded:
                return
            async with self._pool.acquire() as connection:
                rows = await connection.fetch(
                    f"SELECT {_COLUMNS} FROM commands WHERE state = ANY($1::text[]) ORDER BY id",
                    list(OPEN),
                )
            for row in rows:
                self._watch(_status(row))
            self._loaded = True

    async def close(self) -> None:
        """End the timers; open commands stay open in the table."""
        for waiting in self._open.values():
            for command in waiting.values():
                if command.timer is not None:
                    command.timer.cancel()
        self._open.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _status(row: asyncpg.Record) -> CommandStatus:
    return CommandStatus(
        row["id"],
        row["device"],
        row["name"],
        msgspec.json.decode(row["parameters"]),
        State(row["state"]),
        row["detail"],
        row["late"],
        row["queued_ns"],
        row["expires_ns"],
        row["sent_ns"],
        row["ended_ns"],
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _clean(text: str) -> str:
    """Give a text that the database takes: bounded, without NUL."""
    return text[:DETAIL_LIMIT].replace("\0", "␀")
