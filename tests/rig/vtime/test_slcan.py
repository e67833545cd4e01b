"""python-can's slcan client, unchanged, in a thread on a virtual port."""

from __future__ import annotations

import pytest

from tests.rig.vtime.conftest import PROLOGUE, Play

pytest.importorskip("can", reason="python-can is not installed")

SLCAN = PROLOGUE + (
    """
import tempfile
from pathlib import Path
import can
from rig.vtime.ports import VirtualPort
from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.serial_line import SerialLine
from sim.slcan import PROFILES, SlcanAdapter

profile = PROFILES["lawicel_canusb"]
bus = CanBus(env)
line = SerialLine(env, "can", profile.baud)
adapter = SlcanAdapter(env, bus, line, profile)
port = VirtualPort(kernel, line, Path(tempfile.mkdtemp(prefix="vp-")) / "can")
car = bus.attach("car", lambda frame, t_s: None)

def connect(**options):
    return can.Bus(interface="slcan", channel=str(port.path), bitrate=500_000, **options)
"""
)


def test_frames_both_ways(play: Play) -> None:
    """It opens after its 2 s, asks for the version, sends, and hears; each at its instant."""
    program = """
        def answer(frame, t_s):
            log("bus", f"{frame.arbitration_id:X}", frame.data.hex())
            car.send(CanFrame(frame.arbitration_id + 8, frame.data))

        car.on_frame = answer

        def body():
            client = connect()
            log("open", client.get_version(1.0), client.get_serial_number(1.0))
            for number in range(3):
                client.send(
                    can.Message(arbitration_id=0x7E0, data=bytes([number]), is_extended_id=False)
                )
                message = client.recv(1.0)
                heard_s = f"{message.timestamp - 1.7e9:.6f}"
                log(f"{message.arbitration_id:X}", message.data.hex(), heard_s)
            log(client.recv(0.25))
            client.shutdown()

        async def main():
            await asyncio.to_thread(body)
            await asyncio.sleep(0.01)
            log(adapter.channel.is_open, adapter.counters.frames_sent, adapter.counters.refused)

        play(main)
        """
    played = play(program, prologue=SLCAN)
    assert played.lines == [
        "2.004 open (10, 13) A123",
        *("2.005114 bus 7E0 00", "2.006 7E8 00 2.006000"),
        *("2.007112 bus 7E0 01", "2.008 7E8 01 2.008000"),
        *("2.009114 bus 7E0 02", "2.01 7E8 02 2.010000"),
        "2.261 None",
        "2.271 False 3 2",
    ]
    assert play(program, prologue=SLCAN, hash_seed="random").lines == played.lines


def test_broadcast_is_heard_whole(play: Play) -> None:
    """A second at 1,000 frames/s arrives in order, each frame within two USB frames and a poll."""
    program = """
        def broadcast():
            yield env.timeout(3.0)
            for number in range(1000):
                car.send(CanFrame(number, bytes(8)))
                yield env.timeout(0.001)

        env.process(broadcast())

        def body():
            client = connect()
            heard, ages = [], []
            while (message := client.recv(2.0)) is not None:
                heard.append(message.arbitration_id)
                ages.append(message.timestamp - 1.7e9 - 3.0 - 0.001 * message.arbitration_id)
            client.shutdown()
            print(heard == list(range(1000)), f"{max(ages):.6f}")

        async def main():
            await asyncio.to_thread(body)

        play(main)
        """
    played = play(program, prologue=SLCAN)
    assert played.lines == ["True 0.001000"]
