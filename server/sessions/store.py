"""Sessions in the database. The automatic ones are opened and closed with the readings
(`server.store.sessions`, `server.store.remote_sessions`)."""

from __future__ import annotations

from typing import Any

import asyncpg
import msgspec

from server.answers import iso
from server.errors import DeviceConflict, UnknownDevice
from server.history.wanted import Wanted
from server.sessions.model import SILENT_S, Asked, Changed, Described, Session

# An automatic session that is not this gateway's own, and that nobody has closed, is heard as long
# as readings come.
_SHOWN = f"""
    SELECT id, kind, device, boot, vin, name, car_id, driver, notes, opened_ns,
           coalesce(closed_ns, silent_ns) AS closed_ns,
           CASE WHEN closed_ns IS NULL AND silent_ns IS NOT NULL THEN 'silent'
                ELSE closed_how END AS closed_how,
           CASE WHEN opened_ns IS NULL THEN 'planned'
                WHEN coalesce(closed_ns, silent_ns) IS NULL THEN 'running'
                ELSE 'ended' END AS state,
           coalesce(opened_ns, made_ns) AS place_ns, remote
    FROM sessions
    LEFT JOIN LATERAL (
        SELECT CASE WHEN heard_ns < $1::bigint - {SILENT_S * 10**9} THEN heard_ns END AS silent_ns
        FROM (SELECT greatest(
            opened_ns,
            (SELECT max(last_ns) FROM device_boots WHERE session_id = sessions.id),
            (SELECT max(written_ns) FROM hot
             WHERE hot.device = sessions.device AND hot.boot = sessions.boot),
            (SELECT t1_ns FROM segments
             WHERE segments.device = sessions.device AND segments.boot = sessions.boot
             ORDER BY t0_ns DESC LIMIT 1)
        ) AS heard_ns) AS hearing
        WHERE closed_ns IS NULL AND kind = 'automatic' AND sessions.id <> $2::bigint
    ) AS silence ON true
"""
_FIND = f"SELECT * FROM ({_SHOWN}) AS shown WHERE id = $3"
_LIST = f"""
    SELECT * FROM ({_SHOWN}) AS shown
    WHERE ($3::text[] IS NULL OR device = ANY ($3))
      AND ($4::text IS NULL OR vin = $4)
      AND ($5::text IS NULL OR kind = $5)
      AND ($6::text IS NULL OR state = $6)
      AND coalesce(closed_ns, {2**63 - 1}) >= $7 AND place_ns < $8
    ORDER BY place_ns DESC, id DESC LIMIT $9 OFFSET $10
"""
# The vehicle that the device is in by now, as far as anybody knows.
_VIN = """
    coalesce(
        (SELECT vin FROM sessions WHERE device = $1 AND kind = 'automatic'
         ORDER BY opened_ns DESC, id DESC LIMIT 1),
        (SELECT vin FROM devices WHERE id = $1)
    )
"""
_MAKE = f"""
    INSERT INTO sessions (kind, device, vin, name, car_id, driver, notes, made_ns, keeper)
    VALUES ('manual', $1, {_VIN}, $2, $3, $4, $5, $6, $7) RETURNING id
"""
_START = f"""
    UPDATE sessions SET opened_ns = $3, vin = coalesce(vin, {_VIN})
    WHERE id = $2 AND device = $1 AND kind = 'manual' AND opened_ns IS NULL
"""
_STOP = """
    UPDATE sessions SET closed_ns = greatest(opened_ns, $2), closed_how = 'stopped'
    WHERE id = $1 AND kind = 'manual' AND opened_ns IS NOT NULL AND closed_ns IS NULL
"""
_CHANGE = """
    UPDATE sessions SET name = coalesce($2, name), car_id = coalesce($3, car_id),
        driver = coalesce($4, driver), notes = coalesce($5, notes)
    WHERE id = $1
"""
_RUNNING = """
    SELECT id FROM sessions
    WHERE device = $1 AND kind = 'manual' AND opened_ns IS NOT NULL AND closed_ns IS NULL
"""


