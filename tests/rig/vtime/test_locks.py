"""Locks, and what the standard library builds on them."""

from __future__ import annotations

from tests.rig.vtime.conftest import Play


def test_a_lock_is_handed_over_first_come_first_served(play: Play) -> None:
    """A released lock goes straight to the longest waiter; the releaser cannot take it back."""
    played = play(
        """
        lock = threading.Lock()

        def body(name):
            with lock:
                log(name, "in")
                time.sleep(1)
            log(name, "out", lock.acquire(blocking=False))

        async def main():
            for name in "abc":
                threading.Thread(target=body, args=(name,)).start()
            await asyncio.sleep(10)

        play(main)
        """
    )
    assert played.lines == [
        *("0 a in", "1 a out False", "1 b in", "2 b out False", "2 c in", "3 c out True"),
    ]


def test_a_lock_has_timeouts_and_refuses_as_the_real_one(play: Play) -> None:
    """Timed, zero and non-blocking acquires behave as in reality, wrong arguments included."""
    played = play(
        """
        lock = threading.Lock()

        def body():
            log(lock.acquire(timeout=2), lock.acquire(timeout=0), lock.acquire(blocking=False))
            log(lock.acquire(timeout=8), lock.locked())
            lock.release()
            log(lock.locked())
            try:
                lock.release()
            except RuntimeError as error:
                log(error)
            for taken in (False, True):
                for keywords in (
                    {"timeout": -0.5},
                    {"timeout": float("inf")},
                    {"blocking": False, "timeout": 1},
                ):
                    try:
                        lock.acquire(**keywords)
                    except (ValueError, OverflowError) as error:
                        log(type(error).__name__)
                lock.acquire(timeout=threading.TIMEOUT_MAX)

        async def main():
            lock.acquire()
            threading.Thread(target=body, daemon=True).start()
            await asyncio.sleep(5)
            lock.release()
            await asyncio.sleep(5)

        play(main)
        """
    )
    errors = ["5 ValueError", "5 OverflowError", "5 ValueError"]
    assert played.lines == [
        *("2 False False False", "5 True True", "5 False", "5 release unlocked lock"),
        *errors,
        *errors,
    ]


def test_a_wait_that_timed_out_takes_no_lock(play: Play) -> None:
    """A lock released after a waiter gave up goes to the next one, and nobody waits for ever."""
    played = play(
        """
        lock = threading.Lock()

        def body(name, timeout_s):
            if lock.acquire(timeout=timeout_s):
                log(name, "in")
                lock.release()
            else:
                log(name, "gave up")

        async def main():
            lock.acquire()
            for name, timeout_s in (("a", 1), ("b", 9), ("c", 1)):
                threading.Thread(target=body, args=(name, timeout_s)).start()
            await asyncio.sleep(5)
            log(len(lock._waits))
            lock.release()
            await asyncio.sleep(1)
            log(lock.locked())

        play(main)
        """
    )
    assert played.lines == ["1 a gave up", "1 c gave up", "5 1", "5 b in", "6 False"]


def test_release_at_the_instant_of_a_timeout_fires_the_wait_once(play: Play) -> None:
    """When a lock comes free at the very instant of a timeout, one of both wins, never both."""
    played = play(
        """
        lock = threading.Lock()

        def waiter(name):
            log(name, lock.acquire(timeout=1))
            time.sleep(1)
            log(name, "ends")

        def releaser():
            time.sleep(1)
            lock.release()
            log("released")

        async def main():
            lock.acquire()
            first = threading.Thread(target=waiter, args=("before",))
            first.start()
            threading.Thread(target=releaser).start()
            last = threading.Thread(target=waiter, args=("behind",))
            last.start()
            await asyncio.sleep(5)
            log(lock.locked())

        play(main)
        """
    )
    assert played.lines == [
        *("1 before False", "1 released", "1 behind True", "2 before ends", "2 behind ends"),
        "5 True",
    ]


