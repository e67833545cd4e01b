"""Figures of the radios, out of frames, receptions and rows that are written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rig.measures.measures import Measures
from rig.record.streams import Reception, Stored, Transmission
from server.wire import air
from server.wire.codec.encoder import Encoder
from server.wire.codec.profile import Profile, SignalPlan
from tests.rig.measures.conftest import RPM, SPEED, Bench, at

CAR, BASE, RELAY = 0xCA000001, 0xBA5E0001, 0x4E1A0001
BOOT = 0x1234
PROFILE = Profile.cold(
    1000,
    [
        SignalPlan(RPM, 1, 4, 0, 1, 1, 0, 0, 0, 65535),
        SignalPlan(SPEED, 1, 1, 0, 1, 1, 0, 0, 0, 255),
    ],
)
MANIFEST = {
    "plan": {"mesh": {"RPM": 1.0, "SPEED": 1.0}},
    "devices": {"mesh": "mesh", "base": "base"},
    "mesh": {"nodes": {"mesh": CAR}, "base": BASE, "period_s": 1.0},
}


def data_bytes(payload: bytes) -> bytes:
    """A Meshtastic `Data` on the private port."""
    return b"\x08\x80\x02\x12" + bytes([len(payload)]) + payload


class Mesh:
    """A bench with a car that sends rows of RPM 800 and SPEED 50, one a second, four a packet."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.encoder = Encoder(PROFILE, BOOT, 200)
        self.count = 0

    def frame(
        self,
        time_s: float,
        payload: bytes = b"",
        *,
        node: int = CAR,
        kind: str = "own",
        size: int = 100,
        airtime_ms: int = 500,
    ) -> int:
        """Put a frame on the air and give its id."""
        self.count += 1
        text = data_bytes(payload).decode("latin-1") if payload else ""
        row = Transmission(
            at(time_s), node, kind, node, 0xFFFFFFFF, self.count, size, airtime_ms * 1000, text
        )
        self.bench.writer.air(row)
        return self.count

    def hello(self, time_s: float) -> None:
        """Say what the packets are."""
        self.frame(time_s, air.Hello(BOOT, at(0) // 1_000_000, 3, PROFILE.hash).to_bytes())
        for part in air.parts(BOOT, PROFILE.to_bytes(), 231):
            self.frame(time_s, part.to_bytes())

    def packet(self, time_s: float, first_row: int, *, stored: bool = True, back: int = 0) -> None:
        """Send four rows; the base station stores them 2 s later."""
        seq = self.encoder.next_seq
        for row in range(first_row, first_row + 4):
            self.encoder.add(row, [3200, 50])
            for signal, value in ((RPM, 800.0), (SPEED, 50.0)):
                self.bench.reading(signal, value, measured_s=row - 0.2, received_s=row - 0.1)
        packet = self.encoder.flush()
        assert packet is not None
        self.frame(time_s, air.Data(BOOT & 255, back, packet).to_bytes())
        for index in range(8) if stored else ():
            signal, value = ((RPM, 800.0), (SPEED, 50.0))[index % 2]
            self.store(signal, value, first_row + index // 2, time_s + 2, (seq << 16) + 1 + index)

    def store(self, signal: int, value: float, row_s: float, received_s: float, seq: int) -> None:
        """Let the base station have a reading."""
        received_ns = at(received_s)
        self.bench.rows.append(
            Stored("mesh", seq, signal, at(row_s), value, received_ns, 0, received_ns, BOOT)
        )

    def acks(self, time_s: float, following: int) -> None:
        """Let the base station say that all packets below are done with."""
        ack = air.Ack(CAR, BOOT & 255, 0, following, 0)
        self.frame(time_s, air.Acks([ack]).to_bytes(), node=BASE)

    def figures(self, *names: str, phase: str | None = None) -> list[float | None]:
        """Measure."""
        return values(self.bench.measures(), *names, phase=phase)


def values(measures: Measures, *names: str, phase: str | None = None) -> list[float | None]:
    """Look figures up."""
    found = [measures.get(f"mesh.{name}", phase) for name in names]
    return [None if measured is None else measured.value for measured in found]


@pytest.fixture
def mesh(bench: Callable[..., Bench]) -> Mesh:
    """A car and a base station."""
    return Mesh(bench(**MANIFEST))


def test_what_arrives_is_compared_with_what_the_car_had(mesh: Mesh) -> None:
    """Rows taken at 1 Hz out of the car's own store; all of them here, none invented."""
    mesh.hello(0.0)
    for first in (1, 5, 9, 13):
        mesh.packet(first + 4.0, first)
    mesh.acks(19.0, 4)
    measures = mesh.bench.measures()
    assert values(measures, "coverage", "missing", "invented", "delivery", "fidelity.max") == [
        100.0,
        0.0,
        0.0,
        100.0,
        0.0,
    ]
    assert values(measures, "latency.p50", "latency.max") == [4000.0, 6000.0]
    assert values(measures, "gap.max") == [4.0]  # from 16 s to the end
    lost = measures.get("readings.lost")
    assert lost is not None
    assert lost.value == 0


def test_a_packet_that_nobody_heard_is_missing_and_not_lost(mesh: Mesh) -> None:
    """It was given up before the base station passed over its number."""
    mesh.hello(0.0)
    mesh.packet(5.0, 1)
    mesh.packet(9.0, 5, stored=False)
    mesh.packet(13.0, 9, back=0)
    mesh.acks(14.0, 3)
    measures = mesh.bench.measures()
    assert values(measures, "delivery") == pytest.approx([200 / 3])
    assert values(measures, "missing", "gap.max") == [8.0, 8.0]
    lost = measures.get("readings.lost")
    assert lost is not None
    assert lost.value == 0


def test_an_acknowledged_packet_that_is_not_in_the_store_is_lost(mesh: Mesh) -> None:
    """All its readings: nobody will send them again."""
    mesh.hello(0.0)
    mesh.packet(5.0, 1, stored=False)
    mesh.acks(8.0, 1)
    mesh.packet(9.0, 5, back=1)
    lost = mesh.bench.measures().get("readings.lost")
    assert lost is not None
    assert lost.value == 8


@pytest.mark.parametrize(
    ("signal", "value", "row_s"), [(RPM, 801.0, 3.0), (RPM, 800.0, 3.5), (SPEED, 50.0, 18.0)]
)
def test_a_reading_that_the_car_never_had_is_invented(
    mesh: Mesh, signal: int, value: float, row_s: float
) -> None:
    """Another value, another instant, or one of which the car has nothing."""
    mesh.hello(0.0)
    mesh.packet(5.0, 1)
    mesh.store(signal, value, row_s, 7.0, 99 << 16)
    assert mesh.figures("invented") == [1.0]


def test_within_its_bound_a_reading_is_not_invented(bench: Callable[..., Bench]) -> None:
    """Bounded error is what the plan allows."""
    info = {**MANIFEST["mesh"], "bounds": {"RPM": 2.0}}  # type: ignore[dict-item]
    mesh = Mesh(bench(**{**MANIFEST, "mesh": info}))
    mesh.hello(0.0)
    mesh.packet(5.0, 1)
    for row, value in ((1.0, 802.0), (2.0, 803.0)):
        mesh.store(RPM, value, row, 7.0, 99 << 16)
    measures = mesh.bench.measures()
    assert values(measures, "invented") == [1.0]
    assert values(measures, "fidelity.max") == [12.0]


def test_compression_counts_every_frame_of_the_vehicles_own(mesh: Mesh) -> None:
    """Headers, hellos and repetitions; not what it relays, nor what others send."""
    mesh.packet(11.0, 1)
    sent = 100
    mesh.hello(12.0)
    sent += 200
    mesh.frame(13.0, kind="retry")
    sent += 100
    mesh.frame(14.0, kind="relay")
    mesh.frame(15.0, node=BASE)
    plain = 4 * (7 + 2 * 5)
    assert mesh.figures("compression_ratio", phase="hard") == pytest.approx([plain / sent])


def test_airtime_and_utilisation(mesh: Mesh) -> None:
    """The vehicle's own share; and any radio's, where two at a time count once."""
    mesh.frame(1.0, airtime_ms=1000)
    mesh.frame(1.5, node=RELAY, kind="relay", airtime_ms=1000)
    mesh.frame(5.0, kind="relay", airtime_ms=2000)
    mesh.frame(9.5, airtime_ms=1000)
    assert mesh.figures("airtime", "channel_utilisation", phase="calm") == pytest.approx(
        [20.0, 40.0]
    )


def test_collisions_are_of_what_could_have_been_read(mesh: Mesh) -> None:
    """What is too weak anyway, or comes while a radio sends, is neither."""
    for number, outcome in enumerate(("ok", "ok", "ok", "collision", "weak", "busy", "off")):
        mesh.bench.writer.heard(Reception(at(number), BASE, CAR, CAR, number, outcome, 3.0))
    assert mesh.figures("collisions") == [25.0]


def test_further_vehicles_are_compared_with_what_the_rig_gave_them(
    bench: Callable[..., Bench],
) -> None:
    """Their samples stand in the record under their own names."""
    other: dict[str, Any] = {
        **MANIFEST,
        "devices": {"mesh": "mesh", "mesh-2": "mesh", "base": "base"},
        "mesh": {"nodes": {"mesh": CAR, "mesh-2": CAR + 1}, "base": BASE, "period_s": 1.0},
    }
    made = bench(**other)
    for second in range(1, 6):
        made.sample(second - 0.5, "mesh-2", "RPM", 700.1, 700.0)
    for second in (1, 2, 3):
        row = Stored("mesh-2", second, RPM, at(second), 700.0, at(8), 0, at(8), 77)
        made.rows.append(row)
    measures = made.measures()
    assert values(measures, "coverage", "missing", "invented") == [60.0, 2.0, 0.0]
    assert values(measures, "gap.max") == [20.0]  # of the first vehicle nothing ever came
