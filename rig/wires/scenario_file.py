"""Writes the scenario that plays a record: what `telerig wires play` runs, and anyone may keep.

What the gateway is asked for comes from its configuration file where one is named, else from the
scenario of the recorded run where that still stands, else from what was asked on the wire.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from rig.record.manifest import Manifest
from rig.record.reader import RecordReader
from rig.record.streams import CAN
from rig.scenario.load import SUFFIX
from rig.scenario.model import OBD
from rig.wires.errors import WiresError
from rig.wires.exchanges import conversation, without_count
from rig.wires.source import BUS, ESP32, GPS, NOT_PLAYED, playable_links, wire_info

PHASE = "recording"
SHORTEST_S = 1.0
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 0.05, 50.0
OLDEST_DATE = "2020-01-01"  # the gateway's own
_DOOR_KEYS = ("door", "profile", "baud")
_LINK_PLACE = ("kind", "port", "baud", "can", "plan", "device", "key")
_KEPT_TABLES = ("gateway", "pipeline", "store")
_MODE_1 = re.compile(r"01([0-9A-F]{2})")
_PATH_LIKE = (".dbc",)


class PlayError(WiresError):
    """A record that cannot be played, or a configuration that cannot be used for it."""

    usage = True


def write_scenario(
    record: RecordReader,
    folder: Path,
    *,
    links: Sequence[str] = (),
    answers: str = "order",
    config: Path | None = None,
    seed: int | None = None,
) -> Path:
    """Write the scenario that plays `record` into `folder` and return its path.

    Args:
        record: of a run or a capture.
        folder: where to; it is made.
        links: that are played; none: all that can be.
        answers: see `rig.wires.players.Answerer`.
        config: TOML file of the gateway; None: as in the recorded run.
        seed: of the gateway's random numbers; None: the record's.

    Raises:
        PlayError: there is nothing to play, or the configuration cannot be used.
    """
    chosen = chosen_links(record, links)
    target = folder / f"{record.folder.resolve().name}{SUFFIX}"
    manifest = record.manifest
    old = _scenario_of(manifest)
    gateway = _gateway(record, chosen, old) if config is None else _gateway_of(config, chosen)
    document: dict[str, Any] = {
        "rig": 1,
        "name": f"{manifest.scenario}, played",
        "about": f"The wires of {record.folder.name}, played to the gateway.",
        "needs": list(chosen),
        "seed": manifest.seed if seed is None else seed,
        "world": {
            **_world(record, chosen, old),
            "wires": {
                "record": os.path.relpath(record.folder.resolve(), folder.resolve()),
                "links": list(chosen),
                "answers": answers,
            },
        },
        "gateway": gateway,
        "phases": _phases(record),
        "limits": {"readings.lost": {"equals": 0}, "readings.doubled": {"equals": 0}},
        "after": ["gateway.exit == 0"],
    }
    if GPS in chosen:
        _let_old_dates_in(gateway, record)
    if not gateway:
        del document["gateway"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target.write_text(
            yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100), "utf-8"
        )
    except OSError as error:
        raise PlayError(
            f"{target}: expected to write the scenario that plays the record, found: "
            f"{error.strerror}; choose another folder with --runs"
        ) from error
    return target


def chosen_links(record: RecordReader, links: Sequence[str]) -> list[str]:
    """Return the links that are played: those that are asked for, or all that can be.

    Raises:
        PlayError: one cannot be played, or there is none.
    """
    there = playable_links(record)
    for link in links:
        if link not in there:
            why = NOT_PLAYED.get(link, "")
            raise PlayError(
                f"link {link!r} of {record.folder}: expected one that can be played: "
                f"{', '.join(there) or 'there is none'}" + (f"; {why}" if why else "")
            )
    if not there:
        raise PlayError(
            f"{record.folder}: expected a wire of obd, gps, esp32 or can to play, found "
            f"{', '.join(record.links) or 'none'}; `telerig wires show` tells what is there"
        )
    return [link for link in there if link in links or not links]


# -- the world -------------------------------------------------------------------------------------
def _phases(record: RecordReader) -> list[dict[str, str]]:
    phases = record.manifest.phases
    if phases:
        return [
            {"idle": _seconds(phase.end_ns - phase.start_ns), "as": phase.name} for phase in phases
        ]
    length_ns = last_ns(record) - record.manifest.start_ns
    return [{"idle": _seconds(max(length_ns, round(SHORTEST_S * 1e9))), "as": PHASE}]


def _seconds(length_ns: int) -> str:
    return f"{length_ns / 1e9:.9g} s"


def last_ns(record: RecordReader) -> int:
    """Return the instant of the last thing on any wire; the record's start where there is none."""
    ends = [rows[-1].time_ns for name in record.links if (rows := record.wire(name))]
    if (record.folder / CAN.file_name).exists() and record.can:
        ends.append(record.can[-1].time_ns)
    return max(ends, default=record.manifest.start_ns)


