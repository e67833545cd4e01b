"""What holds in every run, whatever is drawn: the limits of a drawn scenario.

Nothing that was acknowledged is lost or doubled, nothing is invented, what is stale is never shown
as fresh, a link is back within its time, what waits in memory is bounded, nothing is raised that
nobody handles. What a fault may do stands here too: a bus with a checksum must let no damaged byte
through, an ELM327 has none, so that there values count outside of the faults that alter bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rig.assembly import lead_in_s
from rig.faults.catalogue import BUS, BUS_LINKS, FAULT_KINDS, TARGETS
from rig.faults.spec import FaultSpec
from rig.scenario.faults import wires_of
from rig.scenario.model import Scenario
from sim.network import LINUX_RTO_S, KeepAlive, next_retransmission_s

KILL = "gateway_kill"
REST = "rest"
"""The last phase of a drawn drive: no fault is near, everything must be as ever."""

RECOVERY_S: Mapping[str, float] = {"obd": 15.0, "gps": 6.0, "can": 4.0, "esp32": 80.0, "mesh": 70.0}
"""From the last fault's end to the next reading. Boards and radios pause between their tries; a
handshake with an adapter that began in noise has to fail before the next one can begin."""
LOST_SEARCH_S = 2.5
"""More for an ELM327 whose first question gets lost: it is waited for as long as a search may take
(11 s), then comes the link's pause (2 s) and a handshake (4.4 s). docs/known-issues.md, 3."""
STALE_S: Mapping[str, float] = {"obd": 3.0, "gps": 0.6}
GPS_STALE_AGE_S = 3.0  # whatever the receiver's rate
WRONGLY_STALE_S = 0.1
QUEUE_READINGS = 10_000
USUAL_FLUSH_MS = 500.0
COMMIT_S = 0.7
STORE_RETRY_S = 5.0  # between two tries of a commit, at most
REST_COVERAGE_PCT: Mapping[str, float] = {"obd": 97.0, "gps": 97.0, "can": 97.0}
REST_LATENCY_MS: Mapping[str, float] = {"obd": 500.0, "gps": 1500.0, "can": 100.0}
STEPS: Mapping[str, str] = {
    "obd": "0.01 step",
    # A burst that is met after its RMC tells the speed by VTG: rounded to 0.001 km/h, not knots.
    "gps": "0.78 step",
    "esp32": "0.01 step",
    "mesh": "0.51 step",
    "can": "0.01 step",
}
ALTERING = frozenset(
    {
        "drop", "corrupt", "truncate", "duplicate", "reorder", "garbage", "flood", "nul",
        "clone_quirk", "baud_mismatch",
    }
)  # fmt: skip
"""Kinds after which the bytes between two line ends are not those that a device sent."""
EATING = frozenset({"drop", "corrupt", "truncate", "baud_mismatch", "mute"})
"""Kinds with which a byte may not come at all, or not as what it was."""
TELLING_TIME = frozenset({"clock_jump", "clock_drift", "leap_second", "gps_week_rollover"})
"""Kinds with which a receiver or a board says a wrong time: what it measured then stands at another
instant, perhaps at one that comes again, and cannot be compared with what was true there."""
_OF_TIME: Mapping[str, tuple[str, ...]] = {
    "gps": ("readings.doubled", "gps.fidelity.max", "gps.invalid"),
    "esp32": ("readings.doubled", "esp32.fidelity.max"),
}
LATE = frozenset(
    {"delay", "stall", "net_latency", "net_loss", "net_slow", "net_partition", "gateway_pause"}
)
"""Kinds after which frames that nobody stamped bear the instant at which they were read."""
LATE_ANSWERS = frozenset(
    {
        "delay", "net_latency", "net_loss", "net_slow", "net_partition",
        "can_error", "can_bus_off", "can_flood", "can_wrong_rate",
    }
)  # fmt: skip
"""Kinds after which an answer may come when the next request is under way. So it is after a stall
where the car is asked over CAN; an adapter is brought back to its prompt first."""
STALL = "stall"
TO_DEVICE = "to_device"
COVERING = frozenset({"tunnel", "canyon"})
"""Kinds that hide the sky from a receiver, which may be about to find it for the first time."""
LATE_EPOCHS = frozenset({"delay", "stall", "clock_jump"})
"""Kinds after which a receiver's epoch comes when the radio's row of that instant is closed."""
SETTLE_EXTRA_S = 4.0
PROBES = KeepAlive(is_on=True, idle_s=5.0, interval_s=2.0, probes=3)
"""Of a link over TCP: by these it finds out that its server is gone, or has forgotten it."""
RARELY = 1e-4  # a segment gets lost again and again
BOOST_INPUTS = {"INTAKE_PRESSURE", "BAROMETRIC_PRESSURE"}

