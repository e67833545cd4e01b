"""The names of what can be measured, with unit and meaning; limits may name nothing else.

One entry per measure. `<link>` stands for a link's name and `<pNN>` for p50, p95, p99 or max.
Adding a measure is one entry here and its computation in `rig.measures`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

LINKS: tuple[str, ...] = ("obd", "gps", "esp32", "mesh", "can", "fleet")
"""The links that a scenario can need."""

PERCENTILES: tuple[str, ...] = ("p50", "p95", "p99", "max")
AIR_MEASURES: tuple[str, ...] = (
    "delivery",
    "compression_ratio",
    "suppression_ratio",
    "airtime",
    "channel_utilisation",
    "collisions",
)
"""Those of the link `mesh` that are read off the air itself."""
_WILDCARD = "<name>"


@dataclass(frozen=True, slots=True)
class MeasureName:
    """One measure, or one family of them.

    Attributes:
        pattern: the name, with `<link>`, `<pNN>` or `<name>` where it varies.
        unit: the unit of its values; empty for a count.
        about: the definition in one sentence.
        needs_truth: True where the world's truth is needed; a real link has none.
        paced_only: True where virtual time cannot tell (it has no CPU time).
    """

    pattern: str
    unit: str
    about: str
    needs_truth: bool = False
    paced_only: bool = False

    def names(self, links: Collection[str] = LINKS) -> list[str]:
        """Return every name of the family; `<name>` stays as it is."""
        names = [self.pattern]
        for placeholder, words in (("<link>", links), ("<pNN>", PERCENTILES)):
            names = [
                name.replace(placeholder, word)
                for name in names
                for word in (words if placeholder in name else ("",))
            ]
        return list(dict.fromkeys(names))

    def matches(self, name: str) -> bool:
        """Return whether `name` belongs to the family."""
        pattern = re.escape(self.pattern).replace("<link>", f"(?:{'|'.join(LINKS)})")
        pattern = pattern.replace("<pNN>", f"(?:{'|'.join(PERCENTILES)})")
        pattern = pattern.replace(_WILDCARD, r"[a-z][a-z0-9_.]{0,63}")
        return re.fullmatch(pattern, name) is not None


MEASURE_NAMES: tuple[MeasureName, ...] = (
    MeasureName("<link>.latency.<pNN>", "ms", "from the instant measured to received"),
    MeasureName("<link>.latency.stored.<pNN>", "ms", "from the instant measured to committed"),
    MeasureName(
        "<link>.latency.published.<pNN>",
        "ms",
        "from the instant measured to the arrival at a WebSocket client",
    ),
    MeasureName(
        "<link>.age.<pNN>",
        "s",
        "age of the newest published value of each signal, looked at once a second",
    ),
    MeasureName(
        "<link>.time_error.<pNN>",
        "ms",
        "distance of the instant that a stored reading gives for itself from the instant measured",
        needs_truth=True,
    ),
    MeasureName("<link>.rate", "/s", "readings stored per second"),
    MeasureName("<link>.coverage", "%", "readings stored of those that the plan called for"),
    MeasureName(
        "<link>.coverage.worst",
        "%",
        "the same of the signal that has the lowest; only whole readings are called for",
    ),
    MeasureName(
        "<link>.missing",
        "",
        "values that the device gave and that are not in the store",
        needs_truth=True,
    ),
    MeasureName(
        "<link>.fidelity.max",
        "step",
        "largest difference of a stored value from the one on the wire, in steps of the resolution",
        needs_truth=True,
    ),
    MeasureName(
        "<link>.fidelity.rms",
        "step",
        "root mean square of the same difference",
        needs_truth=True,
    ),
    MeasureName(
        "<link>.truth_error.max",
        "step",
        "largest difference of a stored value from what was true, before any quantisation",
        needs_truth=True,
    ),
    MeasureName(
        "<link>.truth_error.rms",
        "step",
        "root mean square of the same difference",
        needs_truth=True,
    ),
    MeasureName("<link>.start", "s", "from the run's start to the first reading"),
    MeasureName("<link>.recovery.max", "s", "longest time from a fault's end to the next reading"),
    MeasureName("<link>.outage.max", "s", "longest gap between two readings"),
    MeasureName(
        "<link>.stale.unmarked.max",
        "s",
        "longest time beyond three planned periods without a reading and without a mark as stale",
    ),
    MeasureName(
        "<link>.stale.wrong.max",
        "s",
        "longest time for which a mark as stale outlived the arrival of a new reading",
    ),
    MeasureName(
        "<link>.degraded", "%", "time for which the gateway said that the link was degraded"
    ),
    MeasureName("<link>.counter.<name>", "", "a counter that the link reports"),
    MeasureName(
        "<link>.gone",
        "",
        "times that the real device of a link went away though nobody had switched it off",
    ),
    MeasureName("gps.position_error.<pNN>", "m", "distance from the truth", needs_truth=True),
    MeasureName(
        "gps.invalid",
        "",
        "fixes stored for epochs at which the receiver had none",
        needs_truth=True,
    ),
    MeasureName(
        "esp32.compression_ratio",
        "x",
        "bytes of the plain record (protobuf, float fields, ms timestamp) / bytes that the boards "
        "sent, framing and retries included",
    ),
    MeasureName(
        "esp32.suppression_ratio",
        "",
        "readings not transmitted, because they were as predicted / readings taken",
    ),
    MeasureName("esp32.bits_per_reading", "bit", "bits that the boards sent for each reading"),
    MeasureName("esp32.queue_max", "", "most packets that waited on a board"),
    MeasureName("esp32.resets", "", "resets of boards, whoever caused them"),
    MeasureName("esp32.provisioned", "", "boards that were provisioned in the run"),
    MeasureName("esp32.crashes", "", "resets because the firmware had failed"),
    MeasureName(
        "mesh.delivery",
        "%",
        "data packets of which readings are in the base station's store / data packets that "
        "vehicles put on the air",
    ),
    MeasureName(
        "mesh.compression_ratio",
        "x",
        "bytes of the plain record of the data packets / bytes of all LoRa frames that the "
        "vehicles' radios sent of their own: headers, hellos and repetitions included",
    ),
    MeasureName(
        "mesh.suppression_ratio",
        "",
        "readings not transmitted, because they were as predicted / readings taken",
    ),
    MeasureName(
        "mesh.airtime",
        "%",
        "time for which a vehicle's radio transmitted its own frames; that of the vehicle with the "
        "most",
    ),
    MeasureName(
        "mesh.channel_utilisation", "%", "time for which any radio of the world transmitted"
    ),
    MeasureName(
        "mesh.collisions",
        "%",
        "frames lost at a radio to another frame / those and the ones that were read",
    ),
    MeasureName(
        "mesh.invented",
        "",
        "readings at the base station that the vehicle never had, or not within their bound",
        needs_truth=True,
    ),
    MeasureName("mesh.gap.max", "s", "longest time of which no reading of a vehicle ever came"),
    MeasureName("fleet.acknowledged", "", "readings that a gateway has answered for"),
    MeasureName("fleet.doubled", "", "readings that are in the store more than once"),
    MeasureName(
        "fleet.order", "", "packets that were committed after a later one of the same start"
    ),
    MeasureName(
        "fleet.wrong",
        "",
        "readings of the compared vehicles that their models did not say, or with another value",
    ),
    MeasureName("fleet.waiting", "", "packets that are not acknowledged at the end"),
    MeasureName("fleet.dropped", "", "packets given up because a vehicle's store was full"),
    MeasureName("fleet.refused", "", "packets that a gateway would not take"),
    MeasureName("fleet.failures", "", "requests without an answer that could be used"),
    MeasureName(
        "fleet.recovery",
        "s",
        "longest time from a fault's end until all is acknowledged that had waited then",
    ),
    MeasureName("fleet.peak_requests", "/s", "most requests that began within a second"),
    MeasureName("can.frames", "", "frames that passed on the bus"),
    MeasureName(
        "can.frames.lost",
        "",
        "frames that passed on the bus while the gateway's door was open to it, less those that "
        "its link counted",
        needs_truth=True,
    ),
    MeasureName(
        "can.bus_load",
        "%",
        "time for which the bus carried frames and error frames, intermission included",
    ),
    MeasureName("can.bus_load.max", "%", "the same of the second with the most"),
    MeasureName("can.error_frames", "", "error frames on the bus"),
    MeasureName(
        "can.bus_off", "", "times that a controller left the bus because it had too many errors"
    ),
    MeasureName(
        "can.invented",
        "",
        "readings stored of which the bus carried no value, or another one",
        needs_truth=True,
    ),
    MeasureName(
        "derived.fidelity.max",
        "step",
        "largest difference of a stored value that the gateway derives from the same out of what "
        "was on the wire",
        needs_truth=True,
    ),
    MeasureName("readings.lost", "", "readings accepted and not in the store"),
    MeasureName(
        "readings.lost.age.max",
        "s",
        "longest time from the receipt of a published reading of the gateway's own links to the "
        "kill of the gateway that took it, less pauses of the gateway; infinite for one that is "
        "lost otherwise",
    ),
    MeasureName(
        "readings.acknowledged.lost",
        "",
        "readings that were acknowledged, to clients of the live stream or to who had sent them, "
        "and are not in the store",
    ),
    MeasureName(
        "readings.doubled",
        "",
        "readings that are in the store more than once, or stem from a sample that another one has",
    ),
    MeasureName(
        "readings.stored.doubled", "", "readings that are in the store more than once, to the bit"
    ),
    MeasureName(
        "readings.unpublished",
        "",
        "readings stored that a WebSocket client did not get once, and as they were stored",
    ),
    MeasureName(
        "readings.waiting.max", "", "most readings that were published and not committed yet"
    ),
    MeasureName(
        "store.recovery.max",
        "s",
        "longest time from the end of a fault of the database to the next commit",
    ),
    MeasureName("store.compacted", "", "readings that stand in segments of the store at the end"),
    MeasureName("store.cycles", "", "cycles of the hot log of which segments were made"),
    MeasureName("store.segments", "", "segments in the store at the end"),
    MeasureName("log.errors", "", "lines of level error or above in the gateway's log"),
    MeasureName("log.exceptions", "", "tracebacks in the gateway's log"),
    MeasureName("gateway.exit", "", "the gateway's exit code"),
    MeasureName("gateway.cpu", "%", "CPU time of the gateway, of one core", paced_only=True),
    MeasureName("gateway.rss", "MB", "largest resident size of the gateway", paced_only=True),
    MeasureName(
        "ingest.throughput", "/s", "readings committed per second of wall time", paced_only=True
    ),
    MeasureName("rig.sim_s", "s", "simulated time"),
    MeasureName("rig.wall_s", "s", "wall time"),
    MeasureName("rig.ratio", "x", "simulated time per wall time"),
)


def find_measure(name: str) -> MeasureName | None:
    """Return the entry that `name` belongs to, or None for an unknown name."""
    return next((entry for entry in MEASURE_NAMES if entry.matches(name)), None)


def all_names(links: Collection[str] = LINKS) -> list[str]:
    """Return every name that is not a wildcard, for suggestions."""
    return [name for entry in MEASURE_NAMES for name in entry.names(links) if _WILDCARD not in name]


def link_of(name: str) -> str | None:
    """Return the link that a measure's name begins with, or None."""
    first = name.split(".", 1)[0]
    return first if first in LINKS else None