def test_rlock_condition_and_event(play: Play) -> None:
    """RLock counts its owner's entries; Condition and Event wake in order and keep timeouts."""
    played = play(
        """
        rlock, condition, event = threading.RLock(), threading.Condition(), threading.Event()

        def owner():
            with rlock, rlock:
                time.sleep(2)
            log("owner out")

        def other():
            log("other", rlock.acquire(blocking=False), rlock.acquire(timeout=1))
            with rlock:
                log("other in")

        def waiter(name, timeout_s):
            with condition:
                log(name, condition.wait(timeout_s))

        def notifier():
            time.sleep(10)
            with condition:
                condition.notify(1)
            time.sleep(1)
            with condition:
                condition.notify_all()

        def listener():
            log("event", event.wait(20), event.wait(0))
            log("event", event.wait(), event.wait(5))

        async def main():
            for target in (owner, other, notifier, listener):
                threading.Thread(target=target).start()
            for name, timeout_s in (("a", None), ("b", 4), ("c", 99), ("d", 0)):
                threading.Thread(target=waiter, args=(name, timeout_s)).start()
            await asyncio.sleep(30)
            event.set()
            await asyncio.sleep(1)

        play(main)
        """
    )
    assert played.lines == [
        *("0 d False", "1 other False False", "2 owner out", "2 other in", "4 b False"),
        *("10 a True", "11 c True", "20 event False False", "30 event True True"),
    ]


def test_queue_semaphore_and_barrier(play: Play) -> None:
    """Queue blocks when full and empty; Semaphore and Barrier let through in order."""
    played = play(
        """
        box, simple = queue.Queue(maxsize=1), queue.SimpleQueue()
        semaphore, barrier = threading.BoundedSemaphore(2), threading.Barrier(3)

        def getter():
            for _ in range(3):
                try:
                    log("got", box.get(timeout=3))
                    box.task_done()
                except queue.Empty:
                    log("empty")
            log("simple", simple.get(timeout=5))
            try:
                simple.get(timeout=1)
            except queue.Empty:
                log("simple empty")

        def putter():
            box.put(1)
            try:
                box.put(2, timeout=0)
            except queue.Full:
                log("full")
            box.put(2)
            time.sleep(4)
            simple.put("s")

        def guest(name):
            with semaphore:
                log("guest", name)
                time.sleep(10)
            barrier.wait()
            log("beyond", name)

        async def main():
            for target in (putter, getter):
                threading.Thread(target=target).start()
            await asyncio.sleep(100)
            for name in "abc":
                threading.Thread(target=guest, args=(name,)).start()
            await asyncio.sleep(50)

        play(main)
        """
    )
    assert played.lines == [
        *("0 full", "0 got 1", "0 got 2", "3 empty", "4 simple s", "5 simple empty"),
        *("100 guest a", "100 guest b", "110 guest c"),
        *("120 beyond c", "120 beyond a", "120 beyond b"),
    ]


def test_locks_work_before_and_after_a_kernel(play: Play) -> None:
    """Without an active kernel the replaced locks, threads and timeouts work in real time."""
    played = play(
        """
        def real():
            lock, event, seen = threading.Lock(), threading.Event(), []
            lock.acquire()
            start_s = time.monotonic()
            seen.append(lock.acquire(timeout=0.05))
            seen.append(time.monotonic() - start_s >= 0.05)
            end = lambda: (time.sleep(0.02), event.set(), lock.release())
            thread = threading.Thread(target=end)
            thread.start()
            seen += [event.wait(5), lock.acquire(timeout=5)]
            thread.join()
            with concurrent.futures.ThreadPoolExecutor(2) as executor:
                seen += executor.map(abs, [-1, -2])
            return seen + [thread.is_alive()]

        print(real())
        with active(kernel, random.Random(1)):
            loop = VirtualLoop(kernel)
            loop.run_until_complete(asyncio.to_thread(time.sleep, 3))
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
        log("virtual")
        print(real())
        """,
        prologue="from stage import *\nimport threading, time, concurrent.futures\n",
    )
    assert played.lines == [
        "[False, True, True, True, 1, 2, False]",
        "3 virtual",
        "[False, True, True, True, 1, 2, False]",
    ]
