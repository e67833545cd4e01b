"""`telerig device mesh`: Meshtastic radios alone, for any client."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rig.commands.arguments import positive, whole
from rig.errors import RigError

if TYPE_CHECKING:
    from rig.device.radio import RadioDevice

MOST_RADIOS = 20
MOST_NODES = 80
GREATEST_PORT = 65535
NAMES = ("preset", "region", "name", "nodes", "radios", "beacon")
LIST = "?"


class RadioUsageError(RigError):
    """The options do not make a radio."""

    usage = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that only radios have."""
    parser.add_argument(
        "--preset", metavar="NAME", help="mesh: the modem preset (LONG_FAST); '?' lists them"
    )
    parser.add_argument(
        "--region",
        metavar="NAME",
        help="mesh: band, power and duty cycle (EU_868); '?' lists them",
    )
    parser.add_argument("--name", metavar="TEXT", help="mesh: the radio's long name (telerig)")
    parser.add_argument(
        "--nodes",
        type=whole(0, MOST_NODES),
        metavar="N",
        help="mesh: further nodes on the channel, which beacon and answer (0)",
    )
    parser.add_argument(
        "--radios",
        type=whole(1, MOST_RADIOS),
        metavar="N",
        help="mesh: radios with a port each (1)",
    )
    parser.add_argument(
        "--beacon",
        type=positive,
        metavar="S",
        help="mesh: seconds from one position of a further node to its next (120)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve radios until a signal ends it."""
    for what, names in (("preset", _presets), ("region", _regions)):
        if getattr(arguments, what) == LIST:
            print("\n".join(names()))
            return 0
    device = _device(arguments)
    from rig.commands.device import on_signals

    on_signals(device.stop)
    device.run()
    return 0


def _device(arguments: argparse.Namespace) -> RadioDevice:
    from sim.meshtastic.errors import MeshtasticMissingError, RadioError

    try:
        from rig.device.radio import RadioDevice, RadioOptions
        from sim.meshtastic.group import GroupSetup
    except MeshtasticMissingError as error:
        raise RadioUsageError(str(error)) from error
    if arguments.tcp and arguments.tcp + (arguments.radios or 1) - 1 > GREATEST_PORT:
        raise RadioUsageError(
            f"--tcp {arguments.tcp}: expected room for {arguments.radios} ports up to "
            f"{GREATEST_PORT}, found none; try a lower one, or 0 for any"
        )
    given = {
        "preset": arguments.preset,
        "region": arguments.region,
        "name": arguments.name,
        "nodes": arguments.nodes,
        "radios": arguments.radios,
        "beacon_s": arguments.beacon,
    }
    try:
        group = GroupSetup(
            **{name: value for name, value in given.items() if value is not None},
            paced=not arguments.unpaced,
        )
        return RadioDevice(
            RadioOptions(
                group=group,
                link=arguments.link,
                tcp=arguments.tcp,
                memory=arguments.memory,
                seed=arguments.seed,
                as_json=arguments.json,
            )
        )
    except RadioError as error:
        raise RadioUsageError(f"--{error}") from error


def _presets() -> list[str]:
    from sim.lora.presets import PRESETS

    return [
        f"{name:14} SF{preset.sf}, {preset.bandwidth_hz // 1000} kHz, 4/{preset.cr}"
        for name, preset in PRESETS.items()
    ]


def _regions() -> list[str]:
    from sim.lora.regions import REGIONS

    return [
        f"{name:10} {region.low_mhz:g}-{region.high_mhz:g} MHz, {region.power_limit_dbm} dBm, "
        + ("no duty cycle" if region.duty_cycle_pct >= 100 else f"{region.duty_cycle_pct:g} %")
        for name, region in REGIONS.items()
    ]
