"""`telerig device`: one modelled device alone, for any client."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path


class DeviceCommand:
    """Run one device with the car behind it, in wall time, until Ctrl-C.

    Any client can be tested against it: it prints the port at which it is reached.

    examples:
      telerig device obd                              an ELM327 on a PTY
      telerig device obd --link /tmp/elm --profile clone_v21
      telerig device obd --tcp 35000                  as a Wi-Fi adapter
      telerig device gps --rate 10 --baud 115200
      telerig device gps --scenario scenarios/tunnel.scenario.yaml --json
    """

    help = "run one modelled device alone (obd, gps)"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("kind", choices=("obd", "gps"))
        parser.add_argument("--link", type=Path, metavar="PATH", help="symbolic link to the port")
        parser.add_argument(
            "--tcp", type=int, metavar="PORT", help="serve the line on loopback TCP too (0: any)"
        )
        parser.add_argument("--profile", metavar="NAME", help="adapter or chip; '?' lists them")
        parser.add_argument("--baud", type=int, help="of the serial line")
        parser.add_argument("--rate", type=float, default=1.0, help="gps: fixes per second (1)")
        parser.add_argument(
            "--unpaced", action="store_true", help="no UART pace, no ECU delay: flat out"
        )
        parser.add_argument(
            "--scenario", type=Path, metavar="FILE", help="who drives (a round trip that repeats)"
        )
        parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all randomness (0)")
        parser.add_argument(
            "--json", action="store_true", help="first line: the ports; then one event a line"
        )

    def run(self, arguments: argparse.Namespace) -> int:
        from rig.device import Device, DeviceOptions
        from rig.errors import RigError
        from rig.scenario import load_scenario
        from sim.elm327 import PROFILES as ADAPTERS
        from sim.gnss import PROFILES as RECEIVERS

        profiles = ADAPTERS if arguments.kind == "obd" else RECEIVERS
        if arguments.profile is not None and arguments.profile not in profiles:
            print(
                f"telerig device {arguments.kind}: expected a profile of "
                f"{', '.join(sorted(profiles))}, got {arguments.profile!r}",
                file=sys.stderr,
            )
            return 2
        try:
            scenario = load_scenario(arguments.scenario) if arguments.scenario else None
            device = Device(
                DeviceOptions(
                    kind=arguments.kind,
                    profile=arguments.profile,
                    baud=arguments.baud,
                    rate_hz=arguments.rate,
                    unpaced=arguments.unpaced,
                    link=arguments.link,
                    tcp=arguments.tcp,
                    scenario=scenario,
                    seed=arguments.seed,
                    as_json=arguments.json,
                )
            )
        except (RigError, ValueError) as error:
            print(f"telerig device {arguments.kind}: {error}", file=sys.stderr)
            return 2
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: device.clock.stop())
        device.run()
        return 0


COMMAND = DeviceCommand()
