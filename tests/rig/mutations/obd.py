"""OBD values: scaled, swapped, not asked for, made up."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import msgspec

from server.catalogue import by_name
from server.obd.elm.adapter import Question
from server.obd.link import ObdLink
from server.readings import Reading

from .patching import around, change_obd_readings

MILE_KM = 1.609344
RPM, SPEED, MAF = by_name("RPM"), by_name("SPEED"), by_name("MAF")
LOAD, THROTTLE = by_name("ENGINE_LOAD"), by_name("THROTTLE_POS")
COOLANT, INTAKE_AIR, FUEL = by_name("COOLANT_TEMP"), by_name("INTAKE_TEMP"), by_name("FUEL_LEVEL")


def speed_in_mph() -> None:
    """SPEED is stored in miles per hour."""
    _scale(SPEED.id, 1 / MILE_KM)


def rpm_scaled() -> None:
    """RPM is one percent too high."""
    _scale(RPM.id, 1.01)


def rpm_undivided() -> None:
    """RPM is stored in the quarters of a revolution that are on the wire."""
    _scale(RPM.id, 4.0)


def temperature_without_offset() -> None:
    """COOLANT_TEMP is stored as the byte on the wire: its zero is at -40 degrees."""

    def change(r: Reading) -> Reading:
        return msgspec.structs.replace(r, value=r.value + 40) if r.signal == COOLANT.id else r

    change_obd_readings(change)


def last_value_when_mute() -> None:
    """A question without an answer is answered by the last value (python-OBD#94)."""
    last: dict[int, float] = {}

    @around(ObdLink, "_ask")
    def ask(original: Any, link: ObdLink, question: Question) -> float | None:
        value: float | None = original(link, question)
        if value is None:
            return last.get(question.signal.id)
        last[question.signal.id] = value
        return value


def boost_mirrored() -> None:
    """BOOST, which the gateway derives, has the wrong sign."""
    _scale(by_name("BOOST").id, -1.0)


def _scale(signal: int, factor: float) -> None:
    def change(r: Reading) -> Reading:
        return msgspec.structs.replace(r, value=r.value * factor) if r.signal == signal else r

    change_obd_readings(change)


def temperatures_swapped() -> None:
    """COOLANT_TEMP and INTAKE_TEMP change places."""
    other = {COOLANT.id: INTAKE_AIR.id, INTAKE_AIR.id: COOLANT.id}
    change_obd_readings(lambda r: msgspec.structs.replace(r, signal=other.get(r.signal, r.signal)))


def wrong_signal() -> None:
    """One THROTTLE_POS in twenty is stored as ENGINE_LOAD."""
    numbers = itertools.count(1)

    def change(r: Reading) -> Reading:
        if r.signal == THROTTLE.id and next(numbers) % 20 == 0:
            return msgspec.structs.replace(r, signal=LOAD.id)
        return r

    change_obd_readings(change)


def plan_lacks_maf() -> None:
    """MAF is planned at 2 Hz and never asked for."""
    _shorten_plan(MAF.id)


def plan_lacks_fuel_level() -> None:
    """FUEL_LEVEL is planned at 0.1 Hz and never asked for."""
    _shorten_plan(FUEL.id)


def _shorten_plan(signal: int) -> None:
    @around(ObdLink, "__init__")
    def init(original: Any, link: ObdLink, name: str, options: Any, **more: Any) -> None:
        plan = tuple(entry for entry in options.plan if entry.signal.id != signal)
        original(link, name, dataclasses.replace(options, plan=plan), **more)


def replies_unchecked() -> None:
    """A reply is taken for the answer to whatever was asked last."""

    @around(Question, "__init__")
    def init(original: Any, question: Question, *args: Any, **more: Any) -> None:
        original(question, *args, **more)
        question.prefix = b""
        question.frame_bytes = 0
