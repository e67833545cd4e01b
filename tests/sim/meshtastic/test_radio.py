"""Packets from client to client over the air, what radios refuse, and what can befall them."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("meshtastic", reason="the package meshtastic (extra mesh) is not installed")

from sim.meshtastic import crypto
from sim.meshtastic.channels import Role
from sim.meshtastic.packet import Packet, private_data
from sim.meshtastic.radio import BOOT_S, RESET_S, UART_BYTES
from sim.meshtastic.settings import LoRa
from tests.sim.meshtastic.bench import BROADCAST, PRIVATE, Bench, Client, Port, mesh_pb2


@pytest.fixture
def pair() -> Bench:
    """Two radios with connected clients."""
    bench = Bench(radios=2)
    bench.connect_all()
    return bench


def secret_channel(bench: Bench, *radios: int, precision: int = 0) -> None:
    """Give some radios a second channel with a key of its own."""
    for number in radios:
        radio = bench.radios[number]
        channel = radio.settings.channels[1]
        channel.role = Role.SECONDARY
        channel.settings.name = "car"
        channel.settings.psk = bytes(range(32))
        channel.settings.module_settings.position_precision = precision
        radio.settings_changed()


def test_a_packet_goes_from_client_to_client(pair: Bench) -> None:
    """With sender, channel, hops, signal and time."""
    one, two = pair.clients
    packet_id = one.send(b"\x01\x02", wait_s=2.0)
    (packet,) = two.packets(PRIVATE)
    assert (packet.id, bytes(packet.decoded.payload)) == (packet_id, b"\x01\x02")
    assert getattr(packet, "from") == pair.radio.number
    assert (packet.to, packet.channel) == (BROADCAST, 0)
    assert (packet.hop_start, packet.hop_limit) == (3, 3)
    assert packet.rx_snr > 0 > packet.rx_rssi
    assert 0 <= pair.radios[1].utc_s - packet.rx_time <= 2
    assert one.packets(PRIVATE) == []


@pytest.mark.parametrize("port", [Port.TEXT_MESSAGE_APP, Port.WAYPOINT_APP, PRIVATE, 300, 511])
def test_every_port_is_carried(pair: Bench, port: int) -> None:
    """Known ones, the private one, and numbers without a name."""
    pair.clients[0].send(b"payload", port=port, wait_s=2.0)
    assert [bytes(p.decoded.payload) for p in pair.clients[1].packets(port)] == [b"payload"]


def test_a_direct_message_is_acknowledged_by_its_receiver(pair: Bench) -> None:
    """Encrypted for it alone, and the acknowledgement has the receiver's number and signal."""
    one, two = pair.clients
    packet_id = one.send(b"x", to=pair.radios[1].number, want_ack=True, wait_s=3.0)
    assert one.acks(packet_id) == [(pair.radios[1].number, "NONE")]
    ack = one.packets(Port.ROUTING_APP)[0]
    assert ack.rx_snr > 0
    assert ack.to == pair.radio.number
    (packet,) = two.packets(PRIVATE)
    assert packet.pki_encrypted
    assert packet.public_key == pair.radio.settings.owner.public_key


def test_a_broadcast_is_acknowledged_by_whoever_relays_it(pair: Bench) -> None:
    """The implicit acknowledgement comes from the radio itself."""
    packet_id = pair.client.send(b"x", want_ack=True, wait_s=5.0)
    assert pair.client.acks(packet_id) == [(pair.radio.number, "NONE")]


def test_a_message_that_nobody_acknowledges_is_given_up() -> None:
    """Three attempts; then the client is told, by MAX_RETRANSMIT."""
    bench = Bench()
    bench.connect_all()
    sent: list[str] = []
    bench.radio.node.on_air.append(lambda *event: sent.append(event[4]))
    packet_id = bench.client.send(b"x", want_ack=True, wait_s=25.0)
    assert bench.client.acks(packet_id) == [(bench.radio.number, "MAX_RETRANSMIT")]
    assert sent == ["own", "retry", "retry"]


@pytest.mark.parametrize(
    ("port", "direct", "fits"),
    [(1, False, 232), (67, False, 232), (256, False, 231), (1, True, 220), (256, True, 219)],
)
def test_payload_limits_are_the_firmwares(pair: Bench, port: int, direct: bool, fits: int) -> None:
    """One byte more is TOO_LARGE, in the queue status and in a routing message."""
    to = pair.radios[1].number if direct else BROADCAST
    one = pair.client
    good = one.send(bytes(fits), port=port, to=to, wait_s=12.0)
    bad = one.send(bytes(fits + 1), port=port, to=to, wait_s=1.0)
    assert one.statuses(good)[0].res == 0
    assert one.statuses(bad)[0].res == 7
    assert one.acks(bad) == [(pair.radio.number, "TOO_LARGE")]
    assert [len(p.decoded.payload) for p in pair.clients[1].packets(port)] == [fits]


