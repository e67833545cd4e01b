"""The air: who hears what, and what becomes of it."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.lora.channel import Channel, Outcome, Position, Signal, Station, Transmission
from sim.lora.errors import LoraError
from sim.lora.presets import PRESETS, Preset
from sim.lora.propagation import LogDistance, Place

FAST = PRESETS["SHORT_FAST"]
FRAME_BYTES = 73
AIRTIME_S = 0.070784


class Ear:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.spoilt = 0
        self.sent_count = 0

    def received(self, frame: Any, signal: Signal) -> None:
        """Keep a frame."""
        self.heard.append(frame)

    def spoiled(self, signal: Signal) -> None:
        """Count a frame."""
        self.spoilt += 1

    def sent(self, transmission: Transmission) -> None:
        """Count a frame."""
        self.sent_count += 1


class Table:
    """Path loss by the x coordinates of two places."""

    def __init__(self, losses_db: dict[tuple[float, float], float]) -> None:
        self._losses_db = losses_db

    def __call__(self, a: Place, b: Place) -> float:
        """Give the loss, 110 dB where nothing is said."""
        x, y = sorted((a.x_m, b.x_m))
        return self._losses_db.get((x, y), 110.0)


class Bench:
    """Stations 0, 1, 2 ... in a row, 22 dBm each; SHORT_FAST's limit is a loss of 143.5 dB."""

    def __init__(
        self, count: int, losses_db: dict[tuple[float, float], float] | None = None, seed: int = 1
    ) -> None:
        self.env = simpy.Environment()
        self.channel = Channel(
            self.env, FAST, 869.525, random.Random(seed), Table(losses_db or {}), shadowing_db=0
        )
        self.ears = [Ear() for _ in range(count)]
        self.stations = [self.add(index, Place(float(index), 0)) for index in range(count)]
        self.outcomes: list[tuple[int, int, Outcome]] = []
        self.channel.on_outcome.append(self._note)

    def add(self, index: int, position: Position) -> Station:
        """Put a station on the channel."""
        return self.channel.add(index, position, self.ears[index])

    def _note(self, _: float, signal: Signal, outcome: Outcome) -> None:
        sender = signal.transmission.station.number
        self.outcomes.append((sender, signal.station.number, outcome))

    def at(self, time_s: float, sender: int, frame: str = "") -> None:
        """Send at an instant."""
        station = self.stations[sender]

        def send(_: object) -> None:
            self.channel.transmit(station, frame or f"from {sender}", FRAME_BYTES)

        self.env.timeout(time_s - self.env.now).callbacks.append(send)

    def outcome(self, sender: int, receiver: int) -> Outcome:
        """Give what became of the one transmission from here to there."""
        (found,) = [out for s, r, out in self.outcomes if (s, r) == (sender, receiver)]
        return found


def test_a_frame_reaches_all_in_earshot_at_its_end() -> None:
    """It is read when its time on air is over, not before."""
    bench = Bench(3)
    bench.at(1.0, 0)
    bench.env.run(1.0 + AIRTIME_S - 1e-6)
    assert bench.ears[1].heard == []
    bench.env.run(1.0 + AIRTIME_S + 1e-6)
    assert [ear.heard for ear in bench.ears] == [[], ["from 0"], ["from 0"]]
    assert bench.ears[0].sent_count == 1


def test_a_station_out_of_earshot_costs_no_event_and_has_no_outcome() -> None:
    """Below the limit by more than detection and capture margin nothing happens at all."""
    bench = Bench(2, {(0, 1): 143.5 + 9.1})
    bench.at(0.0, 0)
    bench.env.run()
    assert bench.outcomes == []


def test_a_weak_frame_is_lost_to_noise() -> None:
    """Two decibels below the limit a frame is found and not read, five below not even found."""
    for extra_db, spoilt in ((2.5, 1), (5.0, 0)):
        bench = Bench(2, {(0, 1): 143.5 + extra_db})
        bench.at(0.0, 0)
        bench.env.run()
        assert bench.outcome(0, 1) is Outcome.WEAK
        assert bench.ears[1].spoilt == spoilt


def test_overlapping_frames_of_like_strength_destroy_each_other() -> None:
    """Within 6 dB neither is read."""
    bench = Bench(3, {(0, 2): 110.0, (1, 2): 114.0})
    bench.at(0.0, 0)
    bench.at(0.03, 1)
    bench.env.run()
    assert bench.outcome(0, 2) is bench.outcome(1, 2) is Outcome.COLLISION


