"""Commands on a real database: queue, delivery, results, time-outs, restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from server.clock import SystemClock
from server.control.command import Command, CommandStatus, State
from server.control.control import QUEUE_LIMIT, RESEND_S, Control
from server.control.templates import Template
from server.errors import CommandRefused
from server.readings import Reading
from server.readings import State as ReadingState
from server.store.hotlog import Batch
from tests.server.told import Result, Told

ACCEPTED, DONE, REFUSED, FAILED = range(4)
RATES = '{"additionalProperties": {"type": "number", "minimum": 0, "maximum": 50}}'


TEMPLATES = [Told("reboot"), Told("set_rates", "rates", RATES), Told("clear_dtcs")]


class ShiftedClock(SystemClock):
    """The process's clock, that a test moves ahead."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now_ns(self) -> int:
        return super().now_ns() + round(self.ahead_s * 1e9)

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_s


@pytest.fixture
def clock() -> ShiftedClock:
    """The clock of the control under test."""
    return ShiftedClock()


Published = list[CommandStatus]


@pytest.fixture
def published() -> Published:
    """Every change that was published."""
    return []


@pytest.fixture
async def make(
    pool: asyncpg.Pool, clock: ShiftedClock, published: Published
) -> AsyncIterator[Callable[..., Control]]:
    """Make controls on the same database, as restarts do."""
    made: list[Control] = []

    def control(**options: Any) -> Control:
        made.append(Control(pool, clock, published.append, **options))
        return made[-1]

    yield control
    for one in made:
        await one.close()


@pytest.fixture
async def control(make: Callable[..., Control]) -> Control:
    """A control that knows the device esp-1."""
    control = make()
    await control.hello("esp-1", TEMPLATES)
    return control


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def drive(pool: asyncpg.Pool, clock: ShiftedClock, kph: float, **options: Any) -> None:
    """Store a speed of the device, measured just now."""
    age_s = options.get("age_s", 0.0)
    now_ns = clock.now_ns() - round(age_s * 1e9)
    state = options.get("state", ReadingState.MEASURED)
    await store(pool, clock, Reading(options.get("signal", 13), now_ns, kph, now_ns, state))


async def store(pool: asyncpg.Pool, clock: ShiftedClock, *readings: Reading) -> None:
    """Store readings of the device, written now."""
    batch = Batch.of(clock.now_ns() % 2**40, readings)
    async with pool.acquire() as connection:
        session = await connection.fetchval(
            "INSERT INTO sessions (device, boot, opened_ns) VALUES ('esp-1', 1, 1) RETURNING id"
        )
        await connection.execute(
            "INSERT INTO hot VALUES ('esp-1', 1, $1, $2, $3, $4, $5, $6, $7)",
            batch.seq_first,
            batch.seq_last,
            session,
            batch.time_min_ns,
            batch.time_max_ns,
            clock.now_ns(),
            batch.body,
        )


async def test_from_order_to_result(control: Control, published: Published) -> None:
    """A command is queued, handed out once, accepted, done; each change is published once."""
    queued = await control.order("esp-1", "set_rates", {"RPM": 10}, 60)
    assert (queued.state, queued.parameters) == (State.QUEUED, {"RPM": 10})
    assert await control.pending("esp-2") == []
    expires_ms = queued.expires_ns // 10**6
    handed = await control.pending("esp-1")
    assert handed == [Command(queued.id, "set_rates", '{"RPM":10}', expires_ms)]
    assert await control.pending("esp-1") == []
    await control.results("esp-1", [Result(queued.id, ACCEPTED)])
    await control.results("esp-1", [Result(queued.id, ACCEPTED)])
    await control.results("esp-1", [Result(queued.id, DONE, '{"RPM":10}')])
    await control.results("esp-1", [Result(queued.id, FAILED, "said again, otherwise")])
    assert [status.state for status in published] == ["queued", "sent", "accepted", "done"]
    done = await control.command("esp-1", queued.id)
    assert done is not None
    assert (done.state, done.detail, done.late) == (State.DONE, '{"RPM":10}', False)
    assert done.sent_ns is not None
    assert done.ended_ns is not None
    assert await control.pending("esp-1") == []


@pytest.mark.parametrize(("status", "state"), [(REFUSED, "refused"), (FAILED, "failed")])
async def test_a_device_says_no(control: Control, status: int, state: str) -> None:
    """The device's reason is kept with the command."""
    queued = await control.order("esp-1", "reboot", {})
    await control.pending("esp-1")
    await control.results("esp-1", [Result(queued.id, status, "engine runs")])
    (ended,) = await control.commands("esp-1")
    assert (ended.state, ended.detail) == (state, "engine runs")


async def test_a_lost_answer_is_repeated(control: Control, clock: ShiftedClock) -> None:
    """A command whose delivery may have been lost goes out again, until the device has it."""
    queued = await control.order("esp-1", "reboot", {}, 60)
    assert len(await control.pending("esp-1")) == 1
    clock.ahead_s += RESEND_S
    assert [command.id for command in await control.pending("esp-1")] == [queued.id]
    await control.results("esp-1", [Result(queued.id, ACCEPTED)])
    clock.ahead_s += RESEND_S
    assert await control.pending("esp-1") == []