def _world(record: RecordReader, links: Sequence[str], old: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the gateway's ports and the measures need to know of the devices."""
    before = old.get("world") or {}
    world: dict[str, Any] = {}
    for link in (OBD, GPS):
        if link in links:
            baud = wire_info(record, link).baud
            world[link] = {**(before.get(link) or {}), **({"baud": baud} if baud else {})}
    if BUS in links:
        can = before.get(BUS) or {}
        world[BUS] = {key: can[key] for key in _DOOR_KEYS if key in can}
    if ESP32 in links:
        count = sum(1 for name in record.links if name.split("-")[0] == ESP32)
        world[ESP32] = {"transport": "serial", "count": count}
    return {name: table for name, table in world.items() if table}


def _scenario_of(manifest: Manifest) -> dict[str, Any]:
    """Return what the file of the recorded run says; nothing where it is no longer there."""
    path = Path(manifest.scenario_path)
    if not manifest.scenario_path or not path.is_file():
        return {}
    text = path.read_text("utf-8")
    for name, value in manifest.matrix.items():
        text = re.sub(rf"\${re.escape(name)}\b", str(value), text)
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return _absolute(document, path.parent) if isinstance(document, dict) else {}


def _absolute(value: Any, folder: Path) -> Any:
    """Return `value` with the paths of databases as seen from anywhere."""
    if isinstance(value, dict):
        return {key: _absolute(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_absolute(item, folder) for item in value]
    if isinstance(value, str) and value.endswith(_PATH_LIKE) and (folder / value).is_file():
        return str((folder / value).resolve())
    return value


# -- the gateway -----------------------------------------------------------------------------------
def _gateway(record: RecordReader, links: Sequence[str], old: Mapping[str, Any]) -> dict[str, Any]:
    gateway = dict(old.get("gateway") or {})
    if OBD in links and "plan" not in gateway and not old:
        plan = _plan_of(record)
        if plan:
            gateway["plan"] = plan
    return gateway


def _let_old_dates_in(gateway: dict[str, Any], record: RecordReader) -> None:
    """Let the gateway take the days of an old recording; it refuses days that cannot be today."""
    day = datetime.fromtimestamp(record.manifest.start_ns // 1_000_000_000, UTC).date()
    if day.isoformat() <= OLDEST_DATE:
        config = gateway.setdefault("config", {})
        gps = config.setdefault("links", {}).setdefault(GPS, {})
        gps.setdefault("oldest_date", (day - timedelta(days=1)).isoformat())


def _plan_of(record: RecordReader) -> dict[str, str]:
    """Return signal -> rate: as the run was asked, or as somebody asked on the wire."""
    known = record.manifest.plan.get(OBD)
    if known:
        return {signal: _hertz(rate or 1.0) for signal, rate in known.items()}
    from server.catalogue import all_signals
    from sim.ecu.pids import PIDS

    names = {signal.name for signal in all_signals()}
    asked: dict[str, list[int]] = {}
    for exchange in conversation(record.wire(OBD)).exchanges:
        found = _MODE_1.fullmatch(without_count(exchange.request))
        spec = PIDS.get(int(found[1], 16)) if found else None
        if spec is not None and spec.name in names:
            asked.setdefault(spec.name, []).append(exchange.asked_ns)
    return {name: _hertz(_rate_hz(instants)) for name, instants in asked.items()}


def _rate_hz(instants_ns: Sequence[int]) -> float:
    length_s = (instants_ns[-1] - instants_ns[0]) / 1e9
    rate_hz = (len(instants_ns) - 1) / length_s if length_s > 0 else 0.0
    return min(HIGHEST_RATE_HZ, max(LOWEST_RATE_HZ, rate_hz))


def _hertz(rate_hz: float) -> str:
    return f"{rate_hz:.4g} Hz"


def _gateway_of(path: Path, links: Sequence[str]) -> dict[str, Any]:
    """Return the part of a gateway's own configuration that plays a part here."""
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlayError(
            f"--config {path}: expected the gateway's TOML file, found: {error}"
        ) from error
    configured = tables.get("links")
    own = configured if isinstance(configured, dict) else {}
    by_kind = {t["kind"]: t for t in own.values() if isinstance(t, dict) and "kind" in t}
    missing = [link for link in links if link not in by_kind]
    if missing:
        kinds = ", ".join(sorted(map(str, by_kind))) or "none"
        raise PlayError(
            f"--config {path}: expected a link of kind {' and '.join(missing)}, found {kinds}; "
            "add it, or play fewer with --link"
        )
    gateway: dict[str, Any] = {}
    config: dict[str, Any] = {name: tables[name] for name in _KEPT_TABLES if name in tables}
    for link in links:
        table = by_kind[link]
        if link == OBD and table.get("plan"):
            gateway["plan"] = {entry["signal"]: _hertz(entry["rate_hz"]) for entry in table["plan"]}
        if link == BUS:
            gateway["can"] = _can_plan(table, path.parent)
            continue
        rest = {key: value for key, value in table.items() if key not in _LINK_PLACE}
        if rest:
            config.setdefault("links", {})[link] = rest
    return {**gateway, **({"config": config} if config else {})}


def _can_plan(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    files = table.get("dbc", [])
    rates = table.get("signals", {})
    plan: dict[str, Any] = {
        "dbc": [
            str((folder / name).resolve())
            for name in ([files] if isinstance(files, str) else files)
        ],
        "signals": {n: r if isinstance(r, str) else _hertz(float(r)) for n, r in rates.items()},
    }
    return {key: value for key, value in plan.items() if value}
