"""The sentences of one epoch as a chip writes them."""

from __future__ import annotations

from collections.abc import Iterable

from sim.gnss.acquisition import Stage
from sim.gnss.fields import (
    NS_PER_S,
    S_PER_DAY,
    date,
    date_fields,
    decimal,
    position,
    sentence,
    time_of_day,
)
from sim.gnss.profiles import ReceiverProfile
from sim.gnss.sky_text import NO_DOP_TEXT, SkyText
from sim.gnss.solution import Solution

# The MTK real-time clock counts from GPS week 0 until the sky sets it right.
MTK_CLOCK_START_NS = 3657 * S_PER_DAY * NS_PER_S  # 1980-01-06


class SentenceWriter:
    """Writes the sentences of one chip.

    Args:
        profile: the chip.
        geoid_m: height of the geoid over the ellipsoid, one decimal; field 11 of GGA.
        power_up_ns: UTC at power-up, from which an MTK clock counts while it knows no time.
    """

    def __init__(self, profile: ReceiverProfile, geoid_m: float, power_up_ns: int) -> None:
        self._profile = profile
        self._talker = profile.talker
        self._family = profile.family
        self._power_up_ns = power_up_ns
        self._geoid = decimal(round(geoid_m * 10.0), 1)
        self._status = ",V" if profile.nmea_41 else ""  # navigational status: not for navigation
        self._no_dop = NO_DOP_TEXT[profile.family]
        self._gga_tail = {"ublox": ",", "mtk": ",", "sirf": ",0000"}[profile.family]
        self._zda_tail = "00,00" if profile.family == "ublox" else ","
        self._time = self._date = self._date_fields = ""
        self._position = self._speed = self._course = ""

    def write(self, names: Iterable[str], solution: Solution, sky: SkyText) -> list[bytes]:
        """Return the sentences `names` of one epoch, in that order, each with CR LF."""
        self._prepare(solution)
        known = solution.stage == Stage.POSITION
        out: list[bytes] = []
        for name in names:
            if name == "GSV":
                out.extend(sky.gsv)
            elif name == "GSA":
                out.extend(sky.gsa)
            elif name == "GGA":
                out.extend(self._gga(solution, sky) if known else self._no_gga(sky))
            elif known:
                out.append(sentence(_FIX[name](self, solution)))
            else:
                out.append(sentence(_VOID[name](self, solution)))
        return out

    def _prepare(self, solution: Solution) -> None:
        profile, stage = self._profile, solution.stage
        time_ns = solution.time_ns
        self._time = self._date = self._date_fields = ""
        if stage < Stage.DATE and self._family == "mtk":
            time_ns = MTK_CLOCK_START_NS + max(0, time_ns - self._power_up_ns)
            stage = Stage.DATE
        if stage >= Stage.TIME:
            self._time = time_of_day(time_ns, profile.time_digits)
            if solution.is_leap:
                self._time = f"{self._time[:4]}60{self._time[6:]}"
        if stage >= Stage.DATE:
            self._date = date(time_ns)
            self._date_fields = date_fields(time_ns)
        if stage < Stage.POSITION:
            return
        self._position = position(solution.lat_units, solution.lon_units, profile.minute_digits)
        self._speed = decimal(solution.speed_units, profile.speed_digits)
        course = solution.course_units
        self._course = "" if course is None else decimal(course, 2)

    # -- with a position ----------------------------------------
    def _rmc(self, _: Solution) -> str:
        return (
            f"{self._talker}RMC,{self._time},A,{self._position},{self._speed},{self._course},"
            f"{self._date},,,A{self._status}"
        )

    def _vtg(self, solution: Solution) -> str:
        kph = decimal(solution.speed_kph_units, self._profile.speed_digits)
        return f"{self._talker}VTG,{self._course},T,,M,{self._speed},N,{kph},K,A"

    def _gga(self, solution: Solution, sky: SkyText) -> list[bytes]:
        middle = f"GGA,{self._time},{self._position},1,"
        tail = f",{sky.hdop},{decimal(solution.alt_dm, 1)},M,{self._geoid},M,{self._gga_tail}"
        if self._profile.gga_talkers:
            counts = zip(self._profile.gga_talkers, sky.per_system, strict=True)
            return [sentence(f"{talker}{middle}{n:02d}{tail}") for talker, n in counts]
        digits = "d" if self._family == "mtk" else "02d"  # MTK does not pad the number
        return [sentence(f"{self._talker}{middle}{sky.satellites:{digits}}{tail}")]

    def _gll(self, _: Solution) -> str:
        return f"{self._talker}GLL,{self._position},{self._time},A,A"

    def _zda(self, _: Solution) -> str:
        return f"{self._talker}ZDA,{self._time},{self._date_fields},{self._zda_tail}"

    def _gst(self, solution: Solution) -> str:
        lat, lon, alt = (decimal(round(s * 10.0), 1) for s in solution.sigma_m)
        ranges = decimal(round(self._profile.ranging_error_m * 10.0), 1)
        return f"{self._talker}GST,{self._time},{ranges},,,,{lat},{lon},{alt}"

    def _gbs(self, solution: Solution) -> str:
        lat, lon, alt = (decimal(round(s * 10.0), 1) for s in solution.sigma_m)
        ids = ",," if self._profile.nmea_41 else ""
        return f"{self._talker}GBS,{self._time},{lat},{lon},{alt},,,,{ids}"

    # -- without ----------------------------------------
    def _no_rmc(self, _: Solution) -> str:
        motion = "0.00,0.00" if self._family == "mtk" else ","
        return f"{self._talker}RMC,{self._time},V,,,,,{motion},{self._date},,,N{self._status}"

    def _no_vtg(self, _: Solution) -> str:
        if self._family == "mtk":
            return f"{self._talker}VTG,0.00,T,,M,0.00,N,0.00,K,N"
        return f"{self._talker}VTG,,,,,,,,,N"

    def _no_gga(self, sky: SkyText) -> list[bytes]:
        count = "0" if self._family == "mtk" else "00"
        units = {"ublox": ",,,,,,", "mtk": ",,M,,M,,", "sirf": ",,M,0.0,M,,0000"}[self._family]
        body = f"GGA,{self._time},,,,,0,{count},{self._no_dop}{units}"
        talkers = self._profile.gga_talkers or (self._talker,)
        return [sentence(f"{talker}{body}") for talker in talkers]

    def _no_gll(self, _: Solution) -> str:
        return f"{self._talker}GLL,,,,,{self._time},V,N"

    def _no_zda(self, _: Solution) -> str:
        return f"{self._talker}ZDA,{self._time},{self._date_fields or ',,'},{self._zda_tail}"

    def _no_gst(self, _: Solution) -> str:
        return f"{self._talker}GST,{self._time},,,,,,,"

    def _no_gbs(self, _: Solution) -> str:
        return f"{self._talker}GBS,{self._time},,,,,,,{',,' if self._profile.nmea_41 else ''}"


_FIX = {
    "RMC": SentenceWriter._rmc,
    "VTG": SentenceWriter._vtg,
    "GLL": SentenceWriter._gll,
    "ZDA": SentenceWriter._zda,
    "GST": SentenceWriter._gst,
    "GBS": SentenceWriter._gbs,
}
_VOID = {
    "RMC": SentenceWriter._no_rmc,
    "VTG": SentenceWriter._no_vtg,
    "GLL": SentenceWriter._no_gll,
    "ZDA": SentenceWriter._no_zda,
    "GST": SentenceWriter._no_gst,
    "GBS": SentenceWriter._no_gbs,
}
