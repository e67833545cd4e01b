"""GET /api/runs/{run}/divergence?against=ID: where the traces of two runs first part."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from reports.runs.problem import BAD_REQUEST, UNREADABLE, RunError
from reports.runs.store import Runs
from rig.record.compare import compare
from rig.record.errors import RecordError
from rig.record.reader import RecordReader

_MOST_TEXT = 400


def divergence_of(runs: Runs, request: Request) -> dict[str, Any]:
    """Return whether two traces differ, and the first row in which they do.

    Raises:
        RunError: no other run is named, or a record is damaged.
    """
    against = request.query_params.get("against", "")
    if not against:
        raise RunError(BAD_REQUEST, "against", "the name of another run", "none")
    first, second = runs.get(request.path_params["run"]), runs.get(against)
    try:
        reader = RecordReader(first.folder)
        found = compare(reader, RecordReader(second.folder))
    except RecordError as error:
        raise RunError(UNREADABLE, "record", "two that can be read", str(error)) from error
    if found is None:
        return {"differs": False}
    manifest = reader.manifest
    phase = manifest.phase_at(found.time_ns)
    return {
        "differs": True,
        "stream": found.stream,
        "row": found.row,
        "time_ns": found.time_ns,
        "where": f"at {manifest.seconds(found.time_ns):.3f} s" + (f" in {phase}" if phase else ""),
        "first": _shown(found.row_a),
        "second": _shown(found.row_b),
    }


def _shown(row: list[Any] | None) -> str | None:
    return None if row is None else str(row)[:_MOST_TEXT]
