"""Who is there, is it who should be there, and what does it say of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rig.bench.handshake import Heard, who_is_there
from rig.bench.identity import identity_of
from rig.bench.model import DRIVE, Place
from rig.bench.port_look import is_slcan
from rig.bench.voices import BOARD, CLIENT, ELM327, MESHTASTIC, NMEA, SLCAN, UBX, Voice
from server.errors import LinkLost
from server.operation.checks.finding import FAIL, OK, WARN, Finding
from sim.mesh_setup import BASE_LINE

WANTED: Mapping[str, Voice] = {
    "obd": ELM327,
    "gps": NMEA,
    "mesh": MESHTASTIC,
    BASE_LINE: MESHTASTIC,
    "esp32": BOARD,
    "can": SLCAN,
}
LOW_VOLTAGE_V = 9.0
"""Below this a control unit of a car does not work: the plug is not in a car, or its battery is."""
HINTS: Mapping[str, str] = {
    "obd": "has it power (an ELM327 takes it from the car's plug)?",
    "gps": "is it on, its TX at our RX?",
    "mesh": "is it on, and its serial module in the mode PROTO?",
    BASE_LINE: "is it on, and its serial module in the mode PROTO?",
    "esp32": "is it on, with the logger's firmware?",
    "can": "is it an slcan adapter, and on?",
}


def wanted_at(link: str, place: Place) -> Voice:
    """Return who should speak at a place."""
    return SLCAN if is_slcan(place) else WANTED[link]


def look_at_speech(link: str, place: Place) -> tuple[Heard | None, dict[str, str], list[Finding]]:
    """Return who is there, what it says of itself, and what that means."""
    name, baud, has_rate = _line_of(link, place)
    wanted = wanted_at(link, place)
    drives = place.kind == DRIVE and place.can is None
    try:
        heard = who_is_there(name, baud, wanted, has_rate=has_rate, can_be_asked=not drives)
        is_right = heard.voice is not None and heard.voice.link == wanted.link
        said = identity_of(name, heard, _radio_port(place)) if is_right else {}
    except LinkLost as error:
        found = f"{place.place}: expected {wanted.what}, found: {error}"
        advice = "is anything else connected to it?" if place.address else "unplug it, and plug in"
        return None, {}, [Finding(link, FAIL, found, advice)]
    if drives:
        return heard, {}, [_judged_drive(link, place, heard)]
    return heard, said, list(_judged(link, place, wanted, heard, said))


def _line_of(link: str, place: Place) -> tuple[str, int, bool]:
    """Return name, rate, and whether there can be another rate."""
    if place.can is not None:
        baud = place.can.options.get("tty_baudrate", 115_200)
        return str(place.can.channel).partition("@")[0], int(baud), True
    name = place.serial_name
    assert name is not None
    is_tcp = place.address is not None or name.startswith("socket://")
    return name, place.baud_of(link), not is_tcp


def _radio_port(place: Place) -> str:
    return f"tcp://{place.where}" if place.address is not None else place.serial_name or ""


def _judged(
    link: str, place: Place, wanted: Voice, heard: Heard, said: Mapping[str, str]
) -> Iterator[Finding]:
    if heard.voice is None:
        yield _silence(link, place, wanted, heard)
        return
    expected = f"{place.place}: expected {wanted.what}"
    speed = "" if place.address is not None else f" at {heard.baud} baud"
    if heard.voice is UBX and wanted is NMEA:
        advice = "switch NMEA output on (u-center, or UBX-CFG-PRT)"
        yield Finding(link, FAIL, f"{expected}, found {heard.voice.what}{speed}", advice)
    elif heard.voice.link != wanted.link:  # what to do depends on the other places
        yield Finding(link, FAIL, f"{expected}, found {heard.voice.what}{speed}")
    elif speed and heard.baud != _line_of(link, place)[1]:
        found = f"{expected} at {_line_of(link, place)[1]} baud, found one{speed}"
        rate = f"baud: {heard.baud}"
        if place.can is not None:
            rate = f"options: {{tty_baudrate: {heard.baud}}}"
        yield Finding(link, FAIL, found, f"write `{rate}`")
    else:
        speed = speed.replace(" at", ",")
        yield Finding(link, OK, f"{_named(wanted, said)} at {place.where}{speed}")
        yield from _doubts(link, said)


def _silence(link: str, place: Place, wanted: Voice, heard: Heard) -> Finding:
    """Nobody that is known: nothing at all, or what makes no sense."""
    rates = "" if place.address is not None else f" at {', '.join(map(str, heard.rates))} baud"
    expected = f"{place.place}: expected {wanted.what}"
    if heard.noise:
        found = f"{expected}, found bytes that make no sense{rates}"
        return Finding(link, FAIL, found, "another device, or a bad cable or ground?")
    return Finding(link, FAIL, f"{expected}, found nothing that answers{rates}", HINTS[link])


def _named(voice: Voice, said: Mapping[str, str]) -> str:
    for key in ("ATI", "firmware", "version", "name", "sentences"):
        if key in said:
            return f"{voice.what} ({said[key].partition(';')[0]})"
    return voice.what


def _doubts(link: str, said: Mapping[str, str]) -> Iterator[Finding]:
    """What works, and yet will spoil a run."""
    if said.get("fix") == "no":
        found = "the receiver has no fix: limits on positions cannot be kept"
        yield Finding(link, WARN, found, "put its antenna under the sky, and wait")
    try:
        volts = float(said.get("ATRV", "").rstrip("Vv ") or "nan")
    except ValueError:
        return
    if volts < LOW_VOLTAGE_V:
        found = f"the adapter measures {volts:g} V: no car behind it answers at that"
        yield Finding(link, WARN, found, "ignition on? battery? is it in the car's plug?")


def _judged_drive(link: str, place: Place, heard: Heard) -> Finding:
    """At a port that our model drives there is a gateway, or nobody yet; never a device."""
    if heard.voice is None or heard.voice is CLIENT:
        asks = "; somebody at its other end asks an ELM327" if heard.voice else ""
        return Finding(link, OK, f"{place.where} can be driven{asks}")
    found = f"{place.place}: expected a gateway at the other end, found {heard.voice.what}"
    advice = f"write `{heard.voice.link}: {{real: {place.where}}}`, or plug the cable elsewhere"
    return Finding(link, FAIL, found, advice)
