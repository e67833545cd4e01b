"""A program among others of one process, stopped and killed as a process would be."""

from __future__ import annotations

from tests.rig.vtime.conftest import DATABASE, PROLOGUE, Play

PROGRAM = PROLOGUE + (
    """
import contextvars, socket
from rig.vtime.program import Program, current

def start(program, coroutine):
    context = contextvars.copy_context()
    context.run(current.set, program)
    return asyncio.get_running_loop().create_task(coroutine, context=context)

async def tick(name):
    try:
        while True:
            log(name)
            await asyncio.sleep(1)
    finally:
        log(name, "ends")

def thread_tick(name):
    try:
        while True:
            log(name, "thread")
            time.sleep(1)
    finally:
        log(name, "thread ends")

async def both(name):
    threading.Thread(target=thread_tick, args=(name,), daemon=True).start()
    await tick(name)
"""
)


def test_a_stopped_program_stands_still_and_others_go_on(play: Play) -> None:
    """Its task and its thread miss three seconds; then each goes on where it was, once."""
    played = play(
        """
        async def main():
            loop = asyncio.get_running_loop()
            one, other = Program("one"), Program("other")
            start(one, both("one"))
            start(other, tick("other"))
            at(1.5, lambda: loop.when_at_rest(lambda: one.stop(kernel, loop)))
            at(4.5, lambda: loop.when_at_rest(lambda: one.go_on(kernel, loop)))
            await asyncio.sleep(5.7)

        play(main)
        """,
        prologue=PROGRAM,
    )
    ones = [line for line in played.lines if "one" in line]
    assert ones == ["0 one", "0 one thread", "1 one thread", "1 one", "4.5 one thread", "4.5 one",
                    "5.5 one thread", "5.5 one"]  # fmt: skip
    assert [line for line in played.lines if "other" in line] == [f"{s} other" for s in range(6)]


def test_what_comes_for_a_stopped_program_waits(play: Play) -> None:
    """Bytes on its sockets and calls from threads are there when it goes on, in order."""
    played = play(
        """
        async def listen(reader, writer):
            while data := await reader.read(100):
                log("heard", data)

        async def serve(sockets):
            await asyncio.start_server(listen, sock=sockets)

        async def main():
            loop = asyncio.get_running_loop()
            program = Program("one")
            listener = socket.create_server(("127.0.0.1", 0))
            await start(program, serve(listener))
            _, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(b"a")
            await asyncio.sleep(1)
            loop.when_at_rest(lambda: program.stop(kernel, loop))
            await asyncio.sleep(1)
            writer.write(b"b")
            await asyncio.sleep(1)
            writer.write(b"c")
            await asyncio.sleep(1)
            loop.when_at_rest(lambda: program.go_on(kernel, loop))
            await asyncio.sleep(1)
            writer.write(b"d")
            await asyncio.sleep(1)

        play(main)
        """,
        prologue=PROGRAM,
    )
    assert played.lines == ["0 heard b'a'", "4 heard b'bc'", "5 heard b'd'"]


def test_nothing_of_a_killed_program_runs(play: Play) -> None:
    """No `finally`, no timer, no thread, not even when garbage is collected; its locks are free."""
    played = play(
        """
        import gc
        lock = threading.Lock()

        def hold():
            with lock:
                time.sleep(100)

        async def holding():
            threading.Thread(target=hold, daemon=True).start()
            asyncio.get_running_loop().call_later(3, log, "timer")
            await asyncio.to_thread(time.sleep, 3)
            await both("one")

        async def main():
            loop = asyncio.get_running_loop()
            program = Program("one")
            start(program, both("one"))
            start(program, holding())
            await asyncio.sleep(1.5)
            loop.when_at_rest(lambda: program.kill(kernel, loop))
            await asyncio.sleep(0.5)
            del program
            gc.collect()
            log(len(kernel.parts), len(asyncio.all_tasks()))
            log(await asyncio.to_thread(lambda: "other threads work"))
            await asyncio.sleep(5)
            gc.collect()

        play(main)
        """,
        prologue=PROGRAM,
    )
    assert played.lines[4:] == ["2 0 3", "2 other threads work"]
    assert not any("ends" in line or "timer" in line for line in played.lines)
    assert played.stderr == ""


