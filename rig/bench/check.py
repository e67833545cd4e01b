"""`telerig bench check`: a look at everything that a bench file names.

Each place is looked at in a thread of its own; what one look finds can explain another (two
adapters that were swapped), so advice on wrong devices is given at the end.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from rig.bench.can_look import look_at_bus
from rig.bench.gateway_look import look_at_gateway
from rig.bench.handshake import Heard
from rig.bench.model import DRIVE, MODEL, PLACES, Bench, Place
from rig.bench.port_look import (
    device_of,
    is_slcan,
    look_at_device,
    look_at_server,
    look_at_switch,
    usb_of,
)
from rig.bench.speech_look import look_at_speech, wanted_at
from server.operation.checks.finding import FAIL, Finding

__all__ = ["Checked", "Look", "check_bench", "manifest_entry"]

GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at one place has found.

    Attributes:
        link: the place, or "gateway".
        place: what the file says of it.
        findings: what is there.
        identity: what the device says of itself, and its USB numbers.
        heard: who speaks there; None: nobody was listened to.
    """

    link: str
    place: Place
    findings: tuple[Finding, ...] = ()
    identity: Mapping[str, str] = field(default_factory=dict)
    heard: Heard | None = None

    @property
    def is_broken(self) -> bool:
        """True where the place cannot be used."""
        return any(finding.state == FAIL for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look at a bench has found.

    Attributes:
        bench: that was looked at.
        looks: at its links in their usual order, then at its gateway.
    """

    bench: Bench
    looks: tuple[Look, ...]

    @property
    def findings(self) -> list[Finding]:
        """All of them."""
        return [finding for look in self.looks for finding in look.findings]

    @property
    def failures(self) -> list[Finding]:
        """What keeps the bench from being used."""
        return [finding for finding in self.findings if finding.state == FAIL]

    @property
    def identities(self) -> dict[str, dict[str, str]]:
        """Link -> what its device says of itself."""
        return {look.link: dict(look.identity) for look in self.looks if look.identity}

    def broken(self, names: Collection[str] | None = None) -> str:
        """Say in a sentence why the bench cannot be used for some places; "" where it can.

        Args:
            names: of the places; the gateway counts always. None: all.
        """
        for look in self.looks:
            if look.is_broken and (names is None or look.link in (*names, GATEWAY)):
                finding = next(f for f in look.findings if f.state == FAIL)
                advice = f"; {finding.advice}" if finding.advice else ""
                return f"{finding.check}: {finding.found}{advice}"
        return ""


def check_bench(bench: Bench, only: Collection[str] | None = None) -> Checked:
    """Look at every place of a bench that is not simulated, and at its gateway.

    Nothing stays open. It takes up to some 30 s where a device says nothing at all.

    Args:
        bench: what the file says.
        only: names of places; None: all.
    """
    names = [name for name in PLACES if bench.at(name).kind != MODEL]
    names = [name for name in names if only is None or name in only]
    with ThreadPoolExecutor(max_workers=len(names) + 1) as pool:
        gateway = pool.submit(lambda: tuple(look_at_gateway(bench.gateway)))
        looks = list(pool.map(lambda name: _look(name, bench.at(name)), names))
    looks = [_explained(look, looks) for look in looks]
    last = Look(GATEWAY, Place(place=bench.gateway.place), gateway.result())
    return Checked(bench, (*looks, last))


def manifest_entry(bench: Bench, checked: Checked | None) -> dict[str, Any]:
    """Return what a record keeps of the bench on which it was made."""
    return {
        "name": bench.name,
        "file": str(bench.path or ""),
        "sha256": bench.sha256,
        "features": list(bench.features),
        "gateway": bench.gateway.at or "local",
        "links": {
            name: {"kind": bench.at(name).kind, "where": bench.at(name).where}
            for name in PLACES
            if bench.at(name).kind != MODEL
        },
        "identities": {} if checked is None else checked.identities,
    }


def _look(link: str, place: Place) -> Look:
    findings = list(look_at_switch(link, place))
    path = device_of(place)
    if path is not None:
        findings += look_at_device(link, place, path)
    elif place.address is not None:
        findings += look_at_server(link, place)
    if any(finding.state == FAIL for finding in findings):
        return Look(link, place, tuple(findings))
    usb = {} if path is None else usb_of(path)
    heard: Heard | None = None
    said: dict[str, str] = {}
    if place.is_serial or place.address is not None or is_slcan(place):
        heard, said, told = look_at_speech(link, place)
        findings += told
    if place.can is not None and not any(finding.state == FAIL for finding in findings):
        findings += look_at_bus(link, place)
    return Look(link, place, tuple(findings), {**said, **usb}, heard)


def _explained(look: Look, looks: Collection[Look]) -> Look:
    """Say what to do about a device that stands in another's place."""
    heard = look.heard
    if heard is None or heard.voice is None or look.place.kind == DRIVE or not look.findings:
        return look
    last = look.findings[-1]
    if last.state != FAIL or last.advice:
        return look
    here, there = wanted_at(look.link, look.place).link, heard.voice.link
    swapped = next((other.link for other in looks if _is_where(other, there, here)), None)
    if swapped is not None:
        advice = f"swap the places of {look.link!r} and {swapped!r}"
    elif there:
        advice = f"write `{there}: {{real: {look.place.where}}}`, and find the right port"
    else:
        advice = "name the right port"
    return replace(look, findings=(*look.findings[:-1], replace(last, advice=advice)))


def _is_where(look: Look, wanted: str, found: str) -> bool:
    """True for a place that should have a `wanted` and has a `found`."""
    voice = None if look.heard is None else look.heard.voice
    return (
        look.is_broken
        and voice is not None
        and voice.link == found
        and wanted_at(look.link, look.place).link == wanted
    )
