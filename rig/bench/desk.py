"""A bench in use: looked at once as a whole, and briefly before each run."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rig.bench.check import Checked, check_bench
from rig.bench.fitness import places_of
from rig.bench.model import MODEL, Bench
from rig.bench.port_look import look_at_ports

if TYPE_CHECKING:
    from rig.scenario.model import Scenario

BROKEN = "bench broken: "


class Desk:
    """What stands there, and whether it still does.

    The whole look takes seconds (devices are asked who they are) and happens once. Before each run
    the ports of its links are looked at again, which takes milliseconds: an adapter that was pulled
    out since then makes no further run fail.

    Attributes:
        bench: what the file says.
        trouble: why a scenario could not be driven, as it was told last; "" while none was.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.trouble = ""
        self._checked: Checked | None = None
        self._lock = threading.Lock()

    @property
    def checked(self) -> Checked:
        """What the look at the whole bench has found."""
        with self._lock:
            if self._checked is None:
                self._checked = check_bench(self.bench)
            return self._checked

    def obstacle(self, scenario: Scenario) -> str:
        """Say why a scenario cannot be driven here; "" where it can.

        Either the bench lacks what it needs, or what it needs is broken; the second is `trouble`.
        """
        lack = self.bench.lacks(scenario)
        if lack is not None:
            return lack
        names = [name for name in places_of(scenario) if self.bench.at(name).kind != MODEL]
        found = self.checked.broken(names)
        if not found:
            found = look_at_ports({name: self.bench.at(name) for name in names})
        if found:
            self.trouble = BROKEN + found
            return self.trouble
        return ""

    def properties(self) -> Mapping[str, str]:
        """Return what reports keep of the bench: file, hash, places, identities of devices."""
        bench = self.bench
        found = {
            "rig.bench": bench.name,
            "rig.bench.file": str(bench.path),
            "rig.bench.sha256": bench.sha256,
            "rig.bench.features": " ".join(bench.features),
            "rig.bench.gateway": bench.gateway.at or "local",
        }
        for name in (*bench.real_links, *bench.driven_links):
            found[f"rig.bench.{name}"] = f"{bench.at(name).kind} {bench.at(name).where}"
        for name, said in self.checked.identities.items():
            found |= {f"rig.bench.{name}.{key}": value for key, value in said.items()}
        return found


def lack_without_bench(scenario: Scenario) -> str:
    """Say why a scenario cannot be driven where nothing is real; "" where it can."""
    if not scenario.features:
        return ""
    words = " and ".join(map(repr, scenario.features))
    return f"needs {words}, which a bench must have among its features; no bench file was given"
