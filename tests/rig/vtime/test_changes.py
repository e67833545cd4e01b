"""Gateways in virtual time hear of changes, with a real PostgreSQL."""

from __future__ import annotations

from server.instances.changes import BEAT_S
from tests.rig.vtime.conftest import DATABASE, PROLOGUE, Play


def test_changes_are_heard_with_the_next_beat(play: Play, url: str) -> None:
    """Notifications come with replies, so that each of many hears of a change at the same instant
    in every run; one that is alone says nothing, and holds up nothing."""
    program = """
        from server.instances.changes import Changes

        async def main():
            connection = await asyncpg.connect(URL)
            made = []
            for name, is_alone in (("a", False), ("b", False), ("alone", True)):
                changes = Changes(URL, is_alone=is_alone)
                changes.on("devices", lambda key, name=name: log(name, key))
                await changes.start()
                made.append(changes)
            await asyncio.sleep(1.7)
            await connection.execute("SELECT pg_notify('telerig_changes', 'devices esp-1')")
            log("said")
            await asyncio.sleep(60)
            for changes in made:
                await changes.close()
            log("over", [changes.cuts for changes in made])
            await connection.close()

        play(main)
        """
    first, second = (
        play(program, prologue=PROLOGUE + DATABASE, url=url, hash_seed=seed) for seed in ("1", "2")
    )
    assert first.lines == second.lines
    heard = [f"{4 * BEAT_S:g} {name} esp-1" for name in ("a", "b")]
    assert first.lines[:4] == ["0 a ", "0 b ", "0 alone ", "1.7 said"]
    assert sorted(first.lines[4:-1]) == heard
    assert first.lines[-1] == "61.7 over [0, 0, 0]"
