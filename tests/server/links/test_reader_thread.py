"""A blocking reader is awaited like a task."""

from __future__ import annotations

import asyncio
import threading

import pytest

from server.links import reader_thread
from server.links.reader_thread import ReaderThread


async def test_what_the_work_raises_is_raised() -> None:
    """`run()` raises the work's own error."""

    def work(stop: threading.Event) -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await ReaderThread("t", work, lambda: None).run()


async def test_the_end_of_the_work_is_the_end() -> None:
    """`run()` returns as the work returns, in a thread of the given name."""
    names = []
    await ReaderThread(
        "obd-obd", lambda stop: names.append(threading.current_thread().name), lambda: None
    ).run()
    assert names == ["obd-obd"]


async def test_cancelling_stops_the_work() -> None:
    """The stop flag is set, the interrupt is called once, and the thread ends first."""
    calls: list[str] = []
    begun, woken = threading.Event(), threading.Event()

    def work(stop: threading.Event) -> None:
        begun.set()
        woken.wait(10)
        calls.append("stopped" if stop.is_set() else "running")
        raise OSError("closed meanwhile")

    def interrupt() -> None:
        calls.append("interrupt")
        woken.set()

    task = asyncio.create_task(ReaderThread("t", work, interrupt).run())
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls == ["interrupt", "stopped"]


async def test_a_reader_that_does_not_stop_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the grace the cancelled task ends without its thread."""
    monkeypatch.setattr(reader_thread, "STOP_GRACE_S", 0.05)
    release = threading.Event()
    task = asyncio.create_task(
        ReaderThread("t", lambda stop: release.wait(10) and None, lambda: None).run()
    )
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
