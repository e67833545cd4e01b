"""The ring of the hot log in SQL: what a writer does to write for the open cycle.

Rows lie in the table of their cycle; a finished cycle is compacted (`server.store.compactor`), and
its table emptied later, when nobody reads what was before. A writer locks the row of the ring FOR
SHARE until its commit: a cycle ends when nobody writes for it any more. What a writer looks up
(is this number stored?) it sees as of the beginning of its statement; where the cycle ended
between that and the lock, the gate is closed: nothing is written, the statement is to be repeated.
"""

from __future__ import annotations

SLOTS = 4
"""Tables of the ring; cycle c lies in table c % SLOTS."""

GATE = """ring AS MATERIALIZED (
    SELECT cycle FROM hot_ring FOR SHARE
), gate AS MATERIALIZED (
    SELECT cycle FROM ring WHERE cycle = (SELECT cycle FROM hot_ring)
)"""
"""Common table expressions; `gate` has the open cycle, or no row."""
