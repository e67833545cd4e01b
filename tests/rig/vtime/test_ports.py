"""Unmodified pyserial on the path of a virtual port."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rig.vtime.conftest import PROLOGUE, Play

SERIAL = PROLOGUE + (
    """
import serial, tempfile
from pathlib import Path
from rig.vtime.ports import VirtualPort
from sim.serial_line import SerialLine

def make_port(baud=9600, name="port", **options):
    line = SerialLine(env, name, baud, **options)
    port = VirtualPort(kernel, line, Path(tempfile.mkdtemp(prefix="vp-")) / name)
    return line, port, str(port.path)
"""
)


def test_bytes_arrive_by_baud(play: Play) -> None:
    """A read ends when the last bit has passed, rounded up to the USB frame; both ways."""
    played = play(
        """
        line, port, path = make_port(9600)
        line.attach_device(lambda data: log("device got", data))

        def body():
            with serial.Serial(path, 9600) as client:
                log(client.read(96))
                client.write(b"x" * 24)
                client.write(b"y")
                time.sleep(1)
                log(client.read(4))

        async def main():
            at(1, lambda: line.write(b"a" * 96))
            at(1.2, lambda: line.write(b"late"))
            await asyncio.to_thread(body)
            port.close()
            log(os.path.lexists(path))

        play(main)
        """,
        prologue=SERIAL,
    )
    assert played.lines == [
        f"1.1 b'{'a' * 96}'",
        f"1.127 device got b'{'x' * 24}y'",
        "2.1 b'late'",
        "2.1 False",
    ]


def test_read_timeouts(play: Play) -> None:
    """pyserial's timeouts pass in virtual time: some, zero, long, none."""
    played = play(
        """
        line, port, path = make_port(paced=False)

        def body():
            client = serial.Serial(path, timeout=2)
            log(client.read(3))
            log(client.read(3))
            client.timeout = 0
            log(client.read(3))
            client.timeout = 60
            log(client.read(3))
            client.timeout = None
            log(client.read_until(b">"))
            log(client.readline())

        async def main():
            at(3, lambda: line.write(b"ab"))
            at(5, lambda: line.write(b"c"))
            for number, byte in enumerate((b"E", b"L", b"M", b">", b"x", b"\\n")):
                at(10 + number, lambda byte=byte: line.write(byte))
            await asyncio.to_thread(body)

        play(main)
        """,
        prologue=SERIAL,
    )
    assert played.lines == [
        *("2 b''", "4 b'ab'", "4 b''", "11 b'cEL'", "13 b'M>'", "15 b'x\\n'"),
    ]


def test_in_waiting_is_complete_at_once(play: Play) -> None:
    """Whatever was delivered is counted by `in_waiting` and read whole, ten thousand times.

    Unread bytes lie before some of them: then `poll` alone does not wait for the kernel's queue.
    """
    played = play(
        """
        line, port, path = make_port(paced=False)
        seen = []

        def body():
            client = serial.Serial(path, timeout=0)
            for number in range(10_000):
                size, unread = 1 + number * 7 % 90, number * 5 % 3 * 40
                at(env.now, lambda: line.write(b"u" * unread))
                at(env.now + 1e-6, lambda: line.write(b"x" * size))
                time.sleep(1e-3)
                seen.append(client.in_waiting == unread + size == len(client.read(4096)))

        async def main():
            await asyncio.to_thread(body)
            print(all(seen), len(seen))

        play(main)
        """,
        prologue=SERIAL,
    )
    assert played.lines == ["True 10000"]


def test_a_sleeper_misses_nothing(play: Play) -> None:
    """What comes while the reader sleeps is all there when it wakes, and costs one write."""
    played = play(
        """
        line, port, path = make_port(paced=False)
        seen, writes, real_write = [], [], os.write
        os.write = lambda *given: (writes.append(given), real_write(*given))[1]

        def body():
            client = serial.Serial(path, timeout=1)
            for number in range(2_000):
                at(env.now + 1e-4, lambda: line.write(b"first"))
                seen.append(client.read(5) == b"first")
                for i in range(number % 8):
                    at(env.now + 1e-4 * i, lambda: line.write(b"%d" % number))
                time.sleep(1e-3)
                expected = b"%d" % number * (number % 8)
                seen.append(client.in_waiting == len(expected) == len(client.read(len(expected))))

        async def main():
            await asyncio.to_thread(body)
            print(all(seen), len(seen), len(writes))

        play(main)
        """,
        prologue=SERIAL,
    )
    assert played.lines == ["True 4000 3750"]


