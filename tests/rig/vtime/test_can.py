"""python-can's own clients, unmodified, in virtual time."""

from __future__ import annotations

import pytest

from tests.rig.vtime.conftest import PROLOGUE, Play

pytest.importorskip("can", reason="the package python-can (extra can) is not installed")

DAEMON = PROLOGUE + (
    """
import logging
logging.getLogger("can").setLevel(logging.CRITICAL)
import can
from rig.vtime import tcp
from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.can.interface import CanInterface
from sim.socketcand.server import SocketcandServer

bus = CanBus(env)
interface = CanInterface(bus, "can0")
server = SocketcandServer(env, [interface], epoch_ns=kernel.epoch_ns)
tcp.register("127.0.0.1", 29536, server.connect)

def answer(frame, t_s):
    if frame.arbitration_id == 0x7DF:
        at(t_s + 0.01, lambda: ecu.send(CanFrame(0x7E8, frame.data)))

ecu = bus.attach("ecu", answer)

def opened():
    return can.Bus(interface="socketcand", channel="can0", host="127.0.0.1", port=29536)
"""
)


def test_the_socketcand_client(play: Play) -> None:
    """Handshake, requests, two clients, time-outs: each at its instant, twice the same."""
    source = """
        def body():
            one, other = opened(), opened()
            log("open")
            for number in range(3):
                one.send(can.Message(arbitration_id=0x7DF, data=[number], is_extended_id=False))
                reply = one.recv(1.0)
                log(f"{reply.arbitration_id:x}", reply.data.hex(), f"{reply.timestamp:.6f}")
            log([f"{other.recv(1.0).arbitration_id:x}" for _ in range(6)], other.recv(0.5))
            one.shutdown()
            other.shutdown()

        async def main():
            await asyncio.to_thread(body)

        play(main)
        """
    played = play(source, prologue=DAEMON)
    assert played.lines == play(source, prologue=DAEMON, hash_seed="7").lines
    assert played.lines[0] == "0 open"
    times_s = [float(line.split()[0]) for line in played.lines[1:4]]
    assert times_s == pytest.approx([0.0103, 0.0206, 0.0309], abs=0.0005)
    assert played.lines[1].split()[1:3] == ["7e8", "00"]
    epoch_and_s = played.lines[1].split()[3]
    assert float(epoch_and_s) - 1_700_000_000 == pytest.approx(times_s[0], abs=1e-5)
    assert played.lines[4].endswith("['7df', '7e8', '7df', '7e8', '7df', '7e8'] None")
    # The other one never spoke: it got its frames 50 ms after it had opened.
    assert float(played.lines[4].split()[0]) == pytest.approx(0.55, abs=0.001)


def test_a_full_bus_loses_no_frame(play: Play) -> None:
    """Half a second at 500 kbit/s: python-can reads pieces of 1024 bytes, in order."""
    played = play(
        """
        def fill():
            count = 0
            def again(_t_s=0.0):
                nonlocal count
                if count < 2000:
                    count += 1
                    ecu.send(CanFrame(0x100, count.to_bytes(8, "big")), again)
            again()

        def body():
            client = opened()
            got = [int.from_bytes(client.recv(1.0).data, "big") for _ in range(2000)]
            print(got == list(range(1, 2001)), client.recv(0.1))

        async def main():
            at(0.5, fill)
            await asyncio.to_thread(body)

        play(main)
        """,
        prologue=DAEMON,
    )
    assert played.lines == ["True None"]


def test_a_daemon_that_vanishes_and_comes_back(play: Play) -> None:
    """The client reads the end over and over, and connects in vain for ten seconds: time passes.

    It needs no more of the machine's time than a moment.
    """
    played = play(
        """
        def body():
            client = opened()
            log(client.recv(3.0))
            client.shutdown()
            try:
                opened()
            except TimeoutError:
                log("refused for ten seconds")
            server.come_up()
            opened().send(can.Message(arbitration_id=0x7DF))
            log("back")

        async def main():
            at(1.0, server.go_down)
            await asyncio.to_thread(body)

        play(main)
        """,
        prologue=DAEMON,
    )
    assert [line.split(" ", 1)[1] for line in played.lines] == [
        "None",
        "refused for ten seconds",
        "back",
    ]
    first, second, third = (float(line.split()[0]) for line in played.lines)
    assert first == pytest.approx(3.0, abs=0.01)
    assert second == third == pytest.approx(first + 10.0, abs=0.02)


def test_the_virtual_interface(play: Play) -> None:
    """Two threads of one process, in turns; who waits wakes at the instant of the frame."""
    played = play(
        """
        def ask():
            with can.Bus(interface="virtual", channel="bench") as bus:
                time.sleep(1)
                bus.send(can.Message(arbitration_id=0x7DF, data=[1]))
                log(bus.recv(5.0).data.hex())
                log(bus.recv(2.0))

        def answer():
            with can.Bus(interface="virtual", channel="bench") as bus:
                message = bus.recv(5.0)
                time.sleep(0.25)
                bus.send(can.Message(arbitration_id=0x7E8, data=message.data + b"\\xff"))

        async def main():
            await asyncio.gather(asyncio.to_thread(ask), asyncio.to_thread(answer))

        play(main)
        """,
        prologue=DAEMON,
    )
    assert played.lines == ["1.25 01ff", "3.25 None"]
