"""The limits of drawn runs: as tight as a fault allows, and no tighter."""

from __future__ import annotations

from typing import Any

import pytest

from rig.campaign.document import Document, scenario_of
from rig.campaign.draw import complete
from rig.campaign.invariants import LOST_SEARCH_S, RECOVERY_S, recovery_s

PHASES = [
    {"cruise": {"speed": "50 km/h", "for": "60 s"}},
    {"idle": "20 s", "as": "settle"},
    {"idle": "20 s", "as": "rest"},
]


def document(*faults: Document, **more: Any) -> Document:
    return {"rig": "1", "phases": PHASES, "faults": list(faults), **more}


def limits(*faults: Document, **more: Any) -> Document:
    return complete(document(*faults, **more))["limits"]


def test_damaged_bytes_count_only_where_nothing_can_tell() -> None:
    """An ELM327 has no checksum: its values count outside of the fault. GPS stays strict."""
    noisy = limits({"at": "5 s", "on": "obd", "garbage": "20 B/s", "for": "5 s"})
    assert noisy["obd.fidelity.max"] == {"max": "0.01 step", "except": "faults"}
    assert "except" not in noisy["gps.fidelity.max"]
    assert (
        "except"
        not in limits({"at": "5 s", "on": "obd", "mute": "true", "for": "5 s"})["obd.fidelity.max"]
    )


@pytest.mark.parametrize(
    ("second", "expected_s"),
    [
        ({"at": "30 s", "on": "gps", "hang_up": "4 s"}, 0.0),  # long after the first one
        ({"at": "8 s", "on": "gps", "hang_up": "9 s"}, 7.0),  # while it goes on
        ({"at": "12 s", "on": "gps", "hang_up": "9 s"}, 11.0),  # while the link comes back
        ({"at": "8 s", "on": "obd", "hang_up": "9 s"}, 0.0),  # on another link
        ({"at": "8 s", "on": "database", "database_down": "9 s"}, 7.0),  # on all of them
    ],
)
def test_a_link_may_wait_for_the_end_of_the_next_fault(second: Document, expected_s: float) -> None:
    """Recovery counts from a fault's end; where another one goes on, it takes longer."""
    first = {"at": "5 s", "on": "gps", "mute": "true", "for": "5 s"}
    scenario = scenario_of(complete(document(first, second)))
    assert recovery_s(scenario, "gps") == pytest.approx(RECOVERY_S["gps"] + expected_s)


def test_a_killed_gateway_owes_what_it_had_acknowledged() -> None:
    """What it held in memory is gone, and its clients with it; what it had committed is not."""
    killed = limits({"at": "5 s", "on": "gateway", "gateway_kill": "true", "for": "1 s"})
    assert killed["readings.acknowledged.lost"] == {"equals": "0"}
    assert "readings.lost" not in killed
    assert killed["readings.lost.age.max"] == {"max": "1.2 s"}
    assert limits()["readings.lost"] == {"equals": "0"}


def test_a_database_that_fails_may_be_complained_about() -> None:
    """Errors in the log are right then, tracebacks never."""
    quiet = complete(document())["after"]
    failing = complete(document({"at": "5 s", "on": "database", "database_down": "5 s"}))["after"]
    assert "log.errors == 0" in quiet
    assert "log.errors == 0" not in failing
    assert "log.exceptions == 0" in failing


def test_memory_is_bounded_by_the_queue() -> None:
    """No more may wait than the gateway was told to keep."""
    assert limits(gateway={"queue": "500"})["readings.waiting.max"] == {"max": "500"}
    assert limits()["readings.waiting.max"] == {"max": "10000"}


def test_answers_may_come_late_where_the_bus_is_shared() -> None:
    """An ELM327 and a door at one bus: a flood holds up both; loss at the door that one alone."""
    both = {"needs": ["obd", "can"]}
    flood = {"at": "5 s", "on": "can", "can_flood": "90 %", "for": "5 s"}
    flooded = limits(flood, **both)
    assert flooded["obd.fidelity.max"] == {"max": "0.01 step", "phase": "rest"}
    assert "readings.doubled" not in flooded
    lossy = limits({"at": "5 s", "on": "can", "net_slow": "900 B/s", "for": "5 s"}, **both)
    assert "phase" not in lossy["obd.fidelity.max"]
    assert lossy["can.fidelity.max"]["phase"] == "rest"


@pytest.mark.parametrize(
    ("world", "fault", "is_told_apart"),
    [
        ({"over": "can", "door": "slcan"}, {"stall": "true"}, False),
        ({"profile": "elm327_v15"}, {"stall": "true"}, True),
        ({"profile": "elm327_v15"}, {"duplicate": "5 %"}, False),
        (
            {"profile": "elm327_v15"},
            {"duplicate": {"probability": "5 %", "direction": "to_device"}},
            True,
        ),
    ],
)
def test_an_answer_may_pass_for_the_next_one(
    world: Document, fault: Document, is_told_apart: bool
) -> None:
    """After a stall where nobody waits for a prompt; where the line says it twice."""
    fault = {"at": "5 s", "on": "obd", **fault, "for": "5 s"}
    struck = limits(fault, needs=["obd"], world={"obd": world})
    assert ("readings.doubled" in struck) is is_told_apart


