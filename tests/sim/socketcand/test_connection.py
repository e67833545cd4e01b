"""Connections: several clients and buses, bad input, and clients that do not read."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.can.confinement import ErrorState
from sim.can.faults import ErrorKind
from sim.socketcand.queue import MOST_FRAMES
from sim.socketcand.server import MOST_CLIENTS
from tests.sim.socketcand.conftest import Daemon


def test_two_buses_are_two(daemon: Daemon) -> None:
    """A client hears the bus that it opened."""
    first, second = daemon.client().raw("can0"), daemon.client().raw("can1")
    daemon.send(0x123)
    assert len(first.wait(0.01)) == 1
    assert second.wait(0.0) == []


@pytest.mark.parametrize(
    "command",
    ["< open can7 >", "< open >", "< open can0>x >", "< rawmode >", "< send 123 0 >", "<x>"],
)
def test_what_is_no_bus_is_refused(daemon: Daemon, command: str) -> None:
    """With the daemon's words, and the connection ends."""
    client = daemon.client()
    assert client.say(command) == ["< hi >", "< error could not open bus >"]
    assert client.pipe.hung_up
    assert daemon.told == ["connected", "refused", "left"]


def test_a_running_interface_takes_no_new_settings(daemon: Daemon) -> None:
    """The kernel refuses them while it is up."""
    client = daemon.client()
    said = client.say("< can0 B 250000 0 0 0 0 0 0 0 >")
    assert said[1] == "< error configuring interface can0 >"
    assert client.pipe.hung_up


def test_half_commands_wait_for_their_rest(daemon: Daemon) -> None:
    """Byte by byte is as good as in one piece, and several commands in a piece are several."""
    client = daemon.client()
    assert client.say(*"< open can0 >\r\n<") == ["< hi >", "< ok >"]
    assert client.say(" raw", "mode >noise< echo >< ec") == ["< ok >", "< echo >"]
    assert client.say("ho >\n") == ["< echo >"]
    assert not client.pipe.hung_up


def test_garbage_ends_the_connection(daemon: Daemon) -> None:
    """As in the daemon; white space between commands is none."""
    client = daemon.client().raw()
    client.say("\r\n")
    assert not client.pipe.hung_up
    client.say("\x00\xff garbage")
    assert client.pipe.hung_up
    endless = daemon.client().raw()
    endless.say("< send " + "1" * 10_000)
    assert endless.pipe.hung_up
    assert daemon.server.counters["garbage"] == 2
    assert daemon.server.clients == ()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["rawmode", "bcmmode", "isotpmode", "controlmode"]))
def test_no_bytes_disturb_the_daemon(data: bytes, mode: str) -> None:
    """Whatever one client says in whatever mode, the next one is served."""
    daemon = Daemon()
    bad = daemon.client()
    bad.say("< open can0 >", f"< {mode} >")
    bad.pipe.feed(data)
    bad.pipe.feed(b"< send 123 " + data + b" >< isotpconf " + data + b" >< add 0 1 1 " + data)
    daemon.run(0.01)
    good = daemon.client().raw()
    assert good.say("< echo >") == ["< echo >"]


WORDS = """
    send sendrtr add update delete filter muxfilter subscribe unsubscribe isotpconf sendpdu
    statistics rawmode bcmmode isotpmode controlmode echo 0 1 8 123 7FF 18DAF110 FF -1 1e9 x
""".split()  # noqa: SIM905  as a client would type them


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12), max_size=30))
def test_no_commands_disturb_the_daemon(commands: list[list[str]]) -> None:
    """The right words in a wrong order do no more harm than bytes."""
    daemon = Daemon()
    bad = daemon.client()
    bad.say("< open can0 >")
    for words in commands:
        bad.say(f"< {' '.join(words)} >", for_s=0.001)
    daemon.send(0x123, b"12345678")
    daemon.run(0.1)
    good = daemon.client().raw()
    assert good.say("< echo >") == ["< echo >"]


def test_a_client_that_does_not_read_loses_frames(daemon: Daemon) -> None:
    """As many as a kernel's socket holds are kept, the rest is counted; others lose none."""
    deaf, good = daemon.client().raw(), daemon.client().raw()
    deaf.pipe.unread(1)
    for number in range(400):
        daemon.send(number)
        daemon.run(0.001)
    assert deaf.wait(0.0) == []
    assert len(good.wait(0.0)) == 400
    assert daemon.server.counters["dropped_frames"] == 400 - MOST_FRAMES
    deaf.pipe.unread(0)
    (text,) = deaf.wait(0.0)
    assert text.count("< frame") == MOST_FRAMES
    assert text.startswith("< frame 000 ")
    overflow = [event for event in daemon.events if event[1] in ("overflow", "caught up")]
    assert [(number, kind) for number, kind, _ in overflow] == [(1, "overflow"), (1, "caught up")]
    assert overflow[1][2] == {"dropped_frames": 400 - MOST_FRAMES}


