"""One stream at the base, against the real path of uplinks."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import asyncpg
import pytest

from server.gateway import Gateway
from server.mesh.base.stream import HELD, SEEN, Stream
from server.wire import air
from server.wire.telemetry_pb2 import Downlink, Uplink
from tests.server.ingest.conftest import stored
from tests.server.ingest.logger import truth
from tests.server.mesh.car import Car
from tests.server.running import gateway_config, running


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    """A gateway that runs."""
    async with running(gateway_config(database_url)) as running_gateway:
        yield running_gateway


class Base:
    """A stream and the gateway behind it."""

    def __init__(self, gateway: Gateway, car: Car, device: str = "car-7") -> None:
        self.services = gateway.link_services
        self.stream = Stream(car.stream)
        self.car = car
        self.device = device
        self.uplinks = 0

    async def take(self, *payloads: bytes) -> None:
        """Take messages of the air, and hand on what they make."""
        for payload in payloads:
            message = air.read(payload)
            if isinstance(message, air.Hello):
                self.stream.hello(message)
            elif isinstance(message, air.ProfilePart):
                self.stream.profile(message)
            elif isinstance(message, air.Data):
                self.stream.data(message)
            while self.stream.has_work:
                self.uplinks += 1
                assert self.uplinks < 500, "it turns in a loop"
                answer = await self.services.uplink(
                    self.stream.uplink(self.device), device=self.device
                )
                self.stream.answered(Downlink.FromString(answer))

    def tell(self) -> air.Ack:
        """Acknowledge to the car."""
        ack = self.stream.ack(self.car.node)
        self.car.hear(air.Acks([ack]).to_bytes())
        return ack

    async def greet(self) -> None:
        """Learn the stream and its profile."""
        await self.take(self.car.hello(), *self.car.profile())
        assert not self.stream.wants


async def check(url: str, car: Car, device: str = "car-7") -> None:
    """Everything that the car has sampled is stored, once and exactly."""
    found = await stored(url, device)
    expected = truth(car.logger.rows)
    assert {(r.signal, r.time_ns): r.value for r in found} == pytest.approx(expected, abs=1.0)
    assert len(found) == len(expected)


async def test_a_drive(gateway: Gateway, database_url: str) -> None:
    """HELLO, PROFILE and DATA become stored rows; each acknowledgement lets the next continue."""
    car = Car()
    base = Base(gateway, car)
    await base.greet()
    for _ in range(5):
        await base.take(*[car.data(seq) for seq in car.drive(60)])
        ack = base.tell()
        assert (ack.wants, ack.seen) == (0, 0)
        assert not car.kept
    assert ack.next == base.stream.next == base.stream.committed
    await check(database_url, car)


async def test_what_is_missing_is_asked_for_in_turn(gateway: Gateway, database_url: str) -> None:
    """A packet before its hello, a hello before its profile: nothing is lost, all is asked for."""
    car = Car()
    base = Base(gateway, car)
    first = car.drive(60)
    await base.take(*[car.data(seq) for seq in first])
    assert base.tell().wants == air.WANT_HELLO
    assert base.uplinks == 0
    await base.take(car.hello())
    assert base.tell().wants == air.WANT_PROFILE
    before = base.uplinks
    await base.take(*[car.data(seq) for seq in first])  # the vehicle is impatient
    assert base.uplinks == before
    parts = car.profile(60)
    assert len(parts) > 1
    await base.take(*parts)
    assert base.tell().wants == 0
    assert not car.kept
    await check(database_url, car)


async def test_loss_reordering_and_repetition(gateway: Gateway, database_url: str) -> None:
    """Whatever the air does, everything is stored once in the end."""
    rng = random.Random(7)
    car = Car()
    base = Base(gateway, car)
    await base.greet()
    for _ in range(30):
        car.drive(20)
        sent = [car.data(seq) for seq in car.kept if rng.random() < 0.6]
        sent += rng.choices(sent, k=2) if sent else []
        rng.shuffle(sent)
        await base.take(*sent)
        if rng.random() < 0.6:
            base.tell()
    while car.kept:
        await base.take(*[car.data(seq) for seq in car.kept])
        base.tell()
    await check(database_url, car)
    assert base.stream.duplicates > 10
    assert base.stream.refused == 0


async def test_gaps_are_told(gateway: Gateway) -> None:
    """What is here beyond a missing packet is named, so that only the missing one comes again."""
    car = Car()
    base = Base(gateway, car)
    await base.greet()
    numbers = [car.drive(20)[0] for _ in range(6)]
    assert numbers == list(range(6))
    await base.take(car.data(0), car.data(2), car.data(5))
    ack = base.tell()
    assert (ack.next, ack.seen, ack.wants) == (1, 0b1001, 0)
    assert base.stream.has_gap
    assert sorted(car.kept) == [1, 3, 4]
    await base.take(*[car.data(seq) for seq in (4, 1, 3)])
    assert base.tell().next == 6
    assert not base.stream.has_gap


async def test_packets_that_the_vehicle_gave_up(gateway: Gateway, database_url: str) -> None:
    """`back` says what will never come: it is void in the store, and no longer waited for."""
    car = Car()
    base = Base(gateway, car)
    await base.greet()
    for _ in range(6):
        car.drive(20)
    await base.take(car.data(5, back=2))
    ack = base.tell()
    assert (ack.next, base.stream.voided) == (3, 3)
    await base.take(car.data(4, back=1), car.data(3, back=0))
    assert base.tell().next == 6
    assert {r.time_ns for r in await stored(database_url, "car-7")} == {
        time_ns
        for _, time_ns in truth(120)
        if time_ns >= min(t for _, t in truth(120)) + 60 * 10**8
    }


async def test_a_number_that_proves_nothing(gateway: Gateway) -> None:
    """A forged packet with a far number voids nothing: it fails the codec's check."""
    car = Car()
    base = Base(gateway, car)
    await base.greet()
    car.drive(20)
    forged = Car(car.logger.boot ^ 0x0100_0000)
    for _ in range(40):
        forged.drive(5)
    await base.take(forged.data(39, back=0))
    assert (base.stream.next, base.stream.voided) == (0, 0)
    await base.take(car.data(0))
    assert base.stream.next == 1


