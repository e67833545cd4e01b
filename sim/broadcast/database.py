"""The car's message database: the DBC file beside this module, read by cantools.

`DBC_PATH` is for gateways and tools. What is published about the car's bus and what is ours stands
in the file: in its comments, and in the attributes `Certainty` and `SignalCertainty`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cantools.database.can import Database

DBC_PATH = Path(__file__).with_name("focus_st.dbc")


@cache
def load_database() -> Database:
    """Return the car's database, read once. cantools is imported here, not with the module."""
    from cantools.database import load_file
    from cantools.database.can import Database

    database = load_file(DBC_PATH, strict=True)
    assert isinstance(database, Database)
    return database
