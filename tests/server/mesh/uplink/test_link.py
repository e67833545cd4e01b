"""The link `mesh_uplink`: from accepted readings to a radio, over reconnects and refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from server.config_section import Where
from server.errors import ConfigError
from server.ingest.link_services import GatewayServices
from server.links.base import LinkLost
from server.links.registry import link_class
from server.mesh.radio.packets import (
    BROADCAST,
    DUTY_CYCLE_LIMIT,
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
)
from server.mesh.uplink.link import RELAYED_S, UNHEARD_S, UplinkLink
from server.mesh.uplink.uplink import MAX_RETRANSMIT
from server.readings import Reading
from server.wire import air
from tests.server.mesh.uplink.uplink_world import NODE, START_NS, Base, reading

WHERE = Where("gateway.toml", ("links", "radio"))
INFO = RadioInfo(NODE, region="EU_868", preset="LONG_FAST", duty_cycle_pct=10.0)
TABLE = {
    "port": "/dev/radio",
    "signals": {"RPM": 1.0, "SPEED": 1.0, "LAT": 1.0, "LON": 1.0},
    "profile": "none",
}


class Client:
    """A radio that takes what it is given."""

    def __init__(self) -> None:
        self.counters: dict[str, int] = {}
        self.queue_free = 16
        self.sent: list[bytes] = []
        self.options: list[dict[str, Any]] = []
        self.refusal: SendRefused | None = None
        self.info: RadioInfo | None = INFO

    def send(self, payload: bytes, **options: Any) -> int:
        """Take a packet."""
        if self.refusal is not None:
            raise self.refusal
        self.sent.append(payload)
        self.options.append(options)
        return len(self.sent)

    def kinds(self) -> list[int]:
        """Give the kinds of what was sent."""
        return [payload[0] & 15 for payload in self.sent]


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def now_ns(self) -> int:
        """UTC."""
        return START_NS + round(self.now * 1e9)

    def monotonic_s(self) -> float:
        """Seconds."""
        return self.now


class Report:
    """What the supervisor would hear."""

    def __init__(self) -> None:
        self.last = ""

    def up(self, reason: str = "") -> None:
        """Up."""
        self.last = "up"

    def degraded(self, reason: str) -> None:
        """Degraded."""
        self.last = reason

    def vehicle(self, vin: str) -> None:
        """Not used."""


class Ended(Exception):  # noqa: N818 (not an error)
    """The test's time is over."""


class World:
    """A gateway that accepts readings, and one link object after another.

    Attributes:
        base: hears what the radio is given while `is_in_range`.
    """

    def __init__(self, **table: Any) -> None:
        self.clock = Clock()
        self.report = Report()
        self.services = GatewayServices(_none(), _none(), lambda: "WF0XXXGCDX1234567")
        self.options = UplinkLink.parse("radio", {**TABLE, **table}, WHERE)
        self.base = Base(self.options.settings.profile)
        self.is_in_range = True
        self.link = self.connect()
        self.heard = 0
        self._second = 0

    def connect(self) -> UplinkLink:
        """Make the link object of another attempt."""
        self.link = Stepped(self)
        self.client = Client()
        self.link.client = self.client  # type: ignore[assignment]
        self.link.counters = self.client.counters
        self.link.services = self.services
        self.heard = 0
        return self.link

    async def run(self, seconds: float, *events: Packet | Event) -> None:
        """Let the link work for so long, after these events."""
        self.link.items = list(events)  # type: ignore[attr-defined]
        self.until = self.clock.now + seconds
        with pytest.raises(Ended):
            await self.link.work()

    def live(self, seconds: float) -> None:
        """Move the clock; the gateway accepts readings each second."""
        end = self.clock.now + seconds
        while self._second < end:
            self.clock.now = max(self.clock.now, float(self._second))
            at = float(self._second)
            self.services.accepted(
                [
                    reading("RPM", at, 800.0 + self._second),
                    reading("SPEED", at, 50.0),
                    reading("LAT", at, (312_000_000 + self._second * 7) / 6e6),
                    reading("LON", at, 10.0),
                ]
            )
            self._second += 1
        self.clock.now = end
        for payload in self.client.sent[self.heard :] if self.is_in_range else ():
            self.base.take(payload)
        self.heard = len(self.client.sent)

    def ack(self, hops: int = 0) -> Packet:
        """Give the base's acknowledgement, as the radio hears it."""
        return Packet(0xBA5E, BROADCAST, PRIVATE_PORT, self.base.ack(), 1, 0, hops, 5.0, -90.0, 0)


class Stepped(UplinkLink):
    """The link, in the test's time."""

    def __init__(self, world: World) -> None:
        super().__init__(
            "radio", world.options, sink=_ignore, clock=world.clock, report=world.report
        )
        self.world = world
        self.items: list[Packet | Event] = []

    async def receive(self, timeout_s: float | None = None) -> Packet | Event | None:
        """Give what the test has prepared; else let time pass."""
        await asyncio.sleep(0)
        if self.items:
            item = self.items.pop(0)
            self._look(item)
            return item
        if self.clock.monotonic_s() >= self.world.until:
            raise Ended
        assert timeout_s is not None
        self.world.live(timeout_s)
        return None


