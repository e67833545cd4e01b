"""Where the gateway's memory goes, library by library.

One process in an environment with only the serve extras imports what `telerig serve` imports, in
the order of its layers, and notes its resident memory after each. What a library brings is what is
new at that place: shared things count for whoever comes first. Then the links' libraries, and what
only comes when somebody asks for it (metrics, passwords, tokens).
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from tests.benchmarks.figures import Goal, Row
from tests.benchmarks.gateway_memory import serve_only

STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Python, argparse, asyncio", ("argparse", "asyncio", "json")),
    ("uvloop", ("uvloop",)),
    ("ssl, asyncpg", ("ssl", "asyncpg")),
    ("msgspec, structlog, zstandard", ("msgspec", "structlog", "zstandard")),
    ("Starlette, anyio", ("starlette.applications", "starlette.middleware.cors")),
    ("uvicorn, httptools, websockets", (
        "uvicorn", "uvicorn.protocols.http.httptools_impl",
        "uvicorn.protocols.websockets.websockets_sansio_impl",
    )),
    ("protobuf", ("google.protobuf.message", "server.wire.telemetry_pb2")),
    ("telerig: serve", ("server.commands", "server.serve", "server.store.embedded")),
    ("GPS: pyserial, pynmea2", ("serial", "pynmea2", "server.links.gps")),
    ("OBD: python-OBD, pint", ("obd", "server.obd.link")),
)  # fmt: skip
ALL_LINKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("CAN: python-can, cantools, can-isotp", ("can", "cantools", "isotp", "server.can.link")),
    (
        "mesh: meshtastic, pubsub",
        ("meshtastic", "server.mesh.base.link", "server.mesh.uplink.link"),
    ),
    ("ESP32 link", ("server.links.esp32",)),
)
LAZY: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("asked for /metrics: prometheus-client", ("prometheus_client",)),
    ("signed in: argon2-cffi", ("argon2",)),
    ("token: PyJWT", ("jwt",)),
)
PROGRAM = """
import importlib, json, sys
def rss():
    with open("/proc/self/smaps_rollup") as file:
        found = {line.split(":")[0]: line.split()[1] for line in file.readlines()[1:]}
    return int(found["Rss"]) / 1024
steps = json.loads(sys.argv[1])
told = [["interpreter", rss(), ""]]
for name, modules in steps:
    missing = []
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            missing.append(str(error))
    told.append([name, rss(), "; ".join(missing)])
print(json.dumps(told))
"""
EXTRAS = "can,mesh,obd,postgres"
BASE_MB, ALL_MB = 70.0, 80.0


def measure(quick: bool) -> list[Row]:
    """Make the environment and import."""
    with tempfile.TemporaryDirectory(prefix="memory-") as text:
        python = serve_only(Path(text) / "venv", EXTRAS)
        base = _told(python, [*STEPS, *LAZY])
        every = _told(python, [*STEPS, *ALL_LINKS])
    rows = _rows(base)
    rows.append(Row("sum with OBD and GPS, before it runs", [_sum(base, STEPS)], "MB",
                    Goal(most=BASE_MB)))  # fmt: skip
    rows += _rows(every[len(STEPS) :])
    rows.append(Row("sum with all links, before it runs", [every[-1][1]], "MB", Goal(most=ALL_MB)))
    return rows


def _rows(told: list[tuple[str, float, str]]) -> list[Row]:
    rows = []
    for number, (name, mb, missing) in enumerate(told):
        before = told[number - 1][1] if number else mb if name != "interpreter" else 0.0
        if missing:
            name = f"{name} (not there: {missing})"
        if number or name == "interpreter":
            rows.append(Row(name, [mb - before], "MB"))
    return rows


def _sum(
    told: list[tuple[str, float, str]], steps: tuple[tuple[str, tuple[str, ...]], ...]
) -> float:
    return told[len(steps)][1]


def _told(python: Path, steps: list[tuple[str, tuple[str, ...]]]) -> list[tuple[str, float, str]]:
    answer = subprocess.run(
        [str(python), "-c", PROGRAM, json.dumps(steps)], capture_output=True, text=True, check=True
    )
    return [tuple(line) for line in json.loads(answer.stdout)]
