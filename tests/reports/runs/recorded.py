"""Short real runs for tests of pages: the rig records each in a few seconds.

recorded.record(folder)             a drive with OBD, GPS and CAN, two faults, limits of all kinds
recorded.record(folder, BOARD)      an edge logger on a cable
recorded.record(folder, PLAIN)      OBD and GPS only: the quickest
"""

from __future__ import annotations

from pathlib import Path

from rig.runner.request import Request
from rig.runner.runner import Runner
from rig.scenario import load_scenario

DRIVE = """\
rig: 1
name: short drive
about: A car pulls away; a cable is pulled, and there is a tunnel.
needs: [obd, gps, can]
seed: 77

world:
  vehicle: focus_st
  obd: {profile: elm327_v15, baud: 38400}
  gps: {profile: ublox_m8, rate: 5 Hz, baud: 115200}
  can: {door: socketcand}

gateway:
  can:
    signals:
      EngineSpeed: 20 Hz
      VehicleSpeed: 10 Hz
      CurrentGear: change

phases:
  - {idle: 2 s}
  - {accelerate: {to: 50 km/h, for: 4 s}, as: start}
  - {cruise: {speed: 50 km/h, for: 5 s}, as: town}

faults:
  - {at: start+1 s, on: obd, hang_up: 500 ms, as: pulled}
  - {at: town+1 s, on: gps, tunnel: 2 s}

limits:
  obd.latency.p95: {max: 60 ms, warn: 40 ms, except: faults}
  obd.age.max: {max: 20 s}
  obd.recovery.max: {max: 7 s}
  gps.latency.p95: {max: 50 ms}          # broken on purpose
  gps.coverage: {min: 90 %}
  gps.position_error.p95: {max: 20 m}
  gps.fidelity.max: {max: 0.01 step}
  can.latency.p95: {max: 15 ms, phase: [start, town]}
  can.rate: {min: 20/s}
  can.bus_load: {max: 60 %}
  gateway.cpu: {max: 50 %, mode: paced}
  readings.lost: {equals: 0}

after:
  - gateway.exit == 0
  - log.errors == 0
"""

PLAIN = """\
rig: 1
name: plain drive
needs: [obd, gps]
seed: 5

world:
  vehicle: focus_st
  obd: {profile: elm327_v15, baud: 38400}
  gps: {profile: ublox_m8, rate: 5 Hz, baud: 115200}

phases:
  - {idle: 3 s}
  - {cruise: {speed: 50 km/h, for: 12 s}, as: town}

faults:
  - {at: town+3 s, on: obd, hang_up: 500 ms, as: pulled}

limits:
  obd.latency.p95: {max: 60 ms, except: faults}
  gps.latency.p95: {max: 50 ms}          # broken on purpose
  readings.lost: {equals: 0}
"""

BOARD = """\
rig: 1
name: short board
about: An edge logger on Wi-Fi.
needs: [esp32]
seed: 32

world:
  vehicle: focus_st
  esp32: {transport: wifi, profile: focus_st}

phases:
  - {idle: 10 s}
  - {cruise: {speed: 60 km/h, for: 20 s}, as: town}

faults:
  - {at: town+5 s, on: esp32, wifi_outage: 3 s, as: no-network}

limits:
  readings.lost: {equals: 0}
  esp32.compression_ratio: {min: 1}
  esp32.latency.p95: {max: 22 s}
"""


def record(runs: Path, text: str = DRIVE, seed: int | None = None) -> Path:
    """Run the scenario `text` and return the folder of its record, which lies in `runs`.

    The scenario's file is written beside `runs`, into the folder `scenarios`.
    """
    folder = runs.parent / "scenarios"
    folder.mkdir(exist_ok=True)
    name = text.split("name: ", 1)[1].split("\n", 1)[0].replace(" ", "_")
    path = folder / f"{name}.scenario.yaml"
    path.write_text(text, encoding="utf-8")
    scenario = load_scenario(path)
    with Runner(runs) as runner:
        run = runner.run(
            Request(scenario, scenario.seed if seed is None else seed, scenario.mode, folder=folder)
        )
    assert not run.failure, run.failure
    return run.folder
