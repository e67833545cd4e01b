"""Which signals of the files are wanted, and how often; from the configuration.

    signals = {EngineSpeed = 10, VehicleSpeed = "all", Gear = "change"}
    rate_hz = 10            # of all signals, where `signals` is absent; also "all" or "change"

A number is the times a second at most, by the time on the bus: a signal of a message that comes
more often is left out in between, and not even decoded. "all": each frame gives a reading.
"change": a reading where the value differs from the last one, and each `heartbeat_s` otherwise.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.can.database import LoadedMessage
from server.can.signals import catalogue_names, catalogue_signal
from server.catalogue import Signal
from server.config_section import Section, describe

if TYPE_CHECKING:
    import cantools.database.can

ALL = "all"
CHANGE = "change"
DEFAULT_RATE_HZ = 10.0
FASTEST_HZ = 10_000.0


@dataclass(frozen=True, slots=True)
class PlannedSignal:
    """One signal that is wanted.

    Attributes:
        entry: in the catalogue.
        layout: as cantools has it.
        rate_hz: times a second at most; 0: each frame.
        on_change: only where the value differs, and now and then.
        is_named: whether the configuration names it.
    """

    entry: Signal
    layout: cantools.database.can.Signal
    rate_hz: float
    on_change: bool
    is_named: bool


@dataclass(frozen=True, slots=True)
class PlannedMessage:
    """One message that is wanted.

    Attributes:
        can_id: identifier with the flag EXTENDED.
        name: in the file.
        length: bytes of data by the file.
        cycle_s: time between two frames by the file; 0: it does not say.
        signals: that are wanted of it.
        muxes: all of its signals that choose between others, whether wanted or not.
        mask: bits of the identifier that tell the message.
        is_j1939: a parameter group of J1939.
    """

    can_id: int
    name: str
    length: int
    cycle_s: float
    signals: tuple[PlannedSignal, ...]
    muxes: Mapping[str, cantools.database.can.Signal]
    mask: int
    is_j1939: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What a link shall read.

    Attributes:
        messages: those with a wanted signal.
        files: as configured.
    """

    messages: tuple[PlannedMessage, ...]
    files: tuple[str, ...]

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Entries of the catalogue, by id."""
        entries = (planned.entry for message in self.messages for planned in message.signals)
        return tuple(sorted(entries, key=lambda signal: signal.id))


def make_plan(section: Section, loaded: Sequence[LoadedMessage], files: tuple[str, ...]) -> Plan:
    """Read the keys `signals` and `rate_hz`.

    Raises:
        ConfigError: a signal that no message has, a rate that is none, two names with one id.
    """
    names = catalogue_names(loaded)
    default = _rate(section, ("rate_hz",), section.table.get("rate_hz", DEFAULT_RATE_HZ))
    section.has("rate_hz")
    rates: dict[str, tuple[float, bool]] | None = None
    if "signals" in section.table:
        if "rate_hz" in section.table:
            raise section.where.error("rate_hz", "no such key beside signals", "both")
        rates = _rates(section, names)
    messages = []
    for one in loaded:
        planned = []
        for layout in one.message.signals:
            name = names[one.name, layout.name]
            if rates is not None and name not in rates:
                continue
            rate_hz, on_change = default if rates is None else rates[name]
            entry = catalogue_signal(name, one.name, layout)
            planned.append(PlannedSignal(entry, layout, rate_hz, on_change, rates is not None))
        if planned:
            messages.append(_message(one, tuple(planned)))
    plan = Plan(tuple(messages), files)
    _refuse_collisions(section, plan)
    return plan


def _message(one: LoadedMessage, planned: tuple[PlannedSignal, ...]) -> PlannedMessage:
    return PlannedMessage(
        can_id=one.can_id,
        name=one.name,
        length=one.message.length,
        cycle_s=(one.message.cycle_time or 0) / 1000,
        signals=planned,
        muxes={layout.name: layout for layout in one.message.signals if layout.is_multiplexer},
        mask=one.mask,
        is_j1939=one.is_j1939,
    )


def _rates(section: Section, names: Mapping[tuple[str, str], str]) -> dict[str, tuple[float, bool]]:
    table = section.section("signals").table
    if not table:
        raise section.where.error("signals", "one signal or more (or no such key)", "none")
    known = set(names.values())
    for name in table:
        if name not in known:
            raise section.where.error(
                ("signals", name), _expected(name, names), f"no signal {name!r} in the files"
            )
    return {name: _rate(section, ("signals", name), value) for name, value in table.items()}


def _expected(name: str, names: Mapping[tuple[str, str], str]) -> str:
    shared = sorted(full for (_, signal), full in names.items() if signal == name)
    near = shared or difflib.get_close_matches(name, set(names.values()), n=3)
    if not near:
        near = sorted(names.values())[:5]
        return f"a signal of the files ({', '.join(near)}, …)"
    return f"a signal of the files (did you mean {' or '.join(near)}?)"


def _rate(section: Section, key: tuple[str, ...], value: object) -> tuple[float, bool]:
    if value == ALL:
        return 0.0, False
    if value == CHANGE:
        return 0.0, True
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 < value <= FASTEST_HZ
    ):
        return float(value), False
    expected = f'times a second (up to {FASTEST_HZ:g}), "{ALL}" or "{CHANGE}"'
    raise section.where.error(key, expected, describe(value))


def _refuse_collisions(section: Section, plan: Plan) -> None:
    names: dict[int, str] = {}
    for entry in plan.signals:
        first = names.setdefault(entry.id, entry.name)
        if first != entry.name:
            raise section.where.error(
                "dbc",
                "names that give different ids (choose among them with the key signals)",
                f"{first} and {entry.name} both give {entry.id:#x}",
            )
