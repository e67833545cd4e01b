"""A gateway that was killed: what is counted for each of its starts, and what a kill may take."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rig.measures.measures import Measures, measure
from rig.record.reader import RecordReader
from rig.record.streams import Stored
from rig.record.writer import RecordWriter
from tests.rig.measures.conftest import EPOCH_NS, RPM, SIGNALS, at

FIRST, SECOND = 901, 17  # boots are random numbers
KILL_S, AGAIN_S, BACK_S = 5.0, 7.0, 7.25
Told = Callable[..., Measures]


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """Return `told(...)`: five readings of each start, one a second; some things may go wrong.

    Readings stand at 0, 1, 2, 3, 4 s and at 8 to 12 s; the kill is at 5 s, the client is back at
    7.25 s. `lost` and `hidden` name (boot, number) that are not stored, or not published.
    """

    def told(
        *,
        lost: tuple[tuple[int, int], ...] = (),
        hidden: tuple[tuple[int, int], ...] = (),
        upto: dict[int, int] | None = None,
        early_s: float = 8.0,
        device: str = "car-1",
        kill: bool = True,
        killed_s: float = KILL_S,
        compacted: bool = False,
        killed_again_s: float | None = None,
        paused: tuple[tuple[float, float], ...] = (),
    ) -> Measures:
        starts_s = [killed_s] * kill + [killed_again_s] * (killed_again_s is not None)
        kills = [["killed", "gateway_kill", "", at(s), at(s + AGAIN_S - KILL_S)] for s in starts_s]
        pauses = [["paused", "gateway_pause", "", at(begin), at(end)] for begin, end in paused]
        manifest: dict[str, Any] = {
            "scenario": "killed", "seed": 1, "mode": "virtual", "epoch_ns": EPOCH_NS,
            "phases": [["calm", at(0), at(20)]], "signals": SIGNALS,
            "plan": {"obd": {"RPM": 1.0}}, "devices": {"esp32": "esp32"},
            "faults": [*pauses, *kills],
        }  # fmt: skip
        writer = RecordWriter(tmp_path / str(len(list(tmp_path.iterdir()))), manifest)
        stored = []
        for boot, begin_s in ((FIRST, 0.0), (SECOND, early_s)):
            for number in range(1, 6):
                time_ns = at(begin_s + number - 1)
                row = (number, RPM, time_ns, float(number), time_ns, 0)
                whose = (device, boot) if device == "esp32" else ("", boot)
                if (boot, number) not in hidden:
                    writer.published(time_ns, [row], *whose)
                if (boot, number) not in lost:
                    stored.append(Stored(device, *row, time_ns, boot))
            writer.stored_at(boot, (upto or {}).get(boot, 4), at(begin_s + 4.4))
        writer.event(at(BACK_S), "gateway.back", {"boot": SECOND})
        if compacted:
            stored = [row._replace(seq=0, received_ns=0, written_ns=0) for row in stored]
        writer.stored(stored)
        writer.close({"sim_s": 20.0, "wall_s": 0.5, "boots": writer.boots})
        return measure(RecordReader(writer.folder))

    return told


def value(measures: Measures, name: str) -> float | None:
    """A figure of the whole run."""
    found = measures.get(name)
    return None if found is None else found.value


def test_starts_have_numbers_of_their_own(told: Told) -> None:
    """The same numbers twice are neither doubled nor lost."""
    measures = told()
    for name in ("readings.lost", "readings.acknowledged.lost", "readings.doubled"):
        assert value(measures, name) == 0, name
    assert value(measures, "readings.unpublished") == 0
    assert value(measures, "readings.lost.age.max") == 0


def test_a_kill_takes_what_was_not_committed(told: Told) -> None:
    """It is lost, a second after its receipt; nothing that was acknowledged is."""
    measures = told(lost=((FIRST, 5),))
    assert value(measures, "readings.lost") == 1
    assert value(measures, "readings.acknowledged.lost") == 0
    assert value(measures, "readings.lost.age.max") == pytest.approx(1.0)


def test_what_was_acknowledged_must_be_there(told: Told) -> None:
    """Of the second start, too, whose numbers the first has."""
    for boot in (FIRST, SECOND):
        measures = told(lost=((boot, 5),), upto={boot: 5})
        assert value(measures, "readings.acknowledged.lost") == 1


def test_old_readings_are_not_a_kills(told: Told) -> None:
    """A reading that had been there for long is told by its age; one without a kill by infinity."""
    assert value(told(lost=((FIRST, 2),)), "readings.lost.age.max") == pytest.approx(4.0)
    assert value(told(lost=((SECOND, 5),)), "readings.lost.age.max") == math.inf


def test_a_gateway_that_stands_still_commits_nothing(told: Told) -> None:
    """Pauses, that overlap perhaps and go on at the kill, are no time in which it could."""
    paused = ((1.5, 2.5), (2.0, 3.0), (4.5, 60.0))
    measures = told(lost=((FIRST, 2),), paused=paused)
    assert value(measures, "readings.lost.age.max") == pytest.approx(2.0)
    assert value(told(lost=((SECOND, 5),), paused=paused), "readings.lost.age.max") == math.inf
    again = told(lost=((SECOND, 4),), paused=((4.5, 60.0),), killed_again_s=12.5)
    assert value(again, "readings.lost.age.max") == pytest.approx(1.5)  # the second process ran


def test_nobody_sees_what_comes_before_the_client_is_back(told: Told) -> None:
    """It need not have been published; what came after it must, and without a kill all of it."""
    hidden = ((SECOND, 1),)
    assert value(told(hidden=hidden, early_s=7.1), "readings.unpublished") == 0
    assert value(told(hidden=hidden, early_s=7.3), "readings.unpublished") == 1
    assert value(told(hidden=hidden, early_s=7.1, kill=False), "readings.unpublished") == 1


def test_a_devices_readings_may_be_committed_and_not_published(told: Told) -> None:
    """They are published after their commit: the kill came between. The gateway's own are not."""
    hidden = ((FIRST, 5),)
    assert value(told(hidden=hidden, device="esp32"), "readings.unpublished") == 0
    assert value(told(hidden=hidden), "readings.unpublished") == 1