def test_a_channel_that_is_off_is_refused(pair: Bench) -> None:
    """NO_CHANNEL; also for an index beyond the eighth."""
    for index in (3, 9):
        packet_id = pair.client.send(b"x", channel=index, wait_s=0.5)
        assert pair.client.acks(packet_id) == [(pair.radio.number, "NO_CHANNEL")]
        assert pair.client.statuses(packet_id)[0].res == 6


def test_public_key_encryption_needs_a_key(pair: Bench) -> None:
    """Of a node that is known, and the one that the client means."""
    stranger = pair.client.send(b"x", to=0xDEADBEEF, pki_encrypted=True, wait_s=0.5)
    assert pair.client.acks(stranger) == [(pair.radio.number, "PKI_SEND_FAIL_PUBLIC_KEY")]
    other = pair.radios[1].number
    wrong = pair.client.send(
        b"x", to=other, pki_encrypted=True, public_key=bytes(range(32)), wait_s=0.5
    )
    assert pair.client.acks(wrong) == [(pair.radio.number, "PKI_FAILED")]
    to_all = pair.client.send(b"x", pki_encrypted=True, wait_s=0.5)
    assert pair.client.acks(to_all) == [(pair.radio.number, "PKI_FAILED")]


def test_exhausted_duty_cycle_refuses_and_tells(pair: Bench) -> None:
    """DUTY_CYCLE_LIMIT in queue status and routing message, and a notice for the person."""
    pair.radio.node.airtime.log_sent(361_000)  # of 3,600 s: a little more than ten per cent
    packet_id = pair.client.send(b"x", wait_s=0.5)
    assert pair.client.statuses(packet_id)[0].res == 9
    assert pair.client.acks(packet_id) == [(pair.radio.number, "DUTY_CYCLE_LIMIT")]
    assert pair.client.notices()[0].startswith("Duty cycle limit exceeded. You can send again in")


def test_a_foreign_channel_comes_as_ciphertext(pair: Bench) -> None:
    """The bytes on the air, with the channel's hash: whoever has the key can read them."""
    secret_channel(pair, 0)
    packet_id = pair.client.send(b"for the car", channel=1, wait_s=2.0)
    (packet,) = pair.clients[1].packets()
    assert packet.WhichOneof("payload_variant") == "encrypted"
    assert packet.channel == pair.radio.settings.channels.hash(1)
    plain = crypto.encrypt_channel(
        bytes(range(32)), pair.radio.number, packet_id, bytes(packet.encrypted)
    )
    assert mesh_pb2.Data.FromString(plain).payload == b"for the car"
    assert pair.radios[1].counters["encrypted"] == 1


def test_a_shared_channel_is_read(pair: Bench) -> None:
    """The client gets the index of its own radio's channel."""
    secret_channel(pair, 0, 1)
    pair.client.send(b"for the car", channel=1, wait_s=2.0)
    (packet,) = pair.clients[1].packets(PRIVATE)
    assert (packet.channel, bytes(packet.decoded.payload)) == (1, b"for the car")


def test_a_packet_of_a_world_without_keys_is_read_as_ciphertext(pair: Bench) -> None:
    """Other makers of packets name their keys as they like."""
    node = pair.radio.node
    node.keys.add((9, "somebody's"))
    node.send(
        Packet(node.number, BROADCAST, 5, private_data(b"x"), channel_hash=9, key="somebody's")
    )
    pair.client.run(2.0)
    (packet,) = pair.clients[1].packets()
    assert (packet.channel, len(packet.encrypted)) == (9, len(private_data(b"x")))


def test_an_undecodable_packet_on_a_known_channel_is_counted(pair: Bench) -> None:
    """The firmware takes it for one of another key; the client gets its bytes."""
    radio = pair.radio
    channels = radio.settings.channels
    radio.node.send(
        Packet(
            *(radio.number, BROADCAST, 5, b"\xff\xff\xff"),
            channel_hash=channels.hash(0) or 0,
            key=channels.key(0),
        )
    )
    pair.client.run(2.0)
    assert pair.radios[1].counters["undecodable"] == 1
    assert pair.clients[1].packets()[0].WhichOneof("payload_variant") == "encrypted"