def test_sockets_and_files_of_a_killed_program_are_closed(play: Play, tmp_path: object) -> None:
    """Its clients see the end at that instant, its port refuses, its lock on a file is free."""
    played = play(
        """
        import fcntl
        place = os.environ["STAGE_PLACE"]

        async def serve(listener):
            file = os.open(place + "/lock", os.O_RDWR | os.O_CREAT)
            fcntl.flock(file, fcntl.LOCK_EX)
            await asyncio.start_server(lambda reader, writer: None, sock=listener)
            await asyncio.sleep(100)

        async def main():
            loop = asyncio.get_running_loop()
            program = Program("one")
            listener = socket.create_server(("127.0.0.1", 0))
            address = listener.getsockname()
            start(program, serve(listener))
            await asyncio.sleep(1)
            reader, writer = await asyncio.open_connection(*address)
            loop.call_later(1, loop.when_at_rest,
                            lambda: program.kill(kernel, loop, [place]))
            log(await reader.read(10))
            try:
                await asyncio.open_connection(*address)
            except ConnectionRefusedError:
                log("refused")
            again = os.open(place + "/lock", os.O_RDWR)
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
            log("locked")

        play(main)
        """,
        prologue=PROGRAM,
        place=tmp_path,
    )
    assert played.lines == ["2 b''", "2 refused", "2 locked"]


def test_a_killed_programs_connections_are_gone_with_it(play: Play, url: str) -> None:
    """Its transaction is rolled back, its lock is free, and the server has no backend of it."""
    played = play(
        """
        async def work():
            connection = await asyncpg.connect(URL)
            await connection.execute("CREATE TABLE words (word text)")
            await connection.fetchval("SELECT pg_advisory_lock(7)")
            await connection.execute("INSERT INTO words VALUES ('kept')")
            await connection.execute("BEGIN; INSERT INTO words VALUES ('lost')")
            await asyncio.sleep(100)

        async def main():
            loop = asyncio.get_running_loop()
            program = Program("one")
            start(program, work())
            await asyncio.sleep(1)
            loop.when_at_rest(lambda: program.kill(kernel, loop))
            await asyncio.sleep(0.001)
            connection = await asyncpg.connect(URL)
            log(await connection.fetchval("SELECT pg_try_advisory_lock(7)"))
            log(await connection.fetchval("SELECT array_agg(word) FROM words"))
            log(await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"))

        play(main)
        """,
        prologue=PROGRAM + DATABASE,
        url=url,
    )
    assert played.lines == ["1.001 True", "1.001 ['kept']", "1.001 1"]


def test_a_database_that_is_down_refuses_and_has_cut(play: Play, url: str) -> None:
    """The server's own last word reaches the client at that instant; then nobody listens."""
    played = play(
        """
        async def main():
            loop = asyncio.get_running_loop()
            other = await asyncpg.connect(URL)
            connection = await asyncpg.connect(URL)
            number = connection.get_server_pid()
            ended = asyncio.Event()
            connection.add_termination_listener(lambda connection: ended.set())
            await other.execute(f"SELECT pg_terminate_backend({number})")
            loop.exchange.transports.pop(
                other._transport.get_extra_info("socket").fileno())  # not this one
            def shut():
                loop.exchange.way.is_down = True
                loop.exchange.cut()
            loop.call_later(1, loop.when_at_rest, shut)
            await ended.wait()
            log("ended", connection.is_closed())
            try:
                await asyncpg.connect(URL)
            except ConnectionRefusedError as error:
                log(error)
            await asyncio.sleep(2)
            loop.exchange.way.is_down = False
            connection = await asyncpg.connect(URL)
            log(await connection.fetchval("SELECT 1"))

        play(main)
        """,
        prologue=PROGRAM + DATABASE,
        url=url,
    )
    assert played.lines == ["1 ended True", "1 [Errno 111] Connection refused", "3 1"]


