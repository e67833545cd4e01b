"""`telerig device`: one modelled device alone, for any client."""

from __future__ import annotations

import argparse
import importlib.util
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rig.commands import device_can, device_radio
from rig.commands.arguments import count, positive, seed, whole
from rig.errors import RigError

GREATEST_PORT = 65535
LIST_PROFILES = "?"


LOWEST_BAUD = {"obd": 1200, "gps": 300, "esp32": 300, "can": 1200}  # as in scenarios
# Which devices an option is for; those that are not named here are for all of them.
ONLY_FOR = {
    "profile": ("obd", "gps", "can"),
    "baud": ("obd", "gps", "can"),
    "unpaced": ("obd", "gps", "mesh", "can"),
    "traffic": ("obd",),
    "rate": ("gps",),
    "http": ("esp32",),
    "memory": ("esp32", "mesh"),
    "user": ("esp32",),
    "password": ("esp32",),
    "scenario": ("obd", "gps", "esp32", "can"),
    "variant": ("obd", "gps", "esp32", "can"),
    **dict.fromkeys(device_radio.NAMES, ("mesh",)),
    **dict.fromkeys(device_can.NAMES, ("can",)),
}


class DeviceUsageError(RigError):
    """The options do not make a device."""

    usage = True


class DeviceCommand:
    """Run one device with the car behind it, in wall time, until Ctrl-C.

    Any client can be tested against it: it prints the port at which it is reached. The car drives a
    round trip that repeats, or what a scenario says, whose faults then strike too.

    examples:
      telerig device obd                              an ELM327 on a PTY
      telerig device obd --link /tmp/elm --profile clone_v21
      telerig device obd --profile '?'                the adapters that there are
      telerig device obd --tcp 35000                  as a Wi-Fi adapter: socket://127.0.0.1:35000
      telerig device obd --traffic --profile elm327_v22   the bus is not silent: AT MA
      telerig device gps --profile ublox_m9 --rate 10 --baud 115200
      telerig device gps --scenario scenarios/tunnel.scenario.yaml --json
      telerig device esp32 --http 8080                an edge logger: its console on a PTY, and its
                                                      access point at http://127.0.0.1:8080
      telerig device esp32 --memory board.json        the same, and it remembers
      telerig device mesh --tcp 4403 --nodes 5        a Meshtastic radio: meshtastic --port PTY and
                                                      meshtastic --host localhost; five nodes more
      telerig device mesh --radios 2 --preset SHORT_FAST
                                                      two radios that hear each other
      telerig device mesh --region '?'                the regions that there are
      telerig device can                              the car's CAN bus: slcan on a PTY, socketcand
                                                      at port 29536
      telerig device can --link /tmp/can --profile lawicel_canusb --baud 115200
      telerig device can --tcp 29536 --load 100%      a full bus
      telerig device can --tcp 0 --record drive.blf   written for other tools, too
      telerig device can --silent --play drive.blf    ECUs, and what a log holds
      telerig device can --socketcan vcan0            joined to SocketCAN, where the kernel has it
      telerig device can --interface pcan --channel PCAN_USBBUS1
      telerig device can --bench desk.yaml            joined to what stands on the desk:
                                                      links: {can: {drive: {interface: …}}}

    All doors of a bus are open at once: what is sent at one is heard at all the others. Clients of
    telerig device can --link /tmp/can --tcp 29536:
      python -m can.logger -i slcan -c /tmp/can -b 500000
      python -m can.logger -i socketcand -c can0 --bus-kwargs host=127.0.0.1 port=29536
      python -m cantools monitor focus_st.dbc -i slcan -c /tmp/can -b 500000
      printf '< open can0 >< rawmode >< send 123 2 11 22 >' | nc -q 1 127.0.0.1 29536
      python -c "import can, isotp, udsoncan.client, udsoncan.connections as by
      bus = can.Bus('can0', 'socketcand', host='127.0.0.1', port=29536)
      to = isotp.CanStack(bus, address=isotp.Address(txid=0x7E0, rxid=0x7E8))
      with udsoncan.client.Client(by.PythonIsoTpConnection(to)) as ecu:
          print(ecu.test_data_identifier(0xF190).data)"

    A board begins in factory state: provision it over its access point or its console (user
    wifiprov, password abcd1234), for example with telerig provision.

    With --json the first line is {"device": "obd", "ports": {"serial": "/dev/pts/3", "tcp": null,
    "link": null}}; each further line is one event with its time_s since the start. Radios stand in
    a list "radios" there too, with id and name.

    exit code: 0 ended by Ctrl-C or SIGTERM, 1 its ports cannot be opened, 2 an option is wrong
    """

    help = "run one modelled device alone (obd, gps, esp32, mesh, can)"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("kind", choices=("obd", "gps", "esp32", "mesh", "can"))
        parser.add_argument(
            "--link",
            type=Path,
            metavar="PATH",
            help="symbolic link to the port, for a name that stays (none)",
        )
        parser.add_argument(
            "--tcp",
            type=whole(0, GREATEST_PORT),
            metavar="PORT",
            help="serve the line on loopback TCP too (0: any free port; a radio's own is 4403, "
            "that of socketcand on a CAN bus 29536)",
        )
        parser.add_argument(
            "--profile",
            metavar="NAME",
            help="which adapter (elm327_v15, can: canable) or chip (ublox_m8); '?' lists them",
        )
        parser.add_argument(
            "--baud",
            type=count,
            metavar="N",
            help="of the serial line (obd: 38400, gps: the chip's own, can: the adapter's own)",
        )
        parser.add_argument(
            "--rate", type=positive, metavar="HZ", help="fixes per second of a gps (1)"
        )
        parser.add_argument(
            "--unpaced",
            action="store_true",
            help="no UART pace, no waits of adapter and ECU: as fast as this machine can",
        )
        parser.add_argument(
            "--traffic",
            action="store_true",
            help="obd: the car's control units broadcast, so that AT MA has something to show",
        )
        parser.add_argument(
            "--http",
            type=whole(0, GREATEST_PORT),
            metavar="PORT",
            help="esp32: the port of its access point (any free one)",
        )
        parser.add_argument(
            "--memory",
            type=Path,
            metavar="FILE",
            help="esp32, mesh: keeps what it remembers (factory state at each start)",
        )
        parser.add_argument("--user", metavar="NAME", help="esp32: for provisioning (wifiprov)")
        parser.add_argument("--password", metavar="TEXT", help="esp32: for provisioning (abcd1234)")
        parser.add_argument(
            "--scenario",
            type=Path,
            metavar="FILE",
            help="who drives, and what goes wrong (a round trip)",
        )
        parser.add_argument(
            "--variant", default="", metavar="NAME", help="of the scenario's matrix"
        )
        parser.add_argument(
            "--seed", type=seed, default=0, metavar="N", help="of all randomness (0)"
        )
        device_radio.add_arguments(parser)
        device_can.add_arguments(parser)
        parser.add_argument(
            "--json", action="store_true", help="first line: the ports; then one event a line"
        )

    def run(self, arguments: argparse.Namespace) -> int:
        if arguments.kind == "mesh":
            _check_kind(arguments)
            return device_radio.run(arguments)
        if arguments.kind == "can":
            _check_common(arguments)
            return device_can.run(arguments)
        profiles = _profiles(arguments.kind)
        if arguments.profile == LIST_PROFILES:
            for name, profile in profiles.items():
                print(f"{name:16} {_about(profile)}")
            return 0
        _check(arguments, profiles)
        from rig.device.device import Device, DeviceOptions
        from rig.device.world import FACTORY_PASSWORD, FACTORY_USER
        from rig.scenario import load_scenario

        scenario = None
        if arguments.scenario is not None:
            scenario = load_scenario(arguments.scenario, arguments.variant)
        options = DeviceOptions(
            kind=arguments.kind,
            profile=arguments.profile,
            baud=arguments.baud,
            rate_hz=arguments.rate,
            unpaced=arguments.unpaced,
            traffic=arguments.traffic,
            link=arguments.link,
            tcp=arguments.tcp,
            http=arguments.http or 0,
            memory=arguments.memory,
            user=arguments.user or FACTORY_USER,
            password=arguments.password or FACTORY_PASSWORD,
            scenario=scenario,
            seed=arguments.seed,
            as_json=arguments.json,
        )
        try:
            device = Device(options)
        except ValueError as error:
            raise DeviceUsageError(str(error)) from error
        on_signals(device.stop)
        device.run()
        return 0


