"""The kernel's ends: deadlock, errors of the world, runs without end, freezes."""

from __future__ import annotations

import pytest

from tests.rig.vtime.conftest import Play


def test_a_deadlock_names_the_parked_threads(play: Play) -> None:
    """When nothing can ever happen again, the error names the instant and every parked thread."""
    played = play(
        """
        def wait_for_ever():
            time.sleep(2)
            threading.Event().wait()

        async def main():
            threading.Thread(target=wait_for_ever, name="obd reader").start()
            threading.Thread(target=queue.Queue().get, name="writer").start()
            threading.Thread(target=time.sleep, args=(1,), name="over").start()
            await asyncio.Event().wait()

        play(main)
        """,
        code=1,
    )
    assert played.lines == [
        "2 raised Deadlock: at 2.000000 s: no event and no timer left; "
        "parked threads: obd reader, writer"
    ]


def test_a_loop_that_blocks_for_ever_is_a_deadlock_too(play: Play) -> None:
    """A blocking call of the loop that nothing can end raises where it is and names the loop."""
    played = play(
        """
        async def main():
            threading.Thread(target=lambda: (time.sleep(3), lock.acquire()), name="other").start()
            lock = threading.Lock()
            lock.acquire()
            try:
                lock.acquire()
            finally:
                log("unwound")

        play(main)
        """,
        code=1,
    )
    assert played.lines == [
        "3 unwound",
        "3 raised Deadlock: at 3.000000 s: no event and no timer left; "
        "parked threads: the event loop itself, in a blocking call, other",
    ]


@pytest.mark.parametrize(
    "blocking",
    ["time.sleep(1)", "held.acquire()", "event.wait()", "select.select([], [], [], 1)"],
)
def test_a_model_that_blocks_is_refused(play: Play, blocking: str) -> None:
    """A world event that makes a blocking call ends the run with a clear error."""
    played = play(
        f"""
        held, event = threading.Lock(), threading.Event()

        async def main():
            held.acquire()
            at(1, lambda: {blocking})
            await asyncio.sleep(5)

        play(main)
        """,
        code=1,
    )
    assert played.lines == ["1 raised VirtualTimeError: a model of the world made a blocking call"]


def test_a_refused_call_leaves_nothing_behind(play: Play) -> None:
    """A model that catches the refusal does not get a lock later that it no longer waits for."""
    played = play(
        """
        held = threading.Lock()

        def model():
            try:
                held.acquire()
            except RuntimeError:
                log("refused")

        async def main():
            held.acquire()
            at(1, model)
            await asyncio.sleep(2)
            held.release()
            log(held.locked(), len(kernel.runnable))

        play(main)
        """
    )
    assert played.lines == ["1 refused", "2 False 0"]


def test_an_error_of_the_world_reaches_the_caller(play: Play) -> None:
    """An exception in a world event is raised by the loop as it is, with its own traceback."""
    played = play(
        """
        def model():
            raise KeyError("broken model")

        async def main():
            at(1, model)
            await asyncio.sleep(5)

        play(main)
        """,
        code=1,
    )
    assert played.lines == ["1 raised KeyError: 'broken model'"]


@pytest.mark.parametrize("ending", ["time.sleep(100)", "None"])
def test_an_error_of_the_world_reaches_the_caller_from_a_thread(play: Play, ending: str) -> None:
    """The same when a thread drives the world, waiting or ending; that thread is not blamed."""
    played = play(
        f"""
        def model():
            raise KeyError("broken model")

        def body():
            time.sleep(0.5)
            {ending}

        async def main():
            at(1, model)
            threading.Thread(target=body).start()
            await asyncio.Event().wait()

        play(main)
        """,
        code=1,
    )
    assert played.lines == ["1 raised KeyError: 'broken model'"]
    assert played.stderr == ""


def test_an_error_of_the_world_reaches_a_loop_that_blocks(play: Play) -> None:
    """The same while the loop itself blocks; who catches it there meets it again."""
    played = play(
        """
        def model():
            raise KeyError("broken model")

        async def main():
            at(1, model)
            threading.Thread(target=time.sleep, args=(100,)).start()
            for _ in range(3):
                try:
                    time.sleep(5)
                except KeyError as error:
                    log("caught", error)
            log("goes on")
            await asyncio.sleep(1)
            log("must not come")

        play(main)
        """,
        code=1,
    )
    assert played.lines == [
        *["1 caught 'broken model'"] * 3,
        "1 goes on",
        "1 raised KeyError: 'broken model'",
    ]


