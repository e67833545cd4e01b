"""Admin messages read and change the settings, and what they change is kept."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("meshtastic", reason="the package meshtastic (extra mesh) is not installed")

from sim.meshtastic.channels import Role
from sim.meshtastic.protobufs import admin_pb2, channel_pb2, config_pb2, module_config_pb2
from tests.sim.meshtastic.bench import Bench, Error, Port, mesh_pb2

Config = config_pb2.Config
LoRa = Config.LoRaConfig
DeviceRole = Config.DeviceConfig.Role
SELF = object()


@pytest.fixture
def bench() -> Bench:
    """A radio with a connected client, and one node."""
    bench = Bench(nodes=1, beacon_s=100_000.0)
    bench.client.connect()
    return bench


def lora(bench: Bench, **changes: Any) -> Any:
    """Return the LoRa configuration with changes, as a client sends it."""
    config = Config(lora=bench.radio.settings.config.lora)
    for name, value in changes.items():
        setattr(config.lora, name, value)
    return config


def test_owner_is_read_and_set(bench: Bench) -> None:
    """A new name is kept, told to the mesh, and the radio boots anew after seven seconds."""
    assert bench.client.admin(bench.radio, get_owner_request=True).get_owner_response.id == (
        "!7e1e0001"
    )
    user = mesh_pb2.User(long_name="Base station", short_name="BASE")
    assert bench.client.admin(bench.radio, set_owner=user) == "NONE"
    assert bench.radio.settings.owner.long_name == "Base station"
    bench.client.run(6.0)
    assert "reboot" not in bench.kinds_of_events()
    bench.client.run(4.0)
    assert bench.kinds_of_events()[-2:] == ["reboot", "boot"]
    assert bench.radio.settings.owner.short_name == "BASE"


@pytest.mark.parametrize("user", [{"long_name": "  "}, {"short_name": "\t"}])
def test_names_of_blanks_are_refused(bench: Bench, user: dict[str, str]) -> None:
    """The owner stays who it was."""
    assert bench.client.admin(bench.radio, set_owner=mesh_pb2.User(**user)) == "BAD_REQUEST"
    assert bench.radio.settings.owner.long_name == "telerig"


@pytest.mark.parametrize("number", range(10))
def test_every_kind_of_configuration_is_read(bench: Bench, number: int) -> None:
    """The answer holds the section that was asked for, and the session's passkey."""
    answer = bench.client.admin(bench.radio, get_config_request=number)
    section = answer.get_config_response.WhichOneof("payload_variant")
    assert section == [field.name for field in Config.DESCRIPTOR.fields][number]
    assert len(answer.session_passkey) == 8


@pytest.mark.parametrize("number", range(16))
def test_every_kind_of_module_configuration_is_read(bench: Bench, number: int) -> None:
    """In the order of the request's numbers."""
    answer = bench.client.admin(bench.radio, get_module_config_request=number)
    assert answer.get_module_config_response.WhichOneof("payload_variant") is not None


def test_a_changed_preset_is_used_and_the_radio_reboots(bench: Bench) -> None:
    """The chip takes it at once, `rebooted` and a new handshake follow."""
    preset = LoRa.ModemPreset.SHORT_SLOW
    assert bench.client.admin(bench.radio, set_config=lora(bench, modem_preset=preset)) == "NONE"
    assert bench.radio.node.preset.name == "SHORT_SLOW"
    bench.client.run(12.0)
    assert "rebooted" in bench.client.kinds()
    messages = bench.client.connect()
    config = next(m.config.lora for m in messages if m.config.HasField("lora"))
    assert config.modem_preset == preset
    assert next(m.my_info for m in messages if m.HasField("my_info")).reboot_count == 1


def test_a_hop_limit_needs_no_reboot(bench: Bench) -> None:
    """Seven is the most."""
    bench.client.admin(bench.radio, set_config=lora(bench, hop_limit=9))
    bench.client.run(12.0)
    assert "reboot" not in bench.kinds_of_events()
    assert bench.radio.node.hop_limit == 7


