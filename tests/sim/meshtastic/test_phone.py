"""The API of a radio over its line: handshake, queue status, limits, bad input, silent clients."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("meshtastic", reason="the package meshtastic (extra mesh) is not installed")


from tests.sim.meshtastic.bench import BROADCAST, Bench, Client, Port, mesh_pb2

FULL = (
    ["my_info", "deviceuiConfig", "node_info", "metadata"]
    + ["channel"] * 8
    + ["config"] * 10
    + ["moduleConfig"] * 16
    + ["node_info"] * 2
    + ["fileInfo"] * 4
    + ["config_complete_id"]
)


@pytest.fixture
def bench() -> Bench:
    """A radio with a client, and two nodes that it knows."""
    return Bench(nodes=2, beacon_s=100_000.0)


def test_handshake_has_the_firmwares_order(bench: Bench) -> None:
    """Clients rely on it: who, interface, own entry, metadata, settings, others, files, end."""
    messages = bench.client.connect(nonce=4711)
    assert [message.WhichOneof("payload_variant") for message in messages] == FULL
    assert messages[-1].config_complete_id == 4711
    assert messages[2].node_info.num == bench.radio.number
    assert {m.node_info.num for m in messages[-7:-5]} == {node.number for node in bench.nodes}


def test_settings_come_in_the_order_of_their_tags(bench: Bench) -> None:
    """Ten kinds of configuration, session key and user interface with them; sixteen modules."""
    messages = bench.client.connect()
    configs = [m.config.WhichOneof("payload_variant") for m in messages if m.HasField("config")]
    assert configs == [
        *("device", "position", "power", "network", "display"),
        *("lora", "bluetooth", "security", "sessionkey", "device_ui"),
    ]
    modules = [
        m.moduleConfig.WhichOneof("payload_variant") for m in messages if m.HasField("moduleConfig")
    ]
    assert modules[:2] == ["mqtt", "serial"]
    assert len(set(modules)) == 16
    lora = next(m.config.lora for m in messages if m.config.HasField("lora"))
    assert (lora.hop_limit, lora.use_preset, lora.tx_enabled) == (3, True, True)


def test_nonce_69420_leaves_out_other_nodes(bench: Bench) -> None:
    """What `noNodes=True` of the library asks for."""
    kinds = [m.WhichOneof("payload_variant") for m in bench.client.connect(nonce=69420)]
    assert kinds.count("node_info") == 1
    assert kinds[:3] == ["my_info", "deviceuiConfig", "node_info"]
    assert kinds[-1] == "config_complete_id"


def test_nonce_69421_gives_nodes_alone(bench: Bench) -> None:
    """No settings, no files: own entry, the others, the end."""
    kinds = [m.WhichOneof("payload_variant") for m in bench.client.connect(nonce=69421)]
    assert kinds == ["node_info"] * 3 + ["config_complete_id"]


def test_handshake_takes_as_long_as_its_bytes_at_115200_baud(bench: Bench) -> None:
    """The radio writes no faster than the line, and no slower."""
    client = bench.client
    client.connect()
    bytes_ = client.line.to_host.sent_bytes
    last_s = client.messages[-1][0]
    assert last_s == pytest.approx(bytes_ * 10 / 115200, abs=0.01)


def test_a_heartbeat_is_answered_at_once(bench: Bench) -> None:
    """By a queue status that is about no packet; also for a client without configuration."""
    bench.client.write(mesh_pb2.ToRadio(heartbeat=mesh_pb2.Heartbeat()))
    bench.client.run(0.1)
    assert bench.client.kinds() == ["queueStatus"]
    status = bench.client.messages[0][1].queueStatus
    assert (status.res, status.free, status.maxlen, status.mesh_packet_id) == (0, 16, 16, 0)


def test_heartbeat_1_sends_node_info(bench: Bench) -> None:
    """Nonce 1 asks the radio to tell the mesh who it is."""
    heard: list[Any] = []
    bench.radio.node.on_air.append(lambda *event: heard.append(event[2].data.port))
    bench.client.connect()
    bench.client.write(mesh_pb2.ToRadio(heartbeat=mesh_pb2.Heartbeat(nonce=1)))
    bench.client.run(2.0)
    assert heard == [Port.NODEINFO_APP]


def test_every_packet_gets_a_queue_status(bench: Bench) -> None:
    """Result, free places, size, and the packet's id."""
    bench.client.connect()
    packet_id = bench.client.send(b"x", wait_s=0.1)
    (status,) = bench.client.statuses(packet_id)
    assert (status.res, status.maxlen) == (0, 16)
    assert status.free == 15


def test_a_full_queue_refuses_and_tells_when_there_is_room(bench: Bench) -> None:
    """Sixteen wait; further ones are refused, and free places are told without being asked."""
    client = bench.client
    client.connect()
    ids = [client.send(bytes(150), wait_s=0.02) for _ in range(25)]
    results = [client.statuses(packet_id)[0].res for packet_id in ids]
    assert results[0] == 0
    assert 32 in results  # ERRNO_UNKNOWN: no place in the queue
    before = len(client.messages)
    client.run(5.0)
    told = [m.queueStatus for _, m in client.messages[before:] if m.HasField("queueStatus")]
    assert any(status.mesh_packet_id == 0 and status.free > 0 for status in told)


