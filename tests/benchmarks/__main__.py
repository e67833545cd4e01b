"""`python -m tests.benchmarks [name …] [--quick] [--json]`."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable
from types import ModuleType

import tests.benchmarks
from tests.benchmarks.figures import Row, markdown
from tests.benchmarks.machine import describe, load_1min

NAMES = (
    "virtual_time",
    "where_time_goes",
    "scenarios",
    "elm327_unpaced",
    "elm327_paced",
    "can_bus",
    "can_doors",
    "can_link",
    "can_obd",
    "export",
    "gateway_memory",
    "container",
    "memory_table",
    "soak",
    "faults",
    "fault_layer",
    "mutations",
    "fuzzing",
    "store",
    "segments",
    "store_load",
    "store_kills",
    "edge_codec",
    "ingest",
    "fanout",
    "instances",
    "takeover",
    "promised",
    "can_diagnostics",
    "history",
    "lora_channel",
    "mesh_airtime",
    "nursery",
    "view_live",
    "view_replay",
    "view_runs",
    "view_server",
    "wires",
    "campaign",
    "clocks",
    "bench_tap",
    "capacity",
    "fleet",
)


def main() -> int:
    """Run the benchmarks that are named, or all; print each as soon as it is there."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=tests.benchmarks.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="short runs, once each")
    parser.add_argument("--json", action="store_true", help="JSON instead of Markdown")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in NAMES:
            parser.error(f"expected one of {', '.join(NAMES)}; found {name!r}")
    found: dict[str, object] = {"machine": describe()}
    if not arguments.json:
        print(f"Machine: {describe()}.", flush=True)
    for name in arguments.names or NAMES:
        module = importlib.import_module(f"tests.benchmarks.{name}")
        measure: Callable[[bool], list[Row]] = module.measure
        load_before = load_1min()
        rows = measure(arguments.quick)
        found[name] = {"load_1min": load_before, "rows": [row.as_json() for row in rows]}
        if not arguments.json:
            print(f"\n### {_title(module)}\n\nLoad before: {load_before:.1f}.\n")
            print(markdown(rows), flush=True)
    if arguments.json:
        json.dump(found, sys.stdout, indent=1)
        print()
    return 0  # a figure that misses its goal is a figure, not a failure


def _title(module: ModuleType) -> str:
    assert module.__doc__ is not None
    return module.__doc__.splitlines()[0].rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