def test_a_preset_that_the_chip_has_not_is_refused(bench: Bench) -> None:
    """The old one stays and a notice tells why."""
    bench.client.admin(
        bench.radio, set_config=lora(bench, modem_preset=LoRa.ModemPreset.VERY_LONG_SLOW)
    )
    assert bench.radio.settings.preset == "SHORT_FAST"
    assert "Invalid preset VERY_LONG_SLOW" in bench.client.notices()[0]


def test_custom_modem_settings_are_used(bench: Bench) -> None:
    """Bandwidth, spreading factor and code rate instead of a preset."""
    changes = {"use_preset": False, "bandwidth": 62, "spread_factor": 9, "coding_rate": 6}
    bench.client.admin(bench.radio, set_config=lora(bench, **changes))
    preset = bench.radio.node.preset
    assert (preset.bandwidth_hz, preset.sf, preset.cr) == (62_500, 9, 6)


def test_security_keys_follow_the_private_key(bench: Bench) -> None:
    """A blank private key makes a new pair; managed mode needs an admin key."""
    before = bytes(bench.radio.settings.owner.public_key)
    security = Config.SecurityConfig(is_managed=True, serial_enabled=True)
    bench.client.admin(bench.radio, set_config=Config(security=security))
    settings = bench.radio.settings
    assert len(settings.config.security.private_key) == 32
    assert bytes(settings.owner.public_key) != before
    assert not settings.config.security.is_managed
    assert "at least one admin public key" in bench.client.notices()[0]


def test_a_managed_radio_takes_nothing_from_its_client(bench: Bench) -> None:
    """Only an admin over the mesh may."""
    bench.radio.settings.config.security.is_managed = True
    assert bench.client.admin(bench.radio, get_owner_request=True) == "NO_RESPONSE"


def test_module_configuration_is_set(bench: Bench) -> None:
    """And read back after the reboot that it needs."""
    module = module_config_pb2.ModuleConfig()
    module.telemetry.device_update_interval = 900
    bench.client.admin(bench.radio, set_module_config=module)
    bench.client.run(12.0)
    assert "boot" in bench.kinds_of_events()
    assert bench.radio.settings.modules.telemetry.device_update_interval == 900


def test_channels_are_read_and_set(bench: Bench) -> None:
    """Numbers on the air begin with 1; there are eight."""
    answer = bench.client.admin(bench.radio, get_channel_request=1)
    assert answer.get_channel_response.role == Role.PRIMARY
    assert bench.client.admin(bench.radio, get_channel_request=9) == "BAD_REQUEST"
    channel = answer.get_channel_response
    channel.index = 9
    assert bench.client.admin(bench.radio, set_channel=channel) == "BAD_REQUEST"
    channel.index, channel.role, channel.settings.name = 3, Role.SECONDARY, "fleet"
    assert bench.client.admin(bench.radio, set_channel=channel) == "NONE"
    assert bench.radio.settings.channels.name(3) == "fleet"


def test_a_transaction_is_saved_and_rebooted_once(bench: Bench) -> None:
    """Until its commit nothing is in the flash, and a power cut undoes it."""
    client, radio = bench.client, bench.radio
    client.admin(radio, begin_edit_settings=True)
    client.admin(radio, set_owner=mesh_pb2.User(long_name="half"))
    radio.power(False)
    radio.power(True)
    client.run(3.0)
    assert radio.settings.owner.long_name == "telerig"
    client.connect()
    client.admin(radio, begin_edit_settings=True)
    client.admin(radio, set_owner=mesh_pb2.User(long_name="whole"))
    client.admin(radio, set_config=lora(bench, tx_power=14))
    client.admin(radio, commit_edit_settings=True)
    client.run(12.0)
    assert bench.kinds_of_events().count("reboot") == 2
    assert radio.settings.owner.long_name == "whole"


