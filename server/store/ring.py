"""The ring of the hot log in SQL: what a writer does to write for the open cycle.

Rows lie in the table of their cycle; a finished cycle is compacted (`server.store.compactor`), and
its table emptied later, when nobody reads what was before. A writer holds a lock, which writers
share, until its commit (`hot_enter`): a cycle ends when nobody writes for it any more. Who waits to
end it is next, however many writers there are; those that come after it wait for it. What a writer
looks up (is this number stored?) it sees as of the beginning of its statement; where the cycle
ended between that and the lock, the gate is closed: nothing is written, the statement is to be
repeated.
"""

from __future__ import annotations

SLOTS = 4
"""Tables of the ring; cycle c lies in table c % SLOTS."""

RING_LOCK = 0x7E1E_0006
"""Shared by writers, in `hot_enter`; taken alone to end a cycle."""

GATE = """ring AS MATERIALIZED (
    SELECT hot_enter() AS cycle
), gate AS MATERIALIZED (
    SELECT cycle FROM ring WHERE cycle = (SELECT cycle FROM hot_ring)
)"""
"""Common table expressions; `gate` has the open cycle, or no row."""