Limits = dict[str, Any]


def settle_s(needs: Iterable[str]) -> float:
    """Return how long before the rest the last fault ends."""
    return max(RECOVERY_S[link] for link in needs) + SETTLE_EXTRA_S


def limits_of(scenario: Scenario) -> tuple[Limits, list[str]]:
    """Return the `limits:` and `after:` of a drawn scenario.

    Args:
        scenario: with its faults; the limits that it has do not matter.
    """
    limits: Limits = {name: {"equals": "0"} for name in _COUNTS} | _of_kills(scenario)
    limits["readings.waiting.max"] = {"max": str(scenario.gateway.queue_readings or QUEUE_READINGS)}
    for link in scenario.needs:
        limits |= _of_link(scenario, link)
    for fault in scenario.faults:
        if fault.kind in TELLING_TIME:
            for name in _OF_TIME[fault.link]:
                limits.pop(name, None)
    if (
        any(_is_late(scenario, link) for link in ("can", "obd"))
        or _repeats_answers(scenario)
        or _moves_instants(scenario)
    ):
        limits.pop("readings.doubled", None)
    if any(fault.link == "gps" and fault.kind in LATE_EPOCHS for fault in scenario.faults):
        for name in ("mesh.fidelity.max", "mesh.invented"):
            limits.pop(name, None)
    if "obd" in scenario.needs and scenario.gateway.plan.keys() >= BOOST_INPUTS:
        # What was damaged is used until its next reading, which may come after the fault.
        bound = {"max": STEPS["obd"]}
        if not (_altered(scenario, "obd") or _is_late(scenario, "obd")):
            limits["derived.fidelity.max"] = bound
        elif _rests(scenario):
            limits["derived.fidelity.max"] = {**bound, "phase": REST}
    after = ["gateway.exit == 0", "log.exceptions == 0"]
    if _fails(scenario):
        limits["store.recovery.max"] = {"max": _text_s(_store_recovery_s(scenario))}
    else:
        after.append("log.errors == 0")
    return limits, after


_COUNTS = (
    "readings.acknowledged.lost",
    "readings.doubled",
    "readings.stored.doubled",
    "readings.unpublished",
)


def _is_late(scenario: Scenario, link: str) -> bool:
    """Whether two readings may come in where one sample is new (docs/known-issues.md, 1, 7)."""
    kinds = LATE_ANSWERS if link == "obd" else LATE
    if link == "obd" and scenario.world.obd.can is not None:
        kinds = kinds | {STALL}
    return link in scenario.needs and any(fault.kind in kinds for fault in _strikes(scenario, link))


def _repeats_answers(scenario: Scenario) -> bool:
    """Whether an answer that the line has doubled may pass for the next one's, too (7)."""
    return any(
        fault.link == "obd" and fault.kind == "duplicate" and fault.word("direction") != TO_DEVICE
        for fault in scenario.faults
    )


def _eats_bytes(scenario: Scenario) -> bool:
    """Whether a question to an ELM327 may get lost, or the prompt after its answer."""
    faults = scenario.faults if scenario.world.obd.can is None else ()
    return any(fault.link == "obd" and fault.kind in EATING for fault in faults)


def _moves_instants(scenario: Scenario) -> bool:
    """Whether a damaged sentence may bear the instant of another epoch, which is stored as well.

    NMEA's checksum is the XOR of the bytes: where one bit of the time and the same bit of another
    byte are flipped it is right, and 08:00:28.8 has become 08:00:08.8. Only flipped bits do that.
    """
    return any(
        fault.link == "gps" and fault.kind == "corrupt" and fault.word("direction") != TO_DEVICE
        for fault in scenario.faults
    )