def on_signals(stop: Callable[[], None]) -> None:
    """Call `stop` when someone ends the program."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, lambda *_: stop())


def _check(arguments: argparse.Namespace, profiles: Mapping[str, Any]) -> None:
    if profiles and arguments.profile is not None and arguments.profile not in profiles:
        raise DeviceUsageError(
            f"--profile: expected one of {', '.join(profiles)}; found {arguments.profile!r}"
        )
    if arguments.traffic and importlib.util.find_spec("cantools") is None:
        raise DeviceUsageError(
            "--traffic: expected the package cantools for what the car broadcasts, found none; "
            "install telerig with the extra 'can'"
        )
    _check_common(arguments)


def _check_common(arguments: argparse.Namespace) -> None:
    """Refuse what no device takes, or this one does not."""
    lowest = LOWEST_BAUD[arguments.kind]
    if arguments.baud is not None and arguments.baud < lowest:
        raise DeviceUsageError(f"--baud: expected at least {lowest}, found {arguments.baud}")
    if arguments.rate is not None and arguments.kind != "gps":
        raise DeviceUsageError(
            f"--rate: expected a gps, found {arguments.kind}: its client sets the rate"
        )
    _check_kind(arguments)
    if arguments.variant and arguments.scenario is None:
        raise DeviceUsageError("--variant: expected --scenario FILE with it, found none")


def _check_kind(arguments: argparse.Namespace) -> None:
    """Refuse options that belong to another device."""
    for name, kinds in ONLY_FOR.items():
        if getattr(arguments, name) not in (None, False, "") and arguments.kind not in kinds:
            *most, last = kinds
            expected = f"{', '.join(most)} or {last}" if most else last
            raise DeviceUsageError(f"--{name}: expected {expected}, found {arguments.kind}")


def _profiles(kind: str) -> Mapping[str, Any]:
    if kind == "obd":
        from sim.elm327 import PROFILES as ADAPTERS

        return ADAPTERS
    if kind == "esp32":
        return {}
    from sim.gnss import PROFILES as RECEIVERS

    return RECEIVERS


def _about(profile: Any) -> str:
    """Say in a few words what a profile is."""
    if hasattr(profile, "firmware"):
        link = "cable" if profile.radio_delay_s is None else "radio"
        stn = ", ST commands" if profile.st_answers else ""
        return f"{profile.banner}, commands of version {profile.firmware}{stn}, {link}"
    systems = ", ".join(str(system.name) for system in profile.systems)
    return f"{systems}; {profile.baud} baud, up to {profile.max_rate_hz:g} Hz"


COMMAND = DeviceCommand()