def test_the_stronger_frame_captures_the_receiver() -> None:
    """A frame survives another that is 6 dB weaker, whichever comes first."""
    for first_s, second_s in ((0.0, 0.03), (0.003, 0.0)):
        bench = Bench(3, {(0, 2): 110.0, (1, 2): 116.0})
        bench.at(first_s, 0)
        bench.at(second_s, 1)
        bench.env.run()
        assert bench.outcome(0, 2) is Outcome.OK
        assert bench.outcome(1, 2) is Outcome.COLLISION


def test_a_stronger_frame_that_comes_after_the_preamble_destroys_both() -> None:
    """The receiver stays with what it follows; that is spoilt, and the newcomer was not found."""
    bench = Bench(3, {(0, 2): 110.0, (1, 2): 100.0})
    bench.at(0.0, 0)
    bench.at(0.03, 1)
    bench.env.run()
    assert bench.outcome(0, 2) is bench.outcome(1, 2) is Outcome.COLLISION
    assert bench.ears[2].heard == []


def test_a_frame_is_found_if_five_symbols_of_its_preamble_remain() -> None:
    """A receiver that comes free in time reads the next frame, one that does not misses it."""
    symbol_s = FAST.symbol_s
    for late_symbols, outcome in ((10, Outcome.OK), (12, Outcome.COLLISION)):
        bench = Bench(3)
        bench.at(0.0, 0)
        bench.at(AIRTIME_S - late_symbols * symbol_s, 1)
        bench.env.run()
        # The first is spoilt either way: both are equally strong.
        assert bench.outcome(0, 2) is Outcome.COLLISION
        assert bench.outcome(1, 2) is outcome


def test_a_sender_hears_nothing_while_it_sends() -> None:
    """Half duplex: what comes meanwhile is lost, and its own frame is not."""
    bench = Bench(2)
    bench.at(0.0, 0)
    bench.at(0.02, 1)
    bench.env.run()
    assert bench.outcome(1, 0) is Outcome.BUSY
    assert bench.outcome(0, 1) is Outcome.BUSY


def test_a_station_on_the_way_to_sending_is_deaf_and_can_turn_back() -> None:
    """A preamble that began meanwhile is still found after turning back."""
    bench = Bench(2)
    receiver = bench.stations[1]
    bench.channel.switch_over(receiver)
    bench.at(0.001, 0)
    bench.env.run(0.002)
    assert not receiver.receiving
    assert receiver.channel_active()
    bench.channel.listen(receiver)
    bench.env.run()
    assert bench.outcome(0, 1) is Outcome.OK


def test_power_off_loses_what_is_received_and_cuts_what_is_sent() -> None:
    """Either end without power is outcome OFF, and the channel is free at once."""
    bench = Bench(3)
    bench.at(0.0, 0)
    bench.env.run(0.01)
    bench.channel.power(bench.stations[1], on=False)
    bench.env.run(0.02)
    bench.channel.power(bench.stations[0], on=False)
    assert not bench.stations[2].channel_active()
    bench.env.run()
    assert bench.outcome(0, 1) is bench.outcome(0, 2) is Outcome.OFF
    with pytest.raises(LoraError, match="station 0 to have power"):
        bench.channel.transmit(bench.stations[0], "x", 20)
    bench.channel.power(bench.stations[0], on=True)
    bench.channel.power(bench.stations[1], on=True)
    bench.outcomes.clear()
    bench.at(1.0, 0)
    bench.env.run()
    assert bench.outcome(0, 1) is Outcome.OK


def test_one_radio_never_sends_two_frames_at_once() -> None:
    """The second transmission is refused with the reason."""
    bench = Bench(2)
    bench.channel.transmit(bench.stations[0], "a", 20)
    with pytest.raises(LoraError, match="found it sending"):
        bench.channel.transmit(bench.stations[0], "b", 20)
    with pytest.raises(LoraError, match="found a second"):
        bench.channel.add(0, Place(0, 0), bench.ears[0])


def test_other_presets_are_neither_heard_nor_disturbing() -> None:
    """A station that changes its preset leaves the others alone, in the middle of a frame too."""
    bench = Bench(3)
    bench.at(0.0, 0)
    bench.env.run(0.01)
    bench.channel.reconfigure(bench.stations[1], preset=PRESETS["LONG_FAST"])
    assert not bench.stations[1].channel_active()
    bench.at(0.02, 1)
    bench.env.run()
    assert bench.outcome(0, 1) is Outcome.OFF
    assert bench.outcome(0, 2) is Outcome.OK
    assert [ear.heard for ear in bench.ears] == [[], [], ["from 0"]]