async def test_a_packet_that_was_damaged_on_the_way(gateway: Gateway, database_url: str) -> None:
    """A damaged copy does not keep the good one out."""
    car = Car()
    base = Base(gateway, car)
    await base.greet()
    (seq,) = car.drive(20)
    payload = bytearray(car.data(seq))
    payload[-4] ^= 0x40
    await base.take(bytes(payload))
    assert base.stream.committed == 0
    assert base.stream.wants == air.WANT_HELLO
    await base.take(car.data(seq))
    assert base.tell().next == 1
    await check(database_url, car)


async def test_a_packet_that_is_bad_for_good(gateway: Gateway) -> None:
    """A packet that is refused again after a new hello is void: it would block the stream."""
    car = Car()
    base = Base(gateway, car)
    await base.greet()
    other = Car(car.logger.boot ^ 0x0100_0000)
    (seq,) = other.drive(20)
    await base.take(other.data(seq), other.data(seq), car.hello())
    ack = base.tell()
    assert (base.stream.refused, ack.next, ack.wants) == (1, 1, 0)
    assert base.stream.waiting == 0


async def test_a_late_packet_of_another_boot(gateway: Gateway, database_url: str) -> None:
    """A packet of an earlier boot of the same short name does not void the number it has."""
    car = Car()
    base = Base(gateway, car)
    await base.greet()
    other = Car(car.logger.boot ^ 0x0100_0000)
    (seq,) = other.drive(20)
    await base.take(other.data(seq), car.hello(), car.hello())
    assert (base.stream.refused, base.tell().next) == (0, 0)
    assert car.drive(20) == [seq]
    await base.take(car.data(seq))
    assert base.tell().next == 1
    await check(database_url, car)


async def test_a_bad_packet_that_its_vehicle_repeats(gateway: Gateway) -> None:
    """What is refused again after the hello is void as soon as the vehicle sends it once more."""
    car = Car()
    base = Base(gateway, car)
    await base.greet()
    other = Car(car.logger.boot ^ 0x0100_0000)
    (seq,) = other.drive(20)
    await base.take(other.data(seq), car.hello())
    assert not base.stream.refused
    await base.take(other.data(seq))
    assert (base.stream.refused, base.tell().next) == (1, 1)


async def test_a_gateway_that_starts_again(gateway: Gateway, database_url: str) -> None:
    """The boot of a stream is found in the database: no hello has to come by radio."""
    car = Car()
    base = Base(gateway, car)
    await base.greet()
    await base.take(*[car.data(seq) for seq in car.drive(60)])
    base.tell()
    again = Base(gateway, car)
    assert car.logger.boot in await gateway.link_services.boots("car-7")
    again.stream.found(car.logger.boot)
    for seq in car.drive(60):
        await again.take(car.data(seq))
    ack = again.tell()
    assert (ack.wants, car.kept) == (0, {})
    await check(database_url, car)


async def test_a_wrong_boot_from_the_database(gateway: Gateway, database_url: str) -> None:
    """Two boots with one short name: the check sum tells, and the hello is asked for."""
    old = Car(0x0100_0007)
    base = Base(gateway, old)
    await base.greet()
    await base.take(*[old.data(seq) for seq in old.drive(60)])
    new = Car(0x0200_0007)
    new.drive(20)
    again = Base(gateway, new)
    again.stream.found(old.logger.boot)
    await again.take(new.data(0))
    assert again.tell().wants == air.WANT_HELLO
    await again.take(new.hello())
    assert again.tell().next == 1
    assert not new.kept
    found = await stored(database_url, "car-7")
    assert {r.boot for r in found} == {old.logger.boot, new.logger.boot}


