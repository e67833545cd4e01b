"""Threads under the baton: order, duration, life and death."""

from __future__ import annotations

from tests.rig.vtime.conftest import Play


def test_sleeping_threads_interleave_by_time_then_order(play: Play) -> None:
    """Threads that sleep wake by (instant, order of going to sleep), and it takes no wall time."""
    played = play(
        """
        def body(name, period_s):
            for _ in range(3):
                time.sleep(period_s)
                log(name)

        async def main():
            for name, period_s in (("a", 20), ("b", 30), ("c", 20)):
                threading.Thread(target=body, args=(name, period_s)).start()
            await asyncio.sleep(1000)
            log("end")

        play(main)
        """
    )
    assert played.lines == [
        *("20 a", "20 c", "30 b", "40 a", "40 c"),
        *("60 b", "60 a", "60 c", "90 b", "1000 end"),
    ]
    assert played.wall_s < 10


def test_a_thread_runs_only_when_its_starter_waits(play: Play) -> None:
    """A started thread, and one that it starts itself, first run when the starter blocks."""
    played = play(
        """
        def outer():
            log("outer")
            inner = threading.Thread(target=lambda: log("inner"))
            inner.start()
            log("outer goes on")
            inner.join()
            log("outer ends")

        async def main():
            thread = threading.Thread(target=outer)
            thread.start()
            log("starter goes on")
            await asyncio.sleep(0)
            log("the loop had nothing to wait for")
            await asyncio.to_thread(thread.join)
            log("joined")

        play(main)
        """
    )
    assert played.lines == [
        "0 starter goes on",
        "0 the loop had nothing to wait for",
        *("0 outer", "0 outer goes on", "0 inner", "0 outer ends", "0 joined"),
    ]


def test_join_waits_in_virtual_time_and_keeps_its_timeout(play: Play) -> None:
    """`join` returns at the thread's end or at its timeout; `is_alive` says which it was."""
    played = play(
        """
        def main_thread():
            thread = threading.Thread(target=time.sleep, args=(5,))
            log(thread.is_alive())
            thread.start()
            for timeout_s in (2, 0, -1):
                thread.join(timeout_s)
                log("alive", thread.is_alive())
            thread.join()
            log("alive", thread.is_alive())
            thread.join(3)
            log("over")
            try:
                thread.start()
            except RuntimeError as error:
                log(error)
            try:
                threading.current_thread().join()
            except RuntimeError as error:
                log(error)

        async def main():
            await asyncio.to_thread(main_thread)

        play(main)
        """
    )
    assert played.lines == [
        *("0 False", "2 alive True", "2 alive True", "2 alive True", "5 alive False", "5 over"),
        *("5 threads can only be started once", "5 cannot join current thread"),
    ]


def test_a_daemon_thread_does_not_hold_the_end(play: Play) -> None:
    """A thread that never ends, daemon or not, is left behind when the program returns."""
    played = play(
        """
        def for_ever():
            while True:
                time.sleep(1)

        async def main():
            for daemon in (True, False):
                threading.Thread(target=for_ever, daemon=daemon).start()
            await asyncio.sleep(2.5)
            log("end")

        play(main)
        """
    )
    assert played.lines == ["2.5 end"]


def test_an_exception_in_a_thread_is_reported_and_ends_only_that_thread(play: Play) -> None:
    """A raising thread prints its traceback as always, counts as ended, and wakes its joiners."""
    played = play(
        """
        def body():
            time.sleep(1)
            raise ValueError("broken part")

        async def main():
            thread = threading.Thread(target=body, name="worker")
            thread.start()
            await asyncio.to_thread(thread.join)
            log("alive", thread.is_alive())
            leaving = threading.Thread(target=lambda: os.sys.exit(3))
            leaving.start()
            await asyncio.to_thread(leaving.join)
            await asyncio.sleep(1)
            log("end")

        play(main)
        """
    )
    assert played.lines == ["1 alive False", "2 end"]
    assert "Exception in thread worker" in played.stderr
    assert "broken part" in played.stderr
    assert "SystemExit" not in played.stderr