def _of_kills(scenario: Scenario) -> Limits:
    """A killed gateway takes along what waits for its commit, and nothing that is older."""
    if not any(fault.kind == KILL for fault in scenario.faults):
        return {"readings.lost": {"equals": "0"}}
    if _fails(scenario) or set(scenario.needs) == {"esp32"}:  # boards send again what was not taken
        return {}
    flush_s = (scenario.gateway.flush_ms or USUAL_FLUSH_MS) / 1000
    return {"readings.lost.age.max": {"max": _text_s(flush_s + COMMIT_S)}}


def _fails(scenario: Scenario) -> bool:
    """Whether the database does not take everything at once."""
    return any(fault.link == "database" for fault in scenario.faults)


def _pauses(scenario: Scenario) -> bool:
    """Whether at times nothing may come in: it is all sent in packets, or a link is struck, too."""
    alone = not set(scenario.needs) & {"obd", "gps", "can"}
    return alone or any(fault.link not in TARGETS for fault in scenario.faults)


def _store_recovery_s(scenario: Scenario) -> float:
    """Return how long after a fault of the database the next commit may come."""
    windows = [window for fault in scenario.faults for window in fault.windows]
    if set(scenario.needs) == {"gps"}:
        windows += _without_fix(scenario)
    windows.sort()
    ends = [end_s for f in scenario.faults if f.link == "database" for _, end_s in f.windows]
    flush_s = (scenario.gateway.flush_ms or USUAL_FLUSH_MS) / 1000
    # Where nothing comes in there is nothing to commit: while a link is away, or a packet fills.
    pause_s = max(RECOVERY_S[link] for link in scenario.needs)
    base_s = STORE_RETRY_S + flush_s + COMMIT_S
    return (
        base_s + _longest_wait_s(ends, windows, pause_s) + (pause_s if _pauses(scenario) else 0.0)
    )


def _of_link(scenario: Scenario, link: str) -> Limits:
    altered = _altered(scenario, link)
    limits: Limits = {f"{link}.fidelity.max": _bound(STEPS[link], altered)}
    if _ends(scenario, link):
        limits[f"{link}.recovery.max"] = {"max": _text_s(recovery_s(scenario, link))}
    if link in STALE_S:
        # A gateway that stands still marks nothing, and one that is away neither.
        paused = any(fault.link == "gateway" for fault in scenario.faults)
        paused |= altered and link == "obd"
        unmarked = _text_s(_unmarked_s(scenario, link))
        limits[f"{link}.stale.unmarked.max"] = _bound(unmarked, paused)
        limits[f"{link}.stale.wrong.max"] = _bound(_text_s(WRONGLY_STALE_S), paused)
    if link == "gps":
        limits["gps.invalid"] = _bound(None, altered)
    if link in ("can", "mesh"):
        limits[f"{link}.invented"] = _bound(None, altered and link == "can")
    if link == "esp32":
        limits["esp32.crashes"] = {"equals": "0"}
    rests = _rests(scenario)
    if link in ("can", "obd") and _is_late(scenario, link):
        for name in {f"{link}.fidelity.max", f"{link}.invented"} & limits.keys():
            bound = {key: value for key, value in limits.pop(name).items() if key != "except"}
            if rests:
                limits[name] = {**bound, "phase": REST}
    if rests and link in REST_COVERAGE_PCT:
        limits[f"{link}.coverage"] = {"min": f"{REST_COVERAGE_PCT[link]:g} %", "phase": REST}
        if link != "can":  # of a signal with a rate no single frame is called for
            limits[f"{link}.missing"] = {"equals": "0", "phase": REST}
        limits[f"{link}.latency.p95"] = {"max": f"{REST_LATENCY_MS[link]:g} ms", "phase": REST}
    return limits


def _rests(scenario: Scenario) -> bool:
    return any(phase.name == REST for phase in scenario.phases)


def _unmarked_s(scenario: Scenario, link: str) -> float:
    """Return how long a signal may be overdue (for three periods) and not marked as stale."""
    later_s = GPS_STALE_AGE_S - 3.0 / scenario.world.gps.rate_hz if link == "gps" else 0.0
    return STALE_S[link] + max(0.0, later_s)