class Sessions:
    """The sessions of one database, as seen at an instant by one gateway.

    Args:
        connection: to it.
        now_ns: the instant.
        own: id of the automatic session of this gateway's own links, which runs while it does; 0
            for none.
    """

    def __init__(self, connection: asyncpg.Connection, now_ns: int, own: int = 0) -> None:
        self._connection = connection
        self._now_ns = now_ns
        self._own = own

    async def find(self, session_id: int) -> Session | None:
        """Give a session; None where there is none of that number."""
        row = await self._connection.fetchrow(_FIND, self._now_ns, self._own, session_id)
        return None if row is None else self._session(row)

    async def list(self, asked: Asked, limit: int, offset: int = 0) -> list[Session]:
        """Give sessions, the newest first."""
        rows = await self._connection.fetch(
            _LIST,
            self._now_ns,
            self._own,
            None if asked.devices is None else sorted(asked.devices),
            asked.vin,
            asked.kind,
            asked.state,
            asked.start_ns,
            asked.end_ns,
            limit,
            offset,
        )
        return [self._session(row) for row in rows]

    async def running(self, device: str) -> Session | None:
        """Give the manual session of a device that runs; None where none does."""
        found = await self._connection.fetchval(_RUNNING, device)
        return None if found is None else await self.find(found)

    async def make(self, device: str, described: Described, keeper: str) -> Session:
        """Make a manual session that is not started yet.

        Args:
            keeper: device of the gateway that looks after it.
        """
        made = await self._connection.fetchval(
            _MAKE,
            device,
            described.name,
            described.car_id,
            described.driver,
            described.notes,
            self._now_ns,
            keeper,
        )
        return await self._found(made)

    async def start(self, session: Session) -> Session:
        """Start a manual session; one that runs goes on.

        Raises:
            DeviceConflict: it has ended, is automatic, or another one of the device runs.
        """
        _check_manual(session)
        if session.state == "ended":
            raise DeviceConflict("session", "a session that has not ended", f"{session.id}, ended")
        try:
            async with self._connection.transaction():  # what the caller has begun can go on
                await self._connection.execute(_START, session.device, session.id, self._now_ns)
        except asyncpg.UniqueViolationError:
            other = await self._connection.fetchval(_RUNNING, session.device)
            raise DeviceConflict(
                "session", f"no other running session of {session.device}", f"session {other} runs"
            ) from None
        return await self._found(session.id)

    async def stop(self, session: Session) -> Session:
        """Stop a manual session; one that has ended stays as it is.

        Raises:
            DeviceConflict: it was not started, or is automatic.
        """
        _check_manual(session)
        if session.state == "planned":
            raise DeviceConflict("session", "a session that was started", f"{session.id}, planned")
        await self._connection.execute(_STOP, session.id, self._now_ns)
        return await self._found(session.id)

    async def change(self, session_id: int, changed: Changed) -> Session:
        """Keep what somebody tells of a session, of either kind."""
        await self._connection.execute(
            _CHANGE, session_id, changed.name, changed.car_id, changed.driver, changed.notes
        )
        return await self._found(session_id)

    async def remove(self, session: Session) -> None:
        """Forget a manual session; the readings stay.

        Raises:
            DeviceConflict: it is automatic.
        """
        _check_manual(session)
        await self._connection.execute(
            "DELETE FROM sessions WHERE id = $1 AND kind = 'manual'", session.id
        )

    async def _found(self, session_id: int) -> Session:
        found = await self.find(session_id)
        if found is None:  # removed by somebody else in this moment
            raise UnknownDevice("session", "a session that is there", "it was just removed")
        return found

    def _session(self, row: Any) -> Session:
        opened_ns, closed_ns = row["opened_ns"], row["closed_ns"]
        until_ns = max(opened_ns or 0, self._now_ns) if closed_ns is None else closed_ns
        return Session(
            id=row["id"],
            kind=row["kind"],
            state=row["state"],
            device=row["device"],
            boot=row["boot"],
            vin=row["vin"],
            name=row["name"],
            car_id=row["car_id"],
            driver=row["driver"],
            notes=row["notes"],
            opened_ns=opened_ns,
            closed_ns=closed_ns,
            closed_how=row["closed_how"],
            started=None if opened_ns is None else iso(opened_ns),
            ended=None if closed_ns is None else iso(closed_ns),
            duration_s=None if opened_ns is None else (until_ns - opened_ns) / 1e9,
        )


def readings_of(session: Session, signals: frozenset[int] | None = None) -> Wanted:
    """Give which readings are a session's; none where it was not started.

    Of an automatic one those of its boot, whatever their instants: a device may send what it has
    measured long before. Of a manual one all that its device has measured in that time.
    """
    if session.opened_ns is None:
        return Wanted(session.device, 0, 0, signals)
    if session.boot is not None:
        return Wanted(session.device, signals=signals, boot=session.boot)
    if session.closed_ns is None:
        return Wanted(session.device, session.opened_ns, signals=signals)
    return Wanted(session.device, session.opened_ns, session.closed_ns, signals)


def within(wanted: Wanted, start_ns: int, end_ns: int) -> Wanted:
    """Give the part of it that was measured in [start_ns, end_ns)."""
    return msgspec.structs.replace(
        wanted, start_ns=max(wanted.start_ns, start_ns), end_ns=min(wanted.end_ns, end_ns)
    )


def _check_manual(session: Session) -> None:
    if session.kind != "manual":
        raise DeviceConflict(
            "session",
            "a manual session",
            f"{session.id}, which begins and ends with the device's own runs",
        )
