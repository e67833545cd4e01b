"""What the record says of faults."""

from __future__ import annotations

from typing import Any
from unittest import mock

from rig.worker.recording import Recording

S = 1_000_000_000


def test_two_faults_of_one_name_that_overlap_have_windows_of_their_own() -> None:
    """Names are a file's affair, and often the same; one that is still active ends with the run."""
    recording = Recording(mock.Mock(), 0)

    def note(at_s: float, phase: str, index: int) -> None:
        detail: dict[str, Any] = {"kind": "drop", "link": "obd", "index": index, "number": 0}
        recording._note(at_s, "fault", "drop on obd", phase, detail)

    for at_s, phase, index in (
        (1.0, "start", 0),
        (2.0, "start", 1),
        (3.0, "end", 0),
        (4.0, "start", 2),
        (5.0, "end", 1),
    ):
        note(at_s, phase, index)
    windows = [(w.start_ns / S, w.end_ns / S) for w in recording.fault_windows(9 * S)]
    assert windows == [(1.0, 3.0), (2.0, 5.0), (4.0, 9.0)]
