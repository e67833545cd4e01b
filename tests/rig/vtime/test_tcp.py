"""Threads that reach TCP devices of the world."""

from __future__ import annotations

from tests.rig.vtime.conftest import PROLOGUE, Play

DEVICE = PROLOGUE + (
    """
import socket
from rig.vtime import tcp

from sim.serial_line import SerialLine

class Device(SerialLine):
    def __init__(self):
        super().__init__(env, "radio", paced=False)
        self.taken = b""
    def feed(self, data):
        self.taken += data
        log("device got", data[:20], len(data))
    def hang_up(self):
        log("client gone")
        super().hang_up()

device = Device()
tcp.register("radio.test", 4403, lambda: device)
"""
)


def test_bytes_come_at_the_instant_and_wake_who_waits(play: Play) -> None:
    """In `select`, in a blocking `recv` and with a time-out; what is written goes out at once."""
    played = play(
        """
        def body():
            with socket.create_connection(("radio.test", 4403), timeout=5) as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                log(client.getpeername())
                client.sendall(b"hello")
                select.select([client], [], [], 9)
                log(client.recv(100))
                log(client.recv(100))
                try:
                    client.recv(100)
                except TimeoutError:
                    log("timed out")
                client.settimeout(0)
                try:
                    client.recv(100)
                except BlockingIOError:
                    log("nothing there")
            time.sleep(1)
            log("end")

        async def main():
            at(1.25, lambda: device.write(b"one"))
            at(2.5, lambda: device.write(b"two"))
            await asyncio.to_thread(body)

        play(main)
        """,
        prologue=DEVICE,
    )
    assert played.lines == [
        "0 ('radio.test', 4403)",
        "0 device got b'hello' 5",
        "1.25 b'one'",
        "2.5 b'two'",
        "7.5 timed out",
        "7.5 nothing there",
        "7.5 client gone",
        "8.5 end",
    ]


def test_a_device_that_hangs_up_ends_the_stream(play: Play) -> None:
    """A waiting client reads what came before, then the end."""
    played = play(
        """
        def body():
            client = socket.create_connection(("radio.test", 4403))
            while data := client.recv(100):
                log(data)
            log("over")

        async def main():
            at(1, lambda: device.write(b"last"))
            at(2, lambda: SerialLine.hang_up(device))
            await asyncio.to_thread(body)

        play(main)
        """,
        prologue=DEVICE,
    )
    assert played.lines == ["1 b'last'", "2 over"]


def test_big_transfers_are_whole(play: Play) -> None:
    """More than the buffers take, in both directions."""
    played = play(
        """
        def body():
            client = socket.create_connection(("radio.test", 4403))
            client.sendall(b"x" * 200_000)
            time.sleep(1)
            got = b""
            while len(got) < 60_000:
                got += client.recv(5000)
            print(len(device.taken), len(got))

        async def main():
            at(0.5, lambda: device.write(b"y" * 60_000))
            await asyncio.to_thread(body)

        play(main)
        """,
        prologue=DEVICE,
    )
    assert played.lines[-1] == "200000 60000"


def test_a_device_that_stalls_leaves_the_client_with_full_buffers(play: Play) -> None:
    """Writes go on when it takes bytes again, at that instant."""
    played = play(
        """
        def body():
            client = socket.create_connection(("radio.test", 4403), timeout=3)
            try:
                client.sendall(b"x" * 200_000)
            except TimeoutError:
                log("full")
            client.settimeout(60)
            client.sendall(b"y" * 50_000)
            log("sent")

        async def main():
            device.stall()
            at(10, device.resume)
            await asyncio.to_thread(body)

        play(main)
        """,
        prologue=DEVICE,
    )
    assert played.lines[0] == "3 full"
    assert played.lines[1].startswith("10 device got b'xxx")
    assert "10 sent" in played.lines


def test_any_other_peer_is_refused_in_one_line(play: Play) -> None:
    """By either way of connecting; the text says what there is. `connect()` takes a moment."""
    played = play(
        """
        def body():
            for connect in (
                lambda: socket.create_connection(("127.0.0.1", 9)),
                lambda: socket.socket().connect(("127.0.0.1", 9)),
            ):
                try:
                    connect()
                except ConnectionRefusedError as error:
                    log(error)

        async def main():
            await asyncio.to_thread(body)

        play(main)
        """,
        prologue=DEVICE,
    )
    first, second = played.lines
    assert "a device of the world (radio.test:4403), found 127.0.0.1:9" in first
    assert "use --mode paced" in first
    assert first.startswith("0 ")
    assert second.removeprefix("0.01 ") == first.removeprefix("0 ")


def test_a_socket_that_is_there_already_connects(play: Play) -> None:
    """It blocks in virtual time from then on, as python-can's client for socketcand wants it."""
    played = play(
        """
        def body():
            client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.connect(("radio.test", 4403))
            log(client.getsockname(), client.getpeername(), client.family.name)
            client.sendall(b"hello")
            log(client.recv(100))
            ready = select.select([client], [], [], 0.5)
            log(ready[0])
            client.settimeout(0.25)
            try:
                client.recv(100)
            except TimeoutError:
                log("timed out")
            client.close()
            time.sleep(0)
            again = socket.socket()
            again.settimeout(4)
            again.connect(("radio.test", 4403))
            log(again.getsockname()[1], again.gettimeout())
            again.close()
            time.sleep(1)

        async def main():
            at(1.25, lambda: device.write(b"one"))
            await asyncio.to_thread(body)

        play(main)
        """,
        prologue=DEVICE,
    )
    assert played.lines == [
        "0 ('127.0.0.1', 49152) ('radio.test', 4403) AF_INET",
        "0 device got b'hello' 5",
        "1.25 b'one'",
        "1.75 []",
        "2 timed out",
        "2 client gone",
        "2 49153 4.0",
        "2 client gone",
    ]


def test_who_reads_the_end_again_and_again_lets_time_pass(play: Play) -> None:
    """python-can's client does so when its server is gone: a millisecond each time."""
    played = play(
        """
        def body():
            client = socket.socket()
            client.connect(("radio.test", 4403))
            ends = 0
            while time.monotonic() < 3:
                if select.select([client], [], [], 3 - time.monotonic())[0]:
                    ends += client.recv(100) == b""
            log(ends)

        async def main():
            at(2, lambda: SerialLine.hang_up(device))
            await asyncio.to_thread(body)

        play(main)
        """,
        prologue=DEVICE,
    )
    (line,) = played.lines
    time_s, ends = line.split()
    assert float(time_s) >= 3
    assert 990 < int(ends) < 1010
