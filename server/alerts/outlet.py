"""One receiver's queue: grouping, intervals, tries.

    add() … add() -> [waiting] --group_s--> one message --tries--> told
                          ^------------------interval_s------------'

What waits is bounded; beyond it the oldest is dropped and counted in the message.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection

import msgspec
import structlog

from server.alerts.alert import Alert
from server.alerts.mail import MailRefused
from server.alerts.messages import LISTED, Message
from server.alerts.target import Target
from server.alerts.webhook import HookLater, HookRefused
from server.clock import Clock
from server.outbound.errors import OutboundError

log = structlog.get_logger("telerig.alerts")

WAITING_MOST = 1000
TRIES_S = (2.0, 10.0, 60.0, 300.0, 900.0)
"""Waits between the tries of a message; after the last it is given up."""

Send = Callable[[Message], Awaitable[None]]
Told = Callable[[Alert], None]


class OutletStatus(msgspec.Struct):
    """How a receiver is served; counts since the start."""

    waiting: int = 0
    sent: int = 0
    failed: int = 0
    given_up: int = 0
    dropped: int = 0
    error: str = ""
    last_ns: int = 0


class Outlet:
    """Tells one receiver.

    Args:
        target: who.
        send: sends a message; raises OutboundError.
        told: called when what the receiver knows of an alert has changed.
        gateway: its name in messages.
        clock: for instants.
        group_s: what comes within so long goes into one message.
        interval_s: from one message to the next.
        is_ours: tells whether this gateway is the one to tell of an alert, now.
    """

    def __init__(
        self,
        target: Target,
        send: Send,
        told: Told,
        *,
        gateway: str,
        clock: Clock,
        group_s: float,
        interval_s: float,
        is_ours: Callable[[Alert], bool] = lambda alert: True,
    ) -> None:
        self.target = target
        self.status = OutletStatus()
        self._send = send
        self._told = told
        self._gateway = gateway
        self._clock = clock
        self._group_s = group_s
        self._interval_s = interval_s
        self._is_ours = is_ours
        self._waiting: dict[int, Alert] = {}
        self._sending: dict[int, str] = {}
        self._known: dict[int, str] = {}
        self._left: set[int] = set()  # to another gateway, while they were being sent
        self._more = 0
        self._number = 0
        self._next_s = float("-inf")
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def knows(self, alert: Alert) -> str:
        """Give what the receiver knows of an alert: nothing, "firing" or "resolved"."""
        return self._known.get(alert.id, alert.told)

    def was_told(self, alert: Alert) -> bool:
        """Tell whether the receiver knows, or is just told, that an alert has begun."""
        return alert.id in self._sending or self.knows(alert) == "firing"

    def add(self, alert: Alert) -> None:
        """Have an alert told, as it is then."""
        if alert.id not in self._waiting and len(self._waiting) >= WAITING_MOST:
            oldest = self._waiting.pop(next(iter(self._waiting)))
            self._learn(oldest, oldest.state)
            self._more += 1
            self.status.dropped += 1
        self._waiting[alert.id] = alert
        self.status.waiting = len(self._waiting)
        self._wake.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"alerts to {self.target.name}")

    def _learn(self, alert: Alert, state: str) -> None:
        self._known.pop(alert.id, None)
        while len(self._known) >= WAITING_MOST:
            self._known.pop(next(iter(self._known)))
        self._known[alert.id] = state
        self._told(alert)

    def drop(self, alerts: Collection[int]) -> None:
        """Leave alerts, by number, to another gateway, which tells them from now on."""
        self._left.update(alerts)
        for number in alerts:
            self._waiting.pop(number, None)
            self._known.pop(number, None)
        self.status.waiting = len(self._waiting)

    async def stop(self) -> None:
        """End; what waits is told after the next start."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not self._waiting:
                continue
            now_s = self._clock.monotonic_s()
            await asyncio.sleep(max(self._group_s, self._next_s - now_s))
            taken = [one for one in self._waiting.values() if self.knows(one) != one.state]
            more, self._more = self._more, 0
            self._waiting.clear()
            self.status.waiting = 0
            if not taken and not more:
                continue
            self._next_s = self._clock.monotonic_s() + self._interval_s
            self._left.clear()
            self._sending = {alert.id: alert.state for alert in taken}
            told = await self._tell(taken, more)
            sent, self._sending = self._sending, {}
            for alert in taken:
                if alert.id in told:
                    self._learn(alert, sent[alert.id])
                elif alert.id not in self._left:
                    self.add(alert)

    async def _tell(self, alerts: list[Alert], more: int) -> set[int]:
        """Tell, or give up; give the numbers of those that are done with."""
        self._number += 1
        now_ns = self._clock.now_ns()
        # As they are now: what follows must not change a message between its tries.
        listed = [msgspec.structs.replace(alert) for alert in alerts[-LISTED:]]
        message = Message(
            f"{now_ns:x}-{self._number}",
            self._gateway,
            now_ns,
            listed,
            more + len(alerts) - len(listed),
        )
        done = {alert.id for alert in alerts}
        for wait_s in (*TRIES_S, None):
            others = {one.id for one in alerts if one.id in self._left or not self._is_ours(one)}
            if others:
                done -= others
                message = _without(message, others)
            if not message.alerts and not message.more:
                return done
            try:
                await self._send(message)
            except (HookRefused, MailRefused) as error:
                self._failed(error)
                break
            except OutboundError as error:
                self._failed(error)
                if wait_s is None:
                    break
                after_s = error.after_s if isinstance(error, HookLater) else 0.0
                await asyncio.sleep(max(wait_s, after_s))
            except Exception as error:
                # A task boundary: a bug must not end all further messages.
                log.exception("alert not sent", target=self.target.name)
                self._failed(error)
                break
            else:
                self.status.sent += 1
                self.status.error = ""
                self.status.last_ns = self._clock.now_ns()
                return done
        self.status.given_up += 1
        log.error("alerts not told", target=self.target.name, alerts=len(alerts))
        return done

    def _failed(self, error: Exception) -> None:
        self.status.failed += 1
        self.status.error = str(error)
        log.warning("alert not sent yet", target=self.target.name, reason=str(error))


def _without(message: Message, others: set[int]) -> Message:
    kept = [alert for alert in message.alerts if alert.id not in others]
    return msgspec.structs.replace(message, alerts=kept)
