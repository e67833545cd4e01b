"""The way back from bus-off, counted in recessive bits."""

from __future__ import annotations

import pytest

from sim.can.confinement import ErrorState
from sim.can.faults import ErrorKind
from sim.can.frame import CanFrame
from tests.sim.can.stations import Line, Station

FRAME = CanFrame(0x14, b"\x01")
RECOVERY_BITS = 128 * 11
FORM_FLAG_BITS = 6


@pytest.fixture
def line() -> Line:
    """A world with a bus."""
    return Line()


def driven_off(line: Line) -> Station:
    """A node that 32 form errors have driven off the bus; the clock stands at the last."""
    line.disturb(*[ErrorKind.FORM] * 32)
    victim = Station(line.bus, "victim")
    Station(line.bus, "other")
    victim.send(FRAME)
    while not victim.node.is_bus_off:
        line.env.step()
    return victim


def test_idle_bus_takes_1408_bits(line: Line) -> None:
    """128 times 11 bits, from the first recessive bit after the flag on."""
    victim = driven_off(line)
    off_s = line.env.now
    victim.node.recover()
    victim.node.recover()  # once is enough
    line.run_bits(2_000)
    state, at_s = victim.states[-1]
    assert state is ErrorState.ACTIVE
    assert line.bits(at_s - off_s) == pytest.approx(FORM_FLAG_BITS + RECOVERY_BITS, abs=0.01)
    assert (victim.node.tec, victim.node.rec, victim.node.recovering) == (0, 0, False)
    assert victim.send(FRAME)
    line.run_bits(100)
    assert victim.sent == [b"\x01"]


def test_without_a_word_it_stays_off(line: Line) -> None:
    """No recovery by itself where none is set."""
    victim = driven_off(line)
    line.run_bits(100_000)
    assert victim.node.is_bus_off


@pytest.mark.parametrize("of_the_bus", [True, False])
def test_recovery_begins_by_itself_after_its_delay(line: Line, of_the_bus: bool) -> None:
    """As Linux' restart-ms has it; a node's own delay counts before that of the bus."""
    line.bus.auto_recover_s = 0.1 if of_the_bus else 5.0
    line.disturb(*[ErrorKind.FORM] * 32)
    victim = Station(line.bus, "victim")
    Station(line.bus, "other")
    if not of_the_bus:
        victim.node.auto_recover_s = 0.1
    victim.send(FRAME)
    line.run_bits(200_000)
    (_, off_s), (state, back_s) = victim.states[-2:]
    assert state is ErrorState.ACTIVE
    assert line.bits(back_s - off_s) == pytest.approx(50_000 + RECOVERY_BITS, abs=0.01)


def test_saturated_bus_counts_one_sequence_a_frame(line: Line) -> None:
    """Between frames that follow each other lie 11 recessive bits and no more: 128 frames."""
    victim = driven_off(line)
    ends_s: list[float] = []
    line.bus.taps.append(lambda t_s, _sender, _frame: ends_s.append(t_s))
    talker = Station(line.bus, "talker")
    for _ in range(200):
        talker.send(FRAME)
    line.run_bits(500)
    began_s = line.env.now
    victim.node.recover()
    line.run_bits(200 * 60)
    state, back_s = victim.states[-1]
    assert state is ErrorState.ACTIVE
    assert sum(began_s < t_s <= back_s for t_s in ends_s) == 128


def test_pauses_count_by_their_length(line: Line) -> None:
    """A frame every 100 bits leaves a pause of 100 - 55 + 8 recessive bits: four sequences."""
    victim = driven_off(line)
    line.run_bits(100)
    talker = Station(line.bus, "talker")
    victim.node.recover()
    began_bits = line.bits(line.env.now)
    for _ in range(60):
        talker.send(FRAME)
        line.run_bits(100)
    _, back_s = victim.states[-1]
    periods = (line.bits(back_s) - began_bits) / 100
    assert periods == pytest.approx(128 / 4, abs=1)


def test_node_that_leaves_does_not_come_back(line: Line) -> None:
    """A node that is detached on its way back stays away."""
    victim = driven_off(line)
    victim.node.recover()
    victim.node.detach()
    line.run_bits(5_000)
    assert victim.node.is_bus_off


def test_recovery_of_an_active_node_is_nothing(line: Line) -> None:
    """`recover()` changes nothing in a node that is not bus-off."""
    node = Station(line.bus, "node")
    node.node.recover()
    line.run_bits(5_000)
    assert node.states == []


def test_old_delay_does_not_count_for_a_later_bus_off(line: Line) -> None:
    """Recovered by hand and off again, a node waits its whole delay anew."""
    line.bus.auto_recover_s = 0.02  # 10,000 bits
    victim = driven_off(line)
    first_off_s = line.env.now
    victim.node.recover()
    line.run_bits(2_000)
    assert victim.node.state is ErrorState.ACTIVE
    line.plan += [ErrorKind.FORM] * 32
    victim.send(FRAME)
    line.run_bits(3_000)
    (_, off_s) = victim.states[-1]
    line.env.run(until=first_off_s + 0.02 + 1500 / 500_000)
    assert victim.node.is_bus_off
    line.env.run(until=off_s + 0.02 + 1500 / 500_000)
    assert victim.node.state is ErrorState.ACTIVE


def test_two_nodes_come_back_side_by_side(line: Line) -> None:
    """Each node counts its own sequences."""
    victim = driven_off(line)
    second = next(node for node in line.bus.nodes if node is not victim.node)
    second._count(256, 0)  # driven off by other means
    victim.node.recover()
    line.run_bits(700)
    second.recover()
    line.run_bits(800)
    assert victim.node.state is ErrorState.ACTIVE
    assert second.is_bus_off
    line.run_bits(700)
    assert second.state is ErrorState.ACTIVE
