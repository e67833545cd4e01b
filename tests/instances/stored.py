"""What stands in the store in the end, as anybody reads it: hot log and segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from server.history.reader import Wanted, columns
from tests.instances.database import patiently
from tests.instances.load import Load, value_of


async def check_store(url: str, load: Load, after: Mapping[str, int] | None = None) -> None:
    """Check that everything acknowledged is stored once, with its instant and value.

    Of what was sent and not acknowledged nothing is left: a load ends with its acknowledgements.

    Args:
        url: of the database.
        load: that has ended.
        after: by device, up to where readings may be missing.
    """
    connection = await patiently(url)
    try:
        for device in load.devices.values():
            found: Counter[tuple[int, float]] = Counter()
            async for column in columns(connection, Wanted(device.name)):
                if column.boot == load.boot:
                    found.update(zip(column.times_ns, column.values, strict=True))
            expected = {
                (device.time_ns(seq), value_of(seq)) for seq in range(1, device.acknowledged + 1)
            }
            doubled = [key for key, count in found.items() if count > 1]
            assert not doubled, f"{device.name}: {len(doubled)} doubled"
            first_ns = device.time_ns((after or {}).get(device.name, 0))
            missing = {key for key in expected - found.keys() if key[0] > first_ns}
            assert not missing, f"{device.name}: {len(missing)} of {len(expected)} are not stored"
            strange = found.keys() - expected
            assert not strange, f"{device.name}: {len(strange)} that were never acknowledged"
    finally:
        await connection.close()
