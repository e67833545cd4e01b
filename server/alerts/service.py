"""Alerts of a gateway: rules over readings, the history, and who is told.

    readings -> Engine -> changes -> [changed] -> live stream, table, receivers

What changes is written and published together: at once where nothing was for a second, else after
that second, each alert as it is then. So a value that crosses its threshold a hundred times a
second costs one row and one event a second. The receivers have intervals of their own
(`server.alerts.outlet`), and an alert that is back within the rule's cool-down goes on as the same
one: it is told again only when the cool-down is over and it still fires.

A restart goes on with the alerts that were open: what fires, fires no second time; what was not
told yet is told.

Of several gateways on one database each looks after the devices of the shards that it owns. Then a
change is published and told only when it is written, and it is written only by the owner (the
token of the shard is checked in the transaction): what receivers were told stands in the table for
the next owner, and nobody else tells it. Who takes a shard goes on where the last owner ended
(`server.alerts.takeover`).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

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
from server.alerts.takeover import (
    Silent,
    first_time_ns,
    past_s,
    read_heads,
    read_long,
    read_past,
    read_silent,
)
from server.alerts.target import BUILT_IN, Target, TargetBody, checked_target
from server.alerts.webhook import post
from server.answers import BadParameter, Refusal
from server.catalogue import Signal, by_id, by_name, by_path
from server.clock import Clock
from server.errors import CatalogueError, Fenced, StoreError
from server.instances.changes import Changes
from server.instances.in_order import Key
from server.instances.shard import SHARDS, shard_of
from server.instances.told import Told
from server.outbound.addresses import Door
from server.readings import Reading
from server.rereading import Rereading
from server.store.appends import Append, Piece
from server.store.body import COLUMNS_VERSION, decode_body, decode_columns
from server.store.connection import DATABASE_ERRORS, first_line
from server.store.segment import MS_NS

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
RETAKE_S = 0.3
"""From a taking over that failed to the next try."""
REMEMBERED_NS = 3600 * 10**9
"""An alert that ended before is no more gone on with, unless a cool-down is longer."""
UNTOLD_NS = 10 * 10**9
"""An owner that dies leaves untold what has ended so lately at most."""
HELD_BACK = 100_000
"""Turns that wait at most until their shard is taken over."""


class Publisher(Protocol):
    """Who is told of changes at once; never blocks."""

    def event(self, content: dict[str, object]) -> None:
        """Take an event."""


class Owner(Protocol):
    """Who knows which shards are owned (`server.instances.lease`)."""

    on_change: list[Callable[[frozenset[int], frozenset[int]], None]]

    @property
    def held(self) -> Mapping[int, int]:
        """The places and their tokens, while they are surely ours."""


class Alerts:
    """The alerts of one gateway; made without I/O.

    Args:
        pool: for the tables.
        clock: instants and durations.
        publisher: the live stream.
        door: the way out.
        gateway: its device id, under which local readings are stored.
        leases: the shards that it looks after; None: this gateway is alone.
        changes: tells what another gateway has changed.

    Attributes:
        failing: why alerts are not written; empty while they are.
        lost: alerts that could not be kept until they were written, since the start.
        fenced: alerts that another gateway has taken over before they were written.
        taking: shards that are being taken over.
        on_rules: called when there are rules for the first time, or none any more.
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
        leases: Owner | None = None,
        changes: Changes | None = None,
    ) -> None:
        self.failing = ""
        self.lost = 0
        self.fenced = 0
        self.on_rules: Callable[[], None] = lambda: None
        self._had_rules = False
        self._leases = leases
        self._mine: set[int] = set()
        self._held_back: dict[int, dict[str, list[Told]]] = {}
        self._held_back_count = 0
        self._gone_through: set[str] = set()
        self._past: dict[Key, int] = {}
        self._taking: asyncio.Task[None] | None = None
        self._untold: dict[int, Alert] = {}
        self._hurry = asyncio.Event()
        self._rereadings: list[Rereading] = []
        self._pool = pool
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
        if changes is not None and leases is not None:
            for what, read in (
                ("alert_rules", self._read_rules),
                ("alert_targets", self._read_targets),
                ("alert_silences", self._read_silences),
                ("alerts", self._read_acknowledged),
            ):
                self._rereadings.append(Rereading(what, read))
                changes.on(what, self._rereadings[-1].ask)

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
        if self._leases is not None:
            self._leases.on_change.append(self._owned)
            self._owned(frozenset(self._leases.held), frozenset())
            return
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
        if self._leases is not None:
            with contextlib.suppress(ValueError):
                self._leases.on_change.remove(self._owned)
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.gather(self._taking, return_exceptions=True)
        for rereading in self._rereadings:
            await rereading.close()
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
        """Apply the rules to readings of a local link, where this gateway is alone."""
        if self._engine.is_idle or self._leases is not None:
            return
        self._engine.readings(
            device, vin, readings, self._clock.now_ns(), self._clock.monotonic_s()
        )
        self._after(device, vin)

    def stored(self, append: Append, pieces: Sequence[Piece]) -> None:
        """Apply the rules to new readings of a remote device, where this gateway is alone."""
        if self._leases is not None or self._engine.is_idle:
            return
        if not self._engine.signals(append.device, append.vin):
            return
        now_ns, now_s = self._clock.now_ns(), self._clock.monotonic_s()
        for piece in pieces:
            columns = decode_columns(piece.body)
            self._engine.columns(append.device, append.vin, columns, now_ns, now_s)
        self._after(append.device, append.vin)

    def turn(self, told: Told) -> None:
        """Apply the rules to what a gateway has committed for a device, in the order of turns."""
        shard = shard_of(told.device)
        held_back = self._held_back.get(shard)
        if held_back is not None and told.device not in self._gone_through:
            if self._held_back_count >= HELD_BACK:
                self.lost += 1
                return
            self._held_back_count += 1
            held_back.setdefault(told.device, []).append(told)
        elif shard in self._mine or held_back is not None:
            self._new_turn(told, self._clock.now_ns(), self._clock.monotonic_s())

    def _new_turn(self, told: Told, now_ns: int, now_s: float) -> None:
        # What was there when the shard was taken over was gone through then.
        if not self._past or told.turn > self._past.get(told.key, 0):
            self._turn(told, now_ns, now_s)

    def _turn(self, told: Told, now_ns: int, now_s: float) -> None:
        device, vin = told.device, told.vin
        if self._engine.is_idle or not self._engine.signals(device, vin):
            return
        for _, body in told.rows or ():
            if body[0] == COLUMNS_VERSION:
                self._engine.columns(device, vin, decode_columns(body), now_ns, now_s)
            else:
                self._engine.readings(device, vin, decode_body(body), now_ns, now_s)
        self._after(device, vin)

    def elsewhere(self, content: Mapping[str, Any]) -> None:
        """Take note of an event of another gateway: signals of its links are missing."""
        if content["type"] == "stale":
            self.missing(str(content["gateway"]), [int(one) for one in content["signals"]])

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
            alert = Alert(
                id=self._new_id(watch.device, now_ns),
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

    def _new_id(self, device: str, now_ns: int) -> int:
        self._last_id = max(now_ns // 1000, self._last_id + 1)
        if self._leases is not None:
            # Each shard has numbers of its own: no two gateways give the same.
            self._last_id += (shard_of(device) - self._last_id) % SHARDS
        return self._last_id

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
            self._hurry.clear()
            self._take_changes()
            await self._write()
            await self._forget()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_S):
                    await self._hurry.wait()

    def _take_changes(self) -> None:
        """Let what has changed wait to be written; alone, publish it and have it told at once."""
        changed, self._dirty = self._dirty, {}
        self._unwritten.update(changed)
        self._untold.update(changed)
        if self._leases is None:
            self._tell(tuple(self._untold))
        while len(self._unwritten) > UNWRITTEN_MOST:
            number = next(iter(self._unwritten))
            del self._unwritten[number]
            self._untold.pop(number, None)
            self.lost += 1

    def _tell(self, numbers: Collection[int]) -> None:
        """Publish what has changed, and have it told."""
        changed = [self._untold.pop(number) for number in numbers if number in self._untold]
        for alert in changed:
            self._publisher.event({"type": "alert", **msgspec.structs.asdict(alert)})
        for alert in changed:
            has_begun = alert.id in self._begun
            self._begun.discard(alert.id)
            self._reconcile(alert, has_begun=has_begun)

    async def _write(self) -> None:
        alerts, watched = self._unwritten, self._new_watched
        if not alerts and not watched:
            return
        self._unwritten, self._new_watched = {}, set()
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                if alerts:
                    await self._write_alerts(list(alerts.values()))
                if watched:
                    await self._store.add_watched(sorted(watched))
        except (StoreError, *DATABASE_ERRORS) as error:
            kept = {number: one for number, one in alerts.items() if self._is_mine(one.device)}
            self._unwritten = kept | self._unwritten
            self._new_watched |= {row for row in watched if self._is_mine(row[1])}
            self._failed(first_line(error))
        else:
            if self.failing:
                log.info("alerts are written again")
            self.failing = ""
            self._retry_s = RETRY_FIRST_S

    async def _write_alerts(self, alerts: Sequence[Alert]) -> None:
        """Write alerts; those of shards that are ours no more are their new owners'."""
        if self._leases is None:
            await self._store.write(alerts)
            return
        by_shard: dict[int, list[Alert]] = {}
        for alert in alerts:
            by_shard.setdefault(shard_of(alert.device), []).append(alert)
        held = self._leases.held
        places = {shard: held[shard] for shard in by_shard if shard in held}
        for shard in by_shard.keys() - places.keys():
            # Perhaps ours again in a moment; if not, `_lose` forgets them.
            self._unwritten.update((alert.id, alert) for alert in by_shard[shard])
            asyncio.get_running_loop().call_later(RETAKE_S, self._wake.set)
        try:
            mine = [alert for shard in places for alert in by_shard[shard]]
            if mine:
                await self._store.write(mine, places)
            self._tell([alert.id for alert in mine])
        except Fenced:
            for shard, token in places.items():
                try:
                    await self._store.write(by_shard[shard], {shard: token})
                    self._tell([alert.id for alert in by_shard[shard]])
                except Fenced:
                    self.fenced += len(by_shard[shard])
                    log.warning("alerts left to the new owner", shard=shard)

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
        if len(known) == 1 and self._is_mine(alert.device):
            (alert.told,) = known
            self._unwritten[alert.id] = alert
            self._wake.set()
            if self._leases is not None:
                # Whoever takes over must not tell it again.
                self._hurry.set()

    def _add_outlet(self, target: Target) -> None:
        self._outlets[target.name] = Outlet(
            target,
            partial(self._send, target),
            self._told,
            gateway=self._gateway,
            clock=self._clock,
            group_s=self._config.group_s,
            interval_s=self._config.interval_s,
            is_ours=self._is_ours,
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
        self._renew(stored)
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
        self._renew(stored)
        return stored

    async def remove_rule(self, rule_id: int) -> None:
        """Take a rule away; its alerts end, and stay in the history.

        Raises:
            Refusal: there is none.
        """
        self.rule(rule_id)
        await self._store.remove_rule(rule_id)
        self._drop_rule(rule_id)

    def _drop_rule(self, rule_id: int) -> None:
        if rule_id not in self._rules:
            return
        self._gone[rule_id] = self._rules.pop(rule_id)
        while len(self._gone) > GONE_KEPT:
            self._gone.pop(next(iter(self._gone)))
        self._engine.remove(rule_id)
        self._end_alerts(rule_id, "rule removed")
        self._look_at_rules()
        self._watched = {row for row in self._watched if row[0] != rule_id}
        self._new_watched = {row for row in self._new_watched if row[0] != rule_id}

    def _renew(self, stored: StoredRule) -> None:
        """Apply a rule that is new or was written anew; one that is known changes nothing."""
        old = self._rules.get(stored.id)
        if old is not None:
            if (old.body, old.changed_ns) == (stored.body, stored.changed_ns):
                return
            self._end_alerts(stored.id, "rule changed")
        self._put(stored)

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
        self._look_at_rules()

    def _watch(self, rule_id: int, device: str, vin: str) -> None:
        for rule in self._engine.rules:
            if rule.id == rule_id and rule.body.kind is Kind.STALE and self._is_mine(device):
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

    # -- several gateways -----------------------------------------------------------------------
    @property
    def taking(self) -> int:
        """Shards that are being taken over."""
        return len(self._held_back)

    @property
    def has_rules(self) -> bool:
        """Whether any rule is applied."""
        return not self._engine.is_idle

    def _look_at_rules(self) -> None:
        if self.has_rules is not self._had_rules:
            self._had_rules = self.has_rules
            self.on_rules()

    def _is_mine(self, device: str) -> bool:
        return self._leases is None or shard_of(device) in self._mine

    def _is_ours(self, alert: Alert) -> bool:
        """Tell whether nobody else can have taken the device over by now."""
        return self._leases is None or shard_of(alert.device) in self._leases.held

    def _owned(self, taken: frozenset[int], lost: frozenset[int]) -> None:
        shards = {place for place in lost if place >= 0}
        if shards:
            self._lose(shards)
        for place in taken:
            if place >= 0:
                self._mine.discard(place)
                self._held_back[place] = {}
        if self._held_back and self._taking is None:
            self._taking = asyncio.create_task(self._take_over(), name="alerts taken over")

    def _lose(self, shards: Collection[int]) -> None:
        """Forget devices that another gateway looks after; nothing ends, and nothing is told."""

        def is_lost(device: str) -> bool:
            return shard_of(device) in shards

        self._mine.difference_update(shards)
        for shard in shards:
            held_back = self._held_back.pop(shard, {})
            self._held_back_count -= sum(map(len, held_back.values()))
        self._gone_through = {one for one in self._gone_through if not is_lost(one)}
        self._past = {key: turn for key, turn in self._past.items() if not is_lost(key[0])}
        self._engine.drop(is_lost)
        gone = {alert.id for alert in self._last.values() if is_lost(alert.device)}
        self._last = {key: one for key, one in self._last.items() if one.id not in gone}
        for waiting in (self._dirty, self._unwritten, self._untold):
            for number in [n for n, one in waiting.items() if is_lost(one.device)]:
                gone.add(number)
                del waiting[number]
        self._begun -= gone
        for number in gone & self._again.keys():
            self._again.pop(number).cancel()
        for outlet in self._outlets.values():
            outlet.drop(gone)
        self._watched = {row for row in self._watched if not is_lost(row[1])}
        self._new_watched = {row for row in self._new_watched if not is_lost(row[1])}

    async def _take_over(self) -> None:
        is_told = False
        try:
            while self._held_back:
                try:
                    await self._restore(dict(self._held_back))
                except (StoreError, *DATABASE_ERRORS) as error:
                    if not is_told:
                        log.error("alerts not taken over yet", reason=first_line(error))
                    is_told = True
                    await asyncio.sleep(RETAKE_S)
                except Exception:
                    log.exception("alerts not taken over")  # a task boundary
                    await asyncio.sleep(RETAKE_S)
        finally:
            self._taking = None

    async def _restore(self, held_back: Mapping[int, dict[str, list[Told]]]) -> None:
        """Go on with the alerts of shards where their last owner ended."""
        wanted = set(held_back)
        rules = list(self._engine.rules)
        now_ns = self._clock.now_ns()
        cooldown_ns = round(max((rule.cooldown_s for rule in rules), default=0.0) * 1e9)
        alerts = await self._store.latest(now_ns - max(cooldown_ns, REMEMBERED_NS))
        stale = {rule.signal.id for rule in rules if rule.body.kind is Kind.STALE}
        async with self._pool.acquire() as connection:
            silent = await read_silent(connection, wanted, stale)

            def is_still(device: str) -> bool:
                shard = shard_of(device)
                return shard in held_back and self._held_back.get(shard) is held_back[shard]

            now_s = self._clock.monotonic_s()
            for alert in alerts:
                if is_still(alert.device):
                    self._go_on(alert, now_s)
            since_ns = now_ns - round(past_s(rules) * 1e9)
            heads = await read_heads(connection, wanted, since_ns)
            for head in heads:
                if is_still(head.device):
                    self._past[head.device, head.boot] = head.turn
            if rules:
                before = await read_long(connection, wanted, rules, now_ns)
                async for device, turns in read_past(connection, heads, since_ns):
                    if is_still(device):
                        earlier = before.pop(device, [])
                        if earlier:
                            first_ns = first_time_ns(turns) - MS_NS
                            earlier = [r for r in earlier if r.time_ns < first_ns]
                        self._go_through(device, turns, earlier)
                    # Others have their turn between two devices.
                    await asyncio.sleep(0)
                for device, readings in before.items():
                    if is_still(device):
                        self._go_through(device, (), readings)
        self._restore_silent(silent, is_still)
        for shard, waiting in held_back.items():
            if self._held_back.get(shard) is waiting:
                for device in tuple(waiting):
                    self._go_through(device)
                del self._held_back[shard]
                self._mine.add(shard)
        self._gone_through = {d for d in self._gone_through if shard_of(d) in self._held_back}
        for rule in rules:
            if rule.body.device is not None and self._is_mine(rule.body.device):
                self._watch(rule.id, rule.body.device, "")
        self._arm()

    def _go_on(self, alert: Alert, now_s: float) -> None:
        """Go on with an alert of the last owner, as its table has it."""
        self._last_id = max(self._last_id, alert.id)
        rule = next((rule for rule in self._engine.rules if rule.id == alert.rule_id), None)
        if rule is None or rule.text != alert.condition:
            if alert.ended_ns is None:
                how = "rule removed" if rule is None else "rule changed"
                self._end(alert, max(self._clock.now_ns(), alert.fired_ns), how, alert.extreme)
            return
        if alert.ended_ns is not None:
            watch = self._engine.watch(rule, alert.device, alert.vin, now_s)
            if watch is not None:
                self._engine.ended(watch, alert.ended_ns)
        if not self._restored(alert, now_s) and alert.ended_ns is None:
            ended_ns = max(self._clock.now_ns(), alert.fired_ns)
            self._end(alert, ended_ns, "rule changed", alert.extreme)
        changed_ns = alert.fired_ns if alert.ended_ns is None else alert.ended_ns
        if alert.told or alert.told_ns or self._clock.now_ns() - changed_ns > UNTOLD_NS:
            return
        # Written, and perhaps its owner died before anybody was told.
        self._publisher.event({"type": "alert", **msgspec.structs.asdict(alert)})
        if alert.ended_ns is not None:
            self._reconcile(alert, has_begun=True)

    def _restore_silent(self, silent: Silent, is_still: Callable[[str], bool]) -> None:
        """Go on with watching what must not be silent."""
        now_ns, now_s = self._clock.now_ns(), self._clock.monotonic_s()
        rules = {rule.id: rule for rule in self._engine.rules}
        for rule_id, device, vin in silent.watched:
            rule = rules.get(rule_id)
            if rule is None or not is_still(device):
                continue
            self._watched.add((rule_id, device, vin))
            watch = self._engine.watch(rule, device, vin, now_s)
            if watch is None:
                continue
            seen = silent.seen.get((device, rule.signal.id))
            if seen is not None:
                self._engine.restore_seen(watch, seen.time_ns, seen.value, now_ns, now_s)
            # Silence counts from when somebody has listened, and there was the rule.
            rule_s = (now_ns - self._rules[rule_id].changed_ns) / 1e9
            self._engine.due_since(watch, now_s - min(silent.fleet_s, rule_s))

    def _go_through(
        self, device: str, turns: Sequence[Told] = (), before: Sequence[Reading] = ()
    ) -> None:
        """Apply the rules to the past of a device as it was then, and to what came meanwhile."""
        now_ns, now_s = self._clock.now_ns(), self._clock.monotonic_s()
        vin = turns[-1].vin if turns else ""
        later: list[Watch] = []
        if (turns or before) and self._engine.signals(device, vin):
            first_ns = before[0].time_ns if before else turns[0].stored_ns
            # A rule looks at what has come since it is as it is.
            later = self._engine.take_off(
                device, lambda rule_id: self._rules[rule_id].changed_ns > first_ns
            )
            later.sort(key=lambda watch: -self._rules[watch.rule.id].changed_ns)

        def at(instant_ns: int) -> tuple[int, float]:
            """Do what was due by then, and give the instant by both clocks."""
            while later and self._rules[later[-1].rule.id].changed_ns <= instant_ns:
                self._engine.put_on(later.pop())
            at_ns = min(instant_ns, now_ns)
            at_s = now_s - (now_ns - at_ns) / 1e9
            self._engine.expire_device(device, at_ns, at_s)
            return at_ns, at_s

        for reading in before:
            self._engine.readings(device, vin, (reading,), *at(reading.time_ns))
        for told in turns:
            self._turn(told, *at(told.stored_ns))
        for watch in later:
            self._engine.put_on(watch)
        self._gone_through.add(device)
        waiting = self._held_back.get(shard_of(device), {}).pop(device, [])
        self._held_back_count -= len(waiting)
        for told in waiting:
            self._new_turn(told, now_ns, now_s)

    async def _read_rules(self, _: frozenset[str] | None) -> None:
        """Take rules that another gateway has added, changed or removed."""
        rules = {rule.id: rule for rule in await self._store.rules()}
        for rule_id in [known for known in self._rules if known not in rules]:
            self._drop_rule(rule_id)
        for stored in rules.values():
            self._renew(stored)

    async def _read_targets(self, _: frozenset[str] | None) -> None:
        """Take receivers that another gateway has added or removed."""
        targets = {target.name: target for target in await self._store.targets()}
        for name, outlet in tuple(self._outlets.items()):
            if outlet.target.made_by != "configuration" and targets.get(name) != outlet.target:
                del self._outlets[name]
                await outlet.stop()
        for name, target in targets.items():
            if name not in self._outlets:
                self._add_outlet(target)

    async def _read_silences(self, _: frozenset[str] | None) -> None:
        """Take silences that another gateway has made or ended."""
        found = await self._store.silences(self._clock.now_ns())
        has_ended = self._silences.keys() - {one.id for one in found}
        self._silences = {one.id: one for one in found}
        if has_ended:
            for alert in tuple(self._last.values()):
                self._reconcile(alert)

    async def _read_acknowledged(self, keys: frozenset[str] | None) -> None:
        """Take note of what somebody told another gateway."""
        mine = {alert.id: alert for alert in self._last.values()}
        asked = [number for number in mine if keys is None or str(number) in keys]
        if asked:
            for number, acked_ns, acked_by, note in await self._store.acknowledged(asked):
                alert = mine[number]
                alert.acked_ns, alert.acked_by, alert.note = acked_ns, acked_by, note

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