def test_a_packet_that_was_seen_is_dropped(bench: Bench) -> None:
    """The library sends again what it holds for unsent: without answer, and once on the air."""
    client = bench.client
    client.connect()
    for _ in range(3):
        client.send(b"x", id=99, wait_s=0.5)
    assert len(client.statuses(99)) == 1
    assert bench.radio.counters["duplicates"] == 2
    assert bench.radio.counters["sent"] == 1


def test_texts_are_limited_to_one_in_two_seconds(bench: Bench) -> None:
    """The second one is refused by name."""
    client = bench.client
    client.connect()
    client.send(b"one", port=Port.TEXT_MESSAGE_APP, wait_s=1.0)
    second = client.send(b"two", port=Port.TEXT_MESSAGE_APP, wait_s=1.5)
    assert client.acks(second) == [(bench.radio.number, "RATE_LIMIT_EXCEEDED")]
    third = client.send(b"three", port=Port.TEXT_MESSAGE_APP, wait_s=1.0)
    assert client.acks(third) == []


@pytest.mark.parametrize("port", [Port.POSITION_APP, Port.TELEMETRY_APP, Port.WAYPOINT_APP])
def test_positions_and_telemetry_are_limited_without_a_word(bench: Bench, port: int) -> None:
    """One in ten seconds; the second one is said to be queued, and is not sent."""
    client = bench.client
    client.connect()
    client.send(b"", port=port, wait_s=1.0)
    second = client.send(b"", port=port, wait_s=1.0)
    assert client.statuses(second)[0].res == 0
    assert client.acks(second) == []
    assert bench.radio.counters["sent"] == 1


def test_traceroute_is_limited_with_a_notice(bench: Bench) -> None:
    """One in thirty seconds; a person is told."""
    client, node = bench.client, bench.nodes[0]
    client.connect()
    for _ in range(2):
        client.send(b"", port=Port.TRACEROUTE_APP, to=node.number, want_response=True, wait_s=3.0)
    assert client.notices() == ["TraceRoute can only be sent once every 30 seconds"]


def test_traceroute_to_all_over_hops_is_refused(bench: Bench) -> None:
    """It would flood the mesh."""
    bench.client.connect()
    bench.client.send(b"", port=Port.TRACEROUTE_APP, to=BROADCAST, wait_s=1.0)
    assert bench.client.notices() == ["Multi-hop traceroute to broadcast address is not allowed"]
    assert bench.radio.counters["sent"] == 0


def test_malformed_and_oversized_frames_are_counted(bench: Bench) -> None:
    """Garbage, a broken protobuf, an empty one, a length that cannot be: the API lives on."""
    client = bench.client
    client.line.feed(b"\xff" * 40 + b"\x94\xc3\x00\x03\xff\xff\xff" + b"\x94\xc3\xff\xff")
    client.line.feed(b"\x94\xc3\x00\x00")
    assert client.connect()[-1].HasField("config_complete_id")
    counters = bench.radio.counters
    assert (counters["malformed"], counters["oversized"], counters["ignored"]) == (1, 1, 1)


def test_packets_without_content_are_refused(bench: Bench) -> None:
    """Neither decoded nor anything that a radio can send."""
    bench.client.connect()
    bench.client.write(mesh_pb2.ToRadio(packet=mesh_pb2.MeshPacket(id=5, to=BROADCAST)))
    bench.client.run(0.2)
    assert bench.client.statuses(5)[0].res == 32


def test_a_silent_client_is_dropped_after_15_minutes(bench: Bench) -> None:
    """The serial port tells nothing of a client that was pulled out."""
    bench.client.connect()
    bench.client.run(14 * 60)
    bench.client.write(mesh_pb2.ToRadio(heartbeat=mesh_pb2.Heartbeat()))
    bench.client.run(14 * 60)
    assert bench.radio.has_client
    bench.client.run(60 + 1)
    assert not bench.radio.has_client


def test_what_comes_without_a_client_waits_for_the_next(bench: Bench) -> None:
    """After the handshake it gets what was received meanwhile, up to 32 packets."""
    bench.nodes[0].send(bench.nodes[0].new_packet(Port.TEXT_MESSAGE_APP, b"anyone?"))
    bench.client.run(3.0)
    messages = bench.client.connect()
    at = [m.WhichOneof("payload_variant") for m in messages].index("config_complete_id")
    assert [m.packet.decoded.payload for m in messages[at + 1 :]] == [b"anyone?"]


def test_queue_to_the_client_is_bounded(bench: Bench) -> None:
    """A client that cannot keep up loses packets; texts push out older packets."""
    for number in range(40):
        bench.radio.to_clients(bench.radio.new_packet(Port.PRIVATE_APP, bytes([number])))
    bench.client.connect()
    assert len(bench.client.packets(Port.PRIVATE_APP)) == 32


