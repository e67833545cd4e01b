"""Mesh airtime: useful samples per second on the air, for each preset, beside other ways.

Rows of one second, lossless at the sensors' resolution, in payloads of at most 231 bytes on port
256; frames as the radio makes them. `sti`: 15 signals of a recorded drive, trained on its first
half, measured on its second (needs TELERIG_DATA). `hard_driving`: the simulated car in the US06
cycle, with profiles that were trained on other cycles and seeds; the 20 signals are 15 that move
each second with 5 slow ones, or the 20 that move most. A sample counts when the base can read it.

- K: packets that stand alone, as the uplink sends them. D: each continues from the one before,
  which was acknowledged within five seconds, by a message whose airtime counts as well.
- Position: one Meshtastic Position message a fix (39 bytes; five samples in its own resolutions).
- protobuf: records of float fields with a time stamp. struct: records of whole numbers of 1, 2 or 4
  bytes with a time stamp. zstd: changes as varints, level 19 with a dictionary that was trained on
  the same drives. All of them: as many records in a payload as fit.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from server.mesh.air.airtime import PRESETS, Preset, frame_bytes, payload_airtime_s
from server.mesh.uplink.plan import plan_of
from server.training.drives import load
from server.training.learning import train
from server.wire import air
from server.wire.codec import varint
from server.wire.codec.encoder import Encoder
from server.wire.codec.profile import Profile, SignalPlan
from tests.benchmarks.edge_codec import DATA
from tests.benchmarks.figures import Beside, Goal, Row

Rows = list[list[int | None]]

FAST = (
    *("ENGINE_LOAD", "SHORT_FUEL_TRIM_1", "INTAKE_PRESSURE", "RPM", "SPEED", "TIMING_ADVANCE"),
    *("INTAKE_TEMP", "MAF", "THROTTLE_POS", "FUEL_RAIL_PRESSURE_DIRECT", "ABSOLUTE_LOAD"),
    *("RELATIVE_THROTTLE_POS", "ACCELERATOR_POS_D", "THROTTLE_ACTUATOR", "FUEL_RATE"),
)
SLOW = ("COOLANT_TEMP", "OIL_TEMP", "FUEL_LEVEL", "BAROMETRIC_PRESSURE", "LONG_FUEL_TRIM_1")
RESTLESS = (
    *("COOLANT_TEMP", "COMMANDED_EQUIV_RATIO", "EVAPORATIVE_PURGE"),
    *("CATALYST_TEMP_B1S1", "CONTROL_MODULE_VOLTAGE"),
)
STI_MOST_PCT, HARD_MOST_PCT = 6.0, 7.0
PACKET_BYTES = air.BROADCAST_BYTES - air.DATA_BYTES
ACK_ROWS, WAIT_ROWS = 5, 8
ACK_BYTES = len(air.Acks([air.Ack(1, 1, 0, 100, 0)]).to_bytes())
POSITION_BYTES = 39
POSITION_SAMPLES = 5
_STAMP_BYTES = 4
_PROTOBUF_STAMP_BYTES = 7
_DICTIONARY_BYTES = 16384
_GOAL_PRESET = "LONG_FAST"


@dataclass(slots=True)
class Sent:
    """What a way of sending has put on the air.

    Attributes:
        payloads: sizes.
        samples: readings in them.
        answers: sizes of acknowledgements that it needs.
        is_position: on port 3, whose number takes a byte less.
    """

    payloads: list[int]
    samples: int
    answers: list[int] = field(default_factory=list)
    is_position: bool = False

    def airtime_s(self, preset: Preset) -> float:
        """Give the seconds on the air."""
        if self.is_position:
            return sum(preset.airtime_us(frame_bytes(size) - 1) for size in self.payloads) / 1e6
        return sum(payload_airtime_s(preset, size) for size in (*self.payloads, *self.answers))


def measure(quick: bool) -> list[Row]:
    """Train and measure each set of drives."""
    found: list[Row] = []
    if DATA.is_dir():
        found += _sti()
    else:
        print(f"mesh_airtime: no recordings at {DATA}; name them by TELERIG_DATA", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        found += _hard_driving(Path(folder), quick)
    return found


def _sti() -> list[Row]:
    first, second = (load(str(DATA / f"sti.npz@{half}")) for half in ("first", "second"))
    step = round(1000 / first.period_ms)
    signals = first.signals()
    period_ms = step * first.period_ms
    # Every phase of the thinned rows trains: they are all drives at one row a second.
    drives = [first.rows[phase::step] for phase in range(step)]
    profile = train(drives, signals, period_ms=period_ms)
    return _compare("sti", profile, drives, second.rows[::step], STI_MOST_PCT)


def _hard_driving(folder: Path, quick: bool) -> list[Row]:
    from bench.focus_st_mesh_profile import FIRST_SEED, PERIOD_MS, SCENARIO, drive

    hard = folder / "hard_driving.scenario.yaml"
    head, _, tail = SCENARIO.read_text().partition("phases:")
    phases = "phases:\n  - {idle: 20 s}\n  - {cycle: us06}\n\nlimits:"
    hard.write_text(head.replace("  coolant: 20 °C\n", "") + phases + tail.partition("limits:")[2])
    tested = drive(hard, folder, 4)
    seeds = range(FIRST_SEED, FIRST_SEED + (1 if quick else 4))
    training = [drive(SCENARIO, folder, seed) for seed in seeds]
    found = []
    for name, names in (
        ("hard_driving, 15 fast and 5 slow", FAST + SLOW),
        ("hard_driving, the 20 that move most", FAST + RESTLESS),
    ):
        plan = plan_of(dict.fromkeys(names, 1.0), None, PERIOD_MS / 1000)
        drives = [one.picked(plan) for one in training]
        profile = train(drives, plan, period_ms=PERIOD_MS)
        goal_pct = None if quick else HARD_MOST_PCT
        found += _compare(name, profile, drives, tested.picked(plan), goal_pct)
    return found


def _compare(
    name: str, profile: Profile, drives: Sequence[Rows], rows: Rows, most_pct: float | None
) -> list[Row]:
    signals = profile.signals
    ours = _packets(profile, rows, acknowledged=False)
    ways = {
        "D, with its acknowledgements": _packets(profile, rows, acknowledged=True),
        "Position a fix": Sent([POSITION_BYTES], POSITION_SAMPLES, is_position=True),
        "protobuf": _records(rows, _protobuf_bytes(signals)),
        "struct": _records(rows, _struct_bytes(signals)),
        "zstd, dictionary": _zstd(drives, rows),
    }
    duration_s = len(rows) * profile.period_ms / 1000
    preset = PRESETS[_GOAL_PRESET]
    duty_pct = 100 * ours.airtime_s(preset) / duration_s
    goal = None if most_pct is None else Goal(most=most_pct)
    bits = 8 * sum(ours.payloads) / ours.samples
    found = [
        Row(f"{name}: duty cycle, {_GOAL_PRESET}, K", [duty_pct], "%", goal),
        Row(f"{name}: bits a reading, K", [bits], "bit"),
        Row(f"{name}: profile", [len(profile.to_bytes())], "B"),
    ]
    for preset_name, preset in PRESETS.items():
        best = ours.samples / ours.airtime_s(preset)
        found.append(Row(f"{name}, {preset_name}: K", [best], "1/s"))
        for way, sent in ways.items():
            found.append(
                Row(
                    f"{name}, {preset_name}: {way}",
                    [sent.samples / sent.airtime_s(preset)],
                    "1/s",
                    beside=Beside("K", best),
                )
            )
    return found


def _packets(profile: Profile, rows: Rows, *, acknowledged: bool) -> Sent:
    wait_rows = WAIT_ROWS if acknowledged else 0
    encoder = Encoder(profile, 1, PACKET_BYTES, wait_rows=wait_rows)
    packets: list[int] = []
    done: list[int] = []  # row in which each was finished
    for number, row in enumerate(rows):
        if acknowledged:
            for seq, at in enumerate(done):
                if number - at == ACK_ROWS:
                    encoder.acknowledged(seq)
        packet = encoder.add(number, row)
        if packet is not None:
            packets.append(len(packet))
            done.append(number)
    packet = encoder.flush()
    while packet is not None:
        packets.append(len(packet))
        packet = encoder.flush()
    answers = [ACK_BYTES] * len(packets) if acknowledged else []
    return Sent([size + air.DATA_BYTES for size in packets], _samples(rows), answers)


def _samples(rows: Rows) -> int:
    return sum(value is not None for row in rows for value in row)


def _records(rows: Rows, record_bytes: int) -> Sent:
    each = max(1, air.BROADCAST_BYTES // record_bytes)
    sizes = [len(rows[at : at + each]) * record_bytes for at in range(0, len(rows), each)]
    return Sent(sizes, _samples(rows))


def _protobuf_bytes(signals: Sequence[SignalPlan]) -> int:
    tags = sum(1 if number < 16 else 2 for number in range(2, len(signals) + 2))
    return 2 + _PROTOBUF_STAMP_BYTES + tags + 4 * len(signals)  # as a member of a message


def _struct_bytes(signals: Sequence[SignalPlan]) -> int:
    spans = [signal.maximum - signal.minimum for signal in signals]
    return _STAMP_BYTES + sum(1 if s < 1 << 8 else 2 if s < 1 << 16 else 4 for s in spans)


def _zstd(drives: Sequence[Rows], rows: Rows) -> Sent:
    """The most rows that fit, each payload by itself."""
    samples = [
        _changes(drive[at : at + 12]) for drive in drives for at in range(0, len(drive) - 12, 12)
    ]
    dictionary = zstandard.train_dictionary(_DICTIONARY_BYTES, samples)
    packer = zstandard.ZstdCompressor(
        level=19, dict_data=dictionary, write_content_size=False, write_dict_id=False
    )
    sizes = []
    at = 0
    while at < len(rows):
        count, size = _most(lambda n, at=at: packer.compress(_changes(rows[at : at + n])), rows, at)
        sizes.append(size + _STAMP_BYTES)
        at += count
    return Sent(sizes, _samples(rows))


def _most(compress: Callable[[int], bytes], rows: Rows, at: int) -> tuple[int, int]:
    best = (1, len(compress(1)))
    for count in range(2, len(rows) - at + 1):
        size = len(compress(count))
        if size > air.BROADCAST_BYTES - _STAMP_BYTES:
            break
        best = (count, size)
    return best


def _changes(rows: Rows) -> bytes:
    """The first row, then changes, signal after signal, as varints."""
    out = bytearray()
    for column in zip(*rows, strict=True):
        before = 0
        for value in column:
            now = before if value is None else value
            varint.put_signed(out, now - before)
            before = now
    return bytes(out)
