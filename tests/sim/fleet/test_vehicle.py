"""A light vehicle keeps to what the firmware does, as the gateway sees it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from server.wire.messages import Uplink
from server.wire.telemetry_pb2 import Downlink
from sim.fleet import vehicle as module
from sim.fleet.packets import Model, make_models
from sim.fleet.plan import fleet_plan
from sim.fleet.vehicle import Listener, Vehicle


@pytest.fixture(scope="module")
def model() -> Model:
    """Ten packets of five rows, one row a second."""
    return make_models(1, fleet_plan(6, 1.0), 50, 5, seed=3)[0]


class _Log(Listener):
    def __init__(self) -> None:
        self.acked: list[tuple[int, int]] = []
        self.gone: list[tuple[int, int]] = []
        self.given_up: list[tuple[int, int]] = []

    def acknowledged(self, vehicle: Vehicle, lap: int, seq: int, now_s: float) -> None:
        self.acked.append((lap, seq))

    def refused(self, vehicle: Vehicle, lap: int, seq: int, reason: str) -> None:
        self.given_up.append((lap, seq))

    def dropped(self, vehicle: Vehicle, lap: int, seq: int) -> None:
        self.gone.append((lap, seq))


@pytest.fixture
def log() -> _Log:
    """What the vehicle tells."""
    return _Log()


@pytest.fixture
def vehicle(model: Model, log: _Log) -> Vehicle:
    """A vehicle that sets off at 0 s."""
    return Vehicle(0, "fleet-0", "key", model, start_s=0.0, epoch_ms=1_700_000_000_000,
                   rng=random.Random(1), listener=log)  # fmt: skip


def _sent(vehicle: Vehicle, now_s: float) -> Uplink:
    body = vehicle.request(now_s)
    assert body is not None
    message = Uplink()
    message.merge(b"".join(body), False)
    return message


def _answer(vehicle: Vehicle, now_s: float, message: Uplink, **fields: Any) -> None:
    vehicle.answered(now_s, Downlink(boot=message.boot, **fields).SerializeToString())


def _numbers(message: Uplink) -> list[int]:
    return [packet[1] << 4 | packet[0] & 15 for packet in message.packets]


def test_nothing_goes_before_a_packet_is_full(vehicle: Vehicle) -> None:
    """A packet is closed when its last row is over, and wakes the vehicle then."""
    assert vehicle.wake_s(0.0) == 5.0
    assert vehicle.request(4.999) is None
    assert _numbers(_sent(vehicle, 5.0)) == [0]


def test_a_hello_goes_until_it_is_known(vehicle: Vehicle) -> None:
    """The first message of a boot has a hello; what the gateway asks for comes with the next."""
    first = _sent(vehicle, 5.0)
    assert first.hello is not None
    assert not first.hello.profile
    _answer(vehicle, 5.1, first, need_profile=True)
    second = _sent(vehicle, 5.1)
    assert second.hello is not None
    assert second.hello.profile == vehicle.model.profile.to_bytes()
    assert _numbers(second) == [0]
    _answer(vehicle, 5.2, second, ack=1)
    assert _sent(vehicle, 10.0).hello is None


def test_packets_stay_until_they_are_acknowledged(vehicle: Vehicle, log: _Log) -> None:
    """After a failure the same packets go again, with those that were closed meanwhile."""
    first = _sent(vehicle, 5.0)
    vehicle.failed(15.0)
    assert vehicle.request(15.0) is None
    again_s = vehicle.wake_s(15.0)
    assert 15.5 <= again_s <= 16.0  # half to all of the first pause
    again = _sent(vehicle, again_s)
    assert _numbers(again) == [0, 1, 2]
    assert again.packets[0] == first.packets[0]
    _answer(vehicle, again_s, again, ack=1, acked=[2])
    assert log.acked == [(0, 0), (0, 2)]
    assert _numbers(_sent(vehicle, again_s)) == [1]


def test_pauses_grow_and_end_with_an_answer(vehicle: Vehicle) -> None:
    """Each failure doubles the pause, to a minute; a success begins anew."""
    now_s, pauses_s = 5.0, []
    vehicle.stop(now_s)  # else it wakes for its next packet, too
    for _ in range(9):
        assert _numbers(_sent(vehicle, now_s)) == [0]
        vehicle.failed(now_s)
        pauses_s.append(vehicle.wake_s(now_s) - now_s)
        now_s = vehicle.wake_s(now_s)
    for number, pause_s in enumerate(pauses_s):
        longest_s = min(60.0, 2.0**number)
        assert longest_s / 2 <= pause_s <= longest_s
    message = _sent(vehicle, now_s)
    _answer(vehicle, now_s, message, acked=_numbers(message)[:1])
    assert not vehicle.queue


def test_a_packet_continues_from_one_that_was_acknowledged_in_time(vehicle: Vehicle) -> None:
    """Kind D where the gateway has the packet before, kind K where its answer did not come."""
    first = _sent(vehicle, 5.0)
    _answer(vehicle, 5.1, first, ack=1)
    second = _sent(vehicle, 10.0)
    assert second.packets[0][0] >> 4 & 3 == 3  # follows
    vehicle.failed(10.0)
    third = _sent(vehicle, 15.0)
    assert [packet[0] >> 4 & 3 for packet in third.packets] == [3, 0]


def test_what_the_gateway_cannot_continue_is_given_up(vehicle: Vehicle, log: _Log) -> None:
    """A packet that needs a key is named as void, and the next one stands alone."""
    first = _sent(vehicle, 5.0)
    _answer(vehicle, 5.1, first, ack=1)
    second = _sent(vehicle, 10.0)
    _answer(vehicle, 10.1, second, need_key=[1], ack=1)
    assert log.given_up == [(0, 1)]
    third = _sent(vehicle, 15.0)
    assert third.voids == [1]
    assert third.packets[0][0] >> 4 & 3 == 0
    _answer(vehicle, 15.1, third, ack=3)
    assert _sent(vehicle, 20.0).voids == []


def test_the_store_is_bounded(vehicle: Vehicle, log: _Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full store gives up the oldest packets, and tells so."""
    sizes = [packet.size_bytes for packet in vehicle.model.alone]
    monkeypatch.setattr(module, "STORE_BYTES", sum(sizes[5:8]))
    vehicle.offline_until(40.0)
    assert vehicle.request(39.9) is None
    assert [seq for _, seq, _ in vehicle.queue][-1] == 6
    message = _sent(vehicle, 40.0)
    assert log.gone
    assert [seq for _, seq in log.gone] == list(range(len(log.gone)))
    assert message.voids == [seq for _, seq in log.gone]
    assert _numbers(message)[0] == len(log.gone)


def test_a_lap_is_a_boot_of_its_own(vehicle: Vehicle) -> None:
    """After the drive the vehicle starts anew: another boot, numbers from 0, a hello."""
    message = _sent(vehicle, 50.0)
    assert _numbers(message) == list(range(10))
    _answer(vehicle, 50.1, message, ack=10)
    later = _sent(vehicle, 55.0)
    assert _numbers(later) == [0]
    assert later.boot == vehicle.boot(1) != message.boot
    assert later.hello is not None
    assert later.time is not None
    assert later.time.utc_ms == 1_700_000_050_000
