"""What the series of a run are called.

A signal has its own name (`RPM`) where one source alone can have it: the gateway's own links, or
the only device of a run that has no others. Of further devices it is `device:NAME`. Courses of
figures are `<link>.<family>`, in lower case (`obd.latency`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rig.measures.signals import signals_of
from rig.record.manifest import Manifest, SignalInfo
from rig.record.streams import link_of_wire

LOCAL = ""
"""The device that the gateway's own links make up."""
DERIVED = "derived"
TRUTH = "truth"

# Truth that is recorded under another name or in another unit: signal -> (column, factor).
TRUTH_ALIASES = {
    "BOOST": ("boost_kpa", 0.1450377377),
    "CONTROL_MODULE_VOLTAGE": ("battery_v", 1.0),
    "FUEL_RATE": ("fuel_rate_lph", 1.0),
    "GPS_SPEED": ("SPEED", 1.0),
}


class Names:
    """The names of one run's series.

    Attributes:
        signals: signal id -> what the gateway's catalogue said of it.
        truth_columns: what the record calls the truth's columns.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.signals: Mapping[int, SignalInfo] = signals_of(manifest)
        self.truth_columns = manifest.truth_columns
        self._devices = manifest.devices
        self._by_name = {info.name: info for info in reversed(self.signals.values())}
        own_links = {link for link in manifest.plan if link not in manifest.devices.values()}
        self._only = next(iter(self._devices)) if len(self._devices) == 1 and not own_links else ""

    def device_of(self, device: str) -> str:
        """Return the device of a row; `LOCAL` for what came over the gateway's own links."""
        return device if device in self._devices else LOCAL

    def of(self, device: str, signal: str) -> str:
        """Return the name of a device's signal."""
        return signal if device in (LOCAL, self._only) else f"{device}:{signal}"

    def of_key(self, key: tuple[str, Any]) -> str:
        """Return the name of a row's series: (device, signal id), or (source, signal name)."""
        whose, signal = key
        if isinstance(signal, int):
            info = self.signals.get(signal)
            return self.of(whose, info.name if info else str(signal))
        if whose == TRUTH:
            return str(signal)
        return self.of(self.device_of(whose), signal)

    def split(self, name: str) -> tuple[str, str]:
        """Return (device, signal) of a series' name."""
        device, colon, signal = name.partition(":")
        if colon and device in self._devices:
            return device, signal
        return self._only or LOCAL, name

    def info(self, name: str) -> SignalInfo:
        """Return what is known of a series' signal."""
        signal = self.split(name)[1]
        return self._by_name.get(signal) or SignalInfo(signal, "", 0.0, "")

    def link(self, name: str) -> str:
        """Return the link that a series came over; "derived" for what the gateway computes."""
        device, _ = self.split(name)
        if device != LOCAL:
            return self._devices[device]
        return link_of_wire(self.info(name).link) or DERIVED

    def truth_of(self, name: str) -> tuple[str, float] | None:
        """Return (column, factor) of the truth of a series, if the record has it."""
        signal = self.split(name)[1]
        column, factor = signal, 1.0
        if column not in self.truth_columns:
            column, factor = TRUTH_ALIASES.get(signal, (signal, 1.0))
        return (column, factor) if column in self.truth_columns else None
