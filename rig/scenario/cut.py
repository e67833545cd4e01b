"""Cuts a window of a recorded run into a scenario of its own: a new regression test.

What the file said stays as it was written (needs, world, gateway, limits, checks). The drive
becomes a recording of the true speed; faults and limits are those that concern the window. Random
draws are not those of then: each fault has a stream of its own, and it begins anew.
"""

from __future__ import annotations

import csv
import datetime
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from rig.errors import RigError
from rig.faults.catalogue import FAULT_KINDS
from rig.faults.spec import FaultSpec
from rig.record.manifest import Manifest, PhaseWindow
from rig.record.reader import RecordReader
from rig.scenario.document import Node, Variables, read_document
from rig.scenario.load import SUFFIX, load_scenario
from rig.scenario.model import Scenario
from rig.scenario.nodes import flow, mapping, pairs_of, scalar, sequence

SHORTEST_S = 5.0
APPROACH = "approach"
STANDING_KPH = 0.5
ROLLING_KPH = 5.0
APPROACH_KPH_PER_S = 4.0  # any car can do that
SHORTEST_APPROACH_S = 20.0
LIMIT_IF_NONE = ("readings.lost", {"equals": "0"})
_POSITIONS = ("LAT", "LON", "ALT")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class CutError(RigError):
    """A window that cannot be cut."""

    usage = True


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of one phase, in seconds of the world."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class _Truth:
    """The true course of the car in the window: rows of the truth stream and their columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[float | None]]

    def column(self, name: str) -> list[float]:
        if name not in self.columns:
            return []
        at = self.columns.index(name) + 1
        return [0.0 if row[at] is None else float(row[at] or 0.0) for row in self.rows]

    def between(self, start_ns: float, end_ns: float) -> _Truth:
        return _Truth(self.columns, [r for r in self.rows if start_ns <= (r[0] or 0) <= end_ns])


def cut_scenario(
    record: RecordReader, start_s: float, end_s: float, *, name: str, folder: Path | None = None
) -> Path:
    """Write the window as a scenario `name` and return its file.

    Args:
        record: of the run.
        start_s: of the window, in seconds since the run's start (lead-in included), as the views
            and reports show them.
        end_s: its end.
        name: of the new file, without suffix.
        folder: where to; the folder of the run's own scenario, so that relative paths stay right.

    Raises:
        CutError: the window, the name or the folder cannot be used.
        ScenarioError: the run's own scenario file cannot be read any more.
    """
    manifest = record.manifest
    original = Path(manifest.scenario_path)
    if not original.is_file():
        raise CutError(
            f"{record.folder}: expected the scenario file of the run, found none at {original}; "
            "put it back there"
        )
    variant = ",".join(f"{key}={value}" for key, value in manifest.matrix.items())
    scenario = load_scenario(original, variant)
    target = _target(name, original.parent if folder is None else folder)
    window = _window(manifest, start_s, end_s)
    truth = _Truth(manifest.truth_columns, record.truth)
    cut = _Cut(manifest, scenario, window, truth, target)
    text = cut.text()
    written: list[Path] = []
    try:
        for path, content in (*cut.drives(), (target, text)):
            with path.open("x", encoding="utf-8", newline="\n") as file:
                written.append(path)
                file.write(content)
        load_scenario(target)
    except OSError as error:
        _take_back(written)
        raise CutError(f"{error.filename}: expected to write there, found: {error.strerror}") from (
            error
        )
    except RigError:
        _take_back(written)
        raise
    return target


def _take_back(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _target(name: str, folder: Path) -> Path:
    if _NAME.fullmatch(name) is None:
        raise CutError(
            f"name {name!r}: expected small letters, digits, '_' and '-', such as "
            "'tunnel_at_speed'; choose another one"
        )
    target = folder / f"{name}{SUFFIX}"
    if not folder.is_dir():
        raise CutError(f"{folder}: expected a folder for the scenario, found none; make it first")
    if target.exists():
        raise CutError(f"{target}: expected a new file, found one; choose another name")
    return target


def _window(manifest: Manifest, start_s: float, end_s: float) -> tuple[float, float]:
    """Return the window without lead-in and lead-out, which each run has anew."""
    first_s, last_s = manifest.seconds(manifest.start_ns), manifest.seconds(manifest.end_ns)
    start_s, end_s = max(start_s, first_s), min(end_s, last_s)
    if not end_s - start_s >= SHORTEST_S:
        raise CutError(
            f"window: expected at least {SHORTEST_S:g} s of the drive "
            f"({first_s:.6g} s to {last_s:.6g} s), found {max(0.0, end_s - start_s):.6g} s"
        )
    return start_s, end_s


class _Cut:
    """The new file, made of the old one's nodes."""

    def __init__(
        self,
        manifest: Manifest,
        scenario: Scenario,
        window: tuple[float, float],
        truth: _Truth,
        target: Path,
    ) -> None:
        self.manifest = manifest
        self.scenario = scenario
        self.start_s, self.end_s = window
        self.target = target
        self.truth = truth.between(*(manifest.epoch_ns + second * 1e9 for second in window))
        speeds = self.truth.column("SPEED")
        if not speeds:
            raise CutError(
                f"run of {manifest.scenario}: expected the true speed in its record, found none; "
                "only a run of a modelled car can be cut"
            )
        self.approach_kph = speeds[0] if speeds[0] > ROLLING_KPH else 0.0
        self.approach_s = (
            max(SHORTEST_APPROACH_S, round(self.approach_kph / APPROACH_KPH_PER_S))
            if self.approach_kph
            else 0.0
        )
        # A recorded course is that of the first file with positions, so there must be one alone.
        self.recorded = scenario.world.route is None and any(p.path for p in scenario.phases)
        self.pieces = (
            [_Piece("window", self.start_s, self.end_s)] if self.recorded else self._phases()
        )
        self.root = read_document(Path(manifest.scenario_path))
        self.variables = Variables(scenario.matrix, set())

    def _phases(self) -> list[_Piece]:
        spans = [(p.name, *self._clip(p)) for p in self.manifest.phases]
        return [_Piece(name, start_s, end_s) for name, start_s, end_s in spans if start_s < end_s]

    def _clip(self, phase: PhaseWindow) -> tuple[float, float]:
        seconds = self.manifest.seconds
        return max(seconds(phase.start_ns), self.start_s), min(seconds(phase.end_ns), self.end_s)

    def text(self) -> str:
        """Return the scenario's text."""
        manifest = self.manifest
        entries: list[tuple[str, yaml.Node]] = [
            ("rig", scalar("1")),
            ("name", scalar(f"{manifest.scenario}, {self.start_s:.6g} s to {self.end_s:.6g} s")),
            ("about", scalar(f"Cut out of a run: {manifest.command or manifest.scenario}")),
        ]
        kept = {"needs": None, "seed": scalar(str(manifest.seed)), "mode": None}
        for key, value in kept.items():
            node = value or self._old(key)
            if node is not None:
                entries.append((key, node))
        entries.append(("world", self._world()))
        gateway = self._old("gateway")
        if gateway is not None:
            entries.append(("gateway", gateway))
        entries.append(("phases", sequence(self._phase_nodes())))
        faults = self._faults()
        if faults:
            entries.append(("faults", sequence(faults)))
        entries.append(("limits", self._limits()))
        after = self._old("after")
        if after is not None:
            entries.append(("after", after))
        parts = [
            yaml.serialize(mapping([entry]), allow_unicode=True, width=100) for entry in entries
        ]
        return "".join(parts)

    def drives(self) -> list[tuple[Path, str]]:
        """Return the speed traces: file and content."""
        return [
            (self._drive_path(piece), self._csv(piece))
            for piece in self.pieces
            if self._moves(piece)
        ]

    # -- the drive ---------------------------------------------------------------------------------
    def _phase_nodes(self) -> list[yaml.Node]:
        nodes: list[yaml.Node] = []
        if self.approach_kph:
            cruise = flow({"speed": f"{self.approach_kph:.5g} km/h", "for": _s(self.approach_s)})
            nodes.append(mapping([("cruise", cruise), ("as", scalar(APPROACH))], flow=True))
        kinds = {phase.name: phase.kind for phase in self.scenario.phases}
        for piece in self.pieces:
            if self._moves(piece):
                what = ("drive", scalar(self._drive_path(piece).name))
            else:
                kind = "off" if kinds.get(piece.name) == "off" else "idle"
                what = (kind, scalar(_s(piece.end_s - piece.start_s)))
            nodes.append(mapping([what, ("as", scalar(piece.name))], flow=True))
        return nodes

    def _truth_of(self, piece: _Piece) -> _Truth:
        epoch_ns = self.manifest.epoch_ns
        return self.truth.between(epoch_ns + piece.start_s * 1e9, epoch_ns + piece.end_s * 1e9)

    def _moves(self, piece: _Piece) -> bool:
        return max(self._truth_of(piece).column("SPEED"), default=0.0) > STANDING_KPH

    def _drive_path(self, piece: _Piece) -> Path:
        stem = self.target.name.removesuffix(SUFFIX)
        return self.target.with_name(f"{stem}.{piece.name}.csv")

    def _csv(self, piece: _Piece) -> str:
        truth = self._truth_of(piece)
        columns = {"speed [km/h]": [f"{value:.4f}" for value in truth.column("SPEED")]}
        if self.recorded:
            for name, digits in zip(_POSITIONS, (8, 8, 2), strict=True):
                columns[name.lower()] = [f"{value:.{digits}f}" for value in truth.column(name)]
        first_ns = self.manifest.epoch_ns + piece.start_s * 1e9
        times = [f"{((row[0] or 0) - first_ns) / 1e9:.3f}" for row in truth.rows]
        lines = _Lines()
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(["time [s]", *columns])
        writer.writerows(zip(times, *columns.values(), strict=True))
        return "".join(lines)

    # -- what surrounds it -------------------------------------------------------------------------
    def _world(self) -> yaml.Node:
        """Return the world as it was written, warm as the engine and late as the day were."""
        changes = {}
        coolant = self.truth.column("COOLANT_TEMP")
        if coolant:
            changes["coolant"] = f"{coolant[0]:.1f} °C"
        if self.manifest.mode == "virtual":
            shift_s = self.start_s - self.manifest.seconds(self.manifest.start_ns) - self.approach_s
            start = datetime.datetime.fromtimestamp(
                self.manifest.epoch_ns // 10**9 + max(0, round(shift_s)), datetime.UTC
            )
            changes["start"] = f"{start:%Y-%m-%dT%H:%M:%SZ}"
        old = self._old("world")
        entries = pairs_of(old) if isinstance(old, yaml.MappingNode) else []
        kept = [entry for entry in entries if entry[0] not in changes]
        return mapping([*kept, *((key, scalar(text)) for key, text in changes.items())])

    def _faults(self) -> list[yaml.Node]:
        node = self._old("faults")
        items = node.value if isinstance(node, yaml.SequenceNode) else []
        lead_s = self.manifest.seconds(self.manifest.start_ns)
        made = []
        for spec, item in zip(self.scenario.faults, items, strict=True):
            windows = [
                (max(start_s + lead_s, self.start_s), min(end_s + lead_s, self.end_s))
                for start_s, end_s in spec.windows
            ]
            inside = [w for w in windows if w[0] <= w[1] and w[0] < self.end_s]
            if inside:
                made.append(self._fault(spec, item, inside[0], again=len(inside) > 1))
        return made

    def _fault(
        self, spec: FaultSpec, item: yaml.Node, window: tuple[float, float], *, again: bool
    ) -> yaml.Node:
        kind = FAULT_KINDS[spec.kind]
        entries: list[tuple[str, yaml.Node]] = [
            ("at", scalar(_s(window[0] - self.start_s + self.approach_s)))
        ]
        for key, value in pairs_of(item):
            if key == "every" and not again:
                continue
            if key == spec.kind and kind.primary == "for" and isinstance(value, yaml.ScalarNode):
                value = scalar("true")
            if key not in ("at", "in", "for"):
                entries.append((key, value))
        if kind.lasts:
            lasts_s = spec.for_s if again else window[1] - window[0]
            entries.append(("for", scalar(_s(lasts_s))))
        return mapping(entries, flow=True)

    def _limits(self) -> yaml.Node:
        names = {piece.name for piece in self.pieces}
        old = self._old("limits")
        kept: list[tuple[str, yaml.Node]] = []
        for key, value in pairs_of(old) if isinstance(old, yaml.MappingNode) else []:
            items = value.value if isinstance(value, yaml.SequenceNode) else [value]
            there = [limit for item in items if (limit := self._limit(item, names)) is not None]
            if there:
                kept.append((key, there[0] if len(there) == 1 else sequence(there)))
        if not kept:
            name, bound = LIMIT_IF_NONE
            kept.append((name, flow(bound)))
        return mapping(kept)

    def _limit(self, item: yaml.Node, names: set[str]) -> yaml.Node | None:
        """Return a limit as it holds in the window; None where its phase is not in there."""
        entries = pairs_of(item)
        phase = dict(entries).get("phase")
        if phase is None:
            return item
        words = [n.value for n in phase.value] if isinstance(phase.value, list) else [phase.value]
        driven = {p.name for p in self.manifest.phases if self._clip(p)[0] < self._clip(p)[1]}
        there = [word for word in words if word in driven]
        if not there:
            return None
        if self.recorded:
            there = sorted(names)
        value = scalar(there[0]) if len(there) == 1 else sequence([scalar(w) for w in there])
        return mapping([(k, value if k == "phase" else v) for k, v in entries], flow=True)

    def _old(self, key: str) -> yaml.Node | None:
        node = dict(pairs_of(self.root)).get(key)
        return None if node is None else self._resolved(node)

    def _resolved(self, node: yaml.Node) -> yaml.Node:
        """Return a copy in which each `$name` is the value that it had in the run."""
        if isinstance(node, yaml.SequenceNode):
            items = [self._resolved(item) for item in node.value]
            return yaml.SequenceNode(node.tag, items, flow_style=node.flow_style)
        if isinstance(node, yaml.MappingNode):
            pairs = [(self._resolved(k), self._resolved(v)) for k, v in node.value]
            return yaml.MappingNode(node.tag, pairs, flow_style=node.flow_style)
        if "$" not in str(node.value):
            return node
        return scalar(Node(self.target, node, self.variables).as_text())


class _Lines(list[str]):
    """What `csv` writes to: a list of lines."""

    write = list.append


def _s(seconds: float) -> str:
    return f"{round(seconds, 3):g} s" if seconds < 1000 else f"{seconds:.3f} s"
