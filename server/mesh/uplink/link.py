"""The uplink's link: the vehicle's readings go out by a Meshtastic radio, to a base station.

    [links.radio]
    kind = "mesh_uplink"
    port = "/dev/ttyACM0"                 # or tcp://host[:4403]
    signals = {RPM = 1.0, LAT = 1.0}      # readings a second; default: a plan of 14 signals
    bounds = {GPS_SPEED = 0.1}            # largest error, in the signal's unit; default: exact
    period_s = 1.0                        # from row to row
    profile = "focus_st_mesh"             # a file, or one that is shipped; default: one that fits
    flush_s = 20.0                        # a row waits about so long for its packet to fill
    duty_cycle_pct = 8.0                  # of the time; default: 80 % of the region's, at most 10 %
    base = "!a1b2c3d4"                    # to this node alone, encrypted; default: to all
    channel = 0
    alarms = ["COOLANT_TEMP > 115"]       # go out at once

What it keeps outlives the connection to the radio: packets that the base has not acknowledged are
sent again when the radio is back. docs/mesh.md has the ladder and what is lost when.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import structlog

from server.clock import Clock
from server.config_section import Section, Where, describe
from server.links.base import LinkLost, LinkReport, LinkServices
from server.mesh.air.airtime import PRESETS, Preset
from server.mesh.air.budget import OwnAirtime
from server.mesh.radio.link import RadioLink
from server.mesh.radio.packets import (
    BROADCAST,
    PRIORITY_DEFAULT,
    PRIORITY_HIGH,
    PRIVATE_PORT,
    Event,
    Packet,
    RadioInfo,
    Ready,
    Rebooted,
    Refused,
    SendRefused,
    Utilisation,
    node_number,
)
from server.mesh.uplink.plan import PlanError, UplinkSettings
from server.mesh.uplink.uplink import MAX_RETRANSMIT, TOO_LARGE, Level, Outgoing, Uplink
from server.readings import Reading, ReadingSink

log = structlog.get_logger("telerig.mesh")

UNHEARD_S = 300.0
"""The link is degraded when packets were sent and nobody has acknowledged any for so long."""
LEVEL_S = 60.0
"""So long must little go out before the link is degraded for it."""
REMEMBERED = 64
"""Packets whose refusal may still be told."""
RELAYED_S = 900.0
"""So long after the base was heard over a relay the radio listens for it, and repeats."""


class KeptUplink:
    """An uplink that goes on packing while there is no radio.

    Attributes:
        uplink: it.
    """

    def __init__(self, uplink: Uplink, clock: Clock) -> None:
        self.uplink = uplink
        self._clock = clock
        self._counted: dict[str, int] = {}

    def offer(self, readings: Sequence[Reading]) -> None:
        """Take accepted readings; close the rows whose time is over."""
        self.uplink.offer(readings)
        self.uplink.tick(self._clock.now_ns(), self._clock.monotonic_s())

    def count_into(self, counters: dict[str, int]) -> None:
        """Add what was counted since the last time, by whichever link object."""
        now = self.uplink.counters
        for name, count in now.items():
            counters[name] = counters.get(name, 0) + count - self._counted.get(name, 0)
        self._counted = now


@dataclass(frozen=True, slots=True)
class UplinkOptions:
    """The table `[links.<name>]` of an uplink."""

    port: str
    settings: UplinkSettings
    to: int = BROADCAST
    channel: int = 0


class UplinkLink(RadioLink):
    """Sends what the gateway accepts."""

    kind: ClassVar[str] = "mesh_uplink"
    options: UplinkOptions

    def __init__(
        self,
        name: str,
        options: UplinkOptions,
        *,
        sink: ReadingSink,
        clock: Clock,
        report: LinkReport,
    ) -> None:
        super().__init__(name, options, sink=sink, clock=clock, report=report)
        self._level_s = 0.0
        self._handed: OrderedDict[int, Outgoing] = OrderedDict()  # id at the radio -> message
        self._utilisation_pct = 0.0
        self._own = OwnAirtime()
        self._is_ready = False
        self._relayed_until_s = 0.0

    @classmethod
    def parse(cls, name: str, table: Mapping[str, Any], where: Where) -> UplinkOptions:
        """Check `[links.<name>]`."""
        section = Section(table, where)
        section.has("kind")
        port = section.text("port")
        base = section.text("base", None)
        try:
            to = BROADCAST if base is None else node_number(base)
        except ValueError as error:
            raise where.error("base", "a node like !a1b2c3d4", describe(base)) from error
        channel = section.integer("channel", 0, minimum=0, maximum=7)
        rates_hz = _numbers(section, "signals")
        try:
            settings = UplinkSettings.of(
                rates_hz=rates_hz or None,
                bounds=_numbers(section, "bounds"),
                period_s=section.number("period_s", 1.0, minimum=0.1, maximum=600.0),
                profile=section.text("profile", None),
                alarms=section.texts("alarms", ()),
                flush_s=section.number("flush_s", 20.0, minimum=1.0, maximum=3600.0),
                duty_cycle_pct=section.number("duty_cycle_pct", None, minimum=0.01, maximum=100.0),
                is_direct=base is not None,
            )
        except PlanError as error:
            raise where.error(error.key, error.expected, error.found) from error
        section.done()
        return UplinkOptions(port, settings, to, channel)

    async def work(self) -> None:
        """Send until cancelled."""
        services = self.services
        if services is None:
            raise LinkLost("this link runs without a gateway: nobody hands it readings")
        kept = services.kept(f"uplink {self.name}", lambda: self._make(services))
        uplink = kept.uplink
        while True:
            now_ns, now_s = self.clock.now_ns(), self.clock.monotonic_s()
            item = await self.receive(uplink.wait_s(now_ns, now_s))
            if item is not None:
                self._take(uplink, item)
            uplink.vin = services.vehicle
            self._send(uplink)
            kept.count_into(self.counters)
            self._say(uplink)

    def _make(self, services: LinkServices) -> KeptUplink:
        boot = int.from_bytes(os.urandom(4), "big") or 1
        kept = KeptUplink(Uplink(self.options.settings, boot, node=0), self.clock)
        services.subscribe(kept.offer)
        return kept

    def _take(self, uplink: Uplink, item: Packet | Event) -> None:
        now_s = self.clock.monotonic_s()
        if isinstance(item, Packet):
            if item.port == PRIVATE_PORT and uplink.take(item.payload, now_s):
                self.count("acks")
                self._relayed_until_s = now_s + RELAYED_S if item.hops else 0.0
        elif isinstance(item, Ready):
            self._set(uplink, item.info)
        elif isinstance(item, Rebooted):
            self._is_ready = False
            self._handed.clear()  # what it had is missed by the base, which asks for it
        elif isinstance(item, Utilisation):
            self._utilisation_pct = self._own.others_pct(now_s, item.channel_pct)
        elif isinstance(item, Refused):
            message = self._handed.pop(item.id, None)
            if message is None:
                return
            if item.error == MAX_RETRANSMIT:
                uplink.unheard(message)
            else:
                uplink.refused(message, item.error, now_s)

    def _set(self, uplink: Uplink, info: RadioInfo) -> None:
        preset = PRESETS.get(info.preset)
        if preset is None:
            preset = Preset(info.bandwidth_khz or 250.0, info.spreading or 11, info.coding or 5)
        uplink.node = info.node
        uplink.radio(preset, region_duty_pct=info.duty_cycle_pct)
        # Of a radio that did not tell, nobody knows that it has no region: it refuses by itself.
        self._is_ready = info.sends and (info.region != "UNSET" or not info.settings_known)
        log.info(
            "uplink",
            link=self.name,
            boot=uplink.boot,
            profile=uplink.profile.hash.hex(),
            signals=len(uplink.profile.signals),
            duty_cycle_pct=uplink.duty_pct,
        )
        wanted_pct = uplink.settings.duty_cycle_pct
        if wanted_pct is not None and wanted_pct > info.duty_cycle_pct:
            log.warning(
                "duty cycle above the region's",
                link=self.name,
                expected=f"at most {info.duty_cycle_pct:g} % in {info.region}",
                found=f"{wanted_pct:g} %",
                next=f"{info.duty_cycle_pct:g} % is kept to",
            )

    def _send(self, uplink: Uplink) -> None:
        while True:
            now_ns, now_s = self.clock.now_ns(), self.clock.monotonic_s()
            message = uplink.next(
                now_ns,
                now_s,
                queue_free=self._queue_free(),
                utilisation_pct=self._utilisation_pct,
            )
            if message is None:
                break
            try:
                number = self.client.send(
                    message.payload,
                    to=self.options.to,
                    channel=self.options.channel,
                    priority=PRIORITY_HIGH if message.is_urgent else PRIORITY_DEFAULT,
                    want_ack=self._to_relay(message, now_s),
                )
            except SendRefused as refused:
                uplink.refused(message, 0 if refused.again else TOO_LARGE, now_s)
                self.count("sends_refused")
                break
            self._handed[number] = message
            self._own.sent(now_s, message.airtime_s)
            while len(self._handed) > REMEMBERED:
                self._handed.popitem(last=False)

    def _to_relay(self, message: Outgoing, now_s: float) -> bool:
        """Tell whether a relay is to be heard repeating it: a loss is known at once then.

        Where the base hears the vehicle itself nobody repeats, and the radio would send thrice.
        """
        is_data = message.kind == "data" and self.options.to == BROADCAST
        return is_data and now_s < self._relayed_until_s

    def _queue_free(self) -> int:
        """Give how many packets the radio takes now: with a full queue an urgent one still."""
        if not self._is_ready:
            return 0
        return self.client.queue_free or int(self.client.takes(PRIORITY_HIGH))

    def _say(self, uplink: Uplink) -> None:
        """Say what is wrong, if anything is."""
        since_s = uplink.sent_s
        is_unheard = since_s is not None and self.clock.monotonic_s() - since_s > UNHEARD_S
        self._tell("base", "no acknowledgement for 5 min: out of range?" if is_unheard else "")
        self._tell(
            "profile",
            f"the base does not know the profile {uplink.profile.hash.hex()}: it is too large for "
            "the radio; install the same release there, or import the file"
            if uplink.wants_profile
            else "",
        )
        self._tell("duty", "the radio's duty cycle is used up" if uplink.is_at_limit else "")
        self._say_level(uplink.level)

    def _say_level(self, level: Level) -> None:
        """Say that little goes out once it has been so for a while; the level may flicker."""
        now_s = self.clock.monotonic_s()
        is_low = level not in (Level.ALL, Level.RANKED)
        if is_low == bool(self._troubles.get("level")):
            self._level_s = now_s
        elif now_s - self._level_s >= LEVEL_S:
            reason = "airtime is scarce: only positions and alarms go out" if is_low else ""
            self._tell("level", reason)

    def _tell(self, key: str, reason: str) -> None:
        if reason != self._troubles.get(key, ""):
            self.trouble(key, reason)


def _numbers(section: Section, key: str) -> dict[str, float]:
    table = section.section(key)
    return {name: table.number(name, minimum=0.0, maximum=1e9) for name in table.table}