def test_texts_of_modules_are_kept(bench: Bench) -> None:
    """Canned messages and ringtone."""
    client, radio = bench.client, bench.radio
    client.admin(radio, set_canned_message_module_messages="yes|no")
    client.admin(radio, set_ringtone_message="24:d=32")
    answer = client.admin(radio, get_canned_message_module_messages_request=True)
    assert answer.get_canned_message_module_messages_response == "yes|no"
    answer = client.admin(radio, get_ringtone_request=True)
    assert answer.get_ringtone_response == "24:d=32"


def test_status_requests_are_answered(bench: Bench) -> None:
    """Metadata, connection, remote pins, user interface."""
    client, radio = bench.client, bench.radio
    answer = client.admin(radio, get_device_metadata_request=True)
    assert answer.get_device_metadata_response.hasPKC
    answer = client.admin(radio, get_device_connection_status_request=True)
    assert answer.get_device_connection_status_response.serial.baud == 115200
    answer = client.admin(radio, get_node_remote_hardware_pins_request=True)
    assert answer.HasField("get_node_remote_hardware_pins_response")
    answer = client.admin(radio, get_ui_config_request=True)
    ui = answer.get_ui_config_response
    ui.screen_brightness = 10
    client.admin(radio, store_ui_config=ui)
    assert radio.settings.ui.screen_brightness == 10


def test_nodes_are_marked_and_removed(bench: Bench) -> None:
    """Favourite, ignored, muted, removed, added again as a contact; and kept over a reboot."""
    client, radio, other = bench.client, bench.radio, bench.nodes[0]
    for field, flag in (
        ("set_favorite_node", "is_favorite"),
        ("set_ignored_node", "is_ignored"),
        ("toggle_muted_node", "is_muted"),
    ):
        client.admin(radio, **{field: other.number})
        assert getattr(radio.nodes.get(other.number), flag)
    for field, flag in (
        ("remove_favorite_node", "is_favorite"),
        ("remove_ignored_node", "is_ignored"),
    ):
        client.admin(radio, **{field: other.number})
        assert not getattr(radio.nodes.get(other.number), flag)
    client.admin(radio, remove_by_nodenum=other.number)
    assert radio.nodes.get(other.number) is None
    contact = admin_pb2.SharedContact(node_num=other.number, user=other.settings.owner)
    client.admin(radio, add_contact=contact)
    client.admin(radio, reboot_seconds=0)
    client.run(4.0)
    known = radio.nodes.get(other.number)
    assert known is not None
    assert (known.user.long_name, known.is_favorite) == ("Node 1", True)


def test_nothing_is_taken_from_an_ignored_node(bench: Bench) -> None:
    """Its packets do not reach the client."""
    other = bench.nodes[0]
    bench.client.admin(bench.radio, set_ignored_node=other.number)
    other.send(other.new_packet(Port.PRIVATE_APP, b"spam"))
    bench.client.run(3.0)
    assert bench.client.packets(Port.PRIVATE_APP) == []


def test_nodes_are_all_forgotten(bench: Bench) -> None:
    """And the radio reboots; favourites stay if the client says so."""
    client, radio, other = bench.client, bench.radio, bench.nodes[0]
    client.admin(radio, set_favorite_node=other.number)
    client.admin(radio, nodedb_reset=True)
    client.run(12.0)
    assert radio.nodes.get(other.number) is not None
    client.admin(radio, nodedb_reset=False)
    assert radio.nodes.get(other.number) is None


def test_fixed_position_is_told_and_kept(bench: Bench) -> None:
    """It takes the place of the receiver's; removing it brings that back."""
    client, radio = bench.client, bench.radio
    position = mesh_pb2.Position(latitude_i=500_000_000, longitude_i=70_000_000, altitude=100)
    client.admin(radio, set_fixed_position=position)
    assert radio.settings.config.position.fixed_position
    assert radio.services.position().latitude_i == 500_000_000
    client.admin(radio, remove_fixed_position=True)
    assert radio.services.position().latitude_i != 500_000_000


