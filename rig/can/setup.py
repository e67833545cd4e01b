"""From a scenario to its CAN bus, and to the links by which the gateway reaches it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from rig.can.database import Decode, database_path, load_database
from rig.measures.signals import catalogue_signals
from rig.record.manifest import CanInfo
from rig.scenario.model import CAN, OBD, CanDoorSpec, CanPlaySpec, Scenario
from sim.can_setup import SLCAN, SOCKETCAND, CanSetup, DoorSetup, PlaySetup, channel_of

BITRATE_BPS = 500_000
CHANGE = "change"
READ_LATE_NS = 30_000_000  # slcan has no stamps, or of whole milliseconds: read in batches
WORLD_LATE_NS = 200_000_000  # a world in wall time may be behind: the gateway moves its stamps then
DOOR_KEYS = ("channel", "host", "port")
"""Keys of a link that are others in each run."""


def can_doors(scenario: Scenario) -> dict[str, CanDoorSpec]:
    """Return link -> its door to the bus."""
    doors = {}
    if CAN in scenario.needs:
        doors[CAN] = scenario.world.can.link
    if OBD in scenario.needs and scenario.world.obd.can is not None:
        doors[OBD] = scenario.world.obd.can
    return doors


def socketcand_links(scenario: Scenario) -> list[str]:
    """Return the links that reach the bus over TCP."""
    return [link for link, spec in can_doors(scenario).items() if spec.door == SOCKETCAND]


def can_setup(scenario: Scenario, *, start_s: float, until_s: float) -> CanSetup | None:
    """Return what stands on the bus besides its diagnostics; None: nothing.

    Args:
        scenario: says what.
        start_s: the instant from which on there is traffic.
        until_s: the instant from which on nobody broadcasts.
    """
    doors = {
        link: DoorSetup(spec.door, spec.profile, spec.baud)
        for link, spec in can_doors(scenario).items()
    }
    if not doors:
        return None
    if CAN not in scenario.needs:
        return CanSetup(doors)
    spec = scenario.world.can
    if CAN in scenario.world.played:
        return CanSetup(doors, start_s=start_s, auto_recovery_s=spec.auto_recovery_s)
    return CanSetup(
        doors,
        broadcast=spec.broadcast,
        sampled_signals=tuple(wanted_signals(scenario)),
        load_pct=spec.load_pct,
        play=None if spec.play is None else _play(spec.play),
        start_s=start_s,
        until_s=until_s,
        auto_recovery_s=spec.auto_recovery_s,
    )


def _play(spec: CanPlaySpec) -> PlaySetup:
    return PlaySetup(spec.path, spec.offset_s, spec.loop, spec.only, spec.without)


def wanted_signals(scenario: Scenario) -> Mapping[str, float | str]:
    """Return signal -> readings a second at most, "all" or "change"."""
    spec = scenario.gateway.can
    if spec.signals is not None:
        return spec.signals
    return dict.fromkeys(load_database(spec.dbc).told_names, spec.rate_hz)


def can_plan_hz(scenario: Scenario) -> dict[str, float | None]:
    """Return signal -> readings a second at most; None: each one, or each change."""
    return {
        name: rate if isinstance(rate, float) else None
        for name, rate in wanted_signals(scenario).items()
    }


def can_link_config(scenario: Scenario, place: str) -> dict[str, Any]:
    """Return the table of the gateway's CAN link.

    Args:
        scenario: says what is read.
        place: path of a serial port, or tcp://host:port of a socketcand server.
    """
    spec = scenario.gateway.can
    table: dict[str, Any] = {
        "kind": CAN,
        **interface_config(CAN, scenario.world.can.link, place),
        "dbc": [str(database_path(name).resolve()) for name in spec.dbc],
        "signals": dict(wanted_signals(scenario)),
    }
    if spec.timestamps:
        table.setdefault("options", {})["timestamps"] = True
    if spec.queue_frames is not None:
        table["queue_frames"] = spec.queue_frames
    return table


def interface_config(link: str, spec: CanDoorSpec, place: str) -> dict[str, Any]:
    """Return the keys that name an interface of python-can."""
    if spec.door == SLCAN:
        return {
            "interface": SLCAN,
            "channel": place,
            "bitrate": BITRATE_BPS,
            "options": {"tty_baudrate": line_baud(spec)},
        }
    url = urlsplit(place)
    return {
        "interface": SOCKETCAND,
        "channel": channel_of(link),
        "host": url.hostname,
        "port": url.port,
    }


def line_baud(spec: CanDoorSpec) -> int:
    """Return the rate of an adapter's serial line."""
    from sim.can_side import door_baud

    return door_baud(DoorSetup(spec.door, spec.profile, spec.baud))


def can_manifest(scenario: Scenario, mode: str) -> dict[str, Any]:
    """Return what the record's manifest keeps of the bus; nothing where the link is not there."""
    if CAN not in scenario.needs:
        return {}
    # Here: who only reads scenarios needs no gateway.
    from server.can.signals import signal_id

    wanted = wanted_signals(scenario)
    changes = [name for name, rate in wanted.items() if rate == CHANGE]
    database = load_database(scenario.gateway.can.dbc)
    signals = catalogue_signals()
    for name in wanted:
        signals[signal_id(name)] = database.info(name)
    late_ns = READ_LATE_NS if scenario.world.can.link.door == SLCAN else 0
    if mode == "paced":
        late_ns = WORLD_LATE_NS
    return {"can": CanInfo(BITRATE_BPS, changes, late_ns), "signals": signals}


def can_decoder(scenario: Scenario) -> Decode | None:
    """Return what decodes the wanted signals of a frame; None where the link is not there."""
    if CAN not in scenario.needs:
        return None
    return load_database(scenario.gateway.can.dbc).decoder(frozenset(wanted_signals(scenario)))
