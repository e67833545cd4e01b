"""What a run is: the stage's `Info`, with the manifest's facts."""

from __future__ import annotations

from typing import Any

from reports.runs.cache import Layer
from reports.runs.faults import faults_of
from reports.runs.figures import FAMILIES, figure_units, links_of
from reports.runs.limits import DrawnLimit, limits_of
from reports.runs.listing import row_of
from reports.runs.run import DELAY, ERROR, REPORTED, STORED, TRUE, WIRE, Run
from rig.record.streams import SAMPLES, TRUTH

FIRST_LOOK = (
    "SPEED", "RPM", "BOOST", "THROTTLE_POS", "ENGINE_LOAD", "COOLANT_TEMP", "GPS_SPEED",
    "EngineSpeed", "VehicleSpeed", "BoostPressure",
)  # fmt: skip
"""Shown when nothing else was asked for, as far as the run has them."""
FIRST_FIGURES = ("latency",)
MOST_DEFAULTS = 8


def info_of(run: Run) -> dict[str, Any]:
    """Return the run's Info; it costs a pass over what was stored, the first time."""
    manifest = run.manifest
    layer = STORED if run.finished else REPORTED
    columns = run.part(layer)[layer]
    row = row_of(run.folder)
    end_ns = run.end_ns()
    limits = limits_of(run, run.verdicts(), None if run.finished else end_ns)
    signals = signals_of(run, columns, limits)
    return {
        "id": run.id,
        "title": f"{manifest.scenario}, seed {manifest.seed}",
        "kind": "run",
        "epoch_s": manifest.epoch_ns / 1e9,
        "start_s": manifest.epoch_ns / 1e9,
        "end_s": end_ns / 1e9,
        "live": run.running,
        "has": has_of(run, columns),
        "signals": signals,
        "phases": [
            {"name": p.name, "start_s": p.start_ns / 1e9, "end_s": p.end_ns / 1e9}
            for p in manifest.phases
        ],
        "faults": faults_of(run),
        "limits": limits,
        "verdict": row.outcome,
        "worst": row.worst,
        "command": manifest.command,
        "file": manifest.scenario_path,
        "damaged": row.damaged,
        "notes": run.notes,
        "manifest": {
            "scenario": manifest.scenario,
            "seed": manifest.seed,
            "mode": manifest.mode,
            "started": manifest.started,
            "matrix": manifest.matrix,
            "versions": manifest.versions,
            "trace_sha256": manifest.trace_sha256,
            "plan": manifest.plan,
            "devices": manifest.devices,
            "real_links": manifest.real_links,
            "result": {
                key: manifest.result[key]
                for key in ("sim_s", "wall_s", "gateway", "log", "store")
                if key in manifest.result
            },
        },
    }


def has_of(run: Run, columns: Layer) -> dict[str, Any]:
    """Return which kinds of data the run has."""
    folder = run.folder
    has_truth = (folder / TRUTH.file_name).exists() and bool(run.manifest.truth_columns)
    has_samples = (folder / SAMPLES.file_name).exists()
    layers = [REPORTED] if not run.finished else [STORED, REPORTED]
    if has_samples:
        layers.append(WIRE)
    if has_truth or has_samples:
        layers.append(TRUE)
    layers += [ERROR, DELAY] if has_samples else [DELAY]
    return {
        "truth": has_truth or has_samples,
        "wire": bool(run.links),
        "journey": bool(columns),
        "track": any(run.names.split(name)[1] == "LAT" for name in columns),
        "layers": layers,
    }


def signals_of(run: Run, columns: Layer, limits: list[DrawnLimit]) -> list[dict[str, Any]]:
    """Return the signals with readings, and the courses of figures."""
    names, manifest = run.names, run.manifest
    links = links_of(manifest)
    order = {link: place for place, link in enumerate(links)}
    ids = {info.name: number for number, info in names.signals.items()}
    found: list[dict[str, Any]] = []
    for name in sorted(columns, key=lambda n: (order.get(names.link(n), len(order)), n)):
        info, link = names.info(name), names.link(name)
        device, signal = names.split(name)
        is_real = link in manifest.real_links
        layers = [STORED, REPORTED] if run.finished else [REPORTED]
        found.append(
            {
                "name": name,
                "id": ids.get(signal),
                "label": name,
                "unit": info.unit,
                "resolution": info.resolution or None,
                "group": device or link,
                "link": link,
                "default": False,
                "layers": layers if is_real else [*layers, WIRE, TRUE, ERROR, DELAY],
                "limits": [],
            }
        )
    _choose_defaults(found)
    for name, family in figure_units(manifest).items():
        link, _, short = name.partition(".")
        own = [limit for limit in limits if limit.signal == name]
        found.append(
            {
                "name": name,
                "id": None,
                "label": name,
                "unit": family.unit,
                "resolution": None,
                "group": link,
                "link": link,
                "default": bool(own) and short in FIRST_FIGURES,
                "layers": [],
                "limits": own,
                "about": FAMILIES[short].about,
                "derived": True,
            }
        )
    return found


def _choose_defaults(signals: list[dict[str, Any]]) -> None:
    rank = {name: place for place, name in enumerate(FIRST_LOOK)}
    wanted = [s for s in signals if s["name"].rpartition(":")[2] in rank]
    wanted.sort(key=lambda signal: rank[signal["name"].rpartition(":")[2]])
    chosen = wanted[:MOST_DEFAULTS] or signals[:MOST_DEFAULTS]
    for signal in chosen:
        signal["default"] = True
