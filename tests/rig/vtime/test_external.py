"""Rule 4, with a real PostgreSQL: time stands still while a request is open."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.store.embedded import EmbeddedPostgres
from tests.rig.tcp_forwarder import TcpForwarder
from tests.rig.vtime.conftest import DATABASE, PROLOGUE, Play, Played


def play_everywhere(play: Play, server: EmbeddedPostgres, program: str) -> Played:
    """Run `program` on a Unix socket, over TCP and over a TCP that cuts replies; all are equal."""
    first = None
    for pieces in (None, False, True):
        url = server.create_database("everywhere")
        try:
            with TcpForwarder(url, pieces=bool(pieces)) as door:
                where = url if pieces is None else door.url("everywhere")
                played = play(program, prologue=PROLOGUE + DATABASE, url=where, hash_seed="random")
        finally:
            server.drop_database("everywhere")
        first = first or played
        assert played.lines == first.lines, where
    assert first is not None
    return first


def test_time_stands_still_while_the_server_works(play: Play, url: str) -> None:
    """However long a query takes for real, not an instant passes and no timeout is reached."""
    played = play(
        """
        async def main():
            connection = await asyncpg.connect(URL, timeout=0.001, command_timeout=0.001)
            loop = asyncio.get_running_loop()
            loop.call_later(1e-6, log, "timer")
            threading.Timer(1e-6, log, ["thread"]).start()
            at(1e-6, lambda: log("world"))
            log(await connection.fetchval("SELECT 1 FROM pg_sleep(0.4)"))
            await asyncio.sleep(1)
            log(kernel.external, loop.exchange.waited_wall_s > 0.3)
            await connection.close()

        play(main)
        """,
        prologue=PROLOGUE + DATABASE,
        url=url,
    )
    assert played.lines == ["0 1", "1e-06 world", "1e-06 thread", "1e-06 timer", "1 0 True"]


def test_many_connections_have_one_order(play: Play, server: EmbeddedPostgres) -> None:
    """A pool, a writer of its own and threads give one trace on every kind of connection."""
    played = play_everywhere(
        play,
        server,
        """
        async def write(pool, name):
            for number in range(10):
                async with pool.acquire() as connection, connection.transaction():
                    row = await connection.fetchval(
                        "INSERT INTO rows (name, number) VALUES ($1, $2) RETURNING id",
                        name, number,
                    )
                log(name, number, row)
                await asyncio.sleep(0.01 * (number % 3))

        async def count(connection):
            for _ in range(10):
                log("count", await connection.fetchval("SELECT count(*) FROM rows"))
                await asyncio.sleep(0.005)

        async def main():
            own = await asyncpg.connect(URL)
            await own.execute("CREATE TABLE rows (id serial, name text, number int)")
            loop = asyncio.get_running_loop()
            async with asyncpg.create_pool(URL, min_size=2, max_size=5) as pool:

                def body(name):
                    time.sleep(0.01)
                    asyncio.run_coroutine_threadsafe(write(pool, name), loop).result()
                    log(name, "over")

                await asyncio.gather(
                    *(write(pool, f"task{number}") for number in range(6)),
                    *(asyncio.to_thread(body, f"thread{number}") for number in range(3)),
                    count(own),
                )
            log(await own.fetch("SELECT count(*), count(DISTINCT id), max(id) FROM rows"))
            await own.close()

        play(main)
        """,
    )
    assert len(played.lines) == 104
    assert played.lines[-1].endswith("[<Record count=90 count=90 max=90>]")


def test_large_replies_and_requests_come_whole(play: Play, server: EmbeddedPostgres) -> None:
    """Megabytes in either direction: rows, one value, a cursor, COPY, many parameters, at once."""
    played = play_everywhere(
        play,
        server,
        """
        import hashlib, io

        async def rows(connection):
            rows = await connection.fetch("SELECT n, 'row ' || n FROM generate_series(1, 120000) n")
            log("rows", len(rows), rows[-1][1])

        async def value(connection):
            text = await connection.fetchval("SELECT repeat('abc', 2000000)")
            log("value", len(text), hashlib.sha256(text.encode()).hexdigest()[:8])

        async def cursor(connection):
            total = 0
            async with connection.transaction():
                async for row in connection.cursor(
                    "SELECT n FROM generate_series(1, 20000) n", prefetch=3000
                ):
                    total += row["n"]
            log("cursor", total)

        async def copy(connection):
            await connection.execute("CREATE TABLE copied (number bigint, name text)")
            records = [(number, f"name {number}") for number in range(60_000)]
            log("in", await connection.copy_records_to_table("copied", records=records))
            back = io.BytesIO()
            log("out", await connection.copy_from_table("copied", output=back))
            log(hashlib.sha256(back.getvalue()).hexdigest()[:8])

        async def slow_sink(connection):
            size = 0
            async def sink(data):
                nonlocal size
                size += len(data)
                await asyncio.sleep(0.001)
            query = "SELECT n, repeat('x', 90) FROM generate_series(1, 5000) n"
            await connection.copy_from_query(query, output=sink)
            log("slow sink", size)

        async def many(connection):
            await connection.execute("CREATE TABLE many (number bigint, name text)")
            arguments = [(number, "y" * 100) for number in range(30_000)]
            await connection.executemany("INSERT INTO many VALUES ($1, $2)", arguments)
            log("many", await connection.fetchval("SELECT sum(number) FROM many"))
            text = "z" * 5_000_000
            log("echo", await connection.fetchval("SELECT $1::text", text) == text)

        async def main():
            async def alone(work):
                connection = await asyncpg.connect(URL)
                await work(connection)
                await connection.close()

            work = (rows, value, cursor, copy, slow_sink, many)
            await asyncio.gather(*(alone(one) for one in work))
            log(kernel.external)

        play(main)
        """,
    )
    kinds = {"rows", "value", "cursor", "in", "out", "many", "echo", "slow"}
    words = sorted(line.split(maxsplit=1)[1] for line in played.lines)
    assert [word for word in words if word.split()[0] in kinds] == [
        "cursor 200010000",
        "echo True",
        "in COPY 60000",
        "many 449985000",
        "out COPY 60000",
        "rows 120000 row 120000",
        "slow sink 478893",
        "value 6000000 cee3335e",
    ]
    assert played.lines[-1].endswith(" 0")


def test_errors_leave_the_connection_usable(play: Play, server: EmbeddedPostgres) -> None:
    """Errors of the server in any phase of the protocol end the exchange and nothing else."""
    played = play_everywhere(
        play,
        server,
        """
        async def refused(awaitable):
            try:
                log("no error", await awaitable)
            except (asyncpg.PostgresError, TypeError, OSError) as error:
                log(type(error).__name__)

        async def failing(connection):
            await connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
            await refused(connection.fetch("SELEKT"))
            await refused(connection.fetch("SELECT * FROM nowhere WHERE a = $1", 1))
            await refused(connection.fetch("SELECT 1 / (n - 500) FROM generate_series(1, 999) n"))
            await refused(connection.execute("SELECT 1; SELECT 1 / 0; SELECT 2"))
            await refused(connection.executemany("INSERT INTO t VALUES ($1)", [(1,), (2,), (1,)]))
            await refused(connection.copy_records_to_table("t", records=[(7,), (7,)]))
            await refused(connection.copy_records_to_table("t", records=[(8,), ("no number",)]))
            await refused(connection.copy_from_query("SELECT 1 / 0", output="/dev/null"))
            await refused(connection.execute("DO $$ BEGIN RAISE EXCEPTION 'so'; END $$"))
            await connection.execute("DO $$ BEGIN RAISE NOTICE 'only that'; END $$")
            log(await connection.fetchval("SELECT count(*) FROM t"))

        async def busy(connection):
            for number in range(20):
                log(await connection.fetchval("SELECT $1::int", number))

        async def main():
            first, second = await asyncpg.connect(URL), await asyncpg.connect(URL)
            await refused(asyncpg.connect(URL, database="nowhere"))
            await refused(asyncpg.connect(URL, user="nobody"))
            await asyncio.gather(failing(first), busy(second))
            await first.close()
            await second.close()
            await asyncio.sleep(1)
            log(kernel.external)

        play(main)
        """,
    )
    errors = [line for line in played.lines if line.endswith("Error")]
    assert len(errors) == 11, played.lines
    assert "0 0" in played.lines
    assert played.lines[-1] == "1 0"


def test_a_closed_connection_is_gone_at_once(play: Play, url: str) -> None:
    """Terminate holds time until the server has closed: nobody finds the connection afterwards."""
    played = play(
        """
        async def main():
            watching = await asyncpg.connect(URL)
            count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'short'"
            seen = []
            for _ in range(40):
                short = await asyncpg.connect(URL, server_settings={"application_name": "short"})
                seen.append(await watching.fetchval(count))
                await short.close()
                seen.append(await watching.fetchval(count))
            log(seen == [1, 0] * 40)

        play(main)
        """,
        prologue=PROLOGUE + DATABASE,
        url=url,
    )
    assert played.lines == ["0 True"]


def test_a_cancelled_query_ends_at_its_instant(play: Play, server: EmbeddedPostgres) -> None:
    """Cancelling tasks in the middle of a request, and aborting connections, harm nobody else."""
    played = play_everywhere(
        play,
        server,
        """
        async def main():
            connection = await asyncpg.connect(URL)
            for pauses in range(6):
                task = asyncio.create_task(connection.fetchval("SELECT 1 FROM pg_sleep(0.02)"))
                for _ in range(pauses):
                    await asyncio.sleep(0)
                task.cancel()
                log(pauses, *await asyncio.gather(task, return_exceptions=True))
                log(await connection.fetchval("SELECT $1::int", pauses))
            for _ in range(3):
                other = await asyncpg.connect(URL)
                task = asyncio.create_task(other.fetchval("SELECT 1 FROM pg_sleep(0.02)"))
                await asyncio.sleep(0)
                other.terminate()
                log(*(type(e).__name__ for e in await asyncio.gather(task, return_exceptions=True)))
                log(await connection.fetchval("SELECT 2"))
            await asyncio.sleep(1)
            log(kernel.external)

        play(main)
        """,
    )
    assert [line for line in played.lines if line.endswith(" 2")] == ["0 2"] * 4
    assert played.lines[-1] == "1 0"


def test_a_connection_that_is_cut_is_told(play: Play, url: str) -> None:
    """A server that ends idle and busy connections is heard, and time goes on."""
    played = play(
        """
        async def main():
            watching, idle, busy = [await asyncpg.connect(URL) for _ in range(3)]
            await watching.execute(f"SELECT pg_terminate_backend({idle.get_server_pid()}, 5000)")
            # Gone from the server's list is not yet gone: its process has a socket to close.
            await watching.execute("SELECT pg_sleep(0.5)")
            await asyncio.sleep(1)
            log(idle.is_closed())
            try:
                await busy.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            except (asyncpg.PostgresError, OSError) as error:
                log(type(error).__name__)
            log(busy.is_closed(), await watching.fetchval("SELECT 1"))
            await asyncio.sleep(1)
            log(kernel.external)

        play(main)
        """,
        prologue=PROLOGUE + DATABASE,
        url=url,
    )
    assert played.lines == ["1 True", "1 ConnectionDoesNotExistError", "1 True 1", "2 0"]


def test_notifications_come_with_the_next_reply(play: Play, url: str) -> None:
    """What another connection notified is heard when the listener next asks for something."""
    played = play(
        """
        async def main():
            listening, speaking = await asyncpg.connect(URL), await asyncpg.connect(URL)
            await listening.add_listener("news", lambda *words: log(words[-1]))
            await speaking.execute("NOTIFY news, 'extra'")
            await asyncio.sleep(1)
            log("asks")
            await listening.execute("SELECT 1")
            await asyncio.sleep(1)

        play(main)
        """,
        prologue=PROLOGUE + DATABASE,
        url=url,
    )
    assert played.lines == ["1 asks", "1 extra"]


def test_a_lock_wait_of_one_run_ends_with_an_error(play: Play, url: str) -> None:
    """Two connections that wait for each other are told so: time stands still for both."""
    played = play(
        """
        import rig.vtime.external
        rig.vtime.external.SILENCE_LIMIT_S = 0.5

        async def main():
            first, second = await asyncpg.connect(URL), await asyncpg.connect(URL)
            await first.execute("SELECT pg_advisory_lock(1)")
            await second.execute("SELECT pg_advisory_lock(1)")

        play(main)
        """,
        code=1,
        prologue=PROLOGUE + DATABASE,
        url=url,
    )
    assert len(played.lines) == 1
    assert "a reply of the database within 0 s of real time" in played.lines[0]
    assert "a lock wait between two connections" in played.lines[0]


@pytest.mark.parametrize("method", ["scram-sha-256", "md5", "password"])
def test_a_server_that_wants_a_password(play: Play, method: str, tmp_path: Path) -> None:
    """Each kind of log-in works over TCP, and a wrong password is refused."""
    data_dir = tmp_path / "data"
    with EmbeddedPostgres(data_dir, durable=False) as server:
        encryption = "md5" if method == "md5" else "scram-sha-256"
        server.start()
        server._sql(
            "postgres",
            f"SET password_encryption = '{encryption}'; CREATE ROLE driver LOGIN PASSWORD 'secret'",
        )
        (data_dir / "postgres" / "pg_hba.conf").write_text(
            f"local all driver {method}\nlocal all all trust\n", encoding="utf-8"
        )
        server._sql("postgres", "SELECT pg_reload_conf()")
        with TcpForwarder(server.url("postgres"), pieces=True) as door:
            played = play(
                """
                async def main():
                    connection = await asyncpg.connect(URL, password="secret")
                    log(await connection.fetchval("SELECT current_user"))
                    await connection.close()
                    try:
                        await asyncpg.connect(URL, password="wrong")
                    except asyncpg.InvalidPasswordError:
                        log("refused")

                play(main)
                """,
                prologue=PROLOGUE + DATABASE,
                url=door.url("postgres", user="driver"),
            )
    assert played.lines == ["0 driver", "0 refused"]
