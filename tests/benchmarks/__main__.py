"""`python -m tests.benchmarks [name …] [--quick] [--peer] [--json]`."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable

from tests.benchmarks.figures import Options, Row, print_table
from tests.benchmarks.machine import describe

NAMES = ("virtual_time", "scenarios", "elm327_unpaced", "elm327_paced", "gateway_memory")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="short runs, once each")
    parser.add_argument("--peer", action="store_true", help="measure ELM327-emulator too")
    parser.add_argument("--json", action="store_true", help="JSON instead of tables")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in NAMES:
            parser.error(f"expected one of {', '.join(NAMES)}; found {name!r}")
    options = Options(quick=arguments.quick, peer=arguments.peer)
    found: dict[str, object] = {"machine": describe()}
    if not arguments.json:
        print(found["machine"])
    for name in arguments.names or NAMES:
        module = importlib.import_module(f"tests.benchmarks.{name}")
        measure: Callable[[Options], list[Row]] = module.measure
        rows = measure(options)
        found[name] = {
            "rows": [row.as_json() for row in rows],
            "load_1min": describe()["load_1min"],
        }
        if not arguments.json:
            print_table(f"{name}: {module.__doc__.splitlines()[0]}", rows)
    if arguments.json:
        json.dump(found, sys.stdout, indent=1)
        print()
    return 0  # a figure that misses its goal is a figure, not a failure


if __name__ == "__main__":
    sys.exit(main())
