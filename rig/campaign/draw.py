"""What a run of a campaign is, from the campaign's seed and the run's number alone.

A drawn run is a scenario like any other: a car, the gateway's settings, a drive of pieces, at least
three faults, a rest at the end, and the invariants as its limits.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rig.campaign.document import (
    Document,
    drive_s,
    read_plain,
    scenario_of,
    written_s,
)
from rig.campaign.errors import CampaignUsageError
from rig.campaign.invariants import REST, limits_of, settle_s
from rig.faults.draw import draw_fault, drawable_kinds
from rig.scenario import expand_scenario
from rig.scenario.faults import wires_of
from rig.scenario.model import Scenario

DRAWING = 3
"""Another number stands for another run under the same seed: count it up with every change here."""

FAULT_COUNTS = (3, 3, 3, 4, 4, 5)
FIRST_FAULT_S = 1.0
REST_S = 20.0
DRIVE_S = (25.0, 65.0)  # with settling and rest two minutes in the mean
NEAR_SHARE = 0.4  # of the faults strike while another one is there, or right after it
NEAR_S = 6.0
PLACEHOLDER: Mapping[str, Any] = {"readings.lost": {"equals": "0"}}

# Share of the runs -> links. What most users have comes most often; a run with a bus of 1,500
# frames/s takes ten times as long as one without.
MIXES: Sequence[tuple[float, tuple[str, ...]]] = (
    (58, ("obd", "gps")),
    (4, ("obd",)),
    (5, ("gps",)),
    (5, ("obd", "gps", "can")),
    (2, ("can",)),
    (5, ("obd-over-can", "gps")),
    (4, ("esp32-wifi",)),
    (3, ("esp32-serial",)),
    (3, ("obd", "gps", "esp32-wifi")),
    (5, ("obd", "gps", "mesh")),
)
BRISK = {
    "RPM": "5 Hz", "SPEED": "5 Hz", "THROTTLE_POS": "2 Hz", "ENGINE_LOAD": "2 Hz",
    "INTAKE_PRESSURE": "2 Hz", "COOLANT_TEMP": "0.5 Hz", "BAROMETRIC_PRESSURE": "0.2 Hz",
}  # fmt: skip
CALM = {"RPM": "1 Hz", "SPEED": "1 Hz", "ENGINE_LOAD": "0.5 Hz", "COOLANT_TEMP": "0.2 Hz"}
NARROW = {"RPM": "2 Hz", "SPEED": "2 Hz"}
Choice = tuple[Mapping[str, Any], Mapping[str, Any]]
ADAPTERS: Sequence[Choice] = (
    ({"profile": "elm327_v15", "baud": "38400"}, {}),
    ({"profile": "elm327_v15", "baud": "115200"}, {}),
    ({"profile": "elm327_v15", "baud": "38400"}, {"plan": BRISK}),
    ({"profile": "elm327_v22", "baud": "38400"}, {"plan": BRISK, "fast": "true"}),
    ({"profile": "elm327_v22", "baud": "115200"}, {"plan": NARROW}),
    ({"profile": "stn_fast", "baud": "115200"}, {"fast": "true"}),
    ({"profile": "stn_fast", "baud": "500000"}, {}),
    ({"profile": "bluetooth", "baud": "38400"}, {"plan": CALM}),
    ({"profile": "clone_v21", "baud": "38400"}, {"plan": CALM}),
)
RECEIVERS: Sequence[Mapping[str, Any]] = (
    {"profile": "ublox_m8", "rate": "1 Hz", "baud": "9600"},
    {"profile": "ublox_m8", "rate": "1 Hz", "baud": "9600"},
    {"profile": "ublox_m8", "rate": "5 Hz", "baud": "38400", "sentences": ["RMC", "GGA"]},
    {"profile": "ublox_m9", "rate": "1 Hz", "baud": "38400"},
    {"profile": "ublox_m9", "rate": "10 Hz", "baud": "115200"},
    {"profile": "mt3339", "rate": "1 Hz", "baud": "9600"},
    {"profile": "mt3339", "rate": "5 Hz", "baud": "57600", "sentences": ["RMC", "GGA"]},
    {"profile": "sirf", "rate": "1 Hz", "baud": "4800", "sentences": ["GGA", "RMC"]},
)
DOORS: Sequence[Mapping[str, Any]] = (
    {"door": "socketcand"},
    {"door": "slcan", "profile": "lawicel_canusb"},
    {"door": "slcan", "profile": "canable"},
    {"door": "slcan", "profile": "canable2"},
)
CAN_SIGNALS = {
    "EngineSpeed": "20 Hz", "VehicleSpeed": "10 Hz", "AcceleratorPedal": "10 Hz",
    "CoolantTemp": "1 Hz", "BoostPressure": "5 Hz",
}  # fmt: skip
RADIO_PLAN = {"RPM": "1 Hz", "SPEED": "1 Hz", "COOLANT_TEMP": "0.1 Hz"}
PRESETS = ("SHORT_TURBO", "SHORT_FAST", "MEDIUM_FAST")
# Instants at which calendars do something: a year's end, a leap day, summer time, 2^31 s.
STARTS = (
    "2026-12-31T23:59:10Z",
    "2028-02-28T23:59:10Z",
    "2026-03-29T00:59:10Z",
    "2038-01-19T03:13:10Z",
    "2026-05-01T23:59:30Z",
)


def draw(seed: int, number: int, bases: Sequence[Path] = ()) -> Document:
    """Return the scenario of a run.

    Args:
        seed: the campaign's.
        number: of the run in it.
        bases: scenario files of which world, gateway and drive are taken, one for each run in
            turn; faults are drawn all the same, and the limits are the invariants.

    Raises:
        ScenarioError: a base cannot be used.
    """
    rng = random.Random(f"campaign {seed} {number}")
    document: Document = {"rig": "1", "name": f"run {number}"}
    document["about"] = f"Drawn by a campaign of seed {seed}."
    document["seed"] = str(rng.randrange(1, 2**31))
    if bases:
        document |= based_on(bases[number % len(bases)], rng)
    else:
        document |= _draw_setting(rng)
    scenario = scenario_of({**document, "limits": PLACEHOLDER})
    last_s = drive_s(document) - REST_S - settle_s(scenario.needs)
    document["faults"] = draw_faults(rng, scenario, last_s)
    return complete(document)


def complete(document: Document) -> Document:
    """Return the document with the invariants as its limits.

    Raises:
        ScenarioError: it makes no scenario.
    """
    bare = {key: value for key, value in document.items() if key not in ("limits", "after")}
    limits, after = limits_of(scenario_of({**bare, "limits": PLACEHOLDER}))
    return {**bare, "limits": limits, "after": after}


def draw_faults(rng: random.Random, scenario: Scenario, last_s: float) -> list[Document]:
    """Return at least three faults, in order of time, the last of which ends by `last_s`."""
    kinds = drawable_kinds(scenario.needs, wires_of(scenario))
    struck = sorted({on for _, on in kinds})
    starts_s: list[float] = []
    for _ in range(rng.choice(FAULT_COUNTS)):
        start_s = rng.uniform(FIRST_FAULT_S, last_s - FIRST_FAULT_S)
        if starts_s and rng.random() < NEAR_SHARE:
            start_s = rng.choice(starts_s) + rng.uniform(-NEAR_S, NEAR_S)
        starts_s.append(min(max(start_s, FIRST_FAULT_S), last_s - FIRST_FAULT_S))
    faults = []
    for start_s in sorted(starts_s):
        on = rng.choice(struck)
        kind = rng.choice([kind for kind, where in kinds if where == on])
        start_s = round(start_s, 1)
        faults.append(draw_fault(rng, kind, on, start_s, last_s - start_s))
    return faults


# -- the drive -------------------------------------------------------------------------------------
def _draw_phases(rng: random.Random, least_s: float) -> list[Document]:
    phases: list[Document] = []
    total_s = 0.0
    while total_s < least_s:
        length_s = float(rng.randrange(10, 41))
        phase = _draw_phase(rng, length_s)
        phases.append({**phase, "as": f"part-{len(phases) + 1}"})
        total_s += length_s
    return phases


def _draw_phase(rng: random.Random, length_s: float) -> Document:
    length = written_s(length_s)
    kind = rng.choice(("idle", "cruise", "cruise", "accelerate", "cycle", "cycle"))
    if kind == "idle":
        return {"idle": length}
    if kind == "cruise":
        return {"cruise": {"speed": f"{rng.randrange(10, 190, 5)} km/h", "for": length}}
    if kind == "accelerate":
        pedal = f"{rng.randrange(30, 101, 10)} %"
        to = f"{rng.randrange(40, 190, 10)} km/h"
        return {"accelerate": {"to": to, "for": length, "pedal": pedal}}
    cycle = rng.choice(("us06", "wltc"))
    start_s = rng.randrange(0, 500 if cycle == "us06" else 1700, 10)
    return {"cycle": cycle, "from": written_s(start_s), "for": length}


def _ending(rng: random.Random, needs: Sequence[str]) -> list[Document]:
    """Return what follows the faults: time to settle, and the rest that is judged for itself."""
    speed = f"{rng.randrange(30, 121, 10)} km/h"
    return [
        {"cruise": {"speed": speed, "for": written_s(settle_s(needs))}, "as": "settle"},
        {"cruise": {"speed": speed, "for": written_s(REST_S)}, "as": REST},
    ]


# -- the setting -----------------------------------------------------------------------------------
def _draw_setting(rng: random.Random) -> Document:
    words = rng.choices([mix for _, mix in MIXES], [share for share, _ in MIXES])[0]
    needs = [word.split("-", 1)[0] for word in words]
    world: Document = {"vehicle": "focus_st"}
    gateway: Document = _draw_gateway(rng)
    if rng.random() < 0.3:
        world["ambient"] = f"{rng.randrange(-20, 41, 5)} °C"
    if rng.random() < 0.15:
        world["start"] = rng.choice(STARTS)
    for word in words:
        _DRAWS[word](rng, world, gateway)
    phases = [*_draw_phases(rng, rng.uniform(*DRIVE_S)), *_ending(rng, needs)]
    return {"needs": needs, "world": world, "gateway": gateway, "phases": phases}


def _draw_gateway(rng: random.Random) -> Document:
    gateway: Document = {}
    for key, values in (
        ("flush", ("50 ms", "200 ms", "1 s", "2 s")),
        ("publish", ("20 ms", "100 ms", "200 ms")),
        ("queue", ("3000", "20000")),
    ):
        if rng.random() < 0.25:
            gateway[key] = rng.choice(values)
    if rng.random() < 0.15:
        gateway["store"] = {"compact_after": f"{rng.randrange(5, 40, 5)} s", "window": "10 min"}
    return gateway


def _draw_obd(rng: random.Random, world: Document, gateway: Document) -> None:
    adapter, settings = rng.choice(ADAPTERS)
    world["obd"] = {**adapter, "ecu_latency": _draw_latency(rng)}
    gateway |= settings


def _draw_latency(rng: random.Random) -> list[str]:
    least_ms = rng.randrange(2, 16)
    return [f"{least_ms} ms", f"{least_ms + rng.randrange(2, 25)} ms"]


def _draw_obd_over_can(rng: random.Random, world: Document, gateway: Document) -> None:
    world["obd"] = {"over": "can", **rng.choice(DOORS), "ecu_latency": _draw_latency(rng)}


def _draw_gps(rng: random.Random, world: Document, gateway: Document) -> None:
    world["gps"] = dict(rng.choice(RECEIVERS))
    if rng.random() < 0.15:
        world["gps"]["cold_start"] = f"{rng.randrange(2, 30)} s"


def _draw_can(rng: random.Random, world: Document, gateway: Document) -> None:
    world["can"] = dict(rng.choice(DOORS))
    if rng.random() < 0.3:
        world["can"]["load"] = f"{rng.randrange(40, 91, 10)} %"
    gateway["can"] = {"signals": CAN_SIGNALS}


def _draw_esp32_wifi(rng: random.Random, world: Document, gateway: Document) -> None:
    loss = rng.choice(("0 %", "2 %", "5 %"))
    world["esp32"] = {
        "transport": "wifi",
        "count": str(rng.choice((1, 1, 2))),
        "wifi": {"latency": ["15 ms", "60 ms"], "loss": loss},
    }


def _draw_esp32_serial(rng: random.Random, world: Document, gateway: Document) -> None:
    world["esp32"] = {"transport": "serial"}


def _draw_mesh(rng: random.Random, world: Document, gateway: Document) -> None:
    world["mesh"] = {
        "preset": rng.choice(PRESETS),
        "transport": rng.choice(("serial", "tcp")),
        "shadowing": "3 dB",
        "base": {"at": "1 km", "beside": "60 m", "height": "40 m"},
    }
    gateway["mesh"] = {"plan": {**RADIO_PLAN, "LAT": "1 Hz", "LON": "1 Hz"}}


_DRAWS = {
    "obd": _draw_obd,
    "obd-over-can": _draw_obd_over_can,
    "gps": _draw_gps,
    "can": _draw_can,
    "esp32-wifi": _draw_esp32_wifi,
    "esp32-serial": _draw_esp32_serial,
    "mesh": _draw_mesh,
}


# -- a drive of somebody else ----------------------------------------------------------------------
def based_on(path: Path, rng: random.Random) -> Document:
    """Return world, gateway, needs and drive of a scenario file, with a settling and a rest.

    Raises:
        ScenarioError: the file cannot be used.
    """
    variant = rng.choice(expand_scenario(path))
    document = read_plain(path)
    taken: Document = {
        key: _resolved(document[key], dict(variant.matrix), path.parent)
        for key in ("world", "gateway", "phases")
        if key in document
    }
    if any("drive" in phase and "for" not in phase for phase in taken["phases"]) or any(
        "cycle" in phase and "for" not in phase for phase in taken["phases"]
    ):
        raise CampaignUsageError(
            f"{path}: expected a base whose phases say how long they are, found a whole recording "
            "or cycle; add `for:` to it"
        )
    least_s = DRIVE_S[0]
    missing_s = least_s - sum(_length_s(phase) for phase in taken["phases"])
    more = [{"idle": written_s(missing_s), "as": "longer"}] if missing_s > 0 else []
    needs = list(variant.needs)
    return {
        "needs": needs,
        **taken,
        "phases": [*taken["phases"], *more, *_ending(rng, needs)],
    }


def _length_s(phase: Document) -> float:
    return drive_s({"phases": [phase]})


def _resolved(value: Any, matrix: Mapping[str, Any], folder: Path) -> Any:
    """Return a value with its variables set, and paths that lead to a file made absolute."""
    if isinstance(value, dict):
        return {key: _resolved(item, matrix, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, matrix, folder) for item in value]
    if value.startswith("$") and value[1:] in matrix:
        return str(matrix[value[1:]])
    return str(folder.absolute() / value) if "." in value and (folder / value).is_file() else value
