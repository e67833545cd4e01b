"""The manifest of a run (run.json): what was run, how, and what is needed to judge it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rig.judge.limits import Limit
from rig.record.errors import RecordError

FORMAT = 1
CAPTURED, LOGGED = "captured", "logged"
WIRES_ALONE = (CAPTURED, LOGGED)


class PhaseWindow(msgspec.Struct, array_like=True, frozen=True):
    """A phase of the drive, from `start_ns` to before `end_ns`."""

    name: str
    start_ns: int
    end_ns: int


class FaultWindow(msgspec.Struct, array_like=True, frozen=True):
    """A fault while it was active. `link` is "" where it concerns no single link."""

    name: str
    kind: str
    link: str
    start_ns: int
    end_ns: int


class SignalInfo(msgspec.Struct, frozen=True):
    """A signal as the gateway's catalogue had it at the time of the run.

    Attributes:
        name: short name ("RPM").
        unit: of its values.
        resolution: one step of the sensor, in `unit`.
        link: the link that measures it ("obd", "gps"); "" for a derived one.
        wraps: the value at which it begins again (360 for a heading), or None.
    """

    name: str
    unit: str
    resolution: float
    link: str
    wraps: float | None = None


class MeshInfo(msgspec.Struct, frozen=True):
    """The radios of a run, as far as figures need them.

    Attributes:
        nodes: device at the base station -> number of the vehicle's radio.
        base: number of the base station's radio.
        period_s: of the grid on which vehicles take readings.
        bounds: signal -> largest error in its unit; the others are lossless.
    """

    nodes: dict[str, int]
    base: int
    period_s: float
    bounds: dict[str, float] = {}


class CanInfo(msgspec.Struct, frozen=True):
    """The CAN bus of a run, as far as figures need it.

    Attributes:
        bitrate_bps: of the bus.
        changes: signals that the gateway is asked for whenever they change.
        late_ns: how far behind its frame the instant may be that a reading gives for itself; 0
            where the door tells bus time.
    """

    bitrate_bps: int
    changes: list[str] = []
    late_ns: int = 0


class WireInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a recorded wire was, as far as it matters to who plays it.

    Attributes:
        baud: of the line at its start; 0: unknown.
        paced: what the host said stands at the instant at which it had reached the device. False:
            at the instant at which it was handed over to the port (a tap).
        frame_us: quantum of arrival times.
        place: of a real device: its path or URL.
        about: what it is, in words.
    """

    baud: int = 0
    paced: bool = False
    frame_us: int = 0
    place: str = ""
    about: str = ""


class Manifest(msgspec.Struct, kw_only=True):
    """What a record says about its run. All times are the world's UTC in nanoseconds.

    Attributes:
        scenario: the scenario's name.
        seed: the seed of every random stream.
        mode: "virtual" or "paced"; "captured" or "logged" where no gateway was judged.
        epoch_ns: the world's UTC at virtual second 0.
        format: version of the record's format.
        scenario_path: the file, as the user named it.
        command: the one command that repeats the run.
        started: wall time of the start, ISO 8601 with its zone; for people only.
        matrix: the values of the scenario's matrix in this run.
        phases: in order of time.
        faults: in order of time.
        plan: link -> signal -> rate in Hz; None stands for "as fast as the link allows".
        devices: devices of their own at the gateway -> the link that they make up; readings of any
            other device came over the gateway's own links.
        truth_columns: names of the columns of a truth row after its time. A column that is the
            truth of a signal bears the signal's name.
        signals: signal id -> what the catalogue says; empty means the catalogue of today.
        mesh: the radios, where the run has some.
        can: the CAN bus, where the run has the link.
        real_links: links whose device was real: the world has no truth about them.
        bench: what stood on the desk, with the identities of what was real; empty: nothing was.
        wires: wire -> what it was; empty in records of before.
        played: the record whose wires were played, and what the players counted; empty: none was.
        limits: what was declared, so that the run can be judged again.
        versions: of Python, of telerig and its libraries, of the gateway's sources.
        result: what only the runner can know; see `rig.record.writer.RecordWriter.close`.
        hashes: stream -> sha256 of its bytes.
        trace_sha256: hash over the streams of the trace; "" for a run that did not end.
    """

    scenario: str
    seed: int
    mode: str
    epoch_ns: int
    format: int = FORMAT
    scenario_path: str = ""
    command: str = ""
    started: str = ""
    matrix: dict[str, Any] = {}
    phases: list[PhaseWindow] = []
    faults: list[FaultWindow] = []
    plan: dict[str, dict[str, float | None]] = {}
    devices: dict[str, str] = {}
    truth_columns: list[str] = []
    signals: dict[int, SignalInfo] = {}
    mesh: MeshInfo | None = None
    can: CanInfo | None = None
    real_links: list[str] = []
    bench: dict[str, Any] = {}
    wires: dict[str, WireInfo] = {}
    played: dict[str, Any] = {}
    limits: list[Limit] = []
    versions: dict[str, str] = {}
    result: dict[str, Any] = {}
    hashes: dict[str, str] = {}
    trace_sha256: str = ""

    @property
    def is_judged(self) -> bool:
        """Whether it is a run of a gateway; a capture has nobody to judge."""
        return self.mode not in WIRES_ALONE

    @property
    def start_ns(self) -> int:
        """The start of the first phase; without phases, `epoch_ns`."""
        return min((phase.start_ns for phase in self.phases), default=self.epoch_ns)

    @property
    def end_ns(self) -> int:
        """The end of the last phase; without phases, `epoch_ns` plus the simulated time."""
        if self.phases:
            return max(phase.end_ns for phase in self.phases)
        return self.epoch_ns + round(float(self.result.get("sim_s", 0.0)) * 1e9)

    def seconds(self, time_ns: int) -> float:
        """Return the virtual seconds since the run's start."""
        return (time_ns - self.epoch_ns) / 1e9

    def phase_at(self, time_ns: int) -> str | None:
        """Return the name of the phase that `time_ns` falls into."""
        for phase in self.phases:
            if phase.start_ns <= time_ns < phase.end_ns:
                return phase.name
        return None


def manifest_from(values: Mapping[str, Any], where: str) -> Manifest:
    """Return `values` as a manifest.

    Raises:
        RecordError: a key is missing or of another type, or the format is not `FORMAT`.
    """
    try:
        # Through builtins, so that limits may come as the dataclasses that they are.
        manifest = msgspec.convert(
            msgspec.to_builtins(dict(values), str_keys=True), Manifest, strict=False
        )
    except (msgspec.ValidationError, TypeError) as error:
        raise RecordError(f"{where}: expected a run's manifest, found: {error}") from error
    if manifest.format != FORMAT:
        raise RecordError(
            f"{where}: expected a record of format {FORMAT}, found format {manifest.format}; "
            "read it with the telerig that wrote it"
        )
    return manifest