def test_time_is_taken_where_no_receiver_knows_it(bench: Bench) -> None:
    """A radio without one has no time before it is told, and loses it with its power."""
    radio = bench.radio
    bench.client.admin(radio, set_time_only=1)
    assert radio.utc_s > 1_800_000_000
    radio._has_gps_time, radio._epoch_s = False, None
    assert radio.utc_s == 0
    bench.client.admin(radio, set_time_only=1_900_000_000)
    assert 1_900_000_000 <= radio.utc_s <= 1_900_000_001
    radio.reboot()
    bench.client.run(3.0)
    assert radio.utc_s == 0


def test_a_reboot_can_be_called_off(bench: Bench) -> None:
    """A negative delay does."""
    bench.client.admin(bench.radio, reboot_seconds=5)
    bench.client.admin(bench.radio, reboot_seconds=-1)
    bench.client.run(10.0)
    assert "reboot" not in bench.kinds_of_events()


def test_shutdown_switches_it_off(bench: Bench) -> None:
    """Nothing is answered from then on."""
    bench.client.admin(bench.radio, shutdown_seconds=2)
    bench.client.run(3.0)
    assert not bench.radio.running
    assert bench.client.connect() == []


def test_factory_reset_forgets_all(bench: Bench) -> None:
    """After the reboot it has no region, and refuses to send: ERRNO_DISABLED."""
    client, radio = bench.client, bench.radio
    client.admin(radio, factory_reset_config=1)
    client.run(12.0)
    client.connect()
    packet_id = client.send(b"x", wait_s=0.5)
    assert client.statuses(packet_id)[0].res == 34
    assert radio.settings.owner.long_name.startswith("Meshtastic ")
    client.admin(radio, set_config=lora(bench, region=LoRa.RegionCode.EU_868))
    client.run(12.0)
    assert client.connect()
    packet_id = client.send(b"x", wait_s=0.5)
    assert client.statuses(packet_id)[0].res == 0


def test_ham_mode_switches_encryption_off(bench: Bench) -> None:
    """A licensed operator sends in clear, under the call sign."""
    ham = admin_pb2.HamParameters(call_sign="DL1ABC", short_name="ABC", tx_power=20)
    bench.client.admin(bench.radio, set_ham_mode=ham)
    settings = bench.radio.settings
    assert (settings.owner.long_name, settings.owner.is_licensed) == ("DL1ABC", True)
    assert settings.channels.key(0) == b""
    assert bench.radio.duty_cycle_pct == 100.0


def test_preferences_are_backed_up_and_restored(bench: Bench) -> None:
    """Both are acknowledged; without a backup the restore is refused."""
    client, radio = bench.client, bench.radio
    flash = admin_pb2.AdminMessage.BackupLocation.FLASH
    assert client.admin(radio, restore_preferences=flash) == "BAD_REQUEST"
    assert client.admin(radio, backup_preferences=flash) == "NONE"
    client.admin(radio, set_config=lora(bench, hop_limit=6))
    assert client.admin(radio, restore_preferences=flash) == "NONE"
    client.run(4.0)
    assert radio.settings.hop_limit == 3
    client.connect()
    client.admin(radio, remove_backup_preferences=flash)
    assert client.admin(radio, restore_preferences=flash) == "BAD_REQUEST"


def test_an_update_over_the_air_ends_in_a_reboot(bench: Bench) -> None:
    """There is no loader for it on this device, and a wrong hash is told."""
    request = admin_pb2.AdminMessage.OTAEvent(ota_hash=b"short")
    bench.client.admin(bench.radio, ota_request=request)
    assert "Invalid `ota_hash`" in bench.client.notices()[0]
    bench.client.run(4.0)
    assert "boot" in bench.kinds_of_events()


@pytest.mark.parametrize("field", ["enter_dfu_mode_request", "exit_simulator"])
def test_what_the_hardware_has_not_is_acknowledged_and_ignored(bench: Bench, field: str) -> None:
    """As by an ESP32: it has no such mode."""
    assert bench.client.admin(bench.radio, **{field: True}) == "NONE"