@pytest.mark.parametrize(
    ("precision", "latitude", "bits"),
    [(32, 505_330_123, 32), (13, 505_151_488, 13), (0, 0, 0)],
)
def test_positions_get_the_precision_of_their_channel(
    pair: Bench, precision: int, latitude: int, bits: int
) -> None:
    """The middle of a cell of so many bits; without precision only the time is sent."""
    secret_channel(pair, 0, 1, precision=precision)
    position = mesh_pb2.Position(latitude_i=505_330_123, longitude_i=70_960_456, time=1_800_000_000)
    pair.client.send(position.SerializeToString(), port=Port.POSITION_APP, channel=1, wait_s=3.0)
    (packet,) = pair.clients[1].packets(Port.POSITION_APP)
    heard = mesh_pb2.Position.FromString(packet.decoded.payload)
    assert (heard.precision_bits, heard.time) == (bits, 1_800_000_000)
    assert heard.latitude_i == latitude
    assert abs(heard.latitude_i - 505_330_123) < 2**19 or bits == 0


def test_a_malformed_position_is_not_sent(pair: Bench) -> None:
    """BAD_REQUEST, as by a radio that cannot read it."""
    packet_id = pair.client.send(b"\xff\xff", port=Port.POSITION_APP, wait_s=1.0)
    assert pair.client.statuses(packet_id)[0].res == 32
    assert pair.radio.counters["undecodable"] >= 1


@pytest.mark.parametrize("latitude", [-(2**31), 2**31 - 1, 900_000_001])
def test_absurd_positions_are_carried_as_they_are(pair: Bench, latitude: int) -> None:
    """A radio does not judge; 32 bits stay 32 bits."""
    secret_channel(pair, 0, 1, precision=31)
    position = mesh_pb2.Position(latitude_i=latitude, longitude_i=1)
    pair.client.send(position.SerializeToString(), port=Port.POSITION_APP, channel=1, wait_s=3.0)
    (packet,) = pair.clients[1].packets(Port.POSITION_APP)
    heard = mesh_pb2.Position.FromString(packet.decoded.payload)
    assert abs(heard.latitude_i - latitude) <= 1


def test_a_message_to_oneself_stays_inside(pair: Bench) -> None:
    """Acknowledged by the radio, never on the air; a request that nobody answers is refused."""
    me = pair.radio.number
    packet_id = pair.client.send(b"me", to=me, want_ack=True, wait_s=0.5)
    assert pair.client.acks(packet_id) == [(me, "NONE")]
    packet_id = pair.client.send(b"me", to=me, want_response=True, wait_s=0.5)
    assert pair.client.acks(packet_id) == [(me, "NO_RESPONSE")]
    assert pair.radio.counters["sent"] == 0


def test_three_radios_hear_one(pair: Bench) -> None:
    """Several radios at once, each with a client of its own."""
    bench = Bench(radios=3)
    bench.connect_all()
    bench.clients[2].send(b"all", wait_s=3.0)
    assert [len(client.packets(PRIVATE)) for client in bench.clients] == [1, 1, 0]


def test_another_preset_is_not_heard(pair: Bench) -> None:
    """Radios of different presets are deaf to each other."""
    pair.radio.settings.config.lora.modem_preset = LoRa.ModemPreset.SHORT_TURBO
    pair.radio.settings_changed()
    pair.client.send(b"x", wait_s=2.0)
    assert pair.clients[1].packets(PRIVATE) == []


# -- faults ----------------------------------------------------------------------------------------
def test_a_reboot_takes_its_time_and_tells(pair: Bench) -> None:
    """Boot text and `rebooted` soon, the API later; what waits in the queue is lost."""
    radio, client = pair.radio, pair.client
    for _ in range(5):
        client.send(bytes(200))
    client.run(0.3)
    before, start_s = len(client.messages), pair.env.now
    radio.reboot()
    client.run(RESET_S + 0.1)
    assert client.kinds(before) == ["rebooted"]
    client.write(mesh_pb2.ToRadio(want_config_id=5))
    client.run(1.0)
    assert client.kinds(before) == ["rebooted"]
    client.run(5.0)
    times = [time_s for time_s, m in client.messages[before:] if m.HasField("my_info")]
    assert times[0] - start_s == pytest.approx(BOOT_S, abs=0.05)
    assert client.kinds(before)[-1] == "config_complete_id"
    client.run(20.0)
    assert len(pair.clients[1].packets(PRIVATE)) <= 1


def test_calling_a_reboot_off_does_not_stop_a_boot(pair: Bench) -> None:
    """A radio that boots already comes up."""
    pair.radio.reboot()
    pair.client.run(1.0)
    pair.radio.reboot(None)
    pair.client.run(BOOT_S)
    assert pair.radio.running