@pytest.mark.parametrize(
    "endless",
    [
        "await asyncio.Event().wait()",
        "[await asyncio.sleep(1) for _ in range(10**9)]",
        "await asyncio.to_thread(lambda: [time.sleep(1) for _ in range(10**9)])",
        "[time.sleep(1) for _ in range(10**9)]",
    ],
)
@pytest.mark.parametrize("world", ["events", "nothing"])
def test_until_s_stops_a_run_that_never_ends(play: Play, endless: str, world: str) -> None:
    """A run beyond its last instant ends with an error, whoever it is that goes on for ever."""
    played = play(
        f"""
        def events():
            while True:
                yield env.timeout(0.25)

        async def main():
            if {world!r} == "events":
                env.process(events())
            else:
                at(1e9, lambda: None)
            {endless}

        play(main)
        """,
        code=1,
        until_s=50,
    )
    assert len(played.lines) == 1
    instant, _, words = played.lines[0].partition(" ")
    assert words == (
        "raised VirtualTimeError: expected the run to end before 50 s of simulated time"
    )
    if world == "events" or "sleep" in endless:
        assert 50 <= float(instant) <= 51.01


def test_a_timer_that_expired_after_its_wait_wakes_nobody(play: Play) -> None:
    """A wait that another one ended is not ended again by its old timer: nested waits are safe."""
    played = play(
        """
        event, box = threading.Event(), queue.Queue()

        def body():
            log(event.wait(10))
            event.clear()
            for timeout_s in (7, 3, 20):
                try:
                    log(box.get(timeout=timeout_s))
                except queue.Empty:
                    log("empty")

        async def main():
            threading.Thread(target=body).start()
            await asyncio.sleep(1)
            event.set()
            await asyncio.sleep(1)
            box.put("first")
            await asyncio.sleep(30)

        play(main)
        """
    )
    assert played.lines == ["1 True", "2 first", "5 empty", "25 empty"]


def test_a_thread_from_before_the_kernel_keeps_real_time(play: Play) -> None:
    """A thread that is no part sleeps and reads clocks in real time and disturbs nothing."""
    played = play(
        """
        stop = []

        def outsider():
            while not stop:
                time.sleep(0.001)
                for _ in range(100):
                    time.monotonic()

        threading.Thread(target=outsider, daemon=True).start()

        async def main():
            for _ in range(200):
                await asyncio.sleep(1)
                await asyncio.to_thread(time.sleep, 1)
            stop.append(True)
            log("end")

        play(main)
        """
    )
    assert played.lines == ["400 end"]
    assert played.stderr == ""


def test_a_read_that_blocks_in_c_ends_with_a_stack_dump(play: Play) -> None:
    """A thread that freezes the world is shown, with every other thread, within the limit."""
    played = play(
        """
        def frozen_reader():
            reading, _ = os.pipe()
            os.read(reading, 1)

        async def main():
            threading.Thread(target=time.sleep, args=(1000,), name="sleeper").start()
            threading.Thread(target=frozen_reader).start()
            await asyncio.sleep(5)

        play(main)
        """,
        code=1,
        limit_s=2,
    )
    assert played.lines == []
    assert "Timeout (0:00:02)!" in played.stderr
    assert "in frozen_reader" in played.stderr
    assert played.stderr.count("most recent call first") == 3
    assert 2 <= played.wall_s < 10


def test_a_real_lock_held_across_a_virtual_block_ends_with_a_stack_dump(play: Play) -> None:
    """So is one that waits for a lock made before virtual time was installed."""
    played = play(
        """
        def holder():
            with real:
                time.sleep(1)

        async def main():
            await asyncio.gather(asyncio.to_thread(holder), asyncio.to_thread(holder))

        play(main)
        """,
        prologue="import threading\nreal = threading.Lock()\nfrom stage import *\nimport time\n",
        code=1,
        limit_s=2,
    )
    assert "Timeout (0:00:02)!" in played.stderr
    assert "in holder" in played.stderr
    assert 2 <= played.wall_s < 10


def test_virtual_time_must_be_installed_first(play: Play) -> None:
    """Activating a kernel without `install()` is refused, not half done."""
    played = play(
        """
        import random
        from rig.vtime.kernel import Kernel
        from rig.vtime.patches import active

        try:
            with active(Kernel(0), random.Random(1)):
                pass
        except RuntimeError as error:
            print(error)
        """,
        prologue="",
    )
    assert played.lines == ["rig.vtime.install() must run before a kernel is activated"]
