"""Receiver chips: what they say, in which order, how fast, and what they do when the line is full.

Orders and bytes per epoch are those of recorded logs (u-blox MAX-M8Q, NEO-M9N, MT3339, SiRF-III and
SiRFstarV in gpsd's collection); constants that no log or data sheet gives are marked as assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from sim.gnss.errors import GnssError
from sim.gnss.sky import System
from sim.gnss.ubx_chip import M8_UBX, M9_UBX, UbxChip

SENTENCES = ("RMC", "VTG", "GGA", "GSA", "GSV", "GLL", "GST", "ZDA", "GBS")

Family = Literal["ublox", "mtk", "sirf"]
"""Decides the dialect of commands and the words of the banner."""

WhenFull = Literal["drop_sentences", "skip_epochs"]
"""What a chip does with what does not fit the line.

drop_sentences: a sentence that finds no room in the transmit buffer is dropped, those queued stay,
so the output lags by a whole buffer (u-blox M8 protocol description, "UART ports").
skip_epochs: while the last epoch is still leaving, a new one is not put out at all (MTK, SiRF).
"""


@dataclass(frozen=True, slots=True)
class ReceiverProfile:
    """One kind of receiver chip as it comes out of the box.

    Attributes:
        name: key in PROFILES.
        family: dialect of its commands and banner.
        systems: satellite systems that it tracks, in the order of its GSA and GSV.
        order: every sentence that it can send, in the order of one epoch.
        every: epochs from one sentence to the next of its kind; what is not listed is off.
        talker: first two letters of RMC, VTG, GGA, GLL, ZDA, GST, GBS.
        gga_talkers: SiRFstarV sends one GGA per system; all others one with `talker`.
        minute_digits: decimals of the minutes of latitude and longitude.
        time_digits: decimals of the seconds.
        speed_digits: decimals of speed in knots and km/h.
        dop_digits: decimals of the dilutions of precision.
        nmea_41: navigational status in RMC, system id in GSA, signal id in GSV.
        most_satellites: largest number in GGA (NMEA before 4.1 allows 12).
        most_in_view: satellites listed per system in GSV.
        course_from_mps: speed below which no course is known; 0 switches that off.
        course_below: what stands in the field then.
        ranging_error_m: user equivalent range error, one sigma.
        max_rate_hz: fastest navigation rate with these systems.
        output_delay_s: from the UTC instant to the first byte, lowest and highest.
        boot_s: from power-up to the banner.
        first_fix_s: time to first fix after a hot, warm and cold restart by command.
        reacquisition_s: from the end of a short gap to the next position.
        baud: the rate out of the box.
        when_full: what happens when an epoch does not fit the line.
        transmit_buffer_bytes: room for what waits to leave.
        usb: an epoch leaves as one write.
        banner: bodies of the sentences at power-up.
        ubx: the binary side of a u-blox chip; None for others.
    """

    name: str
    family: Family
    systems: tuple[System, ...]
    order: tuple[str, ...]
    every: Mapping[str, int]
    talker: str
    gga_talkers: tuple[str, ...] = ()
    minute_digits: int = 4
    time_digits: int = 3
    speed_digits: int = 2
    dop_digits: int = 2
    nmea_41: bool = False
    most_satellites: int = 12
    most_in_view: int = 12
    course_from_mps: float = 0.0
    course_below: Literal["empty", "held"] = "held"
    ranging_error_m: float = 2.0
    max_rate_hz: float = 10.0
    output_delay_s: tuple[float, float] = (0.05, 0.06)
    boot_s: float = 0.1
    first_fix_s: tuple[float, float, float] = (1.0, 30.0, 35.0)
    reacquisition_s: float = 1.0
    baud: int = 9600
    when_full: WhenFull = "drop_sentences"
    transmit_buffer_bytes: int = 4096
    usb: bool = False
    banner: tuple[str, ...] = field(default=(), repr=False)
    ubx: UbxChip | None = None


def _every(*names: str, **slower: int) -> Mapping[str, int]:
    return MappingProxyType(dict.fromkeys(names, 1) | slower)


_UBLOX_ORDER = ("RMC", "VTG", "GGA", "GSA", "GSV", "GLL", "GST", "ZDA", "GBS")

# Banner texts as recorded from such modules.
_M8_BANNER = (
    "GNTXT,01,01,02,u-blox AG - www.u-blox.com",
    "GNTXT,01,01,02,HW UBX-M8030 00080000",
    "GNTXT,01,01,02,ROM CORE 3.01 (107888)",
    "GNTXT,01,01,02,FWVER=SPG 3.01",
    "GNTXT,01,01,02,PROTVER=18.00",
    "GNTXT,01,01,02,GPS;GLO;GAL;BDS",
    "GNTXT,01,01,02,SBAS;IMES;QZSS",
    "GNTXT,01,01,02,GNSS OTP=GPS;GLO",
    "GNTXT,01,01,02,LLC=FFFFFFFF-FFFFFFFF-FFFFFFFF-FFFFFFFF-FFFFFFFD",
    "GNTXT,01,01,02,ANTSUPERV=AC SD PDoS SR",
    "GNTXT,01,01,02,ANTSTATUS=OK",
    "GNTXT,01,01,02,PF=3FF",
)
_M9_BANNER = (
    "GNTXT,01,01,02,u-blox AG - www.u-blox.com",
    "GNTXT,01,01,02,HW UBX 9 00190000",
    "GNTXT,01,01,02,ROM SPG 4.04 (7f89f7)",
    "GNTXT,01,01,02,FWVER=SPG 4.04",
    "GNTXT,01,01,02,PROTVER=32.01",
    "GNTXT,01,01,02,MOD=NEO-M9N",
    "GNTXT,01,01,02,GPS;GLO;GAL;BDS",
    "GNTXT,01,01,02,SBAS;QZSS",
    "GNTXT,01,01,02,ANTSUPERV=AC SD PDoS SR",
    "GNTXT,01,01,02,ANTSTATUS=OK",
    "GNTXT,01,01,02,PF=FFFFFFFF",
)

UBLOX_M8 = ReceiverProfile(
    name="ublox_m8",
    family="ublox",
    systems=(System.GPS, System.GLONASS),
    order=_UBLOX_ORDER,
    every=_every("RMC", "VTG", "GGA", "GSA", "GSV", "GLL", "ZDA"),
    talker="GN",
    minute_digits=5,
    time_digits=2,
    speed_digits=3,
    nmea_41=True,
    most_in_view=16,
    course_from_mps=0.5,  # assumed; the data sheet's low-speed course filter
    course_below="empty",
    max_rate_hz=10.0,  # data sheet NEO-M8N, GPS and GLONASS (18 Hz for GPS alone)
    output_delay_s=(0.030, 0.055),  # assumed
    first_fix_s=(1.0, 25.0, 26.0),  # data sheet NEO-M8
    banner=_M8_BANNER,
    ubx=M8_UBX,
)

UBLOX_M9 = replace(
    UBLOX_M8,
    name="ublox_m9",
    systems=(System.GPS, System.GLONASS, System.GALILEO, System.BEIDOU),
    every=_every(*_UBLOX_ORDER),
    most_satellites=99,
    ranging_error_m=1.6,
    max_rate_hz=25.0,  # data sheet NEO-M9N, four systems
    output_delay_s=(0.020, 0.035),  # assumed
    first_fix_s=(2.0, 25.0, 24.0),  # data sheet NEO-M9N
    baud=38400,
    banner=_M9_BANNER,
    ubx=M9_UBX,
)

MT3339 = ReceiverProfile(
    name="mt3339",
    family="mtk",
    systems=(System.GPS,),
    order=("GGA", "GSA", "GSV", "RMC", "VTG", "ZDA", "GLL"),
    every=_every("GGA", "GSA", "RMC", "ZDA", GSV=5),
    talker="GP",
    most_satellites=22,
    ranging_error_m=2.5,
    max_rate_hz=10.0,  # data sheet MT3339
    output_delay_s=(0.060, 0.075),  # assumed
    boot_s=0.3,
    first_fix_s=(1.0, 33.0, 35.0),  # data sheet of a module with it
    when_full="skip_epochs",
    transmit_buffer_bytes=1024,
    banner=("PMTK011,MTKGPS", "PMTK010,001"),
)

SIRF = ReceiverProfile(
    name="sirf",
    family="sirf",
    systems=(System.GPS,),
    order=("GGA", "GLL", "GSA", "GSV", "RMC", "VTG", "ZDA"),
    every=_every("GGA", "GSA", "RMC", GSV=5),
    talker="GP",
    dop_digits=1,
    course_from_mps=0.3,  # assumed: recorded ones freeze the course of a standing car
    ranging_error_m=3.0,
    max_rate_hz=5.0,  # SiRF-III has 1 Hz firmware, its successors 5 Hz
    output_delay_s=(0.200, 0.260),  # assumed
    boot_s=0.3,
    first_fix_s=(1.0, 35.0, 42.0),  # data sheet SiRFstarIII
    baud=4800,
    when_full="skip_epochs",
    transmit_buffer_bytes=1024,
    banner=(
        "PSRFTXT,Version:GSW3.2.4_3.1.00.12-SDK003P1.00c",
        "PSRFTXT,Version2:F-GPS-03-0701231",
        "PSRFTXT,TOW:  0",
        "PSRFTXT,WK:   1399",
        "PSRFTXT,POS:  6378137 0 0",
        "PSRFTXT,CLK:  96250",
        "PSRFTXT,CHNL: 12",
        "PSRFTXT,Baud rate: 4800",
    ),
)

SIRF_V = replace(
    SIRF,
    name="sirf_v",
    systems=(System.GPS, System.GLONASS),
    talker="GN",
    gga_talkers=("GP", "GL"),
    output_delay_s=(0.100, 0.150),  # assumed
    baud=9600,
)

# USB sticks with the same chip: the UART's pace and its gaps between sentences are not there.
UBLOX_M8_USB = replace(UBLOX_M8, name="ublox_m8_usb", usb=True)

PROFILES: Mapping[str, ReceiverProfile] = MappingProxyType(
    {p.name: p for p in (UBLOX_M8, UBLOX_M8_USB, UBLOX_M9, MT3339, SIRF, SIRF_V)}
)


def profile(name: str) -> ReceiverProfile:
    """Return the profile of that name; GnssError names those that exist."""
    try:
        return PROFILES[name]
    except KeyError:
        raise GnssError(
            f"GNSS profile: expected one of {', '.join(PROFILES)}, got {name!r}"
        ) from None