def test_power_and_gain_count_and_can_change() -> None:
    """Ten decibels more power are ten decibels more signal."""
    bench = Bench(2)
    before, snr_db = bench.channel.link(bench.stations[0], bench.stations[1])
    assert (before, snr_db) == pytest.approx((-88.0, -88.0 - FAST.noise_dbm))
    bench.channel.reconfigure(bench.stations[0], tx_power_dbm=12.0)
    assert bench.channel.link(bench.stations[0], bench.stations[1])[0] == pytest.approx(-98.0)


def test_a_moving_station_is_heard_as_far_as_it_is_now() -> None:
    """A car that drives away is lost, and the strength of its frames falls."""
    env = simpy.Environment()
    channel = Channel(
        env, FAST, 869.5, random.Random(1), LogDistance(869.5, exponent=3.8), shadowing_db=0
    )
    ear = Ear()
    car = channel.add(1, lambda time_s: Place(100.0 + 30.0 * time_s, 0), Ear())
    base = channel.add(2, Place(0, 0, 10), ear)
    assert car.moving
    assert not base.moving
    strengths: list[float] = []
    channel.on_outcome.append(lambda _, signal, __: strengths.append(signal.rssi_dbm))
    for step in range(12):
        env.run(0.01 + 60 * step)
        channel.transmit(car, step, 20)
    env.run()
    assert strengths == sorted(strengths, reverse=True)
    assert 0 < len(strengths) < 12
    assert ear.heard == list(range(len(ear.heard)))


def _random_bench(seed: int, preset: Preset) -> tuple[Bench, int]:
    """A bench with random distances and random sending, and how many transmissions it makes."""
    stream = random.Random(seed)
    count = stream.randrange(2, 7)
    losses = {
        (float(a), float(b)): stream.uniform(100, 155) for b in range(count) for a in range(b)
    }
    bench = Bench(count, losses, seed)
    sent = 0
    for index, station in enumerate(bench.stations):
        bench.channel.reconfigure(station, preset=preset)
        time_s = 0.0
        for _ in range(6):
            time_s += stream.uniform(0.21, 1.2)  # longer than a frame on the air
            bench.at(time_s, index, f"{index}/{sent}")
            sent += 1
    return bench, sent


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_transmission_has_one_outcome_at_each_station_in_earshot(seed: int) -> None:
    """Nothing is counted twice or forgotten, and only what is OK is handed over, once."""
    bench, sent = _random_bench(seed, FAST)
    ends: Counter[tuple[int, int, int]] = Counter()

    def note(_: float, signal: Signal, outcome: Outcome) -> None:
        transmission = signal.transmission
        ends[transmission.station.number, transmission.number, signal.station.number] += 1

    bench.channel.on_outcome.append(note)
    bench.env.run()
    assert bench.channel.transmissions == sent
    assert all(count == 1 for count in ends.values())
    assert all(not station.signals and not station.following for station in bench.stations)
    for index, ear in enumerate(bench.ears):
        ok = sum(out is Outcome.OK for _, r, out in bench.outcomes if r == index)
        assert len(ear.heard) == len(set(ear.heard)) == ok
        assert ear.sent_count == 6
    earshot = {
        (a.number, b.number)
        for a in bench.stations
        for b in bench.stations
        if a is not b and bench.channel.link(a, b)[1] >= FAST.snr_limit_db - 9.0
    }
    assert ends.total() == 6 * len(earshot)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_outcomes(seed: int) -> None:
    """Two runs agree, and a further station out of earshot changes neither."""
    first, _ = _random_bench(seed, FAST)
    first.env.run()
    second, _ = _random_bench(seed, FAST)
    second.ears.append(Ear())
    far = Place(-1.0, 0)
    second.channel._path_loss = _Beside(second.channel._path_loss, far)  # type: ignore[attr-defined]
    second.add(len(second.ears) - 1, far)
    second.env.run()
    assert first.outcomes == second.outcomes


class _Beside:
    """The path loss of a bench, and no path to one more place."""

    def __init__(self, loss: Any, place: Place) -> None:
        self._loss = loss
        self._place = place

    def __call__(self, a: Place, b: Place) -> float:
        """Give the loss."""
        return 300.0 if self._place in (a, b) else float(self._loss(a, b))
