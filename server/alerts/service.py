"""Alerts of a gateway: rules over readings, the history, and who is told.

    readings -> Engine -> changes -> [changed] -> live stream, table, receivers

What changes is written and published together: at once where nothing was for a second, else after
that second, each alert as it is then. So a value that crosses its threshold a hundred times a
second costs one row and one event a second. The receivers have intervals of their own
(`server.alerts.outlet`), and an alert that is back within the rule's cool-down goes on as the same
one: it is told again only when the cool-down is over and it still fires.

A restart goes on with the alerts that were open: what fires, fires no second time; what was not
told yet is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol

import asyncpg
import msgspec
import structlog

from server.alerts.alert import Alert, Silence, SilenceBody, StoredRule
from server.alerts.config import AlertsConfig, MailConfig
from server.alerts.engine import Change, Engine, State, Watch
from server.alerts.mail import Mailer, MailRefused
from server.alerts.messages import Message
from server.alerts.outlet import Outlet
from server.alerts.rule import Kind, Rule, RuleBody, checked
from server.alerts.store import AlertFilter, AlertStore
from server.alerts.target import BUILT_IN, Target, TargetBody, checked_target
from server.alerts.webhook import post
from server.answers import BadParameter, Refusal
from server.catalogue import Signal, by_id, by_name, by_path
from server.clock import Clock
from server.errors import CatalogueError, StoreError
from server.outbound.addresses import Door
from server.readings import Reading
from server.store.appends import Append, Piece
from server.store.body import decode_columns
from server.store.connection import DATABASE_ERRORS, first_line

log = structlog.get_logger("telerig.alerts")

FLUSH_S = 1.0
"""Between two writes; a storm is one row and one event for each alert."""
WRITE_TIMEOUT_S = 2.0
RETRY_FIRST_S = 1.0
RETRY_LAST_S = 60.0
UNWRITTEN_MOST = 10_000
FORGET_EVERY_NS = 3600 * 10**9
GONE_KEPT = 100
"""Removed rules that are remembered: the end of their alerts is told to whom it concerns."""
TARGETS_MOST = 100
SILENCES_MOST = 1000
SECRET_PREFIX = "whs_"


class Publisher(Protocol):
    """Who is told of changes at once; never blocks."""

    def event(self, content: dict[str, object]) -> None:
        """Take an event."""


class Alerts:
    """The alerts of one gateway; made without I/O.

    Args:
        pool: for the tables.
        clock: instants and durations.
        publisher: the live stream.
        door: the way out.
        gateway: its device id, under which local readings are stored.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        clock: Clock,
        publisher: Publisher,
        door: Door,
        *,
        gateway: str,
        config: AlertsConfig,
        mail: MailConfig,
    ) -> None:
        self.failing = ""
        self.lost = 0
        self._store = AlertStore(pool)
        self._clock = clock
        self._publisher = publisher
        self._door = door
        self._gateway = gateway
        self._config = config
        self._mailer = Mailer(mail, door) if mail.host is not None else None
        self._engine = Engine(self._changed)
        self._rules: dict[int, StoredRule] = {}
        self._gone: dict[int, StoredRule] = {}
        self._silences: dict[int, Silence] = {}
        self._outlets: dict[str, Outlet] = {}
        self._last: dict[tuple[int, str], Alert] = {}
        self._dirty: dict[int, Alert] = {}
        self._begun: set[int] = set()
        self._unwritten: dict[int, Alert] = {}
        self._watched: set[tuple[int, str, str]] = set()
        self._new_watched: set[tuple[int, str, str]] = set()
        self._has_stale = False
        self._last_id = 0
        self._forgotten_ns = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = float("inf")
        self._again: dict[int, asyncio.TimerHandle] = {}
        self._retry: asyncio.TimerHandle | None = None
        self._retry_s = RETRY_FIRST_S
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        if self._mailer is not None and mail.recipients:
            self._add_outlet(Target(BUILT_IN, "mail", mail.recipients))

    # -- life -----------------------------------------------------------------------------------
    async def start(self, vin: str = "") -> None:
        """Read rules, receivers, silences and open alerts; go on where the last run ended.

        Raises:
            StoreError, DATABASE_ERRORS: the tables cannot be read.
        """
        now_ns, now_s = self._clock.now_ns(), self._clock.monotonic_s()
        for target in await self._store.targets():
            if target.name not in self._outlets:
                self._add_outlet(target)
        self._silences = {one.id: one for one in await self._store.silences(now_ns)}
        for stored in await self._store.rules():
            self._apply(stored)
        self._writer = asyncio.create_task(self._write_forever(), name="alerts")
        kept = []
        for alert in await self._store.latest():
            self._last_id = max(self._last_id, alert.id)
            if self._restored(alert, now_s):
                kept.append(alert.id)
        forgotten = await self._store.end_forgotten(kept, now_ns)
        if forgotten:
            log.info("alerts ended", alerts=forgotten, reason="their rules are gone")
        for rule_id, device, known_vin in await self._store.watched():
            self._watched.add((rule_id, device, known_vin))
            self._watch(rule_id, device, known_vin)
        for rule in self._engine.rules:
            if rule.body.device is not None:
                here = rule.body.device == self._gateway
                self._watch(rule.id, rule.body.device, vin if here else "")
        self._arm()

    def _restored(self, alert: Alert, now_s: float) -> bool:
        """Go on with an alert of an earlier run; tell whether it is still open."""
        rule = next((rule for rule in self._engine.rules if rule.id == alert.rule_id), None)
        if rule is None:
            return False
        self._last[alert.rule_id, alert.device] = alert
        if alert.ended_ns is None:
            watch = self._engine.watch(rule, alert.device, alert.vin, now_s)
            if watch is None:
                return False
            self._engine.restore(watch, alert.since_ns, alert.fired_ns, alert.extreme)
        if alert.told != alert.state and alert.told_ns:
            for outlet in self._outlets_of(self._rules[alert.rule_id]):
                outlet.add(alert)  # the last run wanted to, and perhaps did
        else:
            self._reconcile(alert)
        return alert.ended_ns is None

    async def stop(self) -> None:
        """Write what changed, and end; what was not told is told by the next run."""
        writer, self._writer = self._writer, None
        for timer in (self._timer, self._retry, *self._again.values()):
            if timer is not None:
                timer.cancel()
        self._again.clear()
        if writer is not None:
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
            self._take_changes()
            await self._write()
        await asyncio.gather(*(outlet.stop() for outlet in self._outlets.values()))

    # -- readings -------------------------------------------------------------------------------
    def readings(self, device: str, vin: str, readings: Sequence[Reading]) -> None:
        """Apply the rules to readings of a local link."""
        if self._engine.is_idle:
            return
        self._engine.readings(
            device, vin, readings, self._clock.now_ns(), self._clock.monotonic_s()
        )
        self._after(device, vin)

    def stored(self, append: Append, pieces: Sequence[Piece]) -> None:
        """Apply the rules to new readings of a remote device."""
        if self._engine.is_idle or not self._engine.signals(append.device, append.vin):
            return
        now_ns, now_s = self._clock.now_ns(), self._clock.monotonic_s()
        for piece in pieces:
            columns = decode_columns(piece.body)
            self._engine.columns(append.device, append.vin, columns, now_ns, now_s)
        self._after(append.device, append.vin)

    def missing(self, device: str, signals: Iterable[int]) -> None:
        """Take note that a link has no fresh value of these signals."""
        self._engine.lost(device, signals)

    def _after(self, device: str, vin: str) -> None:
        if self._has_stale:
            for watches in self._engine.signals(device, vin).values():
                for watch in watches:
                    if watch.rule.body.kind is Kind.STALE and watch.last_ns:
                        self._remember(watch)
        self._arm()

    def _remember(self, watch: Watch) -> None:
        row = (watch.rule.id, watch.device, watch.vin)
        if row not in self._watched:
            self._watched.add(row)
            self._new_watched.add(row)
            self._wake.set()

    # -- time -----------------------------------------------------------------------------------
    def _arm(self) -> None:
        due_s = self._engine.next_due_s
        if due_s is None or (self._timer is not None and self._timer_s <= due_s):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_s = due_s
        wait_s = max(0.0, due_s - self._clock.monotonic_s())
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._due)

    def _due(self) -> None:
        self._timer = None
        self._timer_s = float("inf")
        self._engine.expire(self._clock.now_ns(), self._clock.monotonic_s())
        self._arm()

    # -- changes --------------------------------------------------------------------------------
    def _changed(self, change: Change) -> None:
        watch = change.watch
        rule = watch.rule
        key = rule.id, watch.device
        now_ns = self._clock.now_ns()
        alert = self._last.get(key)
        if change.state is State.RESOLVED:
            if alert is not None and alert.ended_ns is None:
                self._end(alert, max(change.time_ns, alert.fired_ns), "cleared", watch.extreme)
            return
        if (
            alert is not None
            and alert.ended_ns is not None
            and alert.ended_how == "cleared"
            and now_ns - max(alert.ended_ns, alert.told_ns) < rule.cooldown_s * 1e9
        ):
            alert.ended_ns = None
            alert.ended_how = ""
            alert.state = "firing"
            alert.times += 1
        else:
            self._last_id = max(now_ns // 1000, self._last_id + 1)
            alert = Alert(
                id=self._last_id,
                state="firing",
                rule_id=rule.id,
                name=rule.body.name,
                condition=rule.text,
                severity=rule.body.severity,
                device=watch.device,
                vin=watch.vin,
                signal=rule.signal.name,
                kind=rule.body.kind,
                since_ns=change.since_ns,
                fired_ns=change.time_ns,
                value=change.value,
                extreme=change.value,
            )
            self._last[key] = alert
        self._begun.add(alert.id)
        self._touch(alert)

    def _end(self, alert: Alert, time_ns: int, how: str, extreme: float) -> None:
        alert.ended_ns = time_ns
        alert.ended_how = how
        alert.state = "resolved"
        alert.extreme = extreme
        self._touch(alert)

    def _touch(self, alert: Alert) -> None:
        self._dirty[alert.id] = alert
        self._wake.set()

    async def _write_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._take_changes()
            await self._write()
            await self._forget()
            await asyncio.sleep(FLUSH_S)

    def _take_changes(self) -> None:
        """Publish what has changed, have it told, and let it wait to be written."""
        changed, self._dirty = self._dirty, {}
        begun, self._begun = self._begun, set()
        for alert in changed.values():
            content = msgspec.structs.asdict(alert)
            self._publisher.event({"type": "alert", **content})
        self._unwritten.update(changed)
        while len(self._unwritten) > UNWRITTEN_MOST:
            self._unwritten.pop(next(iter(self._unwritten)))
            self.lost += 1
        for alert in changed.values():
            self._reconcile(alert, has_begun=alert.id in begun)

    async def _write(self) -> None:
        alerts, watched = self._unwritten, self._new_watched
        if not alerts and not watched:
            return
        self._unwritten, self._new_watched = {}, set()
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                if alerts:
                    await self._store.write(list(alerts.values()))
                if watched:
                    await self._store.add_watched(sorted(watched))
        except (StoreError, *DATABASE_ERRORS) as error:
            self._unwritten = alerts | self._unwritten
            self._new_watched |= watched
            self._failed(first_line(error))
        else:
            if self.failing:
                log.info("alerts are written again")
            self.failing = ""
            self._retry_s = RETRY_FIRST_S

    def _failed(self, reason: str) -> None:
        if not self.failing:
            log.error("alerts not written", reason=reason, next="tried again until it succeeds")
        self.failing = reason
        if self._retry is not None:
            self._retry.cancel()
        self._retry = asyncio.get_running_loop().call_later(self._retry_s, self._wake.set)
        self._retry_s = min(self._retry_s * 2, RETRY_LAST_S)

    async def _forget(self) -> None:
        """Delete old rows, now and then."""
        now_ns = self._clock.now_ns()
        days = self._config.history_days
        if not days or now_ns - self._forgotten_ns < FORGET_EVERY_NS:
            return
        self._forgotten_ns = now_ns
        with contextlib.suppress(StoreError, *DATABASE_ERRORS):  # the next time will do
            await self._store.forget(now_ns - days * 86_400 * 10**9)

    # -- telling --------------------------------------------------------------------------------
    def _reconcile(self, alert: Alert, *, has_begun: bool = False) -> None:
        """Have receivers told what they do not know of an alert, unless it is not the time.

        One that has begun, and has ended before anybody looked (a device sends the whole of it at
        once), is told as well.
        """
        now_ns = self._clock.now_ns()
        until_ns = self._silent_until_ns(alert, now_ns)
        rule = self._rule_of(alert)
        if alert.state == "firing" and alert.told_ns:
            cooldown_s = self._config.cooldown_s
            if rule is not None and rule.body.cooldown_s is not None:
                cooldown_s = rule.body.cooldown_s
            until_ns = max(until_ns, alert.told_ns + round(cooldown_s * 1e9))
        if until_ns > now_ns:
            if alert.state != alert.told and (alert.state == "firing" or alert.told):
                self._later(alert, (until_ns - now_ns) / 1e9)
            return
        outlets = [one for one in self._outlets_of(rule) if one.knows(alert) != alert.state]
        is_new = alert.state == "firing" or (has_begun and not alert.told_ns)
        if outlets and is_new:
            alert.told_ns = now_ns
        for outlet in outlets:
            if is_new or outlet.was_told(alert):
                outlet.add(alert)

    def _later(self, alert: Alert, wait_s: float) -> None:
        loop = asyncio.get_running_loop()
        timer = self._again.pop(alert.id, None)
        if timer is not None:
            timer.cancel()
        self._again[alert.id] = loop.call_later(wait_s, self._tell_again, alert)

    def _tell_again(self, alert: Alert) -> None:
        self._again.pop(alert.id, None)
        self._reconcile(alert)

    def _silent_until_ns(self, alert: Alert, now_ns: int) -> int:
        for silence in [one for one in self._silences.values() if one.to_ns <= now_ns]:
            del self._silences[silence.id]
        covering = [s.to_ns for s in self._silences.values() if s.covers(alert, now_ns)]
        return max(covering, default=0)

    def _rule_of(self, alert: Alert) -> StoredRule | None:
        return self._rules.get(alert.rule_id) or self._gone.get(alert.rule_id)

    def _outlets_of(self, rule: StoredRule | None) -> list[Outlet]:
        if rule is None:
            return []
        names = rule.body.notify
        if names is None:
            return list(self._outlets.values())
        return [self._outlets[name] for name in dict.fromkeys(names) if name in self._outlets]

    def _told(self, alert: Alert) -> None:
        """Write what receivers know, when all of them know the same."""
        rule = self._rule_of(alert)
        known = {outlet.knows(alert) for outlet in self._outlets_of(rule)}
        if len(known) == 1:
            (alert.told,) = known
            self._unwritten[alert.id] = alert
            self._wake.set()

    def _add_outlet(self, target: Target) -> None:
        self._outlets[target.name] = Outlet(
            target,
            partial(self._send, target),
            self._told,
            gateway=self._gateway,
            clock=self._clock,
            group_s=self._config.group_s,
            interval_s=self._config.interval_s,
        )

    async def _send(self, target: Target, message: Message) -> None:
        if target.kind == "webhook":
            unix_s = self._clock.now_ns() // 10**9
            await post(message, target.places[0], target.secret, self._door, unix_s)
        elif self._mailer is None:
            raise MailRefused(
                "expected a mail server in the configuration, [mail] host, found none"
            )
        else:
            await self._mailer.send(message, target.places)

    # -- rules ----------------------------------------------------------------------------------
    @property
    def rules(self) -> list[StoredRule]:
        """All rules, by number."""
        return [self._rules[number] for number in sorted(self._rules)]

    def rule(self, rule_id: int) -> StoredRule:
        """Give a rule.

        Raises:
            Refusal: 404.
        """
        found = self._rules.get(rule_id)
        if found is None:
            raise Refusal(404, "id", "the number of a rule", str(rule_id))
        return found

    @property
    def watches(self) -> list[Watch]:
        """How each rule stands for each device that it has met."""
        return self._engine.watches

    async def add_rule(self, body: RuleBody, by: str) -> StoredRule:
        """Add a rule; it is applied from now on.

        Raises:
            Refusal: it is none, or there are too many.
        """
        if len(self._rules) >= self._config.rules:
            expected = f"at most {self._config.rules} rules ([alerts] rules)"
            raise Refusal(409, "rules", expected, "as many already")
        body = checked(body, _signal(body))
        self._check_receivers(body)
        now_ns = self._clock.now_ns()
        rule_id = await self._store.add_rule(body, now_ns, by)
        stored = StoredRule(rule_id, body, now_ns, by, now_ns)
        self._put(stored)
        return stored

    async def change_rule(self, rule_id: int, body: RuleBody) -> StoredRule:
        """Write a rule anew: its open alerts end, and it begins from nothing.

        Raises:
            Refusal: there is none, or it is none.
        """
        old = self.rule(rule_id)
        body = checked(body, _signal(body))
        self._check_receivers(body)
        now_ns = self._clock.now_ns()
        await self._store.change_rule(rule_id, body, now_ns)
        stored = StoredRule(rule_id, body, old.made_ns, old.made_by, now_ns)
        self._end_alerts(rule_id, "rule changed")
        self._put(stored)
        return stored

    async def remove_rule(self, rule_id: int) -> None:
        """Take a rule away; its alerts end, and stay in the history.

        Raises:
            Refusal: there is none.
        """
        self.rule(rule_id)
        await self._store.remove_rule(rule_id)
        self._gone[rule_id] = self._rules.pop(rule_id)
        while len(self._gone) > GONE_KEPT:
            self._gone.pop(next(iter(self._gone)))
        self._engine.remove(rule_id)
        self._end_alerts(rule_id, "rule removed")
        self._watched = {row for row in self._watched if row[0] != rule_id}
        self._new_watched = {row for row in self._new_watched if row[0] != rule_id}

    def _put(self, stored: StoredRule) -> None:
        self._apply(stored)
        if stored.body.device is not None:
            self._watch(stored.id, stored.body.device, "")
        for rule_id, device, vin in tuple(self._watched):
            if rule_id == stored.id:
                self._watch(rule_id, device, vin)
        self._arm()

    def _apply(self, stored: StoredRule) -> None:
        """Apply a rule where it is switched on, and can be."""
        body = stored.body
        self._engine.remove(stored.id)
        signal = None
        if not stored.problem:
            try:
                signal = _signal(body)
            except BadParameter as error:
                stored = msgspec.structs.replace(stored, problem=str(error))
        self._rules[stored.id] = stored
        if signal is None:
            log.warning("rule not applied", rule=stored.id, reason=stored.problem)
        elif body.enabled:
            self._engine.put(Rule(stored.id, body, signal, self._config.cooldown_s))
        self._has_stale = any(rule.body.kind is Kind.STALE for rule in self._engine.rules)

    def _watch(self, rule_id: int, device: str, vin: str) -> None:
        for rule in self._engine.rules:
            if rule.id == rule_id and rule.body.kind is Kind.STALE:
                self._engine.watch(rule, device, vin, self._clock.monotonic_s())

    def _end_alerts(self, rule_id: int, how: str) -> None:
        now_ns = self._clock.now_ns()
        for key, alert in list(self._last.items()):
            if key[0] != rule_id:
                continue
            if alert.ended_ns is None:
                self._end(alert, max(now_ns, alert.fired_ns), how, alert.extreme)
            del self._last[key]

    def _check_receivers(self, body: RuleBody) -> None:
        for number, name in enumerate(body.notify or ()):
            if name not in self._outlets:
                names = ", ".join(sorted(self._outlets)) or "none there yet"
                raise BadParameter(f"notify[{number}]", f"the name of a receiver ({names})", name)

    # -- receivers ------------------------------------------------------------------------------
    @property
    def outlets(self) -> list[Outlet]:
        """The receivers with their state, by name."""
        return [self._outlets[name] for name in sorted(self._outlets)]

    async def add_target(self, body: TargetBody, by: str) -> Target:
        """Add a receiver; that of a webhook has its secret in it, this one time.

        Raises:
            Refusal: it is none, or its name is taken.
        """
        kind, places = checked_target(body, self._mailer is not None)
        if len(self._outlets) >= TARGETS_MOST:
            raise Refusal(409, "targets", f"at most {TARGETS_MOST} receivers", "as many already")
        secret = SECRET_PREFIX + secrets.token_urlsafe(32) if kind == "webhook" else ""
        target = Target(body.name, kind, places, secret, self._clock.now_ns(), by)
        is_taken = target.name in self._outlets or not await self._store.add_target(target)
        if is_taken:
            raise Refusal(409, "name", "a name that no other receiver has", target.name)
        self._add_outlet(target)
        return target

    async def remove_target(self, name: str) -> None:
        """Take a receiver away; what waits for it is not told.

        Raises:
            Refusal: there is none, or it stands in the configuration.
        """
        outlet = self._outlet(name)
        if outlet.target.made_by == "configuration":
            raise Refusal(409, "name", "a receiver that is not from [mail] recipients", name)
        await self._store.remove_target(name)
        self._outlets.pop(name, None)
        await outlet.stop()

    async def try_target(self, name: str) -> None:
        """Send a message that says it is a test.

        Raises:
            Refusal: there is no such receiver.
            OutboundError: it did not arrive.
        """
        target = self._outlet(name).target
        now_ns = self._clock.now_ns()
        alert = Alert(
            id=0,
            state="resolved",
            rule_id=0,
            name="Test of this receiver",
            condition="no condition: somebody asked for this message",
            severity="info",
            device=self._gateway,
            vin="",
            signal="",
            kind="value",
            since_ns=now_ns,
            fired_ns=now_ns,
            ended_ns=now_ns,
            ended_how="cleared",
            value=0.0,
            extreme=0.0,
        )
        await self._send(target, Message(f"{now_ns:x}-test", self._gateway, now_ns, [alert]))

    def _outlet(self, name: str) -> Outlet:
        found = self._outlets.get(name)
        if found is None:
            raise Refusal(404, "name", "the name of a receiver", repr(name[:64]))
        return found

    # -- silences, acknowledgement, history -----------------------------------------------------
    @property
    def silences(self) -> list[Silence]:
        """Silences that are not over."""
        now_ns = self._clock.now_ns()
        return [one for one in self._silences.values() if one.to_ns > now_ns]

    async def silence(self, body: SilenceBody, by: str) -> Silence:
        """Have nobody told for a while.

        Raises:
            Refusal: there are too many, or the rule is none.
        """
        if len(self.silences) >= SILENCES_MOST:
            raise Refusal(409, "silences", f"at most {SILENCES_MOST} silences", "as many already")
        if body.rule_id is not None:
            self.rule(body.rule_id)
        now_ns = self._clock.now_ns()
        from_ns = now_ns if body.start_ns is None else body.start_ns
        to_ns = from_ns + round(body.duration_s * 1e9)
        if to_ns <= now_ns:
            raise BadParameter("start_ns", "an end in the future", "one in the past")
        made = Silence(0, body.rule_id, body.device, from_ns, to_ns, body.note, now_ns, by)
        made = await self._store.add_silence(made)
        self._silences[made.id] = made
        return made

    async def end_silence(self, silence_id: int) -> None:
        """End a silence: what fires meanwhile is told now.

        Raises:
            Refusal: there is none.
        """
        if silence_id not in self._silences:
            raise Refusal(404, "id", "the number of a silence", str(silence_id))
        await self._store.end_silence(silence_id, self._clock.now_ns())
        self._silences.pop(silence_id, None)
        for alert in tuple(self._last.values()):
            self._reconcile(alert)

    async def history(self, wanted: AlertFilter, limit: int, offset: int) -> list[Alert]:
        """Give alerts, the newest first."""
        return await self._store.find(wanted, limit, offset)

    async def alert(self, alert_id: int) -> Alert:
        """Give an alert.

        Raises:
            Refusal: there is none.
        """
        found = await self._store.get(alert_id)
        if found is None:
            raise Refusal(404, "id", "the number of an alert", str(alert_id))
        return found

    async def acknowledge(self, alert_id: int, by: str, note: str) -> Alert:
        """Take note of an alert, for all to see."""
        await self._store.acknowledge(alert_id, self._clock.now_ns(), by, note)
        found = await self.alert(alert_id)
        mine = self._last.get((found.rule_id, found.device))
        if mine is not None and mine.id == alert_id:
            mine.acked_ns, mine.acked_by, mine.note = found.acked_ns, found.acked_by, found.note
        self._publisher.event({"type": "alert", **msgspec.structs.asdict(found)})
        return found


def _signal(body: RuleBody) -> Signal:
    """Give the signal of a rule.

    Raises:
        BadParameter: there is none of that name, path or number.
    """
    key = body.signal
    try:
        if isinstance(key, int) or (key.isascii() and key.isdigit() and len(key) < 12):
            return by_id(int(key))
        return by_path(key) if "." in key else by_name(key)
    except CatalogueError as error:
        expected = "a name, path or id of /api/v1/signals"
        raise BadParameter("signal", expected, str(error)[:300]) from None