def test_a_client_that_does_not_read_answers_is_not_listened_to(daemon: Daemon) -> None:
    """Its commands wait, so that answers cannot pile up."""
    client = daemon.client().raw()
    client.pipe.unread(1)
    client.say("< echo >" * 1000)
    assert client.pipe.stalled
    assert client.wait(0.0) == []
    client.pipe.unread(0)
    assert client.wait(0.0) == ["< echo >"] * 1000
    assert not client.pipe.stalled


def test_a_client_that_floods_the_bus_is_made_to_wait(daemon: Daemon) -> None:
    """All its frames go out in the end, in order, at the bus' own pace."""
    client = daemon.client().raw()
    client.say("".join(f"< send {n % 0x700:03X} 0 >" for n in range(2000)))
    assert client.pipe.stalled
    daemon.run(1.0)
    assert not client.pipe.stalled
    assert sorted(frame.arbitration_id for frame in daemon.heard) == sorted(
        n % 0x700 for n in range(2000)
    )
    assert daemon.server.counters["refused_frames"] == 0


def test_off_the_bus_frames_are_refused_and_counted(daemon: Daemon) -> None:
    """The connection stays, one event tells it; what waited is given up."""
    client = daemon.client().raw()
    node = daemon.interfaces[0].node
    daemon.buses[0].faults.append(
        lambda _t_s, sender, _frame: ErrorKind.BIT if sender == "can0" else None
    )
    client.say("< send 123 0 >" * 5, for_s=0.1)
    assert node.state is ErrorState.BUS_OFF
    client.say("< send 123 0 >" * 3)
    assert daemon.server.counters["refused_frames"] == 3
    assert daemon.told.count("not sent") == 1
    assert client.say("< echo >")[-1] == "< echo >"


def test_error_frames_are_told(daemon: Daemon) -> None:
    """Bus errors, the controller's states and bus-off, by their classes in error.h."""
    client = daemon.client().raw()
    daemon.buses[0].faults.append(
        lambda _t_s, sender, _frame: ErrorKind.BIT if sender == "can0" else None
    )
    got = "".join(client.say("< send 123 0 >", for_s=0.1))
    classes = [text.split()[2] for text in got.split(" >")[:-1]]
    assert classes.count("088") == 32  # 256 / 8 destroyed attempts
    assert classes.count("004") == 2  # warning, passive
    assert classes[-1] in ("040", "088")
    assert classes.count("040") == 1


def test_a_daemon_that_goes_down_breaks_connections(daemon: Daemon) -> None:
    """And refuses new ones until it is up again."""
    client = daemon.client().raw()
    daemon.server.go_down()
    assert client.pipe.hung_up
    assert daemon.server.connect() is None
    daemon.server.come_up()
    daemon.client().raw()


def test_there_is_an_end_of_clients(daemon: Daemon) -> None:
    """Each costs memory."""
    clients = [daemon.client() for _ in range(MOST_CLIENTS)]
    assert daemon.server.connect() is None
    clients[0].pipe.hang_up()
    assert daemon.server.connect() is not None


def test_a_client_that_leaves_is_forgotten(daemon: Daemon) -> None:
    """In every mode: no timer, no socket and no job of it stays."""
    for mode in ("rawmode", "bcmmode", "isotpmode", "controlmode"):
        client = daemon.client()
        client.say("< open can0 >", "< add 0 1000 55 0 >", f"< {mode} >")
        client.say("< statistics 10 >", "< subscribe 0 0 123 >", "< isotpconf 1 2 0 0 0 >")
        client.pipe.hang_up()
    assert daemon.interfaces[0].sockets == ()
    daemon.run(0.1)
    heard = len(daemon.heard)
    daemon.run(1.0)
    assert len(daemon.heard) == heard


def test_the_same_seed_gives_the_same_bytes() -> None:
    """Two daemons that are asked the same say the same, piece by piece."""

    def play() -> list[str]:
        daemon, rng = Daemon(), random.Random(5)
        clients = [daemon.client().raw() for _ in range(3)]
        for _ in range(200):
            client = rng.choice(clients)
            client.pipe.feed(f"< send {rng.randrange(0x7FF):X} 1 {rng.randrange(256):X} >".encode())
            daemon.send(rng.randrange(0x7FF), rng.randbytes(8))
            daemon.run(rng.random() / 1000)
        return [piece for client in clients for piece in client.wait(1.0)]

    assert play() == play()


def test_faults_on_the_line_keep_the_order(daemon: Daemon) -> None:
    """A fault that delays does not let later commands overtake."""
    client = daemon.client().raw()

    def late(data: bytes) -> list[tuple[float, bytes]]:
        return [(0.01, data)]

    client.pipe.to_device.faults.append(late)
    client.say("< send 101 0 >")
    client.pipe.to_device.faults.remove(late)
    client.say("< send 102 0 >", for_s=0.1)
    assert [frame.arbitration_id for frame in daemon.heard] == [0x101, 0x102]