def test_a_malformed_admin_message_is_refused(bench: Bench) -> None:
    """Counted, and nothing changed."""
    packet_id = bench.client.send(
        b"\xff\xff", to=bench.radio.number, port=Port.ADMIN_APP, want_response=True, wait_s=0.5
    )
    assert bench.client.answer(packet_id) == "NO_RESPONSE"
    assert bench.radio.counters["undecodable"] == 1


SETTERS = (
    *("set_config", "set_module_config", "set_channel", "set_owner", "set_ham_mode"),
    *("set_fixed_position", "store_ui_config", "add_contact", "remove_by_nodenum", "ota_request"),
    *("reboot_seconds", "factory_reset_config", "set_time_only", "set_ignored_node"),
)
NUMBERS = st.one_of(st.integers(0, 40), st.sampled_from([0xFF, 0x7FFFFFFF]))


def anything(data: st.DataObject, message: Any, depth: int = 2) -> Any:
    """Fill some fields of a message with values that its types allow."""
    fields = list(message.DESCRIPTOR.fields)
    chosen = data.draw(st.lists(st.sampled_from(fields), max_size=6)) if fields else []
    for field in chosen:
        if field.message_type is not None:
            if depth and not field.is_repeated:
                getattr(message, field.name).SetInParent()
                anything(data, getattr(message, field.name), depth - 1)
            continue
        if field.type == field.TYPE_BYTES:
            value: Any = data.draw(st.binary(max_size=40))
        elif field.type == field.TYPE_STRING:
            value = data.draw(st.text(max_size=50))
        elif field.type == field.TYPE_BOOL:
            value = data.draw(st.booleans())
        else:
            value = data.draw(NUMBERS)
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
    return message


@settings(max_examples=60)
@given(st.data())
def test_no_admin_message_brings_a_radio_down(data: st.DataObject) -> None:
    """Whatever is set, it boots again, gives its configuration and reads the air."""
    bench = Bench(radios=2)
    bench.connect_all()
    for _ in range(3):
        request = admin_pb2.AdminMessage()
        name = data.draw(st.sampled_from(SETTERS))
        field = admin_pb2.AdminMessage.DESCRIPTOR.fields_by_name[name]
        if field.message_type is None:
            setattr(request, name, data.draw(st.integers(0, 50)))
        else:
            getattr(request, name).SetInParent()
            anything(data, getattr(request, name))
        bench.client.send(
            request.SerializeToString(),
            to=bench.radio.number,
            port=Port.ADMIN_APP,
            want_response=True,
            wait_s=0.2,
        )
        bench.client.send(b"x", wait_s=0.2)
    bench.radio.power(False)
    bench.radio.power(True)
    bench.client.run(5.0)
    bench.clients[1].send(b"y", wait_s=1.0)
    assert bench.radio.running
    if bench.radio.serial_enabled:
        assert bench.client.connect()[-1].WhichOneof("payload_variant") is not None


def test_who_asks_for_no_answer_gets_an_acknowledgement_alone(bench: Bench) -> None:
    """Even where the request is refused: the firmware discards replies that nobody wants."""
    blank = admin_pb2.AdminMessage(set_owner=mesh_pb2.User(long_name=" "))
    asking = admin_pb2.AdminMessage(get_owner_request=True)
    for request in (blank, asking):
        packet_id = bench.client.send(
            request.SerializeToString(),
            to=bench.radio.number,
            port=Port.ADMIN_APP,
            want_ack=True,
            wait_s=0.5,
        )
        assert bench.client.answer(packet_id) == "NONE"


LICENSED = "Licensed mode activated, removing admin channel and encryption from all channels"


