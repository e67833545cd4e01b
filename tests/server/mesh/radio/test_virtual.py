"""The radio client on the world's radios, in virtual time: over a PTY and over TCP."""

from __future__ import annotations

from tests.rig.vtime.conftest import PROLOGUE, Play, play

__all__ = ["play"]

WORLD = PROLOGUE + (
    """
import socket, tempfile
from pathlib import Path

from rig.vtime import tcp
from rig.vtime.ports import VirtualPort
from server.clock import SystemClock
from server.errors import LinkLost
from server.mesh.radio.packets import *
from server.mesh.radio.client import RadioClient
from sim.meshtastic.group import GroupSetup, RadioGroup
from sim.streams import RandomStreams

group = RadioGroup(env, GroupSetup(radios=2, preset="SHORT_FAST"), RandomStreams(7), EPOCH_NS)
here, there = group.radios
path = Path(tempfile.mkdtemp(prefix="mesh-")) / "radio"
port = VirtualPort(kernel, here.line, path)
tcp.register("radio.test", 4403, there.tcp.connect)

class Client:
    def __init__(self, port, name):
        self.name = name
        self.stop = threading.Event()
        self.packets = []
        self.client = RadioClient(
            port, clock=SystemClock(), on_packet=self.took, on_event=self.said
        )
        self.thread = threading.Thread(target=self.run, name=name)
        self.thread.start()
    def took(self, packet):
        if packet.port != PRIVATE_PORT:
            return  # what radios say of themselves
        self.packets.append(packet)
        log(self.name, "packet", packet.sender == (here if self.name == "tcp" else there).number,
            packet.payload[:4], len(packet.payload), packet.hops)
    def said(self, event):
        if not isinstance(event, (Queued, Utilisation)):
            log(self.name, type(event).__name__, getattr(event, "reason", ""),
                getattr(event, "error", ""))
    def run(self):
        try:
            self.client.open()
            self.client.serve(self.stop)
        except LinkLost as error:
            pass
        finally:
            self.client.close()
    def end(self):
        self.stop.set()
        self.client.wake()
        self.thread.join()
"""
)


def test_both_ways_over_a_pty_and_over_tcp(play: Play) -> None:
    """Handshakes of a tenth of a second, packets with airtime, acknowledgements; the same twice."""
    program = """
        def body():
            serial, network = Client(str(path), "pty"), Client("tcp://radio.test", "tcp")
            time.sleep(2)
            info = serial.client.info
            print(info.id, info.preset, info.region, info.duty_cycle_pct, info.hop_limit)
            serial.client.send(b"\\x11\\x22" * 100)
            time.sleep(10)
            network.client.send(b"pong", to=here.number, want_ack=True)
            time.sleep(10)
            for number in range(serial.client.queue_free):
                serial.client.send(bytes([number]) * 231)
            try:
                serial.client.send(b"more")
            except SendRefused as refused:
                print(refused)
            time.sleep(30)
            print(len(network.packets), serial.client.queue_free)
            serial.end(); network.end()

        async def main():
            await asyncio.to_thread(body)

        play(main)
    """
    one = play(program, prologue=WORLD)
    two = play(program, prologue=WORLD, hash_seed="5")
    assert one.lines == two.lines
    assert one.stderr == ""
    text = "\n".join(one.lines)
    assert "!7e1e0001 SHORT_FAST EU_868 10.0 3" in text
    assert "tcp packet True b'\\x11\"\\x11\"' 200 0" in text
    assert "pty packet True b'pong' 4 0" in text
    assert "tcp Acked" in text
    assert "the radio's queue is full" in text
    assert one.lines[-1] == "17 16"


def test_reboot_hang_and_pulled_cable(play: Play) -> None:
    """A reboot is followed by a new handshake; a frozen radio and a pulled cable are lost."""
    played = play(
        """
        def body():
            serial = Client(str(path), "pty")
            time.sleep(2)
            at(env.now + 1, here.reboot)
            time.sleep(20)
            at(env.now + 1, here.freeze)
            time.sleep(2)
            serial.client.send(b"x")
            time.sleep(60)
            serial.thread.join()
            network = Client("tcp://radio.test", "tcp")
            time.sleep(5)
            at(env.now + 1, lambda: there.power(False))
            time.sleep(5)
            network.thread.join()
            print("end")

        async def main():
            await asyncio.to_thread(body)

        play(main)
        """,
        prologue=WORLD,
    )
    said = [" ".join(line.split()[1:]) for line in played.lines]
    assert said[:3] == ["pty Ready", "pty Rebooted", "pty Ready"]
    assert said[3].startswith("pty Mute the radio does not answer")
    assert said[4].startswith("pty Lost expected the radio at")
    assert said[5] == "tcp Ready"
    assert said[6].startswith("tcp Lost tcp://radio.test went away")
    assert played.stderr == ""
