"""`telerig device can`: a car's CAN bus alone, with doors for any client."""

from __future__ import annotations

import argparse
import importlib.util
import math
from pathlib import Path
from typing import TYPE_CHECKING

from rig.errors import RigError

if TYPE_CHECKING:
    from rig.device.can_options import CanOptions
    from rig.walltime.can_interfaces import CanInterfaceSpec

SOCKETCAND_PORT = 29536
NAMES = (
    "slcan", "virtual", "socketcan", "bench", "interface", "channel", "bitrate", "silent", "load",
    "record", "play",
)  # fmt: skip
LOG_SUFFIXES = (".blf", ".asc", ".log", ".csv")


class CanUsageError(RigError):
    """The options do not make a bus."""

    usage = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that only the bus has."""
    parser.add_argument(
        "--slcan", action="store_true", help="can: an slcan adapter on a PTY (see --profile)"
    )
    parser.add_argument(
        "--virtual",
        metavar="NAME",
        help="can: a channel of python-can's interface `virtual`; only threads of this very "
        "process can reach it: for programs that run the device themselves",
    )
    parser.add_argument(
        "--socketcan", metavar="NAME", help="can: join a SocketCAN interface (vcan0, can0)"
    )
    parser.add_argument(
        "--bench", type=Path, metavar="FILE", help="can: join the interface that a bench file names"
    )
    parser.add_argument(
        "--interface",
        metavar="NAME",
        help="can: join any interface of python-can (pcan, kvaser, …)",
    )
    parser.add_argument("--channel", metavar="NAME", help="can: of --interface (PCAN_USBBUS1)")
    parser.add_argument("--bitrate", type=int, metavar="N", help="can: of --interface (500000)")
    parser.add_argument(
        "--silent", action="store_true", help="can: no broadcast traffic; ECUs only answer"
    )
    parser.add_argument(
        "--load", type=_percentage, metavar="PCT", help="can: fill the bus up to this load (100%%)"
    )
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="can: write all frames (.blf .asc .log .csv)"
    )
    parser.add_argument(
        "--play", type=Path, metavar="FILE", help="can: play a log into the bus (.blf .asc .log …)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve the bus until a signal ends it."""
    from rig.device.can_options import CanOptions
    from sim.slcan import PROFILES

    if arguments.profile == "?":
        for name, profile in PROFILES.items():
            print(f"{name:16} {profile.about}")
        return 0
    if arguments.profile is not None and arguments.profile not in PROFILES:
        raise CanUsageError(
            f"--profile: expected one of {', '.join(PROFILES)}; found {arguments.profile!r}"
        )
    _check(arguments)
    options = _options(arguments, CanOptions)
    from rig.commands.device import on_signals
    from rig.device.can import CanDevice

    device = CanDevice(options)
    on_signals(device.stop)
    device.run()
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if not arguments.silent and importlib.util.find_spec("cantools") is None:
        raise CanUsageError(
            "expected the package cantools for the broadcast traffic, found none; install telerig "
            "with the extra 'can', or give --silent"
        )
    if arguments.load is not None and arguments.unpaced:
        raise CanUsageError(
            "--load: expected a bus with frame times, found --unpaced: leave one out"
        )
    if (arguments.channel or arguments.bitrate) and arguments.interface is None:
        raise CanUsageError("--channel, --bitrate: expected --interface NAME with it, found none")
    if arguments.interface is not None and arguments.channel is None:
        raise CanUsageError("--interface: expected --channel NAME with it, found none")
    if arguments.record is not None and arguments.record.suffix not in LOG_SUFFIXES:
        raise CanUsageError(
            f"--record: expected a name that ends in one of {' '.join(LOG_SUFFIXES)}, found "
            f"{arguments.record.name!r}"
        )
    if arguments.play is not None and not arguments.play.is_file():
        raise CanUsageError(f"--play: expected a log of CAN frames, found no file {arguments.play}")


def _options(arguments: argparse.Namespace, make: type[CanOptions]) -> CanOptions:
    from rig.scenario import load_scenario

    interfaces = _interfaces(arguments)
    slcan = arguments.slcan or any(
        value is not None for value in (arguments.link, arguments.profile, arguments.baud)
    )
    tcp = arguments.tcp
    if not slcan and tcp is None and not interfaces:
        slcan, tcp = True, _usual_port()
    given = {"profile": arguments.profile, "load_pct": arguments.load}
    return make(
        slcan=slcan,
        baud=arguments.baud,
        link=arguments.link,
        tcp=tcp,
        interfaces=interfaces,
        broadcast=not arguments.silent,
        record=arguments.record,
        play=arguments.play,
        unpaced=arguments.unpaced,
        scenario=None
        if arguments.scenario is None
        else load_scenario(arguments.scenario, arguments.variant),
        seed=arguments.seed,
        as_json=arguments.json,
        **{name: value for name, value in given.items() if value is not None},
    )


def _interfaces(arguments: argparse.Namespace) -> tuple[CanInterfaceSpec, ...]:
    from rig.bench import DRIVE, read_bench
    from rig.walltime.can_interfaces import DEFAULT_BITRATE_BPS, CanInterfaceSpec

    found = []
    if arguments.virtual is not None:
        found.append(CanInterfaceSpec("virtual", arguments.virtual, place="--virtual"))
    if arguments.socketcan is not None:
        found.append(CanInterfaceSpec("socketcan", arguments.socketcan, place="--socketcan"))
    if arguments.interface is not None:
        channel = arguments.channel
        found.append(
            CanInterfaceSpec(
                arguments.interface,
                int(channel) if channel.isdecimal() else channel,
                arguments.bitrate or DEFAULT_BITRATE_BPS,
                place="--interface",
            )
        )
    if arguments.bench is not None:
        place = read_bench(arguments.bench).at("can")
        if place.kind != DRIVE or place.can is None:
            raise CanUsageError(
                f"{place.place or arguments.bench}: expected an interface that the world drives, "
                f"found {place.where if place.is_real else 'none'}; write, say, "
                "`links: {can: {drive: {interface: socketcan, channel: can0}}}`"
            )
        found.append(place.can)
    return tuple(found)


def _usual_port() -> int:
    """Return the port that socketcand has, or 0 for any where that is taken."""
    import socket

    from rig.walltime.listener import LOOPBACK

    try:
        socket.create_server((LOOPBACK, SOCKETCAND_PORT)).close()
    except OSError:
        return 0
    return SOCKETCAND_PORT


def _percentage(text: str) -> float:
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = math.nan
    if not 0.0 < value <= 100.0:
        raise argparse.ArgumentTypeError(f"expected a load above 0 up to 100 %, found {text!r}")
    return value
