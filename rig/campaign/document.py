"""A scenario as plain values while it is drawn and shrunk, and its way to a file and back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rig.faults.catalogue import FAULT_KINDS
from rig.quantity import DURATION
from rig.scenario.load import SUFFIX, load_scenario
from rig.scenario.model import Scenario
from rig.scenario.nodes import mapping, scalar

Document = dict[str, Any]
"""The keys of a scenario file; numbers with units are texts, as in the file."""

_KEY_ORDER = ("rig", "name", "about", "needs", "tags", "seed", "mode", "world", "gateway")
_WIDE = 1 << 20  # a line is broken nowhere


def text_of(document: Mapping[str, Any], comments: Sequence[str] = ()) -> str:
    """Return the scenario file: sections as a person would write them, an item a line."""
    lines = [f"# {comment}".rstrip() for comment in comments]
    for key in (*_KEY_ORDER, *(key for key in document if key not in _KEY_ORDER)):
        value = document.get(key)
        if value in (None, {}, [], ""):
            continue
        if key in ("world", "limits", "gateway"):
            lines += [f"{key}:", *(f"  {word}: {_flow(item)}" for word, item in value.items())]
        elif key in ("phases", "faults", "after"):
            lines += [f"{key}:", *(f"  - {_flow(item)}" for item in value)]
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    text: str = yaml.serialize(_node(value), width=_WIDE, allow_unicode=True)
    return text.removesuffix("...\n").rstrip("\n")


def _node(value: Any) -> yaml.Node:
    if isinstance(value, Mapping):
        return mapping([(str(key), _node(item)) for key, item in value.items()], flow=True)
    if isinstance(value, list | tuple):
        nodes = [_node(item) for item in value]
        return yaml.SequenceNode("tag:yaml.org,2002:seq", nodes, flow_style=True)
    return scalar(str(value).lower() if isinstance(value, bool) else str(value))


def read_plain(path: Path) -> Document:
    """Return the keys of a scenario file, each plain value as the text that stands there."""
    document: Document = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
    return document


def scenario_of(document: Mapping[str, Any]) -> Scenario:
    """Return the scenario that a document makes.

    Raises:
        ScenarioError: it makes none.
    """
    with tempfile.TemporaryDirectory(prefix="campaign-") as folder:
        path = Path(folder) / f"drawn{SUFFIX}"
        path.write_text(text_of(document), encoding="utf-8")
        return load_scenario(path)


def seconds(text: str) -> float:
    """Return a duration as seconds: "1.5 min" is 90."""
    return DURATION.parse(text)


def written_s(value_s: float) -> str:
    """Return seconds as a scenario file has them, to the millisecond."""
    return f"{round(value_s, 3):.10g} s"


def phase_s(phase: Mapping[str, Any]) -> float:
    """Return how long a phase lasts; every phase of a drawn drive says so."""
    return seconds(_timed(phase)[0])


def with_phase_s(phase: Mapping[str, Any], value_s: float) -> Document:
    """Return the phase with another length."""
    return _timed(phase, written_s(value_s))[1]


def _timed(phase: Mapping[str, Any], text: str | None = None) -> tuple[str, Document]:
    changed = dict(phase)
    if "for" in phase:
        changed["for"] = text or phase["for"]
        return phase["for"], changed
    word = next(key for key in phase if key != "as")
    value = phase[word]
    if isinstance(value, Mapping):
        changed[word] = {**value, "for": text or value["for"]}
        return value["for"], changed
    changed[word] = text or value
    return value, changed


def drive_s(document: Mapping[str, Any]) -> float:
    """Return the length of the drive."""
    return sum(phase_s(phase) for phase in document["phases"])


def kind_of(fault: Mapping[str, Any]) -> str:
    """Return the kind of a fault's entry."""
    return next(key for key in fault if key in FAULT_KINDS)


def span_s(fault: Mapping[str, Any]) -> tuple[float, float]:
    """Return the start and the end of a fault that has an `at` in seconds."""
    start_s = seconds(fault["at"])
    value = fault[kind_of(fault)]
    plain = FAULT_KINDS[kind_of(fault)].primary == "for" and _is_duration(value)
    text = fault.get("for") or (value if plain else "0 s")
    return start_s, start_s + seconds(text)


def with_span_s(fault: Mapping[str, Any], start_s: float, end_s: float) -> Document:
    """Return the fault in another window."""
    changed = {**fault, "at": written_s(start_s)}
    if "for" in fault:
        changed["for"] = written_s(end_s - start_s)
    elif end_s > start_s:
        changed[kind_of(fault)] = written_s(end_s - start_s)
    return changed


def _is_duration(value: Any) -> bool:
    return isinstance(value, str) and value[:1].isdigit()


def last_end_s(faults: Iterable[Mapping[str, Any]]) -> float:
    """Return when the last fault ends; 0 without any."""
    return max((span_s(fault)[1] for fault in faults), default=0.0)
