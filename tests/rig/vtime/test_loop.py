"""The event loop on the world's clock."""

from __future__ import annotations

import pytest

from tests.rig.vtime.conftest import Play


def test_loop_time_is_world_time(play: Play) -> None:
    """Where the loop would sleep time jumps, and `loop.time()`, the clocks and the world agree."""
    played = play(
        """
        async def main():
            loop = asyncio.get_running_loop()
            for _ in range(2):
                await asyncio.sleep(3600.5)
                log(loop.time(), time.monotonic(), time.perf_counter_ns(), time.monotonic_ns())

        play(main)
        """
    )
    assert played.lines == [
        "3600.5 3600.5 3600.5 3600500000000 3600500000000",
        "7201 7201.0 7201.0 7201000000000 7201000000000",
    ]
    assert played.wall_s < 10


def test_world_events_come_before_timers_of_their_instant(play: Play) -> None:
    """The world's events and the threads they wake, in order, then the loop's timers."""
    played = play(
        """
        async def main():
            asyncio.get_running_loop().call_later(1, log, "timer")
            threading.Thread(target=lambda: (time.sleep(1), log("thread"))).start()
            at(1, lambda: log("world"))
            await asyncio.sleep(0.5)
            at(1, lambda: log("late world"))
            await asyncio.sleep(1)

        play(main)
        """
    )
    assert played.lines == ["1 world", "1 thread", "1 late world", "1 timer"]


def test_call_soon_threadsafe_wakes_the_loop_at_once(play: Play) -> None:
    """A thread's callback runs at the instant of the call, though the loop slept for longer."""
    played = play(
        """
        async def main():
            loop = asyncio.get_running_loop()

            def body():
                time.sleep(1)
                loop.call_soon_threadsafe(log, "callback")
                log("thread goes on")
                time.sleep(1)
                log("result", asyncio.run_coroutine_threadsafe(answer(), loop).result())

            async def answer():
                await asyncio.sleep(3)
                return 42

            threading.Thread(target=body).start()
            await asyncio.sleep(100)
            log("end")

        play(main)
        """
    )
    assert played.lines == ["1 thread goes on", "1 callback", "5 result 42", "100 end"]


def test_a_blocking_call_in_the_loop_is_a_latency_gap(play: Play) -> None:
    """While a coroutine blocks, threads and the world go on and asyncio starves, as in reality."""
    played = play(
        """
        async def ticker():
            while True:
                await asyncio.sleep(1)
                log("tick")

        def body():
            for _ in range(2):
                time.sleep(1.25)
                log("thread")

        async def main():
            task = asyncio.create_task(ticker())
            thread = threading.Thread(target=body)
            thread.start()
            at(2, lambda: log("world"))
            await asyncio.sleep(1.1)
            time.sleep(2)
            thread.join()
            log("unblocked")
            await asyncio.sleep(1.5)

        play(main)
        """
    )
    assert played.lines == [
        *("1 tick", "1.25 thread", "2 world", "2.5 thread", "3.1 unblocked", "3.1 tick"),
        "4.1 tick",
    ]


def test_a_thread_that_writes_to_a_socket_of_the_loop_wakes_it(play: Play) -> None:
    """Bytes that a thread sends to a descriptor of the loop are seen at that instant."""
    played = play(
        """
        import socket

        async def main():
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            loop = asyncio.get_running_loop()
            loop.add_reader(ours, lambda: log(ours.recv(100)))

            def body():
                time.sleep(1)
                theirs.send(b"one")
                time.sleep(1)
                theirs.send(b"two")
                time.sleep(50)

            threading.Thread(target=body).start()
            at(1.5, lambda: None)
            await asyncio.sleep(10)

        play(main)
        """
    )
    assert played.lines == ["1 b'one'", "2 b'two'"]


def test_a_thread_that_selects_on_a_pipe_is_woken_by_whoever_writes(play: Play) -> None:
    """`select` in a thread on a pipe or socket returns at the instant of the write."""
    played = play(
        """
        reading, writing = os.pipe()

        def body():
            for timeout_s in (None, 1.5, 50, 0, 7):
                ready = select.select([reading], [], [], timeout_s)[0]
                log(bool(ready), os.read(reading, 100) if ready else b"")

        async def main():
            threading.Thread(target=body).start()
            await asyncio.sleep(1)
            os.write(writing, b"from the loop")

            def other():
                time.sleep(5)
                os.write(writing, b"from a thread")
                time.sleep(30)

            threading.Thread(target=other).start()
            await asyncio.sleep(100)

        play(main)
        """
    )
    assert played.lines == [
        *("1 True b'from the loop'", "2.5 False b''", "6 True b'from a thread'", "6 False b''"),
        "13 False b''",
    ]


