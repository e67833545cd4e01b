"""Commands to devices: checked against templates, kept until the device has them, watched.

A command is handed out with the next answer to the device (`pending`), and again every RESEND_S
until the device says something about it: an answer may be lost on its way. A device therefore
takes a command that it has already seen as a question for its result.

The queue is a table, so that it survives a restart; what is open is held in memory as well, so
that a device without commands costs no query.

Many gateways may work on one table. Each step of a command is one conditional update, so that it
is handed out, answered and timed out by one of them, whichever the device asks. The others hear of
it with the commit (`changed_elsewhere`) and do as if it were theirs: they publish it, once, and
call the links that could hand it out now.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
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
from server.errors import CommandRefused, StoreAway, StoreError
from server.rereading import Rereading
from server.store.connection import DATABASE_ERRORS, first_line

log = structlog.get_logger("telerig.control")

QUEUE_LIMIT = 32
"""Open commands of one device, over all gateways; further ones are refused."""
RESULT_TRIES = 5
"""So often a result looks again at a command that changes in the very moment."""
PUBLISHED_KEPT = 10_000
"""Commands of which it is remembered which of their states were published."""
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
_RANK: Mapping[State, int] = {
    State.QUEUED: 0,
    State.SENT: 1,
    State.ACCEPTED: 2,
    State.TIMED_OUT: 3,
    State.DONE: 4,
    State.REFUSED: 4,
    State.FAILED: 4,
}
"""A command never goes back."""
_COLUMNS = (
    "id, device, name, parameters, state, detail, late, queued_ns, expires_ns, sent_ns, ended_ns"
)

Publish = Callable[[CommandStatus], None]
"""Takes each change of a command; called in the event loop; never blocks."""


_KEEP_TEMPLATES = """
    WITH gone AS (DELETE FROM command_templates WHERE device = $1 AND name <> ALL ($2::text[]))
    INSERT INTO command_templates (device, name, description, schema, told_ns)
    SELECT $1, told.*, $5 FROM unnest($2::text[], $3::text[], $4::text[]) AS told
    ON CONFLICT (device, name) DO UPDATE SET
        description = excluded.description, schema = excluded.schema, told_ns = excluded.told_ns