def test_a_client_that_says_goodbye_gets_no_more(bench: Bench) -> None:
    """`disconnect` ends the packets, and the radio keeps them."""
    client = bench.client
    client.connect()
    client.write(mesh_pb2.ToRadio(disconnect=True))
    client.run(0.1)
    before = len(client.messages)
    bench.radio.to_clients(bench.radio.new_packet(Port.PRIVATE_APP, b"late"))
    client.run(1.0)
    assert len(client.messages) == before


def test_serial_and_tcp_clients_both_get_packets(bench: Bench) -> None:
    """Each has a queue of its own here; on a real radio they would take packets from each other."""
    connection = bench.radio.tcp.connect()
    assert connection is not None
    other = Client(bench.env, connection)
    bench.client.connect()
    other.connect()
    bench.radio.to_clients(bench.radio.new_packet(Port.PRIVATE_APP, b"both"))
    bench.client.run(1.0)
    for client in (bench.client, other):
        assert [p.decoded.payload for p in client.packets(Port.PRIVATE_APP)] == [b"both"]


def test_the_newest_tcp_client_takes_the_place_of_the_one_before(bench: Bench) -> None:
    """The firmware serves one connection and closes the older one."""
    first = bench.radio.tcp.connect()
    assert first is not None
    closed: list[str] = []
    first.attach_host(lambda _data: None, lambda: closed.append("first"))
    second = bench.radio.tcp.connect()
    bench.client.run(0.001)
    assert closed == ["first"]
    assert second is not None
    client = Client(bench.env, second)
    assert client.connect(wait_s=0.1)[-1].HasField("config_complete_id")


def test_a_tcp_client_that_says_one_thing_and_leaves_is_heard(bench: Bench) -> None:
    """What was sent before the connection was closed is done."""
    connection = bench.radio.tcp.connect()
    assert connection is not None
    client = Client(bench.env, connection)
    client.send(b"last words")
    connection.hang_up()
    client.run(1.0)
    assert bench.radio.counters["sent"] == 1
    assert not bench.radio.has_client


def test_a_tcp_client_that_is_sent_away_was_heard(bench: Bench) -> None:
    """What it sent is done, even when the next client comes in the same instant."""
    connection = bench.radio.tcp.connect()
    assert connection is not None
    Client(bench.env, connection).send(b"last words")
    assert bench.radio.tcp.connect() is not None
    bench.client.run(1.0)
    assert bench.radio.counters["sent"] == 1


def test_the_radio_hangs_up_a_tcp_client_that_says_goodbye(bench: Bench) -> None:
    """`disconnect` ends the connection, behind what was said before; a serial line stays."""
    connection = bench.radio.tcp.connect()
    assert connection is not None
    client = Client(bench.env, connection)
    client.connect()
    client.send(b"last words")
    client.write(mesh_pb2.ToRadio(disconnect=True))
    client.run(0.1)
    assert connection.hung_up
    assert bench.radio.counters["sent"] == 1
    assert bench.radio.tcp.api is None
    bench.client.write(mesh_pb2.ToRadio(disconnect=True))
    bench.client.run(0.1)
    assert bench.client.connect()


def test_statuses_and_notices_wait_for_the_next_client(bench: Bench) -> None:
    """The firmware keeps the last 32 queue statuses, and notices, of the time without one."""
    radio, client = bench.radio, bench.client
    for number in range(40):
        radio.queue_status(None, 0, 500 + number)
    radio.notify("nobody was here")
    client.connect()
    kinds = client.kinds()
    after = kinds[kinds.index("config_complete_id") + 1 :]
    assert after[:33] == ["queueStatus"] * 32 + ["clientNotification"]
    ids = [m.queueStatus.mesh_packet_id for _, m in client.messages if m.HasField("queueStatus")]
    assert ids[0] == 508
    before = len(client.messages)
    client.connect()
    assert "clientNotification" not in client.kinds(before)


def test_the_handshake_tells_the_light_sleep_in_force(bench: Bench) -> None:
    """Apps rely on it: the firmware always says its own default there."""
    bench.radio.settings.config.power.ls_secs = 60
    messages = bench.client.connect()
    power = next(m.config.power for m in messages if m.config.HasField("power"))
    assert power.ls_secs == 300


def test_log_text_stands_between_frames() -> None:
    """Text lines on the serial line disturb no frame; a client may ask for frames instead."""
    bench = Bench(log_text=True)
    client = bench.client
    client.connect()
    client.send(b"x", wait_s=1.0)
    assert b"DEBUG | 08:00:" in bytes(client.text)
    assert b"[Router] enqueue for send" in bytes(client.text)
    bench.radio.settings.config.security.debug_log_api_enabled = True
    client.send(b"y", wait_s=1.0)
    records = [m.log_record for _, m in client.messages if m.HasField("log_record")]
    assert records[-1].message.startswith("[Router] enqueue for send")
