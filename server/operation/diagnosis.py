"""Questions to the car of the gateway's own OBD link: PIDs it has, trouble codes, clearing them.

Clearing changes the car: it is confirmed by the caller, and refused unless the car says itself that
it stands, at that very moment.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import msgspec
import structlog

from server.answers import Refusal
from server.catalogue import by_name
from server.errors import LinkLost
from server.obd.services import (
    CLEAR,
    GROUPS,
    KINDS,
    LIVE,
    bitmap_of,
    codes_of,
    ecu_name,
    name_of,
    pids_of,
    why_not,
)
from server.readings import State

if TYPE_CHECKING:
    from server.gateway import Gateway
    from server.obd.link import ObdLink

log = structlog.get_logger("telerig.obd")

KIND = "obd"
"""Of the links that ask a car; `server.obd.link` is imported where one is configured."""
COMMAND = "clear_dtcs"
"""The name of the same command to devices; [control] allowed rules both."""
PATIENCE_S = 20.0
SPEED_PID = 0x0D
GPS_STANDING_KPH = 1.5
FRESH_S = 10.0


class Pid(msgspec.Struct, frozen=True):
    """One PID that the car has: its signal, and whether the plan asks for it."""

    pid: str
    name: str
    unit: str
    path: str
    ecus: list[str]
    planned: bool
    value: float | None


class Pids(msgspec.Struct, frozen=True):
    """What the car has of service 01."""

    link: str
    vin: str | None
    pids: list[Pid]


class Codes(msgspec.Struct, frozen=True):
    """Trouble codes by ECU."""

    stored: dict[str, list[str]]
    pending: dict[str, list[str]]
    permanent: dict[str, list[str]]


class TroubleCodes(msgspec.Struct, frozen=True):
    """What the car has of trouble codes."""

    link: str
    vin: str | None
    codes: Codes
    count: int


class Cleared(msgspec.Struct, frozen=True):
    """What became of an order to clear: who did, who refused, what is left."""

    link: str
    cleared: list[str]
    refused: dict[str, str]
    left: Codes


class Diagnosis:
    """Asks the car, one order at a time."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._turn = asyncio.Lock()

    async def pids(self, name: str | None) -> Pids:
        """Ask for the PIDs that there are."""
        async with self._turn:
            name, link = self._link(name)
            owners: dict[int, list[str]] = {}
            for group in GROUPS:
                if group and group not in owners:
                    break
                for ecu, answer in (await self._ask(link, bytes((LIVE, group)))).items():
                    for pid in pids_of(bitmap_of(answer, group) or bytes(4), group):
                        owners.setdefault(pid, []).append(ecu_name(ecu))
        planned = {entry.signal.id for entry in link.options.plan}
        found = [
            Pid(f"{pid:02X}", *name_of(pid), ecus, pid in planned, self._value(pid))
            for pid, ecus in sorted(owners.items())
            if pid % 0x20
        ]
        return Pids(name, self._gateway.vin, found)

    async def codes(self, name: str | None) -> TroubleCodes:
        """Ask for the trouble codes."""
        async with self._turn:
            name, link = self._link(name)
            codes = await self._codes(link)
        return TroubleCodes(name, self._gateway.vin, codes, _count(codes))

    async def clear(self, name: str | None, who: str) -> Cleared:
        """Clear the trouble codes.

        Raises:
            Refusal: 403 not allowed here, 409 the car moves or does not say.
        """
        allowed = self._gateway.config.control.allowed
        if allowed is not None and COMMAND not in allowed:
            expected = f"{COMMAND} in [control] allowed"
            raise Refusal(403, "command", expected, ", ".join(allowed) or "nothing")
        async with self._turn:
            name, link = self._link(name)
            moving = await self._why_not_standing(link)
            if moving:
                raise Refusal(409, "vehicle", "to stand while codes are cleared", moving)
            answers = await self._ask(link, bytes((CLEAR,)))
            left = await self._codes(link)
        done = [ecu_name(e) for e, a in sorted(answers.items()) if a[:1] == bytes((CLEAR + 0x40,))]
        refused = {ecu_name(e): why_not(a) for e, a in sorted(answers.items()) if why_not(a)}
        log.warning("trouble codes cleared", link=name, by=who, ecus=done, refused=refused)
        return Cleared(name, done, refused, left)

    async def _codes(self, link: ObdLink) -> Codes:
        found: dict[str, dict[str, list[str]]] = {}
        for kind, service in KINDS.items():
            answers = await self._ask(link, bytes((service,)))
            decoded = {ecu_name(e): codes_of(a, service) for e, a in sorted(answers.items())}
            found[kind] = {ecu: codes for ecu, codes in decoded.items() if codes is not None}
        return Codes(**found)

    async def _why_not_standing(self, link: ObdLink) -> str:
        """Give the reason why the car cannot be said to stand; empty when it stands."""
        answers = await self._ask(link, bytes((LIVE, SPEED_PID)))
        told = [
            a[2] for a in answers.values() if a[:2] == bytes((LIVE + 0x40, SPEED_PID)) and a[2:]
        ]
        if told:
            return f"{max(told)} km/h (SPEED)" if max(told) else ""
        gps_kph = self._value(by_name("GPS_SPEED").id)
        if gps_kph is None:
            return "no speed: the car does not say it, and no receiver does"
        return "" if gps_kph <= GPS_STANDING_KPH else f"{gps_kph:.0f} km/h (GPS_SPEED)"

    def _value(self, signal: int) -> float | None:
        """Give the newest value of a signal, if it is fresh."""
        reading = self._gateway.latest.get(signal)
        if reading is None or reading.state is State.LOST:
            return None
        age_s = (self._gateway.clock.now_ns() - reading.time_ns) / 1e9
        return reading.value if age_s <= FRESH_S else None

    def _link(self, name: str | None) -> tuple[str, ObdLink]:
        """Give the OBD link of that name, or the only one.

        Raises:
            Refusal: 404 there is none, 409 several and no name, 503 it has no car.
        """
        supervisors = self._gateway.supervisors
        names = sorted(n for n, s in supervisors.items() if s.kind == KIND)
        if not names or (name is not None and name not in names):
            expected = f"one of {', '.join(names)}" if names else "an OBD link in [links]"
            raise Refusal(404, "link", expected, repr(name) if name else "none")
        if name is None and len(names) > 1:
            raise Refusal(409, "link", f"one of {', '.join(names)}", "no name")
        chosen = name or names[0]
        link = supervisors[chosen].link
        if link is None:
            found = supervisors[chosen].reason or supervisors[chosen].state.value
            raise Refusal(503, "link", f"a car at {chosen}", found)
        return chosen, cast("ObdLink", link)

    async def _ask(self, link: ObdLink, request: bytes) -> dict[int, bytes]:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await asyncio.wrap_future(link.service(request))
        except (LinkLost, TimeoutError) as error:
            found = str(error) or f"no answer within {PATIENCE_S:g} s"
            raise Refusal(503, "link", "a car that answers", found) from None


def _count(codes: Codes) -> int:
    """Give the number of different codes."""
    every = (codes.stored, codes.pending, codes.permanent)
    return len({code for kind in every for found in kind.values() for code in found})