def test_select_refuses_and_polls_as_the_real_one(play: Play) -> None:
    """`select` refuses a negative timeout, reports writability at once, and sees a closed pipe."""
    played = play(
        """
        def body():
            reading, writing = os.pipe()
            try:
                select.select([reading], [], [], -1)
            except ValueError as error:
                log(error)
            log(select.select([reading], [writing], [], 5) == ([], [writing], []))
            threading.Timer(2, os.close, [writing]).start()
            log(select.select([reading], [], [], 5) == ([reading], [], []))
            os.close(reading)
            try:
                select.select([reading], [], [], 5)
            except OSError as error:
                log("EBADF", error.errno)

        async def main():
            await asyncio.to_thread(body)

        play(main)
        """
    )
    assert played.lines == ["0 timeout must be non-negative", "0 True", "2 True", "2 EBADF 9"]


def test_sockets_within_the_loop_take_no_time(play: Play) -> None:
    """Client and server streams of one loop talk over loopback TCP within an instant."""
    played = play(
        """
        async def serve(reader, writer):
            while line := await reader.readline():
                await asyncio.sleep(0.25)
                writer.write(line.upper())
            writer.close()

        async def main():
            server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 23)
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            for word in (b"one", b"two"):
                writer.write(word + b"\\n")
                log(await reader.readline())
            writer.write(b"x" * 3_000_000 + b"\\n")
            log(len(await reader.readexactly(3_000_001)))
            writer.close()
            server.close()

        play(main)
        """
    )
    assert played.lines == ["0.25 b'ONE\\n'", "0.5 b'TWO\\n'", "0.75 3000001"]


def test_a_refused_connection_is_an_error_and_time_goes_on(play: Play) -> None:
    """A connect that fails raises as always, and time is not held afterwards."""
    played = play(
        """
        import socket

        async def main():
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            for address in (("127.0.0.1", port),):
                try:
                    await asyncio.open_connection(*address)
                except OSError as error:
                    log(type(error).__name__)
            try:
                await asyncio.open_unix_connection("/nonexistent/socket")
            except OSError as error:
                log(type(error).__name__)
            await asyncio.sleep(1)
            log(kernel.external)

        play(main)
        """
    )
    assert played.lines == ["0 ConnectionRefusedError", "0 FileNotFoundError", "1 0"]


def test_uvicorn_and_websockets_run_in_the_loop(play: Play) -> None:
    """A Starlette WebSocket under uvicorn and its client run in one loop, at exact instants."""
    program = """
        import socket
        import uvicorn
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route, WebSocketRoute
        from websockets.asyncio.client import connect

        async def live(websocket):
            await websocket.accept()
            for number in range(3):
                await asyncio.sleep(0.1)
                await websocket.send_json({"n": number, "at": time.time()})
            await websocket.close()

        async def hello(request):
            return PlainTextResponse("hello")

        async def watch(name, port):
            async with connect(f"ws://127.0.0.1:{port}/live", compression=None) as client:
                async for text in client:
                    log(name, text)

        async def main():
            app = Starlette(routes=[WebSocketRoute("/live", live), Route("/", hello)])
            options = {"log_level": "warning", "lifespan": "off", "ws": "websockets-sansio"}
            config = uvicorn.Config(app, **options)
            server = uvicorn.Server(config)
            listener = socket.create_server(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            await asyncio.sleep(5)
            task = asyncio.create_task(server._serve(sockets=[listener]))
            await asyncio.sleep(1)
            await asyncio.gather(*(watch(name, port) for name in "abc"))
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
            answer = await reader.read()
            log(answer.splitlines()[0], answer.splitlines()[1], answer[-5:])
            server.should_exit = True
            await task
            log("end")

        play(main)
        """
    first = play(program)
    frames = [
        f'{6 + n / 10:g} {name} {{"n":{n - 1},"at":17000000{6 + n / 10:02.1f}}}'
        for n in (1, 2, 3)
        for name in "abc"
    ]
    assert first.lines[:9] == [line.replace("17000000", "170000000") for line in frames]
    assert first.lines[9].startswith("6.3 b'HTTP/1.1 200 OK' b'date: Tue, 14 Nov 2023 22:13:2")
    assert first.lines[9].endswith("b'hello'")
    assert first.lines[10].endswith(" end")
    assert play(program, hash_seed="random").lines == first.lines