def test_a_licensed_owner_has_no_keys(bench: Bench) -> None:
    """As the command line's --set-ham does it; a channel with a key that comes later loses it."""
    client, radio = bench.client, bench.radio
    user = mesh_pb2.User(long_name="DL1ABC", is_licensed=True)
    client.admin(radio, set_owner=user)
    assert radio.settings.channels.key(0) == b""
    assert client.notices() == [LICENSED]
    client.run(12.0)
    client.connect()
    secret = keyed_channel("secret")
    client.admin(radio, set_channel=secret)
    assert radio.settings.channels[1].settings.psk == b""
    client.admin(radio, set_channel=keyed_channel("admin"))
    assert radio.settings.channels[1].role == Role.DISABLED
    assert client.notices()[1:] == [LICENSED] * 2


def keyed_channel(name: str) -> Any:
    """Return a second channel with a key of its own."""
    channel = channel_pb2.Channel(index=1, role=Role.SECONDARY)
    channel.settings.name = name
    channel.settings.psk = bytes(range(32))
    return channel


def test_a_role_brings_its_settings(bench: Bench) -> None:
    """A router answers no messages and passes on the core ports alone; it has to pass on some."""
    settings = bench.radio.settings
    config = Config()
    config.device.CopyFrom(settings.config.device)
    config.device.role = DeviceRole.ROUTER
    config.device.rebroadcast_mode = config.device.RebroadcastMode.NONE
    bench.client.admin(bench.radio, set_config=config)
    assert settings.owner.is_unmessagable
    assert settings.config.device.rebroadcast_mode == (
        config.device.RebroadcastMode.CORE_PORTNUMS_ONLY
    )
    assert bench.client.notices() == ["Rebroadcast mode can't be set to NONE for a router role"]
    config.device.role = DeviceRole.TRACKER
    config.device.rebroadcast_mode = config.device.RebroadcastMode.NONE
    bench.client.admin(bench.radio, set_config=config)
    assert settings.config.device.rebroadcast_mode == config.device.RebroadcastMode.NONE


def test_the_first_region_keeps_mqtt_off_the_air(bench: Bench) -> None:
    """With a duty cycle nothing of MQTT is passed on; the topic is the region's."""
    client, radio = bench.client, bench.radio
    assert radio.settings.modules.mqtt.root == "msh/EU_868"
    client.admin(radio, factory_reset_config=1)
    client.run(12.0)
    client.connect()
    assert (radio.settings.modules.mqtt.root, radio.settings.config.lora.ignore_mqtt) == (
        "msh",
        False,
    )
    client.admin(radio, set_config=lora(bench, region=LoRa.RegionCode.EU_868))
    assert (radio.settings.modules.mqtt.root, radio.settings.config.lora.ignore_mqtt) == (
        "msh/EU_868",
        True,
    )


def test_a_band_that_the_chip_has_not_is_refused(bench: Bench) -> None:
    """2.4 GHz."""
    config = lora(bench, region=LoRa.RegionCode.LORA_24)
    assert bench.client.admin(bench.radio, set_config=config) == "BAD_REQUEST"
    assert bench.radio.settings.region == "EU_868"


def test_the_connection_status_names_every_way_in(bench: Bench) -> None:
    """Wi-Fi is connected while a client is on TCP."""
    request = {"get_device_connection_status_request": True}
    answer = bench.client.admin(bench.radio, **request).get_device_connection_status_response
    assert (answer.serial.baud, answer.bluetooth.pin) == (115200, 123456)
    assert not answer.wifi.status.is_connected
    assert bench.radio.tcp.connect() is not None
    answer = bench.client.admin(bench.radio, **request).get_device_connection_status_response
    assert answer.wifi.status.is_connected


def test_an_interval_of_neighbour_info_is_taken_as_it_comes(bench: Bench) -> None:
    """The firmware's least one is overwritten there by what it was meant for."""
    new = module_config_pb2.ModuleConfig()
    new.neighbor_info.update_interval = 60
    bench.client.admin(bench.radio, set_module_config=new)
    assert bench.radio.settings.modules.neighbor_info.update_interval == 60