def _ignore(_readings: Sequence[Reading]) -> None:
    pass


def _none() -> Any:
    return None


def parse(**table: Any) -> Any:
    """Read a table."""
    return UplinkLink.parse("radio", {"port": "/dev/radio", **table}, WHERE)


async def test_readings_go_out_and_arrive() -> None:
    """A HELLO with the vehicle's number, then data; the link's counters tell of it."""
    world = World()
    await world.run(200, Ready(INFO))
    world.live(0)
    assert world.client.kinds()[0] == air.HELLO
    assert world.base.hello is not None
    assert world.base.hello.vin == "WF0XXXGCDX1234567"
    assert len(world.base.readings) > 4 * 150
    counters = world.client.counters
    assert counters["readings"] >= len(world.base.readings)
    assert counters["data_sent"] == world.client.kinds().count(air.DATA)
    assert counters["airtime_ms"] > 0
    assert world.report.last == "up"


async def test_a_radio_that_comes_back_gets_what_was_missed() -> None:
    """Rows are packed while it is away; the stream, its numbers and its counts go on."""
    world = World()
    await world.run(100, Ready(INFO))
    world.live(0)
    first = dict(world.client.counters)
    assert world.base.hello is not None
    boot = world.base.hello.boot
    world.live(300)  # no link object works
    world.connect()
    await world.run(200, Ready(INFO), world.ack())
    world.live(0)
    assert world.base.hello.boot == boot
    assert len(world.base.readings) > 4 * 550
    assert first["rows"] + world.client.counters["rows"] == pytest.approx(600, abs=4)
    assert world.base.voids == 0


async def test_nothing_goes_before_the_radio_is_ready_or_without_a_region() -> None:
    """A radio without a region does not send: nothing is handed to it, and nothing is lost."""
    world = World()
    await world.run(60)
    assert world.client.sent == []
    await world.run(60, Ready(RadioInfo(NODE, region="UNSET")))
    assert world.client.sent == []
    assert "region" in world.report.last
    await world.run(60, Ready(INFO))
    assert len(world.client.sent) > 1


async def test_a_radio_that_did_not_tell_its_settings_is_sent_to() -> None:
    """Its region is not known, which is not to have none."""
    world = World()
    await world.run(60, Ready(RadioInfo(NODE, region="UNSET", settings_known=False)))
    assert len(world.client.sent) > 0


async def test_without_acknowledgements_it_is_degraded() -> None:
    """The reason names what to look for; an acknowledgement ends it."""
    world = World()
    await world.run(UNHEARD_S + 60, Ready(INFO))
    assert world.report.last == "no acknowledgement for 5 min: out of range?"
    await world.run(5, world.ack())
    assert world.report.last == "up"
    assert world.client.counters["acks"] == 1


async def test_a_refusal_by_duty_cycle_waits_and_sends_again() -> None:
    """What the radio refused is not lost, and the link says why nothing goes."""
    world = World()
    world.is_in_range = False
    await world.run(40, Ready(INFO))
    refused = len(world.client.sent)
    events = [
        Refused(number, DUTY_CYCLE_LIMIT, "DUTY_CYCLE_LIMIT") for number in range(1, refused + 1)
    ]
    await world.run(30, *events)
    assert "duty cycle" in world.report.last
    assert len(world.client.sent) == refused
    world.is_in_range = True
    await world.run(350)
    await world.run(350, world.ack())
    world.live(0)
    rows = {row for row, _ in world.base.readings}
    assert set(range(min(rows), max(rows) + 1)) == rows
    assert min(rows) <= 2
    assert world.client.counters["duty_refused"] == refused


async def test_a_full_queue_is_no_error() -> None:
    """The client refuses for now: the same goes later."""
    world = World()
    world.client.refusal = SendRefused("the radio's queue is full", again=True)
    await world.run(60, Ready(INFO))
    assert world.client.counters["sends_refused"] > 0
    world.client.refusal = None
    await world.run(120)
    world.live(0)
    assert min(row for row, _ in world.base.readings) <= 2


async def test_a_reboot_of_the_radio_loses_nothing() -> None:
    """What it had queued is missed by the base, and sent again."""
    world = World()
    await world.run(60, Ready(INFO))
    world.is_in_range = False  # what it is given now is gone with the reboot
    await world.run(60)
    world.is_in_range = True
    sent = len(world.client.sent)
    await world.run(20, Rebooted())
    assert len(world.client.sent) == sent
    await world.run(100, Ready(INFO))
    await world.run(100, world.ack())
    world.live(0)
    rows = {row for row, _ in world.base.readings}
    assert set(range(min(rows), max(rows) + 1)) == rows


