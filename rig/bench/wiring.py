"""The wiring table: for each link what stands at its two ends, and what lies between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rig.bench.model import DRIVE, MODEL, PLACES, REAL, WIRED, Bench, Place

HEADINGS = ("link", "world's end", "wire", "gateway's end")


@dataclass(frozen=True, slots=True)
class Wire:
    """One line of the table.

    Attributes:
        link: name of the place.
        world: what stands at the world's end.
        wire: what lies between.
        gateway: what the gateway opens.
    """

    link: str
    world: str
    wire: str
    gateway: str


def wiring(
    bench: Bench, identities: Mapping[str, Mapping[str, str]] | None = None
) -> Iterator[Wire]:
    """Yield a line for each link, in their usual order.

    Args:
        bench: what the file says.
        identities: what devices say of themselves, by link.
    """
    for name in PLACES:
        place = bench.at(name)
        if name in WIRED or place.kind != MODEL:
            said = (identities or {}).get(name, {})
            yield Wire(name, _world(place, said), _wire(name, place), _gateway(bench, place))


def _world(place: Place, said: Mapping[str, str]) -> str:
    if place.kind == MODEL:
        return "simulated"
    if place.kind == DRIVE:
        return "simulated, drives a real port"
    keys = ("ATI", "hardware", "firmware", "version", "name", "usb.serial")
    known = ", ".join(said[key].partition(";")[0] for key in keys if key in said)
    switch = ", with a power switch" if place.power is not None else ""
    return f"real: {known or 'a device'}{switch}"


def _wire(name: str, place: Place) -> str:
    if place.kind == MODEL:
        return "-"
    if place.can is not None:
        return f"{place.where}, {place.can.bitrate_bps / 1000:g} kbit/s"
    rate = "" if place.address is not None else f", {place.baud_of(name)} baud"
    return f"{place.where}{rate}"


def _gateway(bench: Bench, place: Place) -> str:
    if not bench.gateway.is_here:
        return f"{bench.gateway.at}: its own port" if place.kind != MODEL else "out of reach"
    if place.kind == MODEL:
        return "a PTY or port of the rig"
    if place.kind == DRIVE:
        return "the other end of the cable"
    taps = place.kind == REAL and place.tap and place.serial_name is not None
    return "a PTY; the rig records between" if taps else f"opens {place.where} itself"
