"""The DBC files of a run, as far as they can still be found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rig.can.database import Database, DatabaseError, load_database
from rig.errors import RigError
from rig.record.manifest import Manifest

BROUGHT = ("focus_st",)


def database_of(manifest: Manifest) -> tuple[Database | None, str]:
    """Return the DBC of a run, and what is to be said about it.

    The scenario file names it; where that is gone, the one that the world brings along is taken.
    """
    names: tuple[str, ...] = BROUGHT
    note = ""
    try:
        from rig.scenario import expand_scenario

        spec = expand_scenario(Path(manifest.scenario_path))[0].gateway.can
        names = tuple(spec.dbc)
    except (RigError, OSError, ImportError):
        note = f"{manifest.scenario_path or 'the scenario'} cannot be read: the DBC is a guess"
    try:
        return load_database(names), note
    except (DatabaseError, ImportError, OSError) as error:
        return None, str(error)


def messages_of(database: Database | None) -> dict[tuple[int, bool], Any]:
    """Return (identifier, 29 bits) -> cantools' message."""
    messages = () if database is None else database.messages
    return {(message.frame_id, message.is_extended_frame): message for message in messages}
