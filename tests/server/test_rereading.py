"""Reading again what others have changed."""

from __future__ import annotations

import asyncio

from server.errors import StoreAway
from server.rereading import Rereading

Asked = list[frozenset[str] | None]


async def test_keys_are_gathered_while_it_reads() -> None:
    """What is asked for during a reading is read once after it; too many keys are everything, and
    so is the empty one."""
    read: Asked = []
    may_go_on = asyncio.Event()

    async def slowly(keys: frozenset[str] | None) -> None:
        read.append(keys)
        await may_go_on.wait()

    again = Rereading("things", slowly, keys_limit=3)
    for keys, expected in (("aab", {"a", "b"}), ("abcd", None), ("a", {"a"}), (["x", ""], None)):
        read.clear()
        may_go_on.clear()
        again.ask("first")
        await asyncio.sleep(0)
        for key in keys:
            again.ask(key)
        may_go_on.set()
        while len(read) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert read == [{"first"}, expected]
        await asyncio.sleep(0)
    await again.close()
    again.ask("late")
    await asyncio.sleep(0)
    assert len(read) == 2


async def test_it_is_read_until_it_succeeds() -> None:
    """A database that is away loses no key, and what goes wrong once does not stop the next."""
    read: Asked = []
    failures: list[Exception] = [StoreAway("away"), StoreAway("away"), ValueError("a bug")]

    async def fails(keys: frozenset[str] | None) -> None:
        read.append(keys)
        if failures:
            raise failures.pop(0)

    again = Rereading("things", fails)
    loop = asyncio.get_running_loop()
    said: list[object] = []
    loop.set_exception_handler(lambda _, context: said.append(context["exception"]))
    again.ask("a")
    async with asyncio.timeout(10):
        while len(read) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        again.ask("b")
        while len(read) < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert read == [{"a"}, {"a"}, {"a"}, {"b"}]
    await again.close()