async def test_a_new_boot_with_the_same_short_name(gateway: Gateway) -> None:
    """A vehicle that starts again with the same low byte begins from the first packet."""
    old, new = Car(0x0100_0007), Car(0x0200_0007)
    base = Base(gateway, old)
    await base.greet()
    for _ in range(3):
        await base.take(*[old.data(seq) for seq in old.drive(20)])
    base.car = new
    new.drive(20)
    await base.take(new.hello(), new.data(0))
    assert base.tell().next == 1
    assert not new.kept


async def test_a_state_that_the_store_has_lost(gateway: Gateway, database_url: str) -> None:
    """A packet that continues from nothing is answered by asking for a key packet."""
    car = Car()
    base = Base(gateway, car)
    await base.greet()
    for _ in range(2):
        await base.take(*[car.data(seq) for seq in car.drive(60)])
        base.tell()
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE device_boots SET state = NULL")
    await connection.close()
    gateway.uplinks._store.forget("car-7", car.logger.boot)
    seqs = car.drive(60)
    await base.take(*[car.data(seq) for seq in seqs])
    assert base.stream.wants == air.WANT_HELLO
    await base.take(car.hello())
    assert base.stream.wants & air.WANT_KEY
    assert base.stream.waiting == len(seqs)
    assert base.tell().next == min(seqs)


async def test_another_boot_while_the_old_one_is_remembered(gateway: Gateway) -> None:
    """A packet that has the number of a committed one, and is another, is not taken for a copy:
    its vehicle would throw it away."""
    old, new = Car(0x0100_0007), Car(0x0200_0007)
    base = Base(gateway, old)
    await base.greet()
    await base.take(*[old.data(seq) for seq in old.drive(60)])
    base.car = new
    new.drive(20)
    await base.take(new.data(0))
    ack = base.tell()
    assert (ack.next, ack.seen, ack.wants) == (0, 0, air.WANT_HELLO)
    assert list(new.kept) == [0]
    await base.take(new.hello(), new.data(0))
    assert (base.tell().next, new.kept) == (1, {})


async def test_strangers_fill_no_memory() -> None:
    """Packets that cannot be used are bounded in number; rubbish is not kept at all."""
    stream = Stream(7)
    rng = random.Random(3)
    for number in range(5000):
        packet = (
            bytes([0x40 | number & 15]) + _varint(number >> 4) + b"\x00\x00" + rng.randbytes(40)
        )
        stream.data(air.Data(7, 0, packet))
        stream.data(air.Data(7, 0, rng.randbytes(rng.randrange(60))))
    assert stream.waiting <= HELD
    assert stream.pushed_out > 4000
    for index in range(255):
        stream.profile(air.ProfilePart(7, index, 255, bytes(200)))
    assert not stream._parts


async def test_numbers_far_beyond_a_gap_are_bounded() -> None:
    """What is remembered beyond a gap is bounded, whatever the store says."""
    stream = Stream(7)
    stream.hello(air.Hello(7, 1, 1, bytes(8)))
    for number in range(1, 3 * SEEN):
        packet = bytes([0x40 | number & 15]) + _varint(number >> 4) + b"\x00\x00" + bytes(5)
        stream.data(air.Data(7, number, packet))
        stream.uplink("car")
        stream.answered(Downlink(boot=7, ack=0, acked=[number]))
    assert len(stream._seen) <= SEEN
    assert stream.waiting == 0


async def test_an_answer_that_takes_nothing_does_not_turn_in_a_loop() -> None:
    """Packets that are neither taken nor refused wait for the vehicle's next try."""
    stream = Stream(7)
    stream.hello(air.Hello(7, 1, 1, bytes(8)))
    data = air.Data(7, 0, bytes([0x40, 0, 0, 0]) + bytes(5))
    stream.data(data)
    stream.uplink("car")
    stream.answered(Downlink(boot=7))
    assert not stream.has_work
    stream.data(data)
    assert stream.has_work


async def test_a_vehicle_number_that_is_none(gateway: Gateway, database_url: str) -> None:
    """A VIN of odd characters is left out: it would refuse the packets beside it."""
    car = Car()
    base = Base(gateway, car)
    await base.take(car.hello(vin="!" * 17), *car.profile())
    await base.take(*[car.data(seq) for seq in car.drive(20)])
    base.tell()
    assert not car.kept
    await check(database_url, car)


async def test_a_refused_uplink_is_not_tried_again() -> None:
    """What the gateway refuses for good is dropped; the vehicle has it still."""
    stream = Stream(7)
    stream.hello(air.Hello(7, 1, 1, bytes(8)))
    stream.data(air.Data(7, 0, bytes([0x40, 0, 0, 0]) + bytes(5)))
    assert Uplink.FromString(stream.uplink("car")).boot == 7
    stream.not_taken()
    assert not stream.has_work
    assert (stream.waiting, stream.refused) == (0, 1)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