"""


class _Open:
    """A command that is not at its end, and the timer of its end.

    Attributes:
        sent_s: when this gateway handed it out, or heard that another one did.
    """

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
        self._templates_told = 0  # how often templates were changed elsewhere
        # By number: the states that were published here, and those that others reached.
        self._published: OrderedDict[int, set[State]] = OrderedDict()
        self._reached: dict[int, list[State]] = {}
        self._again = Rereading("commands", self._read_again)
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
            told = self._templates_told
            async with self._pool.acquire() as connection:
                await connection.execute(
                    _KEEP_TEMPLATES,
                    device,
                    [template.name for template in found],
                    [_clean(template.description) for template in found],
                    [_json(template.parameters) for template in found],
                    self._clock.now_ns(),
                )
            self._keep_templates(device, found, told)
        return [str(problem) for problem in problems]

    async def templates(self, device: str) -> list[Template]:
        """Give the templates of a device, by name."""
        own = {template.name: template for template in await self._own_templates(device)}
        every = {template.name: template for template in self._general()} | own
        return [every[name] for name in sorted(every)]

    async def _own_templates(self, device: str) -> list[Template]:
        found = self._templates.get(device)
        if found is None:
            told = self._templates_told
            async with self._pool.acquire() as connection:
                rows = await connection.fetch(
                    "SELECT name, description, schema FROM command_templates WHERE device = $1",
                    device,
                )
            found = [
                Template(row["name"], row["description"], msgspec.json.decode(row["schema"]))
                for row in rows
            ]
            self._keep_templates(device, found, told)
        return found

    def _keep_templates(self, device: str, found: list[Template], told: int) -> None:
        """Hold templates in memory, unless others were told of since the table was asked."""
        if told == self._templates_told:
            self._templates[device] = found

    def templates_changed_elsewhere(self, device: str) -> None:
        """Read the templates of a device ("": of all) from the table when they are next needed."""
        self._templates_told += 1
        if device:
            self._templates.pop(device, None)
        else:
            self._templates.clear()

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
            row = await connection.fetchrow(
                f"SELECT {_COLUMNS} FROM telerig_queue_command($1, $2, $3, $4, $5, $6)",
                device,
                name,
                _json(parameters),
                now_ns,
                now_ns + round(timeout_s * 1e9),
                QUEUE_LIMIT,
            )
        if row is None:
            expected = f"fewer than {QUEUE_LIMIT} open commands of a device"
            raise CommandRefused(429, "device", expected, f"{QUEUE_LIMIT}; wait for results")
        status = _status(row)
        log.info("command queued", device=device, command=status.id, name=name)
        self._follow(status)
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
        handed = []
        for command in list(waiting.values()):
            if not self._is_due(command):  # asked here: another gateway may be handing them out
                continue
            status = await self._hand_out(command)
            if status is not None:
                expires_ms = status.expires_ns // 1_000_000
                parameters = _json(status.parameters)
                handed.append(Command(status.id, status.name, parameters, expires_ms))
        return handed

    def _is_due(self, command: _Open) -> bool:
        """Tell whether a command is to go to its device now."""
        if command.status.state not in (State.QUEUED, State.SENT):
            return False
        sent_s = command.sent_s
        return sent_s is None or self._clock.monotonic_s() - sent_s >= RESEND_S

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
            if changed is None:  # another gateway has just handed it out, or it is over
                await self._look_at(connection, status.id)
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
        for _ in range(RESULT_TRIES):
            if await self._take_result(connection, device, result):
                return
        raise StoreAway(f"command {result.id} changes all the time: say its result again")

    async def _take_result(
        self, connection: asyncpg.Connection, device: str, result: CommandResult
    ) -> bool:
        """Take a result; False where the command was changed by somebody else meanwhile."""
        row = None
        if 0 < result.id < 2**63:
            row = await connection.fetchrow(
                f"SELECT {_COLUMNS} FROM commands WHERE device = $1 AND id = $2", device, result.id
            )
        if row is None or not 0 <= result.status < len(RESULTS):
            log.warning(
                "result of no command", device=device, command=result.id, status=result.status
            )
            return True
        status = _status(row)
        state = RESULTS[result.status]
        is_late = status.state is State.TIMED_OUT
        if status.state in OPEN:
            is_news = state is not State.ACCEPTED or status.state is not State.ACCEPTED
        else:
            is_news = is_late and state is not State.ACCEPTED
        if not is_news:
            return True
        detail = _clean(result.detail)
        return await self._change(connection, status, state, detail, late=is_late) is not None

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
            WHERE id = $1 AND state = $2
              AND ($3 <> 'sent' OR sent_ns IS NOT DISTINCT FROM $7) RETURNING {_COLUMNS}
            """,
            status.id,
            status.state,
            state,
            detail,
            late,
            now_ns,
            status.sent_ns,
        )
        if row is None:
            return None
        changed = _status(row)
        if changed.state is not status.state:
            log.info(
                "command",
                device=changed.device,
                command=changed.id,
                name=changed.name,
                state=changed.state.value,
                detail=changed.detail[:200],
            )
        self._follow(changed)
        return changed

    def _follow(self, status: CommandStatus) -> None:
        """Take a state that a command has reached, here or elsewhere; unless it went on since."""
        published = self._published.get(status.id, set())
        if any(_RANK[one] > _RANK[status.state] for one in published):
            return
        self._watch(status)
        if status.state is State.SENT:
            self._open[status.device][status.id].sent_s = self._clock.monotonic_s()
        self._announce(status)

    async def _look_at(self, connection: asyncpg.Connection, number: int) -> None:
        """Take the state that somebody else has brought a command into."""
        row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM commands WHERE id = $1", number)
        if row is not None:
            self._follow(_status(row))

    def _announce(self, status: CommandStatus) -> None:
        """Publish a state of a command once; tell the links that may hand it out now."""
        published = self._published.setdefault(status.id, set())
        self._published.move_to_end(status.id)
        if len(self._published) > PUBLISHED_KEPT:
            self._published.popitem(last=False)
        if status.state in published:
            return
        published.add(status.state)
        self._publish(status)
        if status.state is State.QUEUED:
            for listener in list(self._listeners.get(status.device, ())):
                listener()

    # What others do.

    def changed_elsewhere(self, key: str) -> None:
        """Take note of a state that a command has reached, `DEVICE NUMBER STATE`, whoever brought
        it there; "": look at all that are open."""
        if not key:
            self._again.ask("")
            return
        _, number, state = key.rsplit(" ", 2)
        if State(state) not in self._published.get(int(number), ()):
            self._reached.setdefault(int(number), []).append(State(state))
            self._again.ask(number)

    async def _read_again(self, numbers: frozenset[str] | None) -> None:
        """Read commands that others have changed: these, or all that are open here or there."""
        await self._load()
        asked = [*self._reached] if numbers is None else [int(number) for number in numbers]
        if numbers is None:
            asked += [number for waiting in self._open.values() for number in waiting]
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(
                f"SELECT {_COLUMNS} FROM commands"
                " WHERE id = ANY($1::bigint[]) OR ($2 AND state = ANY($3::text[])) ORDER BY id",
                asked,
                numbers is None,
                list(OPEN),
            )
        found = {row["id"]: _status(row) for row in rows}
        for number, status in found.items():
            self._take_reached(status, self._reached.pop(number, []))
        for number in set(asked) - found.keys():
            self._reached.pop(number, None)

    def _take_reached(self, status: CommandStatus, reached: Iterable[State]) -> None:
        """Publish each state that a command has reached elsewhere, up to the one it is in now."""
        for state in reached:
            if _RANK[state] < _RANK[status.state]:  # it went on before it could be read
                self._follow(msgspec.structs.replace(status, state=state, detail="", late=False))
        self._follow(status)

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
                if changed is None:  # another gateway, or a result, was first
                    await self._look_at(connection, status.id)
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
                status = _status(row)
                self._watch(status)
                if status.id not in self._reached:  # it was so before anybody listened
                    self._published.setdefault(status.id, set()).add(status.state)
            self._loaded = True

    async def close(self) -> None:
        """End the timers; open commands stay open in the table."""
        await self._again.close()
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