@pytest.mark.parametrize(
    ("name", "parameters", "status", "message"),
    [
        ("fly", {}, 404, "name: expected one of clear_dtcs, reboot, set_rates, found 'fly'"),
        ("'; DROP TABLE commands; --", {}, 404, "name: expected one of"),
        ("reboot", {"now": 1}, 400, "parameters.now: expected no parameters, found unknown 'now'"),
        ("set_rates", {"RPM": 99}, 400, "parameters.RPM: expected at most 50, found 99"),
        ("set_rates", {"RPM": "1"}, 400, 'parameters.RPM: expected number, found "1"'),
        ("set_rates", {"x" * 20_000: 1}, 400, "parameters: expected at most 4096 bytes"),
    ],
)
async def test_orders_that_are_refused(
    control: Control, name: str, parameters: dict[str, Any], status: int, message: str
) -> None:
    """What is not in the device's templates is refused with the reason, and queued nowhere."""
    with pytest.raises(CommandRefused) as caught:
        await control.order("esp-1", name, parameters)
    assert caught.value.status == status
    assert str(caught.value).startswith(message)
    assert await control.commands("esp-1") == []


async def test_a_device_without_templates(control: Control) -> None:
    """A device that has told nothing cannot be commanded."""
    with pytest.raises(CommandRefused, match="a device that has told its commands"):
        await control.order("esp-9", "reboot", {})


async def test_templates_are_kept(make: Callable[..., Control], control: Control) -> None:
    """After a restart the templates are known before the device says them again."""
    again = make()
    assert await again.templates("esp-1") == await control.templates("esp-1")
    assert await again.hello("esp-1", [Told("other"), Told("bad name!")]) == [
        "name: expected a letter, then up to 63 letters, digits, '_', '.', '-', found \"bad name!\""
    ]
    assert [template.name for template in await make().templates("esp-1")] == ["other"]


async def test_templates_of_a_file(make: Callable[..., Control]) -> None:
    """A file's templates count for all devices; what a device says itself goes first."""
    general = [Template("reboot", "of the file", {"type": "object"}), Template("horn", "", {})]
    control = make(templates=lambda: general)
    await control.hello("esp-1", [Told("reboot", "of the device")])
    shown = {template.name: template.description for template in await control.templates("esp-1")}
    assert shown == {"horn": "", "reboot": "of the device"}
    assert [template.name for template in await control.templates("esp-2")] == ["horn", "reboot"]


async def test_only_allowed_commands(make: Callable[..., Control]) -> None:
    """An allow-list refuses what the device would do."""
    control = make(allowed=["set_rates"])
    await control.hello("esp-1", TEMPLATES)
    with pytest.raises(CommandRefused, match=r"\[control\] allowed \(set_rates\)"):
        await control.order("esp-1", "reboot", {})
    await control.order("esp-1", "set_rates", {})


async def test_a_command_times_out(control: Control, published: Published) -> None:
    """A command that nobody fetches, and one that nobody answers, end visibly."""
    await control.order("esp-1", "reboot", {}, 0.05)
    await until(lambda: published[-1].state == "timed_out")
    assert published[-1].detail == "the device did not fetch it in time"
    assert await control.pending("esp-1") == []
    await control.order("esp-1", "reboot", {}, 0.1)
    assert len(await control.pending("esp-1")) == 1
    await until(lambda: published[-1].state == "timed_out")
    assert published[-1].detail == "the device did not answer in time"


class AwayPool:
    """Connections of a database that can be away."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.away = False
        self._pool = pool

    def acquire(self) -> Any:
        if self.away:
            raise ConnectionRefusedError(111, "Connection refused")
        return self._pool.acquire()


async def test_a_time_out_without_the_database(
    pool: asyncpg.Pool,
    clock: ShiftedClock,
    published: Published,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A time-out that cannot be stored is tried again; meanwhile the command goes nowhere."""
    monkeypatch.setattr("server.control.control.EXPIRE_RETRY_S", 0.05)
    away: Any = AwayPool(pool)
    control = Control(away, clock, published.append)
    await control.hello("esp-1", TEMPLATES)
    await control.order("esp-1", "reboot", {}, 0.1)
    away.away = True
    await asyncio.sleep(0.3)
    assert [status.state for status in published] == ["queued"]
    assert await control.pending("esp-1") == []
    with pytest.raises(ConnectionRefusedError):
        await control.results("esp-1", [Result(1, DONE)])
    away.away = False
    await until(lambda: published[-1].state == "timed_out")
    await control.close()


async def test_a_late_result_counts(control: Control, published: Published) -> None:
    """What a device did after the time-out is told, and marked."""
    queued = await control.order("esp-1", "reboot", {}, 0.1)
    await control.pending("esp-1")
    await until(lambda: published[-1].state == "timed_out")
    await control.results("esp-1", [Result(queued.id, DONE)])
    assert (published[-1].state, published[-1].late) == ("done", True)