def test_a_kill_may_come_while_what_clients_are_told_is_gathered(told: Told) -> None:
    """Committed within 5 ms before it, a reading is stored and not seen; earlier, it was sent."""
    hidden = ((FIRST, 5),)
    assert value(told(hidden=hidden, killed_s=4.004), "readings.unpublished") == 0
    assert value(told(hidden=hidden, killed_s=4.01), "readings.unpublished") == 1
    # Of a compacted one nobody knows when that was; it is the newest, and not old.
    assert value(told(hidden=hidden, killed_s=4.5, compacted=True), "readings.unpublished") == 0
    older = told(hidden=((FIRST, 4),), killed_s=4.1, compacted=True)
    assert value(older, "readings.unpublished") == 1
    paused = told(hidden=hidden, killed_s=4.4, paused=((4.004, 9.0),))
    assert value(paused, "readings.unpublished") == 0


def test_a_client_without_a_gateway_takes_nothing_for_fresh(told: Told) -> None:
    """Overdue at 7 s, the kill was at 5 s: no mark was needed. Without it one was missing."""
    assert value(told(), "obd.stale.unmarked.max") == pytest.approx(5.0)  # from 15 s to the end
    begin = told(early_s=16.0)
    assert value(begin, "obd.stale.unmarked.max") == 0
    assert value(told(early_s=16.0, kill=False), "obd.stale.unmarked.max") == pytest.approx(9.0)


@pytest.mark.parametrize("device", ["car-1", "esp32"])
def test_what_nobody_saw_may_have_come_around_the_kill(told: Told, device: str) -> None:
    """Compacted, it has no instant of receipt: it came after the one that was seen before it."""
    around = told(hidden=((FIRST, 5),), device=device, compacted=True)
    assert value(around, "readings.unpublished") == (0 if device == "esp32" else 1)
    long_before = told(hidden=((FIRST, 3),), device=device, compacted=True, killed_s=60.0)
    assert value(long_before, "readings.unpublished") == 1
