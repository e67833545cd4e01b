"""A gateway that is broken on purpose fails a shipped scenario, by the limit that is meant for it.

Each run breaks the real gateway by one function of `mutations.py`. The scenarios are the shipped
ones, shorter where that is possible, with the shipped limits; the unbroken gateway passes the same
files.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rig.runner.runner import Request, Run, Runner
from rig.scenario.model import Scenario

Shorten = Callable[..., Scenario]

# Scenario -> what is cut out of its time.
CUTS: Mapping[str, Mapping[str, str]] = {
    "idle": {"idle: 5 min": "idle: 25 s"},
    "acceleration": {
        "idle: 20 s": "idle: 5 s",
        "for: 30 s": "for: 10 s",
        "for: 1 min": "for: 5 s",
    },
    "tunnel": {
        "for: 5 min": "for: 150 s",
        "mountains+60 s": "mountains+20 s",
        "mountains+200 s": "mountains+120 s",
        "for: 3 min": "for: 20 s",
        "city+30 s": "city+1 s",
        "canyon: 90 s": "canyon: 15 s",
    },
    "garbage": {
        "for: 4 min": "for: 120 s",
        "for: 2 min": "for: 30 s",
        "cruise+20 s, on: gps": "cruise+10 s, on: gps",
        "for: 40 s, as: bit-errors": "for: 20 s, as: bit-errors",
        "cruise+80 s, on: gps": "cruise+40 s, on: gps",
        "for: 20 s, as: noise": "for: 10 s, as: noise",
        "cruise+120 s, on: gps": "cruise+60 s, on: gps",
        "for: 20 s, as: cut-sentences": "for: 10 s, as: cut-sentences",
        "cruise+160 s, on: gps": "cruise+80 s, on: gps",
        "for: 10 s, as: flood": "for: 5 s, as: flood",
        "cruise+60 s, on: obd": "cruise+30 s, on: obd",
        "for: 20 s, as: nul-bytes": "for: 10 s, as: nul-bytes",
        "cruise+100 s, on: obd": "cruise+50 s, on: obd",
        "for: 20 s, as: obd-noise": "for: 10 s, as: obd-noise",
        "cruise+180 s, on: obd": "cruise+90 s, on: obd",
        "for: 20 s, as: echoes": "for: 10 s, as: echoes",
    },
    "lost_replies": {
        "for: 4 min": "for: 150 s",
        "for: 2 min": "for: 1 min",
        "cruise+30 s": "cruise+15 s",
        "for: 60 s, as: lossy": "for: 30 s, as: lossy",
        "cruise+120 s": "cruise+60 s",
        "cruise+160 s": "cruise+80 s",
        "for: 20 s, as: late": "for: 10 s, as: late",
        "cruise+200 s": "cruise+110 s",
    },
    "esp32_provisioning": {},
    "mesh_tcp": {"idle: 30 s": "idle: 5 s", "for: 2 min": "for: 50 s", "idle: 90 s": "idle: 45 s"},
    "mesh_usb_pulled": {
        "idle: 20 s": "idle: 5 s",
        "for: 5 min": "for: 2 min",
        "cruise+40 s": "cruise+20 s",
        "cruise+110 s": "cruise+60 s",
        "cruise+150 s": "cruise+75 s",
        "for: 30 s, as: noise": "for: 10 s, as: noise",
    },
    "mesh_out_of_range": {},
    "can_broadcast": {"idle: 5 s": "idle: 1 s", "for: 14 s": "for: 4 s", "idle: 6 s": "idle: 1 s"},
    "unplugged": {
        "for: 5 min": "for: 150 s",
        "on: obd, hang_up: 8 s": "on: obd, hang_up: 2 s",
        "cruise+100 s, on: gps, hang_up: 8 s": "cruise+60 s, on: gps, hang_up: 2 s",
        "cruise+160 s": "cruise+100 s",
    },
}

# What is broken in `idle` is broken on two links; the others have scenarios of their own here.
WITHOUT: Mapping[str, tuple[str, ...]] = {"idle": ("mesh", "esp32")}

# Mutation, the cheapest scenario that notices it, a limit that it breaks there.
CASES = [
    # time
    ("obd_reader_sleeps", "idle", "obd.latency.p50"),
    ("obd_reader_dawdles", "idle", "obd.rate"),
    ("gps_reader_sleeps", "idle", "gps.latency.p50"),
    ("clock_in_local_time", "idle", "gps.latency.p50"),
    ("gps_in_local_time", "idle", "gps.coverage"),
    ("gps_second_late", "idle", "gps.fidelity.max"),
    ("gps_time_of_receipt", "idle", "gps.coverage"),
    ("obd_second_early", "idle", "obd.time_error.max"),
    ("clock_behind", "idle", "obd.latency.p50"),
    ("clock_drifts", "idle", "obd.latency.p99"),
    # the store
    ("batch_not_stored", "idle", "readings.lost"),
    ("one_batch_not_stored", "idle", "readings.lost"),
    ("last_batch_not_stored", "idle", "readings.lost"),
    ("batch_stored_twice", "idle", "readings.doubled"),
    ("retry_stored_twice", "idle", "readings.doubled"),
    ("values_halved_in_width", "idle", "gps.fidelity.max"),
    ("commits_late", "idle", "obd.latency.stored.p95"),
    # the door of the pipeline
    ("batch_not_accepted", "idle", "obd.outage.max"),
    ("obd_reading_not_accepted", "idle", "obd.coverage"),
    ("obd_reading_rarely_not_accepted", "idle", "obd.missing"),
    ("epoch_not_accepted", "idle", "gps.coverage"),
    ("one_epoch_not_accepted", "idle", "gps.missing"),
    ("batch_accepted_twice", "idle", "readings.doubled"),
    # OBD values
    ("speed_in_mph", "acceleration", "obd.fidelity.max"),
    ("rpm_scaled", "idle", "obd.fidelity.max"),
    ("rpm_undivided", "idle", "obd.fidelity.max"),
    ("temperature_without_offset", "idle", "obd.fidelity.max"),
    ("temperatures_swapped", "idle", "obd.fidelity.max"),
    ("wrong_signal", "idle", "obd.fidelity.max"),
    ("plan_lacks_maf", "idle", "obd.coverage"),
    ("plan_lacks_fuel_level", "idle", "obd.coverage.worst"),
    ("boost_mirrored", "idle", "derived.fidelity.max"),
    ("last_value_when_mute", "lost_replies", "readings.doubled"),
    ("replies_unchecked", "garbage", "readings.doubled"),
    # GPS values
    ("longitude_mirrored", "idle", "gps.position_error.p50"),
    ("coordinates_swapped", "idle", "gps.position_error.p50"),
    ("gps_speed_in_knots", "idle", "gps.fidelity.max"),
    ("altitude_of_epoch_before", "idle", "gps.fidelity.max"),
    ("satellites_doubled", "idle", "gps.fidelity.max"),
    ("null_island", "tunnel", "gps.invalid"),
    ("position_held", "tunnel", "gps.invalid"),
    ("checksum_unchecked", "garbage", "gps.fidelity.max"),
    ("garbage_not_counted", "garbage", "gps.counter.sentences_bad_checksum"),
    # links that break
    ("never_reconnects", "unplugged", "obd.recovery.max"),
    ("watchdog_off", "lost_replies", "obd.outage.max"),
    ("last_readings_repeated", "unplugged", "readings.doubled"),
    ("never_stale", "unplugged", "obd.stale.unmarked.max"),
    ("stale_for_ever", "unplugged", "obd.stale.wrong.max"),
    # what others see
    ("every_second_frame", "acceleration", "obd.age.p95"),
    ("one_frame_in_fifty_missing", "acceleration", "readings.unpublished"),
    ("nothing_published", "idle", "readings.unpublished"),
    ("frame_published_twice", "idle", "readings.unpublished"),
    ("published_otherwise", "acceleration", "readings.unpublished"),
    ("frames_late", "idle", "obd.latency.published.p95"),
    ("error_logged", "idle", "log.errors"),
    ("stop_fails", "idle", "gateway.exit"),
    # devices of their own
    ("device_packets_not_stored", "esp32_provisioning", "readings.lost"),
    ("device_rows_late", "esp32_provisioning", "esp32.time_error.p95"),
    ("device_values_off", "esp32_provisioning", "esp32.fidelity.max"),
    ("device_never_acknowledged", "esp32_provisioning", "esp32.queue_max"),
    ("device_readings_not_published", "esp32_provisioning", "readings.unpublished"),
    ("device_key_refused", "esp32_provisioning", "esp32.coverage"),
    # the CAN bus
    ("can_frames_left_out", "can_broadcast", "can.missing"),
    ("can_time_of_reading", "can_broadcast", "can.time_error.max"),
    # what goes by radio
    ("device_packets_not_stored", "mesh_tcp", "readings.lost"),
    ("device_rows_late", "mesh_tcp", "mesh.invented"),
    ("device_values_off", "mesh_tcp", "mesh.invented"),
    ("device_readings_not_published", "mesh_tcp", "readings.unpublished"),
    ("mesh_link_gives_up", "mesh_usb_pulled", "mesh.missing"),
    ("mesh_sends_nothing_again", "mesh_out_of_range", "mesh.coverage"),
]


def drive(runner: Runner, scenario: Scenario, mutation: str = "") -> Run:
    """Run `scenario` against the gateway, broken by `mutation` if one is named."""
    preload = f"mutations:{mutation}" if mutation else ""
    return runner.run(Request(scenario, scenario.seed, "virtual", preload))


def broken(run: Run) -> list[str]:
    """The limits that a run that came to its end did not keep."""
    if run.failure:  # no assertion: an expected failure must not hide it
        raise RuntimeError(run.failure)
    return [verdict.limit.name for verdict in run.verdicts if verdict.outcome.is_failure]


@pytest.mark.parametrize("name", CUTS)
def test_the_unbroken_gateway_passes(name: str, runner: Runner, shortened: Shorten) -> None:
    """Each scenario of this file passes as long as nothing is broken."""
    assert broken(drive(runner, shortened(name, CUTS[name], WITHOUT.get(name, ())))) == []


@pytest.mark.parametrize(("mutation", "name", "limit"), CASES)
def test_a_broken_gateway_fails(
    mutation: str, name: str, limit: str, runner: Runner, shortened: Shorten
) -> None:
    """A mistake in the gateway breaks the limit that is meant for it."""
    scenario = shortened(name, CUTS[name], WITHOUT.get(name, ()))
    assert limit in broken(drive(runner, scenario, mutation))


def test_every_mutation_is_tried() -> None:
    """No function of `mutations.py` is forgotten by the tests."""
    folder = Path(__file__).parent
    tree = ast.parse((folder / "mutations.py").read_text(encoding="utf-8"))
    names = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    tests = [folder / "test_mutations.py", folder / "test_determinism.py"]
    text = "".join(path.read_text(encoding="utf-8") for path in tests)
    assert {name for name in names if f'"{name}"' not in text} == set()
