"""What the measures need to know of a signal: its link, its resolution, where it wraps."""

from __future__ import annotations

from rig.record.manifest import Manifest, SignalInfo

_FULL_CIRCLE_DEG = 360.0


def catalogue_signals() -> dict[int, SignalInfo]:
    """Return the gateway's catalogue of today, as a manifest keeps it."""
    # Here and not above: reading a record that brings its own signals needs no gateway.
    from server.catalogue import CATALOGUE

    signals = {}
    for signal in CATALOGUE:
        kind = signal.source.split(":", 1)[0]
        is_heading = signal.unit == "°" and (signal.minimum, signal.maximum) == (0, 360)
        signals[signal.id] = SignalInfo(
            signal.name,
            signal.unit,
            float(signal.resolution),
            "" if kind == "derived" else kind,
            _FULL_CIRCLE_DEG if is_heading else None,
        )
    return signals


def signals_of(manifest: Manifest) -> dict[int, SignalInfo]:
    """Return signal id -> signal: as the run had them, or else as the catalogue has them today."""
    return manifest.signals or catalogue_signals()
