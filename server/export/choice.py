"""Which signals are exported: by source, by channel, by signal.

A source is `gps`, `obd`, `can`, `derived`, `edge`, `mesh`, or a whole one (`can:EngineData`). A
channel is what older systems called a signal: `latitude`, `rpm`, `speed`; what it means may hang on
the source: `speed` is GPS_SPEED of `gps` and SPEED of `obd`, both where no source is named. Short
names, VSS paths and ids are channels too, whatever their case.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from server.answers import BadParameter
from server.catalogue import Signal, all_signals
from server.export.text import source_of

CHANNELS: Mapping[str, tuple[str, ...]] = {
    "latitude": ("LAT",),
    "longitude": ("LON",),
    "altitude": ("ALT",),
    "speed": ("SPEED", "GPS_SPEED"),
    "heading": ("GPS_HEADING",),
    "course": ("GPS_HEADING",),
    "satellites": ("SATS",),
    "throttle": ("THROTTLE_POS",),
    "coolant": ("COOLANT_TEMP",),
    "oil": ("OIL_TEMP",),
    "load": ("ENGINE_LOAD",),
    "voltage": ("CONTROL_MODULE_VOLTAGE",),
    "battery": ("BATTERY_LEVEL",),
    "power": ("BATTERY_POWER",),
    "fuel": ("FUEL_LEVEL",),
    "snr": ("MESH_SNR",),
    "rssi": ("MESH_RSSI",),
}
"""Words of older systems, and the short names that they stand for."""


def chosen(
    sources: Sequence[str], channels: Sequence[str], signals: Sequence[str]
) -> frozenset[int] | None:
    """Give the ids that all filters let through; None where there is no filter.

    Raises:
        BadParameter: a source or channel that nothing has, or nothing is left.
    """
    if not (sources or channels or signals):
        return None
    catalogue = all_signals()
    left = {signal.id for signal in catalogue}
    if sources:
        left &= _of_sources(sources, catalogue)
    if channels:
        left &= _of_names("channels", channels, catalogue, CHANNELS)
    if signals:
        left &= _of_names("signals", signals, catalogue, {})
    if not left:
        expected = "filters that at least one signal passes"
        raise BadParameter("query", expected, "sources and channels that have none in common")
    return frozenset(left)


def split(texts: Iterable[str]) -> list[str]:
    """Give the items of parameters that came several times, with commas, or both."""
    return [item.strip() for text in texts for item in text.split(",") if item.strip()]


def _of_sources(names: Sequence[str], catalogue: Sequence[Signal]) -> set[int]:
    found: set[int] = set()
    for name in names:
        wanted = name.casefold()
        ids = {
            signal.id
            for signal in catalogue
            if wanted in (source_of(signal), signal.source.casefold())
        }
        if not ids:
            known = sorted({source_of(signal) for signal in catalogue})
            raise BadParameter("sources", f"one of {', '.join(known)}", repr(name[:80]))
        found |= ids
    return found


def _of_names(
    where: str,
    names: Sequence[str],
    catalogue: Sequence[Signal],
    words: Mapping[str, tuple[str, ...]],
) -> set[int]:
    by_name: dict[str, set[int]] = {}
    for signal in catalogue:
        for key in (signal.name, signal.path, str(signal.id)):
            by_name.setdefault(key.casefold(), set()).add(signal.id)
    ids_of = {signal.name: signal.id for signal in catalogue}
    for channel, stand_for in words.items():
        by_name.setdefault(channel, set()).update(ids_of[name] for name in stand_for)
    found: set[int] = set()
    for name in names:
        # SPEED is one signal, the word speed stands for two.
        ids = {ids_of[name]} if name in ids_of else by_name.get(name.casefold())
        if ids is None:
            near = difflib.get_close_matches(name.casefold(), by_name, n=2)
            hint = f" (did you mean {' or '.join(near)}?)" if near else ""
            expected = f"a name, path or id of /api/v1/signals{hint}"
            raise BadParameter(where, expected, repr(name[:80]))
        found |= ids
    return found