def test_what_is_kept_is_there_for_whoever_looks(play: Play) -> None:
    """Another thread than the one that waited last, one that comes after its end, a long flood, and
    the end of the port: what has arrived is there."""
    played = play(
        """
        line, port, path = make_port(paced=False)

        def first(ends):
            client = serial.Serial(path, timeout=30)
            log("first", client.read(1))
            time.sleep(ends)

        def other(client):
            client.timeout = 0
            log("without waiting", client.read(100))
            client.timeout = 1
            time.sleep(1)
            log("waiting", client.read(2))

        async def main():
            client = serial.Serial(path, timeout=0)
            at(1, lambda: line.write(b"a"))
            at(1.5, lambda: line.write(b"bc"))
            at(2.5, lambda: line.write(b"de"))
            slow = asyncio.create_task(asyncio.to_thread(first, 9))
            await asyncio.sleep(2)
            await asyncio.to_thread(other, client)
            await slow
            at(20, lambda: line.write(b"f"))
            at(20.5, lambda: line.write(b"g" * 600))
            at(20.6, lambda: line.write(b"h" * 600))
            at(20.7, lambda: line.write(b"i" * 60_000))
            await asyncio.gather(asyncio.to_thread(first, 1), asyncio.sleep(13))
            got = b""
            while piece := client.read(client.in_waiting or 1):
                got += piece
                await asyncio.sleep(0.02)
            log(len(got), port.overflow_bytes)
            at(40, lambda: line.write(b"j"))
            at(40.5, lambda: line.write(b"k"))
            at(40.6, line.hang_up)
            await asyncio.to_thread(first, 1)

        play(main)
        """,
        prologue=SERIAL,
    )
    assert played.lines == [
        "1 first b'a'",
        "2 without waiting b'bc'",
        "3 waiting b'de'",
        "20 first b'f'",
        played.lines[4],
        "40 first b'j'",
    ]
    assert played.lines[4].endswith(" 61200 0")


def test_two_writes_of_one_instant_reach_the_device_together(play: Play) -> None:
    """Commands written one after the other, without a wait, are one chunk, a thousand times."""
    played = play(
        """
        line, port, path = make_port(paced=False)
        seen = []
        line.attach_device(seen.append)

        def body():
            client = serial.Serial(path)
            for number in range(1000):
                client.write(b"AT")
                client.write(b"Z")
                client.write(b"\\r")
                time.sleep(0.01)

        async def main():
            await asyncio.to_thread(body)
            print(set(seen), len(seen))

        play(main)
        """,
        prologue=SERIAL,
    )
    assert played.lines == ["{b'ATZ\\r'} 1000"]


def test_a_long_write_is_taken_whole(play: Play) -> None:
    """More than a terminal's buffer holds is written without a pause and lost nowhere."""
    played = play(
        """
        line, port, path = make_port(115200)
        got = bytearray()
        line.attach_device(got.extend)

        def body():
            client = serial.Serial(path, write_timeout=0.5)
            data = bytes(range(256)) * 1000
            log(client.write(data))
            time.sleep(256_000 * 10 / 115_200 + 0.01)
            log(bytes(got) == data)

        async def main():
            await asyncio.to_thread(body)

        play(main)
        """,
        prologue=SERIAL,
    )
    assert played.lines == ["0 256000", "22.2322222 True"]


@pytest.mark.parametrize("size", [5_000, 60_000])
def test_a_reader_that_falls_behind_gets_all_of_it(play: Play, size: int) -> None:
    """What a slow reader left waits for it in order, and reading it needs no further arrival."""
    program = f"""
        line, port, path = make_port(paced=False)
        data = bytes(number * 7 % 251 for number in range({size}))

        def body():
            client = serial.Serial(path, timeout=1)
            time.sleep(5)
            got = bytearray()
            while piece := client.read(client.in_waiting or 1):
                got += piece
                log(len(piece))
            log(got == data, port.overflow_bytes)

        async def main():
            for start in range(0, {size}, 500):
                at(1 + start / 1e4, lambda start=start: line.write(data[start : start + 500]))
            await asyncio.to_thread(body)

        play(main)
        """
    played = play(program, prologue=SERIAL)
    assert played.lines[0].endswith(" 4095")
    assert played.lines[-1].endswith(" True 0")
    assert play(program, prologue=SERIAL).lines == played.lines


