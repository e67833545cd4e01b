"""One run as the pages look at it: manifest, columns, figures; each made when asked for.

Anything of it may be missing or damaged: the rest is shown, and `notes` says what is not.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from reports.runs import cache
from reports.runs.columns import LAYERS, NO_STATES, Collector, Column, Columns
from reports.runs.figures import derive, figure_units
from reports.runs.names import Names
from reports.runs.problem import BAD_REQUEST, NOT_FOUND, UNREADABLE, RunError
from rig.judge.desk import judge_manifest, limits_of
from rig.judge.limits import Outcome as _Outcome
from rig.judge.limits import Verdict, verdict_of
from rig.measures.measures import Measures, measure
from rig.record.errors import RecordError
from rig.record.frames import FrameFile
from rig.record.manifest import Manifest
from rig.record.reader import RecordReader
from rig.record.streams import (
    EVENTS,
    MANIFEST_FILE,
    PUBLISHED,
    SAMPLES,
    SUFFIX,
    TRUTH,
    VERDICT_FILE,
    Event,
    Stored,
)
from rig.record.watching import is_running, is_starting

STORED, REPORTED, WIRE, TRUE, ERROR, DELAY, FIGURE = (
    "stored", "reported", "wire", "truth", "error", "delay", "figure",
)  # fmt: skip
TELLINGS = (STORED, REPORTED, WIRE, TRUE, ERROR, DELAY)
NO_COLUMN = Column(*(cache.EMPTY_INTS, cache.EMPTY_FLOATS, NO_STATES))


class GrowingRecord(RecordReader):
    """The record of a run that goes on: what was published stands for what is stored.

    The store is read at a run's end; so its figures so far are those of the live stream.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.manifest.faults = self.manifest.faults or _faults_so_far(self)

    @property
    def stored(self) -> list[Stored]:
        """Readings that were published, as the store would give them back."""
        return [
            Stored(row.device, row.seq, row.signal, row.time_ns, row.value, row.received_ns,
                   row.state, row.arrived_ns, row.boot)
            for row in self.published
        ]  # fmt: skip