async def test_a_busy_channel_is_respected() -> None:
    """Above 40 % of utilisation nothing goes but alarms; the link says that little does."""
    world = World()
    await world.run(100, Ready(INFO))
    await world.run(5, Utilisation(55.0, 1.0))
    before = len(world.client.sent)
    await world.run(100)
    assert len(world.client.sent) == before
    assert "airtime is scarce" in world.report.last
    await world.run(200, Utilisation(5.0, 1.0), world.ack())
    assert len(world.client.sent) > before
    assert world.report.last == "up"


def asked(world: World) -> list[bool]:
    """Tell of which packets the radio was to hear a relay."""
    return [options["want_ack"] for options in world.client.options]


async def test_behind_a_relay_the_radio_listens_for_it() -> None:
    """Only while the base is heard over one: else nobody repeats, and all would be sent thrice."""
    world = World()
    await world.run(60, Ready(INFO))
    assert not any(asked(world))
    await world.run(60, world.ack(hops=1))
    assert asked(world)[-1]
    await world.run(60, world.ack(hops=0))
    assert not asked(world)[-1]
    await world.run(60, world.ack(hops=2))
    await world.run(RELAYED_S + 60)
    assert not asked(world)[-1]


async def test_a_packet_that_no_relay_took_goes_again() -> None:
    """At once, before any acknowledgement; the radio's own repetitions are paid for."""
    world = World()
    await world.run(100, Ready(INFO), world.ack(hops=1))
    number = len(world.client.sent)
    lost, airtime_ms = world.client.sent[-1], world.client.counters["airtime_ms"]
    await world.run(15, Refused(number, MAX_RETRANSMIT, "MAX_RETRANSMIT"))
    assert lost in world.client.sent[number:]
    assert world.client.counters["unheard"] == 1
    assert world.client.counters["resent"] == 1
    assert world.client.counters["refused"] == 0
    assert world.client.counters["airtime_ms"] > airtime_ms


async def test_options_of_a_packet() -> None:
    """To all on the first channel; to a node on another, with a shorter payload; alarms before."""
    world = World(base="!0000ba5e", channel=3, alarms=["RPM > 850"])
    await world.run(120, Ready(INFO))
    assert {options["to"] for options in world.client.options} == {0xBA5E}
    assert {options["channel"] for options in world.client.options} == {3}
    assert PRIORITY_HIGH in [options["priority"] for options in world.client.options]
    assert max(map(len, world.client.sent)) <= air.DIRECT_BYTES


async def test_settings_of_its_own_are_used() -> None:
    """A radio without a preset tells bandwidth, spreading and coding."""
    slow, fast = World(), World()
    own = RadioInfo(NODE, region="EU_868", preset="", bandwidth_khz=500.0, spreading=7, coding=5)
    await slow.run(100, Ready(INFO))
    await fast.run(100, Ready(own))
    times = [
        world.client.counters["airtime_ms"] / sum(map(len, world.client.sent))
        for world in (slow, fast)
    ]
    assert times[0] > 15 * times[1]


async def test_it_needs_a_gateway() -> None:
    """Alone it has no readings to send."""
    world = World()
    world.link.services = None
    with pytest.raises(LinkLost, match="without a gateway"):
        await world.link.work()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"base": "a1b2c3d4"}, "a node like !a1b2c3d4 for links.radio.base"),
        ({"signals": {"RMP": 1.0}}, "RPM"),
        ({"signals": {"RPM": -1.0}}, "links.radio.signals.RPM"),
        ({"bounds": {"MAF": 1.0}}, "links.radio.bounds"),
        ({"alarms": ["COOLANT_TEMP >"]}, "links.radio.alarms"),
        ({"profile": "nothing"}, "links.radio.profile"),
        ({"duty_cycle_pct": 0.0}, "links.radio.duty_cycle_pct"),
        ({"flush": 3}, "did you mean 'flush_s'"),
    ],
)
def test_what_is_wrong_in_the_configuration_is_named(table: Mapping[str, Any], said: str) -> None:
    """Key, what was expected, what was found."""
    with pytest.raises(ConfigError) as refused:
        parse(**table)
    assert said in str(refused.value)


def test_defaults() -> None:
    """A port is enough; the kind is built in."""
    options = parse()
    assert (options.to, options.channel, options.settings.is_direct) == (BROADCAST, 0, False)
    assert link_class("mesh_uplink", WHERE) is UplinkLink


def test_what_links_may_ask_of_the_gateway() -> None:
    """Things are kept from attempt to attempt; accepted readings go to all who subscribed."""
    services = GatewayServices(_none(), _none(), lambda: "")
    made: list[object] = []

    def make() -> object:
        made.append(object())
        return made[-1]

    assert services.kept("a", make) is services.kept("a", make)
    assert services.kept("b", make) is made[1]
    taken: list[tuple[str, int]] = []
    ends: list[Callable[[], None]] = [
        services.subscribe(lambda readings, name=name: taken.append((name, len(readings))))
        for name in "xy"
    ]
    services.accepted([reading("RPM", 0.0, 1.0)])
    ends[0]()
    ends[0]()
    services.accepted([])
    assert taken == [("x", 1), ("y", 1), ("y", 0)]
    assert services.vehicle == ""