def test_a_slow_database_takes_its_time_and_no_more(play: Play, url: str) -> None:
    """Half of it on each way, of each exchange, and the world goes on meanwhile."""
    played = play(
        """
        async def main():
            loop = asyncio.get_running_loop()
            connection = await asyncpg.connect(URL)
            log(await connection.fetchval("SELECT 1"))
            loop.exchange.way.lags.append(lambda: 0.25)
            loop.call_later(0.3, log, "the world goes on", kernel.external)
            await connection.execute("CREATE TABLE words (word text)")
            log("created")
            await connection.execute("INSERT INTO words VALUES ('a')")
            log("inserted")
            loop.exchange.way.lags.clear()
            log(await connection.fetchval("SELECT word FROM words"))
            await connection.close()

        play(main)
        """,
        prologue=PROGRAM + DATABASE,
        url=url,
    )
    assert played.lines == [
        "0 1",
        "0.3 the world goes on 0",
        "0.5 created",
        "1 inserted",
        "1 a",
    ]


def test_what_is_on_its_way_when_the_program_dies(play: Play, url: str) -> None:
    """A request that has left is carried out although nobody hears the answer; a later one not."""
    played = play(
        """
        async def work(connection, word):
            await connection.execute(f"INSERT INTO words VALUES ('{word}')")
            log("never said")

        async def connected(word):
            await work(await asyncpg.connect(URL), word)

        async def main():
            loop = asyncio.get_running_loop()
            first = await asyncpg.connect(URL)
            await first.execute("CREATE TABLE words (word text)")
            program = Program("one")
            connections = []
            async def connect():
                connections.append(await asyncpg.connect(URL))
                connections.append(await asyncpg.connect(URL))
            await start(program, connect())
            loop.exchange.way.lags.append(lambda: 1.0)
            start(program, work(connections[0], "arrived"))
            await asyncio.sleep(0.5)
            start(program, work(connections[1], "under way"))
            await asyncio.sleep(0.7)                    # 1.2: one has come, its answer has not
            loop.when_at_rest(lambda: program.kill(kernel, loop))
            await asyncio.sleep(5)
            loop.exchange.way.lags.clear()
            log(await first.fetchval("SELECT array_agg(word) FROM words"))

        play(main)
        """,
        prologue=PROGRAM + DATABASE,
        url=url,
    )
    assert played.lines == ["6.2 ['arrived']"]


def test_who_waits_for_a_lock_lets_time_go_on(play: Play, url: str) -> None:
    """Of two connections one holds what the other wants, and waits for time: both come through."""
    played = play(
        """
        async def main():
            loop = asyncio.get_running_loop()
            first, second = [await asyncpg.connect(URL) for _ in range(2)]
            await first.execute("CREATE TABLE words (word text PRIMARY KEY)")
            loop.exchange.is_blocked = lambda backend, others: bool(
                steward.do("blocked", backend=backend, by=list(others)))
            loop.exchange.way.lags.append(lambda: 0.5)

            async def write(connection, name, pause_s):
                await asyncio.sleep(pause_s)
                async with connection.transaction():
                    await connection.execute(
                        "INSERT INTO words VALUES ('a') ON CONFLICT DO NOTHING")
                    log(name, "wrote")
                    await asyncio.sleep(3)
                log(name, "committed")

            await asyncio.gather(write(first, "first", 0), write(second, "second", 0.1))

        from rig.worker.database_control import Steward
        steward = Steward([URL], full=False)
        play(main)
        """,
        prologue=PROGRAM + DATABASE,
        url=url,
    )
    assert played.lines == [
        "2 first wrote",
        "6 first committed",
        "6 second wrote",
        "10 second committed",
    ]
