"""Which signal a device means: by short name, VSS path or number."""

from __future__ import annotations

from server.catalogue import CATALOGUE, Signal, by_id, by_name, by_path
from server.errors import CatalogueError
from server.ingest.problems import Problem

_KNOWN: dict[str | int, Signal] = {
    key: signal for signal in CATALOGUE for key in (signal.id, signal.name, signal.path)
}


def find_signal(key: str | int) -> Signal | None:
    """Give a signal; None where there is none."""
    return _KNOWN.get(key)


def unknown_signal(key: str | int, where: str) -> Problem:
    """Say that there is no such signal, with the nearest ones."""
    expected = "a name, path or id of /api/v1/signals"
    return Problem(expected, _found(key), where, "unknown signal")


def _found(key: str | int) -> str:
    try:
        if isinstance(key, int):
            return str(by_id(key).id)
        return (by_path(key[:100]) if "." in key else by_name(key[:100])).name
    except CatalogueError as error:
        return str(error)