def test_timeouts_and_cancelling_keep_their_instants(play: Play) -> None:
    """`wait_for`, `timeout`, task groups and cancelled tasks end at the instant, in one order."""
    played = play(
        """
        async def nap(name, duration_s):
            try:
                await asyncio.sleep(duration_s)
                log(name, "slept")
            except asyncio.CancelledError:
                log(name, "cancelled")
                raise

        async def fail():
            await asyncio.sleep(1)
            raise ValueError("made up")

        async def main():
            try:
                await asyncio.wait_for(nap("long", 50), 2.5)
            except TimeoutError:
                log("timeout")
            try:
                async with asyncio.timeout_at(4):
                    await nap("other", 50)
            except TimeoutError:
                log("timeout")
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(nap("long", 9))
                    group.create_task(nap("short", 0.5))
                    group.create_task(fail())
            except ExceptionGroup as group:
                log(group.exceptions)
            task = asyncio.create_task(nap("task", 9))
            loop = asyncio.get_running_loop()
            threading.Timer(1, loop.call_soon_threadsafe, [task.cancel]).start()
            log(*await asyncio.gather(task, return_exceptions=True))

        play(main)
        """
    )
    assert played.lines == [
        *("2.5 long cancelled", "2.5 timeout", "4 other cancelled", "4 timeout"),
        *("4.5 short slept", "5 long cancelled"),
        *("5 (ValueError('made up'),)", "6 task cancelled", "6 "),
    ]


def test_sets_of_tasks_have_one_order(play: Play) -> None:
    """A task group cancels its tasks in one order, whatever their addresses; `wait` and
    `all_tasks` give them in one."""
    program = """
        size = int(os.environ["STAGE_JUNK"])
        junk = [[bytearray(48 * n) for n in range(k % 40)] for k in range(size)]
        del junk[::2]

        async def nap(name):
            try:
                await asyncio.sleep(1 + name % 4)
            except asyncio.CancelledError:
                log(name, "cancelled")
                raise

        async def fail():
            await asyncio.sleep(1.5)
            raise ValueError

        async def main():
            try:
                async with asyncio.TaskGroup() as group:
                    for number in range(40):
                        group.create_task(nap(number))
                    group.create_task(fail())
            except ExceptionGroup:
                pass
            tasks = [asyncio.create_task(nap(number), name=f"{number}") for number in range(40)]
            done, pending = await asyncio.wait(tasks, timeout=2)
            log(*(task.get_name() for task in (*done, *pending, *asyncio.all_tasks())))
            for task in pending:
                task.cancel()

        play(main)
        """
    first = play(program, junk=0)
    assert len(first.lines) == 30 + 1 + 24
    for junk in (301, 5003):
        assert play(program, junk=junk).lines == first.lines


def test_a_thread_outlives_the_task_that_waited_for_it(play: Play) -> None:
    """Cancelling `to_thread` ends the wait at once; the thread goes on, as in reality."""
    played = play(
        """
        def body():
            for _ in range(3):
                time.sleep(1)
                log("thread")

        async def main():
            try:
                await asyncio.wait_for(asyncio.to_thread(body), 1.5)
            except TimeoutError:
                log("timeout")
            await asyncio.sleep(10)

        play(main)
        """
    )
    assert played.lines == ["1 thread", "1.5 timeout", "2 thread", "3 thread"]


def test_a_subprocess_is_refused(play: Play) -> None:
    """asyncio subprocesses know no virtual time: they are refused in one line, not frozen."""
    played = play(
        """
        async def main():
            await asyncio.create_subprocess_exec("true")

        play(main)
        """,
        code=1,
    )
    assert len(played.lines) == 1
    assert "VirtualTimeError: expected no subprocess" in played.lines[0]


@pytest.mark.parametrize("busy", ["await asyncio.sleep(0)", "time.monotonic()", "time.time()"])
def test_spin_loops_end(play: Play, busy: str) -> None:
    """A loop that polls a clock without ever blocking comes to its end, and time creeps."""
    played = play(
        f"""
        async def main():
            loop = asyncio.get_running_loop()
            start_s = time.monotonic()
            ends = loop.time() + 0.003
            while loop.time() < ends:
                {busy}
            log("end")

        play(main)
        """
    )
    assert played.lines == ["0.003 end"]


def test_spin_loops_in_threads_end(play: Play) -> None:
    """So do loops in threads that poll the clock, or poll a descriptor without waiting."""
    played = play(
        """
        def spin_on_the_clock():
            ends_s = time.perf_counter() + 0.002
            while time.perf_counter() < ends_s:
                pass
            log("clock")

        def spin_on_select():
            reading, writing = os.pipe()
            threading.Timer(0.002, os.write, [writing, b"x"]).start()
            while not select.select([reading], [], [], 0)[0]:
                pass
            log("select")

        async def main():
            await asyncio.to_thread(spin_on_the_clock)
            await asyncio.to_thread(spin_on_select)

        play(main)
        """
    )
    assert played.lines == ["0.002 clock", "0.004 select"]


def test_reading_the_clock_often_moves_nothing(play: Play) -> None:
    """A program that reads the clock now and then for days never meets the spin guard."""
    played = play(
        """
        async def main():
            for _ in range(100):
                for _ in range(5000):
                    time.monotonic()
                await asyncio.sleep(1000)
            log("end")

        play(main)
        """
    )
    assert played.lines == ["100000 end"]