@pytest.mark.parametrize("contact", [{"node_num": 0, "user": {"long_name": "x"}}, {"node_num": 5}])
def test_a_contact_that_is_nobody_is_ignored(bench: Bench, contact: dict[str, Any]) -> None:
    """No number or no user; clients break at a node 0."""
    shared = admin_pb2.SharedContact(**contact)
    before = len(bench.radio.nodes)
    assert bench.client.admin(bench.radio, add_contact=shared) == "NONE"
    assert len(bench.radio.nodes) == before


# -- over the mesh ---------------------------------------------------------------------------------
@pytest.fixture
def pair() -> Bench:
    """Two radios with clients; the first may administer the second."""
    bench = Bench(radios=2)
    bench.connect_all()
    admin_key = bytes(bench.radio.settings.owner.public_key)
    bench.radios[1].settings.config.security.admin_key.append(admin_key)
    return bench


def remote(bench: Bench, passkey: bytes = b"", **fields: Any) -> Any:
    """Send an admin message from the first radio's client to the second radio."""
    request = admin_pb2.AdminMessage(session_passkey=passkey, **fields)
    packet_id = bench.client.send(
        request.SerializeToString(),
        to=bench.radios[1].number,
        port=Port.ADMIN_APP,
        want_response=True,
        pki_encrypted=True,
        wait_s=3.0,
    )
    return bench.client.answer(packet_id)


def test_an_admin_reads_and_changes_a_remote_radio(pair: Bench) -> None:
    """With the session's passkey, which comes with every answer."""
    answer = remote(pair, get_owner_request=True)
    assert answer.get_owner_response.long_name == "telerig 2"
    assert pair.radios[1].nodes.get(pair.radio.number).is_favorite  # an admin is one
    user = mesh_pb2.User(long_name="far away")
    assert remote(pair, set_owner=user) == "ADMIN_BAD_SESSION_KEY"
    assert remote(pair, passkey=bytes(answer.session_passkey), set_owner=user) == "NONE"
    assert pair.radios[1].settings.owner.long_name == "far away"


def test_a_passkey_grows_old(pair: Bench) -> None:
    """After five minutes another one must be asked for."""
    passkey = bytes(remote(pair, get_owner_request=True).session_passkey)
    pair.client.run(301.0)
    user = mesh_pb2.User(long_name="late")
    assert remote(pair, passkey=passkey, set_owner=user) == "ADMIN_BAD_SESSION_KEY"


def test_a_stranger_is_no_admin(pair: Bench) -> None:
    """Its key is not among the admin keys."""
    del pair.radios[1].settings.config.security.admin_key[:]
    assert remote(pair, get_owner_request=True) == "ADMIN_PUBLIC_KEY_UNAUTHORIZED"


def test_admin_channel_is_off_unless_it_is_allowed(pair: Bench) -> None:
    """The legacy way: a channel named admin."""
    for radio in pair.radios:
        channel = radio.settings.channels[1]
        channel.role, channel.settings.name, channel.settings.psk = (
            *(Role.SECONDARY, "admin"),
            bytes(16),
        )
        radio.settings_changed()
        radio.nodes.own.user.public_key = b""
    pair.radio.nodes.get(pair.radios[1].number).user.public_key = b""
    request = admin_pb2.AdminMessage(get_owner_request=True).SerializeToString()
    fields: dict[str, Any] = {
        "to": pair.radios[1].number,
        "port": Port.ADMIN_APP,
        "want_response": True,
        "channel": 1,
        "wait_s": 3.0,
    }
    assert pair.client.answer(pair.client.send(request, **fields)) == "NOT_AUTHORIZED"
    pair.radios[1].settings.config.security.admin_channel_enabled = True
    answer = pair.client.answer(pair.client.send(request, **fields))
    assert answer.get_owner_response.long_name == "telerig 2"
    fields["channel"] = 0
    assert pair.client.answer(pair.client.send(request, **fields)) == "NOT_AUTHORIZED"


def test_error_names_are_the_protobufs() -> None:
    """What this test calls a refusal is what clients call it."""
    assert Error.Name(36) == "ADMIN_BAD_SESSION_KEY"