def test_a_thread_may_end_while_others_can_run(play: Play) -> None:
    """Threads that end at one instant hand over in order; none is lost and none runs twice."""
    played = play(
        """
        def body(number):
            time.sleep(1)
            log("ends", number)

        async def main():
            threads = [threading.Thread(target=body, args=(n,)) for n in range(5)]
            for thread in threads:
                thread.start()
            await asyncio.sleep(1)
            log("loop")
            await asyncio.sleep(1)
            log([t.is_alive() for t in threads], len(kernel.parts))

        play(main)
        """
    )
    assert played.lines == [
        *(f"1 ends {number}" for number in range(5)),
        "1 loop",
        "2 [False, False, False, False, False] 0",
    ]


def test_executors_run_in_virtual_time(play: Play) -> None:
    """ThreadPoolExecutor and asyncio.to_thread overlap their sleeps; asyncio timeouts cut in."""
    played = play(
        """
        def nap(duration_s):
            time.sleep(duration_s)
            return duration_s

        def pool():
            with concurrent.futures.ThreadPoolExecutor(2) as executor:
                log("pool", list(executor.map(nap, [1, 2, 3])))

        async def main():
            await asyncio.to_thread(pool)
            log(await asyncio.gather(*(asyncio.to_thread(nap, n) for n in (5, 4, 3))))
            try:
                async with asyncio.timeout(1):
                    await asyncio.to_thread(nap, 5)
            except TimeoutError:
                log("timeout")

        play(main)
        """
    )
    assert played.lines == ["4 pool [1, 2, 3]", "9 [5, 4, 3]", "10 timeout"]


def test_a_timer_fires_or_is_cancelled(play: Play) -> None:
    """threading.Timer fires at its instant, and not at all when cancelled before."""
    played = play(
        """
        async def main():
            threading.Timer(3, log, ["fired"]).start()
            cancelled = threading.Timer(4, log, ["must not fire"])
            cancelled.start()
            await asyncio.sleep(3.5)
            cancelled.cancel()
            await asyncio.sleep(5)
            log("alive", cancelled.is_alive())

        play(main)
        """
    )
    assert played.lines == ["3 fired", "8.5 alive False"]


def test_sleep_refuses_what_the_real_one_refuses(play: Play) -> None:
    """A negative, endless or unnumbered sleep raises as in reality; zero lets the others run."""
    played = play(
        """
        class Holder:
            nap = time.sleep  # a builtin does not become a method

        def body():
            for value in (-1, float("nan"), float("inf"), "1", None):
                try:
                    time.sleep(value)
                except (ValueError, OverflowError, TypeError) as error:
                    log(type(error).__name__)
            threading.Thread(target=log, args=["the other"]).start()
            time.sleep(0)
            log("after zero")
            Holder().nap(1)
            log("after one")

        async def main():
            await asyncio.to_thread(body)

        play(main)
        """
    )
    assert played.lines == [
        *("0 ValueError", "0 ValueError", "0 OverflowError", "0 TypeError", "0 TypeError"),
        *("0 the other", "0 after zero", "1 after one"),
    ]


def test_many_threads_give_one_trace_whatever_the_hash_seed(play: Play) -> None:
    """Thirty threads over one lock and one queue give the same trace in every process."""
    program = """
        lock, box = threading.Lock(), queue.Queue(maxsize=3)

        def producer(number):
            for turn in range(20):
                time.sleep((number * 7 + turn * 3) % 11 / 10)
                box.put((number, turn))

        def consumer(number):
            while True:
                item = box.get()
                with lock:
                    time.sleep(0.01)
                    log(number, item)

        async def main():
            for number in range(15):
                threading.Thread(target=consumer, args=(number,), daemon=True).start()
                threading.Thread(target=producer, args=(number,)).start()
            await asyncio.sleep(60)

        play(main)
        """
    first = play(program)
    assert len(first.lines) == 300
    assert all(play(program, hash_seed=word).lines == first.lines for word in ("7", "random"))