def test_a_flood_beyond_the_backlog_is_counted(play: Play) -> None:
    """What a reader leaves beyond the backlog is dropped and counted; the newest is kept out."""
    played = play(
        """
        line, port, path = make_port(paced=False)

        async def main():
            client = serial.Serial(path, timeout=0)
            at(1, lambda: line.write(b"a" * 100_000))
            await asyncio.sleep(2)
            log(port.overflow_bytes)
            got = 0
            while piece := client.read(100_000):
                got += len(piece)
                await asyncio.sleep(0.02)
            log(got)

        play(main)
        """,
        prologue=SERIAL,
    )
    assert played.lines[0] == "2 30369"
    assert played.lines[1].split()[1] == "69631"


def test_who_opens_a_port_finds_nothing_old(play: Play) -> None:
    """A driver drops at the last close what nobody has read, and keeps nothing while it is closed:
    not even what a port has no room for, and would take later."""
    played = play(
        """
        line, port, path = make_port(paced=False)

        def body():
            with serial.Serial(path) as client:
                time.sleep(2)
                log(client.in_waiting)
            time.sleep(1)
            with serial.Serial(path, timeout=1) as client:
                log(client.in_waiting)
                log(client.read(100))

        async def main():
            at(1, lambda: line.write(b"noise" * 4000))
            at(2.5, lambda: line.write(b"nobody is there"))
            at(3.5, lambda: line.write(b"news"))
            await asyncio.to_thread(body)

        play(main)
        """,
        prologue=SERIAL,
    )
    assert played.lines == ["2 4095", "3 0", "4 b'news'"]


def test_hang_up_and_replug(play: Play) -> None:
    """A pulled cable raises SerialException at once; replugged, the same path is a new port."""
    played = play(
        """
        line, port, path = make_port(paced=False)

        def read(client):
            try:
                log(client.read(5))
            except serial.SerialException as error:
                log(type(error).__name__)
                client.close()

        def body():
            client = serial.Serial(path)
            first = os.path.realpath(path)
            at(1, line.hang_up)
            read(client)
            log(os.path.lexists(path))
            try:
                serial.Serial(path)
            except serial.SerialException as error:
                log("no such port", error.errno)
            at(2, line.replug)
            time.sleep(3)
            client = serial.Serial(path)
            at(5, lambda: line.write(b"again"))
            read(client)
            idle = serial.Serial(path)
            line.hang_up()
            read(idle)
            line.replug()
            line.write(b"early")
            read(serial.Serial(path, timeout=2))
            log(line.to_host.dropped_bytes)

        async def main():
            await asyncio.to_thread(body)

        play(main)
        """,
        prologue=SERIAL,
    )
    assert played.lines == [
        *("1 SerialException", "1 False", "1 no such port 2", "5 b'again'"),
        *("5 SerialException", "5 b'early'", "5 0"),
    ]


def test_cancel_read_wakes_the_reader(play: Play) -> None:
    """pyserial's cancel_read and cancel_write end a blocked call at the instant, from anywhere."""
    played = play(
        """
        line, port, path = make_port(paced=False)

        def body(client):
            for _ in range(3):
                log(client.read(5))

        async def main():
            client = serial.Serial(path, timeout=None)
            reader = threading.Thread(target=body, args=(client,))
            reader.start()
            await asyncio.sleep(1)
            client.cancel_read()
            await asyncio.sleep(1)
            threading.Thread(target=lambda: (time.sleep(1), client.cancel_read())).start()
            at(4, lambda: line.write(b"12345"))
            await asyncio.to_thread(reader.join)

        play(main)
        """,
        prologue=SERIAL,
    )
    assert played.lines == ["1 b''", "3 b''", "4 b'12345'"]


