"""GSA and GSV of one sky: long texts that change every few seconds, so they are written once."""

from __future__ import annotations

from dataclasses import dataclass

from sim.gnss.acquisition import Stage
from sim.gnss.dop import NO_DOP
from sim.gnss.fields import decimal, sentence
from sim.gnss.profiles import ReceiverProfile
from sim.gnss.sky import Satellite, SkyView, System

TALKERS = {
    System.GPS: "GP",
    System.GLONASS: "GL",
    System.GALILEO: "GA",
    System.BEIDOU: "GB",
}
# NMEA 4.1 signal ids of what these chips track: L1 C/A, L1 OF, E1, B1I.
SIGNAL_IDS = {System.GPS: "1", System.GLONASS: "1", System.GALILEO: "7", System.BEIDOU: "1"}
GLONASS_OFFSET = 64  # NMEA numbers GLONASS slots from 65
GSA_PLACES = 12
GSV_PLACES = 4

# What stands for "no dilution of precision": u-blox 99.99, SiRF 50.0, MTK nothing.
NO_DOP_TEXT = {"ublox": "99.99", "sirf": "50.0", "mtk": ""}


@dataclass(frozen=True, slots=True)
class SkyText:
    """The sky's share of an epoch.

    Attributes:
        gsa, gsv: complete sentences.
        hdop: the field of GGA, and its value as a parser gets it.
        satellites: the number in GGA, in the first where there are two.
        per_system: satellites in use per system, capped as GSA is (for SiRFstarV's two GGA).
    """

    gsa: tuple[bytes, ...]
    gsv: tuple[bytes, ...]
    hdop: str
    hdop_value: float
    satellites: int
    per_system: tuple[int, ...]


def write_sky(profile: ReceiverProfile, view: SkyView, stage: Stage) -> SkyText:
    """Return GSA and GSV for `view` as a receiver at `stage` tells them."""
    has_position = stage == Stage.POSITION
    used = {
        system: tuple(s for s in view.used if s.system is system)[:GSA_PLACES]
        if has_position
        else ()
        for system in profile.systems
    }
    no_dop = NO_DOP_TEXT[profile.family]
    dops: tuple[str, ...] = (no_dop, no_dop, no_dop)
    hdop_value = float(no_dop or NO_DOP)
    if has_position:
        scale = int(10**profile.dop_digits)
        units = [round(d * scale) for d in (view.dop.pdop, view.dop.hdop, view.dop.vdop)]
        dops = tuple(decimal(unit, profile.dop_digits) for unit in units)
        hdop_value = units[1] / scale
    per_system = tuple(len(satellites) for satellites in used.values())
    return SkyText(
        tuple(
            _gsa(profile, system, satellites, has_position, dops)
            for system, satellites in used.items()
        ),
        tuple(_gsv(profile, view, stage)),
        dops[1],
        hdop_value,
        min(profile.most_satellites, sum(per_system[:1] if profile.gga_talkers else per_system)),
        per_system,
    )


def _number(satellite: Satellite) -> int:
    offset = GLONASS_OFFSET if satellite.system is System.GLONASS else 0
    return satellite.svid + offset


def _gsa(
    profile: ReceiverProfile,
    system: System,
    used: tuple[Satellite, ...],
    has_position: bool,
    dops: tuple[str, ...],
) -> bytes:
    numbers = [f"{_number(s):02d}" for s in used] + [""] * (GSA_PLACES - len(used))
    fields = ["A", "3" if has_position else "1", *numbers, *dops]
    if profile.nmea_41:
        fields.append(str(system.value))
    talker = "GN" if len(profile.systems) > 1 else "GP"
    return sentence(f"{talker}GSA,{','.join(fields)}")


def _gsv(profile: ReceiverProfile, view: SkyView, stage: Stage) -> list[bytes]:
    out = []
    for system in profile.systems:
        seen: list[Satellite] = []
        # Without time there is no almanac to predict who stands where.
        if stage >= Stage.TIME:
            seen = [s for s in view.satellites if s.system is system][: profile.most_in_view]
        total = max(1, -(-len(seen) // GSV_PLACES))
        signal = f",{SIGNAL_IDS[system]}" if profile.nmea_41 else ""
        for index in range(total):
            group = seen[index * GSV_PLACES : (index + 1) * GSV_PLACES]
            head = f"{TALKERS[system]}GSV,{total},{index + 1},{len(seen):02d}"
            out.append(sentence(head + "".join(map(_in_view, group)) + signal))
    return out


def _in_view(satellite: Satellite) -> str:
    azimuth_deg = int(satellite.azimuth_deg) % 360
    snr = satellite.snr_dbhz
    strength = "" if snr is None else f"{min(99, max(0, int(snr))):02d}"
    return (
        f",{_number(satellite):02d},{int(satellite.elevation_deg):02d},{azimuth_deg:03d},{strength}"
    )
