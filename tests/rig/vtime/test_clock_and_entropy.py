"""What a program can read: the wall clock, and randomness."""

from __future__ import annotations

from tests.rig.vtime.conftest import Play


def test_the_wall_clock_follows(play: Play) -> None:
    """time.time, datetime.now, localtime and the records of logging show the world's UTC."""
    played = play(
        """
        import logging
        from datetime import UTC, datetime

        class Printer(logging.Handler):
            def emit(self, record):
                log(record.created, record.getMessage())

        async def main():
            logging.getLogger().addHandler(Printer())
            log(time.time(), time.time_ns())
            await asyncio.sleep(0.001)
            log(time.time_ns() - 1_700_000_000_000_000_000)
            await asyncio.sleep(86_399.999)
            log(datetime.now(UTC).isoformat(), datetime.now(UTC).timestamp())
            log(time.strftime("%F %T", time.gmtime()), time.gmtime().tm_yday)
            logging.warning("careful")

        play(main)
        """
    )
    assert played.lines == [
        "0 1700000000.0 1700000000000000000",
        "0.001 1000000",
        "86400 2023-11-15T22:13:20+00:00 1700086400.0",
        "86400 2023-11-15 22:13:20 319",
        "86400 1700086400.0 careful",
    ]


def test_clocks_bound_in_a_class_body_stay_functions(play: Play) -> None:
    """A clock, `sleep`, `select` or `urandom` taken into a class body does not become a method."""
    played = play(
        """
        class Library:
            monotonic, nap, choose, entropy = time.monotonic, time.sleep, select.select, os.urandom

        def body():
            library = Library()
            library.nap(2)
            log(library.monotonic(), library.choose([], [], [], 1), len(library.entropy(3)))

        async def main():
            await asyncio.to_thread(body)

        play(main)
        """
    )
    assert played.lines == ["3 2.0 ([], [], []) 3"]


def test_a_wait_is_never_shorter_than_the_clock_shows(play: Play) -> None:
    """python-can waits for what is left of its time, until nothing is."""
    played = play(
        """
        def body():
            begun_s, rounds = time.time(), 0
            while time.time() == begun_s and rounds < 100:
                select.select([], [], [], 1e-15)
                rounds += 1
            log(rounds)

        async def main():
            await asyncio.to_thread(body)

        play(main)
        """
    )
    assert played.lines == ["1e-06 1"]


def test_entropy_repeats_with_the_seed(play: Play) -> None:
    """All that Python programs take for random repeats with the seed, and differs with another."""
    program = """
        import secrets, tempfile, uuid

        async def main():
            log(os.urandom(8).hex(), secrets.token_hex(8), uuid.uuid4(), uuid.uuid1().time)
            log(random.random(), random.SystemRandom().random(), random.Random().random())
            random.seed()
            log(random.random(), random.randbytes(4).hex())
            generator = random.Random(5)
            log(generator.random())
            generator.seed()
            log(generator.random())
            random.seed(5)
            log(random.random())
            number = await asyncio.to_thread(secrets.randbelow, 10**9)
            log(number, next(tempfile._RandomNameSequence()))

        play(main)
        """
    first = play(program).lines
    assert play(program, hash_seed="random").lines == first
    other = play(program, seed=2).lines
    same = [a == b for a, b in zip(first, other, strict=True)]
    assert same == [False, False, False, True, False, True, False]


def test_entropy_is_real_outside_a_kernel(play: Play) -> None:
    """Before and after an active kernel, randomness is the machine's again."""
    program = """
        print(os.urandom(8), random.Random().random())
        with active(kernel, random.Random(1)):
            inside = os.urandom(8)
        random.seed()
        print(os.urandom(8), random.Random().random(), random.random())
        print(inside)
        """
    first, second = play(program).lines, play(program).lines
    assert first[0] != second[0]
    assert first[1] != second[1]
    assert first[2] == second[2]
