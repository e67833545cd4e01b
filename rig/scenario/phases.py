"""The phases of a drive: what each kind asks for in a file."""

from __future__ import annotations

from collections.abc import Callable

from rig.quantity import DURATION, PERCENTAGE, SPEED
from rig.scenario.document import Entry, Node, Table, suggestion
from rig.scenario.drive import cycle_duration_s, cycle_names, recording_duration_s
from rig.scenario.model import PhaseSpec

MAXIMUM_DURATION_S = 7 * 86400.0  # a week: longer is a typing accident
MAXIMUM_SPEED_KPH = 400.0

RESERVED_NAMES = ("lead-in", "lead-out")  # what rig.assembly puts around a drive
_NAMED_EXAMPLE = "{cruise: {speed: 110 km/h, for: 5 min}, as: motorway}"


def read_phases(node: Node) -> tuple[PhaseSpec, ...]:
    """Return the phases; names are unique."""
    items = node.as_list(f"a list of phases such as [{_NAMED_EXAMPLE}]")
    if not items:
        raise node.error("at least one phase", "an empty list", f"add, say, `- {_NAMED_EXAMPLE}`")
    phases: list[PhaseSpec] = []
    for item in items:
        phase = _read_phase(item)
        for earlier in phases:
            if earlier.name == phase.name:
                raise item.error(
                    "phase names that differ",
                    f"{phase.name!r} again (first on line {earlier.line})",
                    "give it another name with `as:`",
                )
        if phase.name in RESERVED_NAMES:
            raise item.error(
                "a phase name of your own",
                f"{phase.name!r}, which the rig uses around the drive",
                "give it another name with `as:`",
            )
        phases.append(phase)
    return tuple(phases)


def _read_phase(node: Node) -> PhaseSpec:
    table = node.as_table("a phase", (*PHASE_KINDS, "as", "for", "from"))
    kinds = [entry for entry in table if entry.word in PHASE_KINDS]
    if len(kinds) != 1:
        found = " and ".join(entry.word for entry in kinds) or "none"
        raise node.error(f"one of {', '.join(PHASE_KINDS)} in a phase", found)
    entry = kinds[0]
    begin = table.entry("from")
    if begin is not None and entry.word != "cycle":
        raise begin.key.error("'from' only beside `cycle:`", "'from'")
    name_node = table.get("as")
    name = None if name_node is None else name_node.as_name("a phase name")
    return PHASE_KINDS[entry.word](entry, table, name)


def _duration_s(node: Node) -> float:
    return node.as_quantity(DURATION, above=0.0, maximum=MAXIMUM_DURATION_S)


def _refuse_outer_for(table: Table, where: str) -> None:
    outer = table.entry("for")
    if outer is not None:
        raise outer.key.error("'for' only beside `cycle:` or `drive:`", "'for'", where)


def _idle(entry: Entry, table: Table, name: str | None) -> PhaseSpec:
    value = entry.value
    _refuse_outer_for(table, f"write `{entry.word}: 30 s`")
    if value.is_mapping:
        value = value.as_table(f"{entry.word!r}", ("for",)).require("for", "for: 30 s")
    return PhaseSpec(entry.word, name or entry.word, _duration_s(value), line=entry.key.line)


def _cruise(entry: Entry, table: Table, name: str | None) -> PhaseSpec:
    _refuse_outer_for(table, "write `cruise: {speed: 110 km/h, for: 5 min}`")
    keys = entry.value.as_table("'cruise'", ("speed", "for"))
    speed = keys.require("speed", "speed: 110 km/h")
    return PhaseSpec(
        "cruise",
        name or "cruise",
        _duration_s(keys.require("for", "for: 5 min")),
        speed_kph=speed.as_quantity(SPEED, above=0.0, maximum=MAXIMUM_SPEED_KPH),
        line=entry.key.line,
    )


def _accelerate(entry: Entry, table: Table, name: str | None) -> PhaseSpec:
    _refuse_outer_for(table, "write `accelerate: {to: 100 km/h, for: 20 s}`")
    keys = entry.value.as_table("'accelerate'", ("to", "for", "pedal"))
    to = keys.require("to", "to: 100 km/h")
    return PhaseSpec(
        "accelerate",
        name or "accelerate",
        _duration_s(keys.require("for", "for: 20 s")),
        to_kph=to.as_quantity(SPEED, above=0.0, maximum=MAXIMUM_SPEED_KPH),
        pedal_pct=keys.quantity("pedal", PERCENTAGE, 100.0, above=0.0, maximum=100.0),
        line=entry.key.line,
    )


def _cycle(entry: Entry, table: Table, name: str | None) -> PhaseSpec:
    word = entry.value.as_text("a drive cycle: a name, or a CSV file")
    if word.lower().endswith((".csv", ".csv.gz", ".csv.xz")):
        return _drive(entry, table, name)
    if word not in cycle_names():
        raise entry.value.error("a drive cycle", repr(word), suggestion(word, cycle_names()))
    whole_s = cycle_duration_s(word)
    start, limit = table.get("from"), table.get("for")
    from_s = 0.0 if start is None else _start_s(start, word, whole_s)
    duration_s = whole_s - from_s if limit is None else _duration_s(limit)
    return PhaseSpec(
        "cycle", name or word, duration_s, cycle=word, from_s=from_s, line=entry.key.line
    )


def _start_s(node: Node, word: str, whole_s: float) -> float:
    start_s = node.as_quantity(DURATION, minimum=0.0)
    if start_s >= whole_s:
        raise node.error(f"a start within {word}, below {whole_s:.6g} s")
    return start_s


def _drive(entry: Entry, table: Table, name: str | None) -> PhaseSpec:
    text = entry.value.as_text("a recorded drive: a CSV, NMEA or GPX file")
    path = entry.value.path.parent / text
    recorded_s = recording_duration_s(entry.value, path)
    limit = table.get("for")
    duration_s = recorded_s if limit is None else _duration_s(limit)
    if entry.word == "drive" and limit is not None and duration_s > recorded_s:
        raise limit.error(
            f"at most {recorded_s:.6g} s, the length of {path.name}",
            hint="a recorded drive does not repeat",
        )
    stem = name or path.name.split(".", 1)[0]
    return PhaseSpec(entry.word, stem, duration_s, path=path, line=entry.key.line)


PHASE_KINDS: dict[str, Callable[[Entry, Table, str | None], PhaseSpec]] = {
    "idle": _idle,
    "cruise": _cruise,
    "accelerate": _accelerate,
    "cycle": _cycle,
    "drive": _drive,
    "off": _idle,
}
