"""The sections `world: {can: …}` and `gateway: {can: …}`: the bus, its door, what is read of it.

Also what `world: {obd: {over: can}}` says about the door of an OBD link without an adapter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from rig.can.database import DatabaseError, load_database
from rig.quantity import DURATION, PERCENTAGE, RATE
from rig.scenario.document import Node, Table, suggestion
from rig.scenario.model import CanDoorSpec, CanPlanSpec, CanPlaySpec, CanSpec
from rig.scenario.world_names import can_databases, can_profiles

CAN_DOOR_KEYS = ("door", "profile", "baud")
CAN_KEYS = (*CAN_DOOR_KEYS, "broadcast", "load", "play", "auto_recovery")
PLAY_KEYS = ("file", "offset", "loop", "only", "except")
CAN_PLAN_KEYS = ("dbc", "signals", "rate", "queue", "timestamps")
CAN_DOORS = ("socketcand", "slcan")
MODES_OF_SIGNALS = ("all", "change")

MAXIMUM_RATE_HZ = 1000.0
MAXIMUM_BAUD = 12_000_000
MAXIMUM_OFFSET_S = 86400.0
MAXIMUM_RECOVERY_S = 60.0
MAXIMUM_QUEUE = 10_000_000
LARGEST_ID = 0x1FFFFFFF


def read_can(node: Node | None) -> CanSpec:
    """Return the bus that the section describes; what it leaves out has its default."""
    default = CanSpec()
    if node is None or node.is_null:
        return default
    table = node.as_table("'can'", CAN_KEYS)
    broadcast, load = table.get("broadcast"), table.get("load")
    play = _read_play(table.get("play"))
    return CanSpec(
        link=read_door(table),
        # What is played takes the place of the car's own traffic, unless both are asked for.
        broadcast=play is None if broadcast is None else broadcast.as_boolean("'broadcast'"),
        load_pct=None if load is None else load.as_quantity(PERCENTAGE, above=0.0, maximum=100.0),
        play=play,
        auto_recovery_s=table.quantity(
            "auto_recovery",
            DURATION,
            default.auto_recovery_s,
            minimum=0.0,
            maximum=MAXIMUM_RECOVERY_S,
        ),
    )


def read_door(table: Table) -> CanDoorSpec:
    """Return the door at which a link reaches the bus."""
    default = CanDoorSpec()
    kind, profile, baud = (table.get(key) for key in ("door", "profile", "baud"))
    door = default.door if kind is None else kind.as_word(CAN_DOORS, "a door")
    for given, key in ((profile, "profile"), (baud, "baud")):
        if given is not None and door != "slcan":
            raise given.error(f"no {key!r}: only a door of kind slcan has one", hint="door: slcan")
    return CanDoorSpec(
        door=door,
        profile=None if profile is None else profile.as_word(can_profiles(), "a profile"),
        baud=None if baud is None else baud.as_integer("'baud'", 1200, MAXIMUM_BAUD),
    )


def _read_play(node: Node | None) -> CanPlaySpec | None:
    if node is None or node.is_null:
        return None
    if not node.is_mapping:
        return CanPlaySpec(_log(node))
    table = node.as_table("'play'", PLAY_KEYS)
    loop, only, without = (table.get(key) for key in ("loop", "only", "except"))
    if only is not None and without is not None:
        raise without.error("'only' or 'except', not both")
    return CanPlaySpec(
        path=_log(table.require("file", "file: drive.asc")),
        offset_s=table.quantity("offset", DURATION, 0.0, minimum=0.0, maximum=MAXIMUM_OFFSET_S),
        loop=False if loop is None else loop.as_boolean("'loop'"),
        only=_read_ids(only),
        without=_read_ids(without),
    )


def _read_ids(node: Node | None) -> tuple[int, ...]:
    if node is None or node.is_null:
        return ()
    found = []
    for item in node.as_list("a list of identifiers such as [0x090, 0x0F8]"):
        text = item.as_text("an identifier such as 0x090")
        if re.fullmatch(r"0[xX][0-9a-fA-F]{1,8}|\d{1,9}", text) is None:
            raise item.error("an identifier such as 0x090")
        if int(text, 0) > LARGEST_ID:
            raise item.error(f"an identifier of 11 or 29 bits, at most {LARGEST_ID:#x}")
        found.append(int(text, 0))
    if not found or len(set(found)) != len(found):
        raise node.error("at least one identifier, and each once")
    return tuple(found)


def _log(node: Node) -> Path:
    from sim.can_log import CanLog, CanLogError

    expected = "a log of CAN frames, by its path from the scenario"
    text = node.as_text(expected)
    path = node.path.parent / text
    if not path.is_file():
        raise node.error(expected, f"no such file: {text!r}")
    try:
        next(iter(CanLog(path)), None)
    except CanLogError as error:
        raise node.error("a log of CAN frames that can be read", str(error)) from error
    return path


def read_can_plan(node: Node | None) -> CanPlanSpec:
    """Return what the gateway reads of the bus."""
    default = CanPlanSpec()
    if node is None or node.is_null:
        return default
    table = node.as_table("'can' of 'gateway'", CAN_PLAN_KEYS)
    dbc, signals, rate, queue, timestamps = (table.get(key) for key in CAN_PLAN_KEYS)
    paths = default.dbc if dbc is None else tuple(map(_database, dbc.as_list_or_one()))
    return CanPlanSpec(
        dbc=paths,
        signals=None if signals is None else _read_signals(signals, paths),
        rate_hz=default.rate_hz if rate is None else _read_rate(rate),
        queue_frames=None if queue is None else queue.as_integer("'queue'", 1, MAXIMUM_QUEUE),
        timestamps=False if timestamps is None else timestamps.as_boolean("'timestamps'"),
    )


def _database(node: Node) -> str:
    """Return a name of a DBC that the world brings along, or the path of a file."""
    expected = "a DBC: a file beside the scenario, or one that the world brings along"
    text = node.as_text(expected)
    if text in can_databases():
        return text
    path = node.path.parent / text
    if not path.is_file():
        raise node.error(expected, f"no such file: {text!r}", suggestion(text, can_databases()))
    try:
        load_database((str(path),))
    except DatabaseError as error:
        raise node.error("a DBC that can be read", str(error)) from error
    return str(path)


def _read_signals(node: Node, paths: tuple[str, ...]) -> Mapping[str, float | str]:
    names = load_database(paths).signal_names
    signals: dict[str, float | str] = {}
    for entry in node.as_table("'signals'"):
        if entry.word not in names:
            hint = suggestion(entry.word, names)
            raise entry.key.error("a signal of the DBC", repr(entry.word), hint)
        signals[entry.word] = _read_rate(entry.value)
    if not signals:
        raise node.error("at least one signal such as {EngineSpeed: 10 Hz}", "no signal")
    return signals


def _read_rate(node: Node) -> float | str:
    text = node.as_text(f"a rate such as '10 Hz', or one of {', '.join(MODES_OF_SIGNALS)}")
    if text in MODES_OF_SIGNALS:
        return text
    return node.as_quantity(RATE, above=0.0, maximum=MAXIMUM_RATE_HZ)