@pytest.mark.parametrize(
    ("fault", "keeps_its_instant"),
    [
        ({"corrupt": "5 %"}, False),
        ({"corrupt": {"probability": "5 %", "direction": "both"}}, False),
        ({"corrupt": {"probability": "5 %", "direction": "to_device"}}, True),
        ({"truncate": "5 %"}, True),
        ({"duplicate": "5 %"}, True),
    ],
)
def test_flipped_bits_may_move_an_epoch_to_the_instant_of_another(
    fault: Document, keeps_its_instant: bool
) -> None:
    """And its checksum is right. To the bit, nothing is in the store twice even so."""
    struck = limits({"at": "5 s", "on": "gps", **fault, "for": "5 s"})
    assert ("readings.doubled" in struck) is keeps_its_instant
    assert struck["readings.stored.doubled"] == {"equals": "0"}


def test_a_receiver_finds_its_first_position_before_it_comes_back() -> None:
    """It is switched on 12 s before the drive, and sees no sky in a tunnel."""
    tunnel = {"at": "5 s", "on": "gps", "tunnel": "2 s"}
    world = {"world": {"gps": {"cold_start": "25 s"}}}
    cold = scenario_of(complete(document(tunnel, **world)))
    assert recovery_s(cold, "gps") == pytest.approx(RECOVERY_S["gps"] + (25 - 12 + 2) - 7)
    warm = scenario_of(complete(document(tunnel, world={"gps": {"cold_start": "11 s"}})))
    assert recovery_s(warm, "gps") == pytest.approx(RECOVERY_S["gps"])


def test_without_a_position_there_is_nothing_to_commit() -> None:
    """A receiver alone, 13 s from its first position when the database is back after 8 s."""
    down = {"at": "5 s", "on": "database", "database_down": "3 s"}
    world = {"gps": {"cold_start": "25 s"}}
    cold = limits(down, needs=["gps"], world=world)["store.recovery.max"]["max"]
    warm = limits(down, needs=["gps"])["store.recovery.max"]["max"]
    both = limits(down, world=world)["store.recovery.max"]["max"]
    assert float(cold.split()[0]) - float(warm.split()[0]) == pytest.approx(25 - 12 - 8)
    assert both == warm


@pytest.mark.parametrize(
    ("fault", "more", "extra_s"),
    [
        ({"truncate": "20 %"}, {}, LOST_SEARCH_S),
        ({"truncate": {"probability": "20 %", "direction": "to_device"}}, {}, LOST_SEARCH_S),
        ({"mute": "true"}, {}, LOST_SEARCH_S),
        ({"stall": "true"}, {}, 0.0),
        ({"drop": "5 %"}, {"world": {"obd": {"over": "can", "door": "slcan"}}}, 0.0),
    ],
)
def test_a_first_question_that_gets_lost_costs_a_search(
    fault: Document, more: Document, extra_s: float
) -> None:
    """An ELM327 that searches may say nothing for as long as that takes."""
    scenario = scenario_of(
        complete(document({"at": "5 s", "on": "obd", **fault, "for": "5 s"}, **more))
    )
    assert recovery_s(scenario, "obd") == pytest.approx(RECOVERY_S["obd"] + extra_s)


def test_a_receiver_that_is_late_leaves_the_radios_rows_alone() -> None:
    """A row is closed a second or two after its instant."""
    needs = ["obd", "gps", "mesh"]
    late = limits({"at": "5 s", "on": "gps", "stall": "true", "for": "5 s"}, needs=needs)
    drop = limits({"at": "5 s", "on": "gps", "drop": "5 %", "for": "5 s"}, needs=needs)
    assert {"mesh.fidelity.max", "mesh.invented"} <= drop.keys() - late.keys()


@pytest.mark.parametrize(
    ("fault", "expected_s"),
    [
        ({"net_partition": "true", "for": "3.2 s"}, 6.2 - 3.2),
        ({"net_partition": "true", "for": "12 s"}, 0.0),  # the connection is given up
        ({"net_loss": "1 %", "for": "10 s"}, 0.8),  # twice in a row
        ({"net_loss": "40 %", "for": "1 s"}, 0.8),  # there is no time for more
        ({"net_latency": "1 s", "for": "10 s"}, 0.0),
        ({"half_open": "0.5 s"}, 5.0 - 0.5),  # until the first probe
        ({"half_open": "6 s"}, 7.0 - 6.0),
        ({"half_open": "12 s"}, 0.0),
    ],
)
def test_tcp_sends_again_after_ever_longer_times(fault: Document, expected_s: float) -> None:
    """So what the network lost comes some time after the fault."""
    made = scenario_of(complete(document({"at": "5 s", "on": "can", **fault}, needs=["can"])))
    assert recovery_s(made, "can") == pytest.approx(RECOVERY_S["can"] + expected_s)


def test_what_follows_from_damaged_values_counts_in_the_rest() -> None:
    """An ambient pressure that was read wrongly is used until the next one is read."""
    plan = {"plan": {"INTAKE_PRESSURE": "2 Hz", "BAROMETRIC_PRESSURE": "0.2 Hz"}}
    corrupt = {"at": "5 s", "on": "obd", "corrupt": "1 %", "for": "5 s"}
    doubtful = limits(corrupt, gateway=plan)["derived.fidelity.max"]
    assert doubtful == {"max": "0.01 step", "phase": "rest"}
    assert limits(gateway=plan)["derived.fidelity.max"] == {"max": "0.01 step"}