def test_power_that_comes_back_at_once_boots_once(pair: Bench) -> None:
    """The boot that was under way is void."""
    pair.radio.reboot()
    pair.client.run(1.0)
    pair.radio.power(False)
    pair.radio.power(True)
    pair.client.run(10.0)
    assert pair.kinds_of_events().count("boot") == 1
    assert pair.radio.settings.reboots == 1


def test_boot_text_stands_before_the_rebooted_message() -> None:
    """As on a real console."""
    bench = Bench(log_text=True)
    bench.radio.reboot()
    bench.client.run(1.0)
    assert b"rst:0xc (SW_CPU_RESET)" in bytes(bench.client.text)


def test_what_is_sent_to_a_booting_radio_is_lost_beyond_its_uart(pair: Bench) -> None:
    """Its receive buffer holds 256 bytes."""
    pair.radio.reboot()
    pair.client.run(0.1)
    pair.client.line.feed(bytes(1000))
    pair.client.run(1.0)
    assert pair.radio.counters["lost_bytes"] == 1000 - UART_BYTES


def test_without_power_nothing_answers(pair: Bench) -> None:
    """No API, no packet, no connection; with power it boots and is as before."""
    radio, client = pair.radio, pair.client
    radio.power(False)
    assert client.connect() == []
    assert radio.tcp.connect() is None
    pair.clients[1].send(b"hello?", wait_s=2.0)
    radio.power(True)
    client.run(BOOT_S + 1.0)
    assert client.connect()[-1].HasField("config_complete_id")
    assert client.packets(PRIVATE) == []
    packet_id = client.send(b"back", wait_s=2.0)
    assert client.statuses(packet_id)[0].res == 0
    assert [bytes(p.decoded.payload) for p in pair.clients[1].packets(PRIVATE)] == [b"back"]


def test_a_frozen_radio_takes_no_bytes_and_says_none(pair: Bench) -> None:
    """Its line stalls; what came for the client waits, and commands are served afterwards."""
    radio, client = pair.radio, pair.client
    radio.freeze()
    assert radio.line is not None
    assert radio.line.stalled
    before = len(client.messages)
    pair.clients[1].send(b"meanwhile", wait_s=2.0)
    client.write(mesh_pb2.ToRadio(heartbeat=mesh_pb2.Heartbeat()))
    client.run(5.0)
    assert len(client.messages) == before
    radio.freeze(False)
    client.run(1.0)
    assert not radio.line.stalled
    assert client.kinds(before)[:1] == ["queueStatus"]
    assert [bytes(p.decoded.payload) for p in client.packets(PRIVATE)] == [b"meanwhile"]


def test_a_frozen_radio_keeps_what_a_tcp_client_sent(pair: Bench) -> None:
    """As TCP's window does, and refuses new connections."""
    connection = pair.radio.tcp.connect()
    assert connection is not None
    client = Client(pair.env, connection)
    client.connect()
    pair.radio.freeze()
    assert pair.radio.tcp.connect() is None
    client.send(b"held", wait_s=2.0)
    assert pair.clients[1].packets(PRIVATE) == []
    pair.radio.freeze(False)
    client.run(2.0)
    assert [bytes(p.decoded.payload) for p in pair.clients[1].packets(PRIVATE)] == [b"held"]


def test_a_reboot_closes_tcp_connections(pair: Bench) -> None:
    """And nobody listens before it is up again."""
    connection = pair.radio.tcp.connect()
    assert connection is not None
    pair.radio.reboot()
    assert connection.hung_up
    assert pair.radio.tcp.connect() is None
    pair.client.run(BOOT_S + 0.1)
    assert pair.radio.tcp.connect() is not None


def test_nodes_are_remembered_over_a_reboot(pair: Bench) -> None:
    """With what was heard of them."""
    pair.clients[1].send(b"x", wait_s=2.0)
    pair.radio.reboot()
    pair.client.run(BOOT_S + 0.1)
    messages = pair.client.connect()
    infos = {m.node_info.num: m.node_info for m in messages if m.HasField("node_info")}
    assert infos[pair.radios[1].number].snr > 0


def test_same_seed_same_words(pair: Bench) -> None:
    """Keys, ids and instants are drawn from the streams alone."""

    def transcript() -> list[tuple[float, Any]]:
        bench = Bench(radios=2, nodes=3, beacon_s=20.0)
        bench.connect_all()
        bench.client.send(b"x", want_ack=True)
        bench.client.run(60.0)
        return bench.client.messages

    assert transcript() == transcript()