def test_the_loop_can_watch_a_port(play: Play) -> None:
    """`loop.add_reader` on the port's descriptor is called at the instant of each arrival."""
    played = play(
        """
        line, port, path = make_port(9600)
        line.attach_device(lambda data: line.write(data.upper()))

        async def main():
            loop = asyncio.get_running_loop()
            descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            loop.add_reader(descriptor, lambda: log(os.read(descriptor, 100)))
            threading.Thread(target=time.sleep, args=(9,)).start()
            await asyncio.sleep(1)
            os.write(descriptor, b"echo")
            await asyncio.sleep(1)
            line.write(b"unasked")
            await asyncio.sleep(5)

        play(main)
        """,
        prologue=SERIAL,
    )
    assert played.lines == ["1.01 b'ECHO'", "2.008 b'unasked'"]


def test_the_loop_takes_a_port_over_from_a_thread(play: Play) -> None:
    """A thread waited for the port and lives on; then the loop is called at each arrival."""
    played = play(
        """
        line, port, path = make_port(paced=False)

        def thread(client):
            client.read(1)
            time.sleep(60)

        async def main():
            loop = asyncio.get_running_loop()
            client = serial.Serial(path, timeout=30)
            at(1, lambda: line.write(b"a"))
            at(2, lambda: line.write(b"kept"))
            for second in (4, 5, 6):
                at(second, lambda: line.write(b"news"))
            asleep = asyncio.create_task(asyncio.to_thread(thread, client))
            await asyncio.sleep(3)
            loop.add_reader(client.fd, lambda: log(os.read(client.fd, 100)))
            await asleep

        play(main)
        """,
        prologue=SERIAL,
    )
    assert played.lines == ["3 b'kept'", "4 b'news'", "5 b'news'", "6 b'news'"]


def test_the_client_of_a_pulled_port_is_killed(play: Play) -> None:
    """It is let go while the cable is out, after its end, and twice; the next port is as new."""
    played = play(
        """
        line, port, path = make_port(paced=False)

        async def main():
            client = serial.Serial(path, timeout=5)
            at(1, lambda: line.write(b"a"))
            log(await asyncio.to_thread(client.read, 1))
            line.hang_up()
            port.let_go()
            line.replug()
            again = serial.Serial(path, timeout=5)
            at(2, lambda: line.write(b"b"))
            log(await asyncio.to_thread(again.read, 1))
            port.let_go()
            port.let_go()
            port.close()
            port.let_go()

        play(main)
        """,
        prologue=SERIAL,
    )
    assert played.lines == ["1 b'a'", "2 b'b'"]


def test_several_ports_at_one_instant(play: Play) -> None:
    """Readers of several ports wake in the order of the arrivals, in each run the same."""
    program = """
        ports = [make_port(paced=False, name=f"p{number}") for number in range(6)]

        def body(number, path):
            client = serial.Serial(path, timeout=0.5)
            while data := client.read(client.in_waiting or 1):
                log(number, data)
            log(number, "timeout")

        async def main():
            for number, (line, port, path) in enumerate(ports):
                threading.Thread(target=body, args=(number, path)).start()
                for instant in range(1, 40):
                    at(instant / 8, lambda line=line, n=instant: line.write(b"%c" % (64 + n)))
            await asyncio.sleep(10)

        play(main)
        """
    first = play(program, prologue=SERIAL)
    assert len(first.lines) == 6 * 40
    assert first.lines[:6] == [f"0.125 {number} b'A'" for number in range(6)]
    assert play(program, prologue=SERIAL, hash_seed="random").lines == first.lines


def test_a_port_reports_its_device_path(play: Play, tmp_path: Path) -> None:
    """The link points to the PTY, and a link that lay there before is replaced."""
    played = play(
        f"""
        path = Path({str(tmp_path)!r}) / "port"
        path.symlink_to("/nonexistent")

        async def main():
            port = VirtualPort(kernel, SerialLine(env, "port"), path)
            print(os.readlink(path) == port.device_path, os.path.exists(port.device_path))
            port.close()
            port.close()
            print(os.path.lexists(path), len(kernel.pumps))

        play(main)
        """,
        prologue=SERIAL,
    )
    assert played.lines == ["True True", "False 0"]
