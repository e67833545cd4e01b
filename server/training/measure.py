"""Measures a profile on drives: what the codec really sends, with everything counted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

from server.training.drives import Drive
from server.wire.codec.decoder import Decoder
from server.wire.codec.encoder import Encoder
from server.wire.codec.profile import Profile

Row = list[int | None]
Report = Callable[[str, float], None]

PACKET_BYTES = 231
# Best known model of the same data, streaming and without packets; see docs/codec.md.
LIMITS_BITS = {"leon": 0.285, "twizy": 0.666, "sti": 1.807}
WAIT_ROWS = 8
_BOOT = 1
_RECORD_BYTES = 7  # of the plain protobuf record: tag and timestamp in milliseconds
_FIELDS_OF_ONE_BYTE = 14


class MeasureError(AssertionError):
    """What was decoded is not what was encoded: a defect of the codec."""


@dataclass(slots=True)
class Figures:
    """What a drive costs, or several.

    Attributes:
        name: of the drive.
        kind: "K": packets stand alone; "D": each continues from the one before, acknowledged.
        readings: without those that are missing.
        events: readings that differ from the one before.
        max_error: largest error of each signal, in units.
    """

    name: str
    kind: str
    rows: int = 0
    readings: int = 0
    events: int = 0
    packets: int = 0
    sent_bytes: int = 0
    double_bytes: int = 0
    json_bytes: int = 0
    protobuf_bytes: int = 0
    minutes: float = 0.0
    encode_s: float = 0.0
    decode_s: float = 0.0
    suppressed: int = 0
    max_error: dict[str, float] = field(default_factory=dict)

    def add(self, other: Figures) -> None:
        """Add another drive."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, error in other.max_error.items():
            self.max_error[name] = max(error, self.max_error.get(name, 0.0))

    @property
    def bits_per_reading(self) -> float:
        """Everything that is sent, over all readings that were sampled."""
        return 8 * self.sent_bytes / max(1, self.readings)

    @property
    def limit_bits(self) -> float | None:
        """The best known model's bits per reading, where the data are known."""
        return next((bits for name, bits in LIMITS_BITS.items() if name in self.name.lower()), None)

    def as_json(self) -> dict[str, object]:
        """Give all figures by name."""
        limit = self.limit_bits
        readings = max(1, self.readings)
        return asdict(self) | {
            "bits_per_reading": self.bits_per_reading,
            "bits_per_event": 8 * self.sent_bytes / max(1, self.events),
            "bytes_per_minute": self.sent_bytes / self.minutes if self.minutes else None,
            "readings_per_packet": self.readings / max(1, self.packets),
            "ratio_to_double": self.double_bytes / max(1, self.sent_bytes),
            "ratio_to_json": self.json_bytes / max(1, self.sent_bytes),
            "ratio_to_protobuf": self.protobuf_bytes / max(1, self.sent_bytes),
            "skip_fraction": self.suppressed / readings,
            "limit_bits": limit,
            "excess_over_limit": None if limit is None else self.bits_per_reading / limit - 1,
            "encode_us_per_reading": 1e6 * self.encode_s / readings,
            "decode_us_per_reading": 1e6 * self.decode_s / readings,
        }


_SUMS = (
    "rows",
    "readings",
    "events",
    "packets",
    "sent_bytes",
    "double_bytes",
    "json_bytes",
    "protobuf_bytes",
    "minutes",
    "encode_s",
    "decode_s",
    "suppressed",
)


def measure(
    profile: Profile,
    drive: Drive,
    kind: str,
    *,
    limit_bytes: int = PACKET_BYTES,
    report: Report | None = None,
) -> Figures:
    """Encode a drive, decode every packet, compare every reading.

    Raises:
        MeasureError: a reading came back further off than its bound.
    """
    figures = Figures(drive.name, kind)
    started = time.process_time()
    packets = list(_encoded(profile, drive, kind, limit_bytes, report))
    figures.encode_s = time.process_time() - started
    decoder = Decoder(profile, _BOOT)
    started = time.process_time()
    number = 0
    for packet in packets:
        decoded = decoder.decode(packet)
        if kind == "D":
            decoder.commit(decoded)
        if decoded.first_row != number:
            raise MeasureError(f"row {number} expected, found {decoded.first_row}")
        _compare(profile, drive, number, decoded.rows, figures.max_error)
        number += len(decoded.rows)
        figures.suppressed += decoded.suppressed
    figures.decode_s = time.process_time() - started
    if number != len(drive.rows):
        raise MeasureError(f"{len(drive.rows)} rows expected, found {number}")
    figures.rows = number
    figures.packets = len(packets)
    figures.sent_bytes = sum(map(len, packets))
    figures.minutes = number * drive.period_ms / 60000
    _count_plain(drive, figures)
    return figures


def _encoded(
    profile: Profile, drive: Drive, kind: str, limit_bytes: int, report: Report | None
) -> Iterator[bytes]:
    wait_rows = WAIT_ROWS if kind == "D" else 0
    encoder = Encoder(profile, _BOOT, limit_bytes, wait_rows=wait_rows)
    for number, row in enumerate(drive.rows):
        packet = encoder.add(number, [row[index] for index in profile.due(number)])
        if packet is not None:
            if kind == "D":
                encoder.acknowledged(encoder.next_seq - 1)
            if report is not None:
                report(f"{drive.name} {kind}", number / len(drive.rows))
            yield packet
    while (last := encoder.flush()) is not None:
        if kind == "D":
            encoder.acknowledged(encoder.next_seq - 1)
        yield last


def _compare(
    profile: Profile,
    drive: Drive,
    first: int,
    rows: Sequence[Row],
    max_error: dict[str, float],
) -> None:
    for number, decoded in enumerate(rows, first):
        due = profile.due(number)
        row = drive.rows[number]
        for place, index in enumerate(due):
            before, after = row[index], decoded[place]
            if before == after:
                continue
            signal = profile.signals[index]
            name = drive.columns[index]
            if before is None or after is None or abs(after - before) > signal.bound:
                raise MeasureError(f"{drive.name}, row {number}, {name}: {before} came as {after}")
            error = abs(after - before) * signal.scale_num / signal.scale_den
            max_error[name] = max(error, max_error.get(name, 0.0))


def _count_plain(drive: Drive, figures: Figures) -> None:
    """Count events, and the bytes of the same readings in plain records."""
    held: Row = [None] * len(drive.columns)
    places = [_decimals(float(step)) for step in drive.steps]
    scale = [float(step) for step in drive.steps]
    offset = [float(value) for value in drive.offsets]
    for number, row in enumerate(drive.rows):
        record: dict[str, float] = {"ts": 1_700_000_000_000 + number * drive.period_ms}
        figures.protobuf_bytes += _RECORD_BYTES
        for index, value in enumerate(row):
            if value is None:
                continue
            figures.readings += 1
            figures.events += value != held[index]
            held[index] = value
            figures.protobuf_bytes += 5 if index < _FIELDS_OF_ONE_BYTE else 6
            shown = round(value * scale[index] + offset[index], places[index])
            record[drive.columns[index]] = int(shown) if shown == int(shown) else shown
        if number % 16 == 0:
            figures.json_bytes += 16 * (len(json.dumps(record, separators=(",", ":"))) + 1)
    figures.double_bytes = 8 * figures.readings


def _decimals(step: float) -> int:
    return next((n for n in range(7) if abs(round(step, n) - step) < 1e-9), 3)