def _bound(largest: str | None, altered: bool) -> Limits:
    limit: Limits = {"equals": "0"} if largest is None else {"max": largest}
    return {**limit, "except": "faults"} if altered else limit


def _altered(scenario: Scenario, link: str) -> bool:
    """Whether damaged bytes may pass for sound ones: the wire has no checksum, or one of 8 bits."""
    if link in ("esp32", "mesh"):
        return False
    return any(fault.link == link and fault.kind in ALTERING for fault in scenario.faults)


def _strikes(scenario: Scenario, link: str) -> list[FaultSpec]:
    """Return the faults that a link may feel: its own, those of all, those of the bus behind it."""
    shared = {"can", "obd"} if scenario.world.obd.can is not None else {"can"}
    near = shared if link in shared else {link}
    return [
        fault
        for fault in scenario.faults
        if fault.link in near
        or fault.link in TARGETS
        or (link in BUS_LINKS and FAULT_KINDS[fault.kind].wires == BUS)
    ]


def _ends(scenario: Scenario, link: str) -> list[float]:
    faults = [f for f in scenario.faults if f.link == link or f.link in TARGETS]
    return [end_s for fault in faults for _, end_s in fault.windows]


def recovery_s(scenario: Scenario, link: str) -> float:
    """Return how long after a fault's end a link may take: while others go on, it cannot come."""
    base_s = RECOVERY_S[link] + _sent_again_s(scenario, link)
    if link == "obd" and _eats_bytes(scenario):
        base_s += LOST_SEARCH_S
    windows = [window for fault in _strikes(scenario, link) for window in fault.windows]
    if link == "gps":
        windows += _without_fix(scenario)
    return base_s + _longest_wait_s(_ends(scenario, link), sorted(windows), base_s)


def _without_fix(scenario: Scenario) -> list[tuple[float, float]]:
    """Return when the receiver looks for its first position: for so long as it sees the sky."""
    end_s = scenario.world.gps.cold_start_s - lead_in_s(scenario)
    if end_s <= 0.0:
        return []
    for fault in scenario.faults:
        for start_s, covered_end_s in fault.windows if fault.kind in COVERING else ():
            end_s += max(0.0, covered_end_s - start_s) if start_s < end_s else 0.0
    return [(0.0, end_s)]


def _sent_again_s(scenario: Scenario, link: str) -> float:
    """Return how long after a fault's end TCP may first send again what the network lost: its
    timeout doubles each time, so about as long as it has tried. A connection whose probes stay
    without an answer is broken, and the next one begins at once; one that the server has forgotten
    is broken by the next probe."""
    is_tcp = "tcp" in wires_of(scenario)[link]
    waits_s = [0.0]
    for fault in scenario.faults:
        for start_s, end_s in fault.windows if fault.link == link else ():
            if fault.kind == "net_partition" and end_s - start_s <= PROBES.gives_up_s:
                waits_s.append(next_retransmission_s(start_s, end_s) - end_s)
            elif fault.kind == "half_open" and is_tcp and end_s - start_s <= PROBES.gives_up_s:
                waits_s.append(PROBES.next_probe_s(start_s, end_s) - end_s)
            elif fault.kind == "net_loss":
                share = fault.number("probability_pct") / 100.0
                losses = math.log(RARELY) / math.log(share)  # of one segment, in a row
                doublings = min(losses, math.log2((end_s - start_s) / LINUX_RTO_S + 1.0))
                waits_s.append(LINUX_RTO_S * 2.0 ** math.floor(doublings))
    return max(waits_s)


def _longest_wait_s(
    ends: Iterable[float], windows: Sequence[tuple[float, float]], base_s: float
) -> float:
    """Return the longest time from an end to that of the last fault that follows without a pause of
    `base_s`."""
    longest_s = 0.0
    for end_s in ends:
        reach_s = end_s
        for start_s, other_end_s in windows:
            if start_s <= reach_s + base_s and other_end_s > reach_s:
                reach_s = other_end_s
        longest_s = max(longest_s, reach_s - end_s)
    return longest_s


def _text_s(value_s: float) -> str:
    return f"{round(value_s, 3):.10g} s"
