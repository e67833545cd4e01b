"""OBD over CAN: the gateway's own ISO-TP beside python-OBD with an ELM327.

Both asked flat out for RPM and SPEED in turns, each client and each peer in a process of its own.

* At once: peers without a model, which show what the client and its door can do.
* ECU of 10 ms: over CAN a responder that waits so long, for python-OBD `telerig device obd` at its
  own pace (v1.5, 38400 baud) with such an ECU.
* The world's car (8-20 ms): `telerig device can` and `telerig device obd`, both at their own pace.

Six PIDs in one question have an answer of three frames with a flow control frame after the first.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.can_obd_client import ask_in_process as ask_can
from tests.benchmarks.devices import started, telerig_device, trivial_adapter
from tests.benchmarks.figures import Beside, Goal, Row
from tests.benchmarks.obd_client import Asked
from tests.benchmarks.obd_client import ask_in_process as ask_elm

RUNS, SECONDS = 3, 3.0
QUICK_SECONDS = 1.0
MOST_PIDS = 6
ECU_MS = 10
SCENARIO = f"""\
rig: 1
name: ECU of {ECU_MS} ms
needs: [obd]
world:
  obd: {{profile: elm327_v15, baud: 38400, ecu_latency: {ECU_MS} ms}}
phases:
  - {{idle: 30 min}}
limits:
  readings.lost: {{equals: 0}}
"""


def measure(quick: bool) -> list[Row]:
    """Ask all of them in turns."""
    seconds = QUICK_SECONDS if quick else SECONDS
    found: dict[str, list[Asked]] = {}
    with contextlib.ExitStack() as stack:
        doors = {
            "socketcand": stack.enter_context(_responder("socketcand")),
            "slcan": stack.enter_context(_responder("slcan")),
            "slow": stack.enter_context(_responder("socketcand", ECU_MS)),
            "world": stack.enter_context(_world()),
        }
        adapters = {
            "ELM327": stack.enter_context(trivial_adapter()).port,
            "slow, ELM327": stack.enter_context(_slow_adapter()),
            "world, ELM327": stack.enter_context(telerig_device("obd")).port,
        }
        for _ in range(1 if quick else RUNS):
            for name, options in doors.items():
                for several in (1, MOST_PIDS):
                    asked = ask_can(options, seconds, several)
                    found.setdefault(f"{name}, {several}", []).append(asked)
            for name, port in adapters.items():
                found.setdefault(name, []).append(ask_elm(port, seconds))
    return [
        *_rows("at once, socketcand", found, "socketcand", "ELM327"),
        *_rows("at once, slcan", found, "slcan", "ELM327"),
        *_rows(f"ECU of {ECU_MS} ms", found, "slow", "slow, ELM327"),
        *_rows("the world's car", found, "world", "world, ELM327"),
    ]


def _rows(title: str, found: dict[str, list[Asked]], door: str, adapter: str) -> Sequence[Row]:
    one, six, elm = found[f"{door}, 1"], found[f"{door}, {MOST_PIDS}"], found[adapter]
    values = [each.queries_per_s * MOST_PIDS for each in six]
    multi_frame = Goal(most=10.0) if not door.startswith(("slow", "world")) else None
    return [
        Row(f"{title}: p50", [a.p50_ms for a in one], "ms", beside=_beside(elm, "p50_ms")),
        Row(f"{title}: p99", [a.p99_ms for a in one], "ms", beside=_beside(elm, "p99_ms")),
        Row(
            f"{title}: values, one a question",
            [a.queries_per_s for a in one], "/s", beside=_beside(elm, "queries_per_s"),
        ),
        Row(f"{title}: CPU", [a.cpu_us for a in one], "us/question", beside=_beside(elm, "cpu_us")),
        Row(f"{title}: six PIDs, p50", [a.p50_ms for a in six], "ms", multi_frame),
        Row(f"{title}: six PIDs, p99", [a.p99_ms for a in six], "ms"),
        Row(
            f"{title}: values, six a question", values, "/s", beside=_beside(elm, "queries_per_s")
        ),
    ]  # fmt: skip


def _beside(elm: Sequence[Asked], figure: str) -> Beside:
    values = sorted(getattr(each, figure) for each in elm)
    return Beside("python-OBD, ELM327", values[len(values) // 2])


@contextlib.contextmanager
def _responder(door: str, delay_ms: int = 0) -> Iterator[dict[str, object]]:
    """Run an ECU without a model; give the options of an interface to it."""
    command = [sys.executable, "-m", "tests.benchmarks.can_responder", door, str(delay_ms)]
    with started(command) as process:
        assert process.stdout is not None
        place = process.stdout.readline().strip()
        if door == "slcan":
            yield {"interface": door, "channel": place}
        else:
            yield {"interface": door, "channel": "can0", "port": int(place)}


@contextlib.contextmanager
def _world() -> Iterator[dict[str, object]]:
    """Run the world's car with its bus at a socketcand door; give the options of an interface."""
    command = [sys.executable, "-m", "rig.cli", "device", "can", "--tcp", "0", "--silent", "--json"]
    with started(command) as process:
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["ports"]["tcp"]
        yield {"interface": "socketcand", "channel": "can0", "port": port}


@contextlib.contextmanager
def _slow_adapter() -> Iterator[str]:
    """Run the modelled adapter with the slow ECU; give its port."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        scenario = Path(folder) / "ecu.scenario.yaml"
        scenario.write_text(SCENARIO, encoding="utf-8")
        with telerig_device("obd", "--scenario", str(scenario)) as device:
            yield device.port
