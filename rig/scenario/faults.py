"""The `faults:` section: what goes wrong, and the instants it resolves to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rig.faults.catalogue import FAULT_KINDS, TARGETS, FaultKind, Parameter
from rig.faults.spec import FaultSpec
from rig.measures.names import LINKS
from rig.quantity import DURATION, QuantityError
from rig.scenario.document import Entry, Node, Table, suggestion
from rig.scenario.model import MESH, Scenario

FAULT_KEYS = ("at", "in", "on", "for", "every", "as")
MAXIMUM_STRIKES = 10_000  # of one fault; more is a typing accident in `every:`

# Sums of phase lengths carry rounding errors of this order; no scenario means a nanosecond.
_SLACK_S = 1e-9

Windows = Sequence[tuple[str, float, float]]
ESP32 = "esp32"
_CHIPS = {"obd": "elm327", "gps": "gnss"}


def wires_of(scenario: Scenario) -> dict[str, tuple[str, ...]]:
    """Return what a fault can strike of each link of this scenario; see `FaultKind.wires`."""
    from rig.can.setup import can_doors

    wires: dict[str, tuple[str, ...]] = dict.fromkeys(scenario.needs, ("serial",))
    wires |= {link: ("serial", chip) for link, chip in _CHIPS.items() if link in wires}
    if scenario.world.mesh.transport == "tcp":
        wires[MESH] = ("tcp",)
    if scenario.world.esp32.transport == "wifi":
        wires[ESP32] = ("serial", "wifi")
    for link, spec in can_doors(scenario).items():
        wires[link] = ("tcp" if spec.door == "socketcand" else "serial", "bus")
    return wires


@dataclass(frozen=True, slots=True)
class _Span:
    """Where a fault may strike: from `start_s` to `end_s`; `whole` if it fills that by itself."""

    start_s: float
    end_s: float
    what: str
    whole: bool


def read_faults(node: Node | None, windows: Windows, needs: Sequence[str]) -> tuple[FaultSpec, ...]:
    """Return the faults with their instants.

    Args:
        node: the section.
        windows: (phase, start, end) of the drive.
        needs: the scenario's links; a fault on another one could never strike.
    """
    if node is None or node.is_null:
        return ()
    example = "[{at: cruise+60 s, on: obd, drop: 2 %, for: 30 s}]"
    return tuple(
        _read_fault(item, windows, needs) for item in node.as_list(f"a list of faults: {example}")
    )


def _read_fault(node: Node, windows: Windows, needs: Sequence[str]) -> FaultSpec:
    table = node.as_table("a fault", (*FAULT_KEYS, *FAULT_KINDS))
    entries = [entry for entry in table if entry.word in FAULT_KINDS]
    if len(entries) != 1:
        found = " and ".join(entry.word for entry in entries) or "none"
        raise node.error(f"one of {', '.join(FAULT_KINDS)} in a fault", found)
    entry = entries[0]
    kind = FAULT_KINDS[entry.word]
    link = _read_link(table, kind, needs)
    duration_s = _read_duration_s(table, entry, kind)
    name = table.get("as")
    return FaultSpec(
        kind=kind.word,
        link=link,
        windows=_strikes(table, kind, _read_span(table, windows), duration_s),
        parameters=_read_parameters(entry, kind),
        name=f"{kind.word} on {link}" if name is None else name.as_name("a fault name"),
        line=node.line,
    )


def _read_link(table: Table, kind: FaultKind, needs: Sequence[str]) -> str:
    node = table.require("on", f"on: {kind.links[0]}")
    link = node.as_word((*LINKS, *TARGETS), "a link, or what else can be struck")
    if link not in kind.links:
        raise node.error(f"a link that {kind.word!r} can strike: {', '.join(kind.links)}")
    if link not in (*needs, *TARGETS):
        hint = f"add it: needs: [{', '.join((*needs, link))}]"
        raise node.error(f"a link that the scenario needs: {', '.join(needs)}", hint=hint)
    return link


def _read_duration_s(table: Table, entry: Entry, kind: FaultKind) -> float | None:
    outer = table.entry("for")
    plain = kind.primary == "for" and not entry.value.is_mapping
    if plain and not _is_true(entry.value):
        if outer is not None:
            raise outer.key.error(f"one duration: `{kind.word}: 10 s`, or `for: 10 s`", "both")
        return entry.value.as_quantity(DURATION, above=0.0)
    if outer is None:
        return kind.usual_s
    if not kind.lasts:
        raise outer.key.error(f"no 'for': {kind.word!r} happens at an instant", "'for'")
    return outer.value.as_quantity(DURATION, above=0.0)


def _is_true(node: Node) -> bool:
    return (
        not node.is_mapping
        and not node.is_list
        and (node.is_null or node.as_text().lower() in ("true", "yes", "on"))
    )


def _read_span(table: Table, windows: Windows) -> _Span:
    at, during = table.entry("at"), table.entry("in")
    if (at is None) == (during is None):
        found = "neither" if at is None else "both"
        hint = "`at: cruise+60 s` or `in: cruise`"
        raise table.node.error("'at' or 'in' in a fault", found, hint)
    end_s = windows[-1][2]
    if during is not None:
        names = [name for name, _, _ in windows]
        phase = during.value.as_word(names, "the name of a phase")
        _, start_s, phase_end_s = windows[names.index(phase)]
        return _Span(start_s, phase_end_s, f"phase {phase!r}", whole=True)
    assert at is not None
    start_s = read_instant_s(at.value, windows)
    return _Span(start_s, end_s, "the drive", whole=False)


def read_instant_s(node: Node, windows: Windows) -> float:
    """Return the virtual second of "90 s", "cruise" or "cruise+60 s".

    Raises:
        ScenarioError: no such phase, or the instant is not within the drive.
    """
    expected = "an instant such as '90 s', 'cruise' or 'cruise+60 s'"
    text = node.as_text(expected).strip()
    name, plus, rest = text.partition("+")
    starts_s = {phase: start_s for phase, start_s, _ in windows}
    try:
        if name.strip() in starts_s:
            offset_s = DURATION.parse(rest) if plus else 0.0
            instant_s = starts_s[name.strip()] + offset_s
        elif plus or not text[:1].isdigit():
            hint = suggestion(name.strip(), list(starts_s))
            raise node.error(f"{expected}, with a phase of this file", repr(text), hint)
        else:
            instant_s = DURATION.parse(text)
    except QuantityError as error:
        raise node.error(error.expected, error.found) from error
    end_s = windows[-1][2]
    if not 0.0 <= instant_s < end_s:
        raise node.error(f"an instant within the drive (0 s to {end_s:.6g} s)", repr(text))
    return instant_s


def _strikes(
    table: Table, kind: FaultKind, span: _Span, duration_s: float | None
) -> tuple[tuple[float, float], ...]:
    every = table.get("every")
    if duration_s is None:
        if kind.lasts and not span.whole:
            hint = f"add, say, `for: 30 s`, or strike a whole phase with `in:` ({kind.word})"
            raise table.node.error("'for' beside 'at'", "a fault without an end", hint)
        if kind.lasts and every is not None:
            raise every.error("'for' beside 'every'", "a fault without an end")
        duration_s = span.end_s - span.start_s if kind.lasts else 0.0
    if span.start_s + duration_s > span.end_s + _SLACK_S:
        raise table.node.error(
            f"a fault that ends with {span.what}, at {span.end_s:.6g} s",
            f"an end at {span.start_s + duration_s:.6g} s",
        )
    if every is None:
        return ((span.start_s, span.start_s + duration_s),)
    period_s = every.as_quantity(DURATION, above=0.0)
    if period_s <= duration_s:
        raise every.error(f"a period above the fault's own {duration_s:.6g} s")
    count = int((span.end_s - span.start_s - duration_s + _SLACK_S) / period_s) + 1
    if count > MAXIMUM_STRIKES:
        raise every.error(f"at most {MAXIMUM_STRIKES} strikes", f"{count} strikes")
    starts_s = [span.start_s + number * period_s for number in range(count)]
    return tuple((start_s, start_s + duration_s) for start_s in starts_s)


def _read_parameters(entry: Entry, kind: FaultKind) -> dict[str, float | str]:
    value = entry.value
    given: dict[str, Node] = {}
    if value.is_mapping:
        known = [parameter.word for parameter in kind.parameters]
        given = {item.word: item.value for item in value.as_table(f"{kind.word!r}", known)}
    elif kind.primary is None:
        if not _is_true(value):
            raise value.error(f"`{kind.word}: true`")
    elif kind.primary != "for":
        given = {kind.primary: value}
    return {
        parameter.field: _read_parameter(entry, parameter, given.get(parameter.word))
        for parameter in kind.parameters
    }


def _read_parameter(entry: Entry, parameter: Parameter, node: Node | None) -> float | str:
    if node is None:
        if parameter.default is None:
            example = parameter.dimension.example if parameter.dimension else parameter.choices[0]
            hint = f"write `{entry.word}: {{{parameter.word}: {example}}}`"
            raise entry.value.error(f"{parameter.word!r} in {entry.word!r}", hint=hint)
        return parameter.default
    if parameter.dimension is None:
        return node.as_word(parameter.choices, f"one of {', '.join(parameter.choices)}")
    return node.as_quantity(
        parameter.dimension, minimum=parameter.minimum, maximum=parameter.maximum
    )
