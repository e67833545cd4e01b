"""Packets of models: real ones of the codec, good for any boot number."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.wire.codec.checks import crc16
from server.wire.codec.decoder import BadPacket
from server.wire.messages import GNSS, Hello, TimeBase, Uplink
from sim.fleet.crc import difference, shift_over
from sim.fleet.packets import MADE_FOR_BOOT, Model, decoded_rows, make_models
from sim.fleet.plan import SIGNALS, fleet_plan
from sim.fleet.vehicle import Listener, Vehicle

BOOT = 0xDEADBEEF


@pytest.fixture(scope="module")
def model() -> Model:
    """Four packets of five rows."""
    return make_models(1, fleet_plan(8, 1.0), 20, 5, seed=3)[0]


def _packets(model: Model, boot: int, *, continued: bool) -> list[bytes]:
    by = difference(boot, MADE_FOR_BOOT, model.profile.hash)
    chosen = model.continued if continued else model.alone
    return [packet.for_boot(by)[-packet.size_bytes :] for packet in chosen]


@given(data=st.binary(max_size=300), one=st.integers(0, 65535), other=st.integers(0, 65535))
@settings(max_examples=60, deadline=None)
def test_a_difference_is_carried_over_bytes(data: bytes, one: int, other: int) -> None:
    """The sums of two beginnings differ by what the table says, whatever the bytes are."""
    high, low = shift_over(len(data))
    between = one ^ other
    assert crc16(data, one) ^ crc16(data, other) == high[between >> 8] ^ low[between & 255]


@pytest.mark.parametrize("continued", [False, True])
def test_a_decoder_of_another_boot_reads_every_row(model: Model, continued: bool) -> None:
    """What a gateway decodes from packets made good for a boot is what the sensors said."""
    packets = _packets(model, BOOT, continued=continued)
    assert decoded_rows(model, BOOT, packets) == list(model.rows)


def test_a_packet_of_another_boot_is_refused(model: Model) -> None:
    """Only the boot that a packet was made good for takes it."""
    with pytest.raises(BadPacket, match="check sum"):
        decoded_rows(model, BOOT + 1, _packets(model, BOOT, continued=False))


def test_models_differ_and_repeat(model: Model) -> None:
    """Models of one seed are different drives, and the same ones again from the same seed."""
    plan = fleet_plan(8, 1.0)
    two = make_models(2, plan, 20, 5, seed=3)
    assert two[0].rows == model.rows
    assert two[0].rows != two[1].rows


def test_every_signal_can_be_sampled() -> None:
    """Each signal that a fleet can have comes from the vehicle's model within its range."""
    plan = fleet_plan(len(SIGNALS), 1.0)
    (made,) = make_models(1, plan, 60, 10, seed=1)
    assert len(made.rows[0]) == len(SIGNALS)
    moving = [index for index in range(len(SIGNALS)) if len({row[index] for row in made.rows}) > 1]
    assert len(moving) > len(SIGNALS) // 2
    for row in made.rows:
        for source, raw in zip(plan.sources, row, strict=True):
            assert raw is not None
            assert source.minimum <= raw <= source.maximum, source.name


def test_the_message_is_that_of_the_firmware(model: Model) -> None:
    """The bytes of an uplink are those that the firmware's own message class writes."""
    vehicle = Vehicle(0, "fleet-0", "key", model, start_s=1.5, epoch_ms=1_700_000_000_000,
                      rng=random.Random(1), listener=Listener(), vin="WF0")  # fmt: skip
    body = vehicle.request(vehicle.closed_s(0, 1))
    assert body is not None
    boot = vehicle.boot(0)
    expected = Uplink(device="fleet-0", boot=boot)
    expected.hello = Hello(vin="WF0")
    expected.time = TimeBase(row=0, utc_ms=1_700_000_001_500, source=GNSS)
    expected.packets = _packets(model, boot, continued=False)[:2]
    found = Uplink()
    found.merge(b"".join(body), False)
    assert found.hello is not None
    assert found.hello.profile_hash == model.profile.hash
    expected.hello = found.hello
    assert b"".join(body) == expected.to_bytes()