async def test_a_restart_goes_on(
    make: Callable[..., Control], control: Control, published: Published
) -> None:
    """Open commands are handed out, answered and timed out by the next run."""
    first = await control.order("esp-1", "reboot", {}, 60)
    second = await control.order("esp-1", "set_rates", {}, 0.2)
    await control.close()
    again = make()
    assert [command.id for command in await again.pending("esp-1")] == [first.id, second.id]
    await until(lambda: published[-1].state == "timed_out")
    assert published[-1].id == second.id
    await again.results("esp-1", [Result(first.id, DONE)])
    assert published[-1].state == "done"


async def test_results_of_no_command(control: Control, published: Published) -> None:
    """Unknown numbers, impossible ones, and those of another device change nothing."""
    await control.hello("esp-2", TEMPLATES)
    queued = await control.order("esp-1", "reboot", {})
    before = len(published)
    await control.results(
        "esp-2", [Result(queued.id, DONE), Result(0, DONE), Result(2**64 - 1, DONE)]
    )
    await control.results("esp-1", [Result(queued.id, 7), Result(queued.id, -1)])
    assert len(published) == before
    await control.results("esp-1", [Result(queued.id, DONE, "nul \0 " + "x" * 10_000)])
    assert published[-1].detail.startswith("nul ␀ xxx")
    assert len(published[-1].detail) == 4096


async def test_the_queue_is_bounded(control: Control) -> None:
    """A device that does not come cannot fill the memory."""
    for _ in range(QUEUE_LIMIT):
        await control.order("esp-1", "reboot", {})
    with pytest.raises(CommandRefused, match="wait for results") as caught:
        await control.order("esp-1", "reboot", {})
    assert caught.value.status == 429


async def test_links_are_told_at_once(control: Control) -> None:
    """A link that can send at any time hears of a command when it is queued."""
    heard: list[str] = []
    end = control.listen("esp-1", lambda: heard.append("queued"))
    await control.order("esp-1", "reboot", {})
    assert heard == ["queued"]
    end()
    end()
    await control.order("esp-1", "reboot", {})
    assert heard == ["queued"]


@pytest.mark.parametrize(
    ("kph", "options", "reason"),
    [
        (30.0, {}, r"30 km/h \(SPEED\)"),
        (0.0, {"age_s": 31.0}, "no speed read in the last 30 s"),
        (0.0, {"state": ReadingState.HELD}, "no speed read in the last 30 s"),
        (5.0, {"signal": 1004}, r"5 km/h \(GPS_SPEED\)"),
    ],
)
async def test_clearing_codes_needs_a_standing_vehicle(
    control: Control,
    pool: asyncpg.Pool,
    clock: ShiftedClock,
    kph: float,
    options: dict[str, Any],
    reason: str,
) -> None:
    """Whoever moves, or is not known to stand, gets no clear_dtcs; nothing forces it."""
    await drive(pool, clock, kph, **options)
    with pytest.raises(CommandRefused, match=reason) as caught:
        await control.order("esp-1", "clear_dtcs", {})
    assert caught.value.status == 409


async def test_an_old_speed_among_new_readings(
    control: Control, pool: asyncpg.Pool, clock: ShiftedClock
) -> None:
    """A device that sends what it had kept, with something new in the same batch, does not stand
    because it stood an hour ago."""
    now_ns = clock.now_ns()
    hour_ago_ns = now_ns - 3600 * 10**9
    await store(
        pool, clock, Reading(13, hour_ago_ns, 0.0, now_ns), Reading(12, now_ns, 0.0, now_ns)
    )
    with pytest.raises(CommandRefused, match="no speed read"):
        await control.order("esp-1", "clear_dtcs", {})


async def test_clearing_codes_of_a_standing_vehicle(
    control: Control, pool: asyncpg.Pool, clock: ShiftedClock, published: Published
) -> None:
    """A standing vehicle gets the command; one that drives off before it came does not."""
    await drive(pool, clock, 0.0)
    await control.order("esp-1", "clear_dtcs", {})
    assert [command.name for command in await control.pending("esp-1")] == ["clear_dtcs"]
    await control.order("esp-1", "clear_dtcs", {})
    await drive(pool, clock, 12.0)
    assert await control.pending("esp-1") == []
    assert (published[-1].state, published[-1].detail) == (
        "refused",
        "the vehicle is not known to stand: 12 km/h (SPEED)",
    )


async def test_commands_come_in_pages(control: Control) -> None:
    """The newest first, and on from the last that was seen; one of another device is none."""
    ids = [(await control.order("esp-1", "reboot", {})).id for _ in range(5)]
    assert [status.id for status in await control.commands("esp-1", 2)] == ids[:-3:-1]
    assert [status.id for status in await control.commands("esp-1", 9, ids[3])] == ids[2::-1]
    assert await control.command("esp-2", ids[0]) is None