class Run:
    """A run of a folder. Calls come from several threads.

    Attributes:
        id: the name of its folder.
        folder: where its record is.
        manifest: what the record says of itself; made up where that is damaged.
        names: what its series are called.
        finished: it came to its end.
        running: it goes on right now.
        starting: it has a folder and no record yet.
    """

    def __init__(self, folder: Path) -> None:
        self.id = folder.name
        self.folder = folder
        self._notes: dict[str, str] = {}
        self._collectors: dict[str, Collector] = {}
        self._kept: dict[str, Mapping[str, cache.Layer]] = {}
        self._locks = {
            part: threading.RLock() for part in (*LAYERS, FIGURE, EVENTS.name, "measures")
        }
        self._measures: Measures | None = None
        self._beginning = threading.Lock()
        self._making: threading.Thread | None = None
        self.extras: dict[str, Any] = {}  # what others keep for as long as the run is open
        self._verdicts: tuple[Any, list[Verdict] | None] = (None, None)
        self._read_manifest()

    # -- what it is ------------------------------------------------------------------------------
    def _read_manifest(self) -> None:
        self.stamp = cache.stamp_of(self.folder, [MANIFEST_FILE])
        self.starting = is_starting(self.folder)
        self.running = self.starting or is_running(self.folder)
        try:
            self.manifest: Manifest = RecordReader(self.folder).manifest
            self.finished = bool(self.manifest.trace_sha256)
        except RecordError as error:
            if not self.folder.is_dir():
                raise RunError(
                    NOT_FOUND, "run", "its folder", f"none at {self.folder}", "it was removed"
                ) from error
            self._notes["manifest"] = (
                "the run is about to begin"
                if self.starting
                else f"{error}; phases, limits and names are not known"
            )
            self.manifest, self.finished = self._made_up(), False
        if not self.finished and not self.running:
            self._notes["end"] = "the run was cut off: there is what was written by then"
        if self.finished:
            self.running = False
        self.names = Names(self.manifest)

    def _made_up(self) -> Manifest:
        times_ns = []
        for stream in (TRUTH, SAMPLES, PUBLISHED):
            file = FrameFile(self.folder, stream)
            if file.scan():
                rows = file.rows(0)
                times_ns += [int(stream.time_ns(row)) for row in rows[:1]]
        return Manifest(scenario=self.id, seed=0, mode="unknown", epoch_ns=min(times_ns, default=0))

    @property
    def is_current(self) -> bool:
        """False once its manifest has changed, or the run has ended otherwise."""
        if self.stamp != cache.stamp_of(self.folder, [MANIFEST_FILE]):
            return False
        if self.starting:
            return is_starting(self.folder)
        return not self.running or is_running(self.folder)

    @property
    def notes(self) -> list[str]:
        """What is damaged or missing, in words."""
        notes = dict(self._notes)
        for layer, collector in self._collectors.items():
            if collector.damage:
                notes[layer] = collector.damage
        return list(dict.fromkeys(notes.values()))

    @property
    def links(self) -> list[str]:
        """The wire streams that were recorded, sorted."""
        names = [path.name.removesuffix(SUFFIX) for path in self.folder.glob(f"wire.*{SUFFIX}")]
        return sorted(name.removeprefix("wire.") for name in names)

    def end_ns(self) -> int:
        """Return the last instant of which there is anything; of one that goes on, so far."""
        sim_s = self.manifest.result.get("sim_s")
        if self.finished and isinstance(sim_s, int | float):
            return max(self.manifest.end_ns, self.manifest.epoch_ns + round(sim_s * 1e9))
        ends = [self.manifest.end_ns if self.finished else self.manifest.epoch_ns]
        if not self.finished:
            ends += [int(c.time_ns[-1]) for c in self.part("truth")["truth"].values()][:1]
        for layer in (REPORTED, STORED):
            columns = self.part(layer)[layer].values()
            ends += [int(column.time_ns[-1]) for column in columns if len(column.time_ns)]
        return max(ends)

    # -- columns ---------------------------------------------------------------------------------
    def part(self, part: str) -> Mapping[str, cache.Layer]:
        """Return layer -> name -> column of what is collected together (`LAYERS`)."""
        with self._locks[part]:
            if not self.finished:
                return self._growing(part)
            if part not in self._kept:
                stream = LAYERS[part][0]
                found, damage = cache.kept(
                    self.folder, part, [stream.file_name, MANIFEST_FILE], lambda: self._whole(part)
                )
                self._kept[part] = found
                if damage:
                    self._notes[part] = damage
            return self._kept[part]

    def _whole(self, part: str) -> tuple[dict[str, Columns], str]:
        collector = Collector(self.folder, part, self.names)
        collector.update()
        return collector.columns, collector.damage

    def _growing(self, part: str) -> Mapping[str, cache.Layer]:
        collector = self._collectors.get(part)
        if collector is None:
            collector = self._collectors[part] = Collector(self.folder, part, self.names)
        collector.update()
        return collector.columns

    def column(self, name: str, layer: str | None = None) -> Column:
        """Return one telling of a series; of a run's figures there is only one.

        Raises:
            RunError: there is no such layer, or it cannot be made.
        """
        if layer in (None, FIGURE) and name in figure_units(self.manifest):
            return self.figures()[FIGURE].get(name, NO_COLUMN)
        if layer is None:
            layer = STORED if self.finished else REPORTED
        if layer in (STORED, REPORTED):
            return self.part(layer)[layer].get(name, NO_COLUMN)
        if layer == WIRE:
            return self.part("samples")["wire"].get(name, NO_COLUMN)
        if layer == TRUE:
            return self._truth(name)
        if layer in (ERROR, DELAY):
            return self.figures()[layer].get(name, NO_COLUMN)
        raise RunError(BAD_REQUEST, "layer", f"one of {', '.join(TELLINGS)}", repr(layer))

    def _truth(self, name: str) -> Column:
        """The world's own where it was recorded, else the true values at the samples' instants."""
        place = self.names.truth_of(name)
        if place is not None:
            column = self.part("truth")["truth"].get(place[0])
            if column is not None and len(column.time_ns):
                return column._replace(value=column.value * place[1]) if place[1] != 1 else column
        return self.part("samples")["true"].get(name, NO_COLUMN)

    # -- figures ---------------------------------------------------------------------------------
    def figures(self) -> Mapping[str, cache.Layer]:
        """Return the courses of figures, and the errors and delays of each signal.

        Raises:
            RunError: the record is too damaged for them.
        """
        with self._locks[FIGURE]:
            if not self.finished:
                return self._so_far()
            if FIGURE not in self._kept:
                sources = [path.name for path in self.folder.glob(f"*{SUFFIX}")]
                self._kept[FIGURE] = cache.kept(
                    self.folder, FIGURE, [*sources, MANIFEST_FILE], lambda: (self._derived(), "")
                )[0]
            return self._kept[FIGURE]

    def figures_are_there(self) -> bool:
        """Return whether figures can be had at once; if not, begin to make them."""
        with self._beginning:
            if FIGURE in self._kept or cache.load(self.folder, FIGURE, self._figure_stamp()):
                return True
            if self._making is None or not self._making.is_alive():
                self._making = threading.Thread(target=self._make, name="figures", daemon=True)
                self._making.start()
            return False

    def _make(self) -> None:
        with contextlib.suppress(RunError, OSError):  # told to whoever asks for them
            self.figures()

    def _figure_stamp(self) -> cache.Stamp:
        sources = [path.name for path in self.folder.glob(f"*{SUFFIX}")]
        return cache.stamp_of(self.folder, [*sources, MANIFEST_FILE])

    def _derived(self) -> dict[str, Columns]:
        measures = self.measures()
        return derive(self._record(), measures, self.names)

    def _so_far(self) -> Mapping[str, cache.Layer]:
        """Figures of a run that goes on are made anew when a good deal has been added."""
        rows = self._rows()
        known = self._kept.get(FIGURE)
        if known is None or rows > 1.1 * self._figures_rows + 100:
            with self._locks["measures"]:
                self._measures = None
                known = self._kept[FIGURE] = self._derived()
            self._figures_rows = rows
        return known

    _figures_rows = 0

    def _rows(self) -> int:
        self.part(REPORTED)
        return self._collectors[REPORTED].rows

    def _record(self) -> RecordReader:
        return RecordReader(self.folder) if self.finished else GrowingRecord(self.folder)

    def measures(self) -> Measures:
        """Return every figure of the run.

        Raises:
            RunError: the record is too damaged for them.
        """
        with self._locks["measures"]:
            if self._measures is None:
                try:
                    self._measures = measure(self._record())
                except (RecordError, OSError, ValueError, KeyError, IndexError, TypeError) as error:
                    text = f"{type(error).__name__}: {error}" if not str(error) else str(error)
                    self._notes[FIGURE] = f"figures cannot be made: {text}"
                    raise RunError(
                        UNREADABLE, self.id, "a record of which figures can be made", text,
                        "what can be read is shown",
                    ) from error  # fmt: skip
            return self._measures

    def forget_measures(self) -> None:
        """Let figures be made anew: the run has gone on."""
        with self._locks["measures"]:
            self._measures = None

    # -- limits and events -------------------------------------------------------------------------
    def verdicts(self, *, judge_now: bool = False) -> list[Verdict] | None:
        """Return the verdicts as they were last judged; None where they never were.

        Args:
            judge_now: judge from the record instead; it takes as long as reading all of it.
        """
        manifest = self.manifest
        if judge_now:
            return judge_manifest(manifest, self.measures())
        stamp = cache.stamp_of(self.folder, [VERDICT_FILE])
        if not stamp or stamp != self._verdicts[0]:
            self._verdicts = (stamp, self._kept_verdicts())
        return self._verdicts[1]

    def _kept_verdicts(self) -> list[Verdict] | None:
        try:
            document = msgspec.json.decode(
                (self.folder / VERDICT_FILE).read_bytes(), type=_KeptVerdicts
            )
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        limits = limits_of(self.manifest)
        if document.trace_sha256 != self.manifest.trace_sha256 or [
            row.limit for row in document.limits
        ] != [limit.name for limit in limits]:
            return None
        found = []
        for row, limit in zip(document.limits, limits, strict=True):
            if row.value is None:
                verdict = Verdict(limit, None, None, None, _Outcome(row.outcome), row.reason)
            else:
                verdict = verdict_of(limit, row.value)
            found.append(verdict)
        return found

    def events(self) -> list[Event]:
        """Return what was worth a line, so far."""
        with self._locks[EVENTS.name]:
            file = FrameFile(self.folder, EVENTS)
            file.scan()
            rows = [row for number in range(len(file.frames)) for row in file.rows(number)]
            if file.damage:
                self._notes[EVENTS.name] = file.damage
            return sorted(rows, key=lambda row: row.time_ns)


class _KeptVerdict(msgspec.Struct):
    limit: str
    outcome: str
    value: float | None = None
    reason: str = ""


class _KeptVerdicts(msgspec.Struct):
    limits: list[_KeptVerdict]
    trace_sha256: str = ""


def _faults_so_far(record: RecordReader) -> list[Any]:
    from reports.runs.faults import fault_windows

    return fault_windows(record.events, _latest_ns(record))


def _latest_ns(record: RecordReader) -> int:
    rows = record.truth
    return int(rows[-1][0] or 0) if rows else record.manifest.epoch_ns
