"""Every public method of the unmodified library gets from a radio what the firmware would say."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("meshtastic", reason="the package meshtastic (extra mesh) is not installed")

from meshtastic.mesh_interface import MeshInterface
from meshtastic.node import Node
from meshtastic.serial_interface import SerialInterface
from meshtastic.tcp_interface import TCPInterface
from pubsub import pub

from sim.meshtastic.protobufs import admin_pb2, channel_pb2, portnums_pb2
from sim.meshtastic.radio import Radio
from tests.sim.meshtastic.library_table import CASES, REFUSED, Call, case, public_methods, table
from tests.sim.meshtastic.live import LiveGroup, repository, until

Port = portnums_pb2.PortNum
TIMEOUT_S = 10


class Scene:
    """Two radios and a node on one channel; the library on the first radio, over TCP.

    The first radio is an admin of the second.
    """

    def __init__(self) -> None:
        self.live = LiveGroup(radios=2, nodes=1, preset="SHORT_TURBO", region="US")
        self.replies: dict[int, list[dict[str, Any]]] = {}
        pub.subscribe(self._receive, "meshtastic.receive")
        self.live.do(self._prepare)
        self.iface = TCPInterface("127.0.0.1", portNumber=self.live.tcp, timeout=TIMEOUT_S)
        self.remote = Node(self.iface, self.other.number, timeout=TIMEOUT_S)

    def _prepare(self) -> None:
        admin_key = bytes(self.radio.settings.owner.public_key)
        self.other.settings.config.security.admin_key.append(admin_key)
        for radio in (self.radio, self.other):
            radio.settings_changed()
            radio.settings.backup()

    @property
    def radio(self) -> Radio:
        """The first radio."""
        return self.live.group.radios[0]

    @property
    def other(self) -> Radio:
        """The second radio, with an admin key."""
        return self.live.group.radios[1]

    @property
    def third(self) -> Radio:
        """A node without client."""
        return self.live.group.nodes[0]

    @property
    def node(self) -> Node:
        """The library's model of the first radio."""
        return self.iface.localNode

    def close(self) -> None:
        """End it all."""
        pub.unsubscribe(self._receive, "meshtastic.receive")
        self.settle()  # while the library connects anew, closing it leaves a socket open
        self.iface.close()
        self.live.close()

    def settle(self) -> None:
        """Undo what would disturb the next method: a reboot that is due, a lost connection."""
        self.live.do(lambda: self.radio.reboot(None))
        self.live.do(lambda: self.other.reboot(None))
        # `isConnected` of the library stays set while it connects anew over TCP, and what is sent
        # meanwhile is lost without a word.
        until(lambda: self.radio.has_client and self.iface.isConnected.is_set(), "a connection")

    def restore(self) -> None:
        """Return to the settings of the beginning."""

        def restore() -> None:
            for radio in (self.radio, self.other):
                radio.settings.restore()
                radio.settings_changed()
                radio.know([*self.live.group.radios, self.third])

        self.live.do(restore)

    def reply(self, packet: Any) -> dict[str, Any]:
        """Wait for what comes back about a packet, and return its decoded part."""
        found = until(lambda: self.replies.get(packet.id), f"an answer to {packet.id}")
        decoded: dict[str, Any] = found[-1]["decoded"]
        return decoded

    def error(self, packet: Any) -> str:
        """Wait for the routing message about a packet, and return its error."""
        until(lambda: any("routing" in p["decoded"] for p in self.replies.get(packet.id, [])))
        routing = next(
            p["decoded"]["routing"] for p in self.replies[packet.id] if "routing" in p["decoded"]
        )
        return str(routing.get("errorReason", "NONE"))

    def takes(self, packet: Any) -> None:
        """Check that an admin message to the own radio was acknowledged."""
        assert self.error(packet) == "NONE"

    def _receive(self, packet: dict[str, Any], interface: MeshInterface) -> None:
        request = packet.get("decoded", {}).get("requestId")
        if request is not None:
            self.replies.setdefault(request, []).append(packet)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """One scene for all methods: a connection takes the library 0.1 s, and a reboot 1 s."""
    scene = Scene()
    yield scene
    scene.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each way to call; some call several methods. The cases stand below."""
    if "call" in metafunc.fixturenames:
        names: dict[Call, str] = {}
        for each in CASES:
            names[each.call] = (
                f"{names[each.call]}+{each.name}" if each.call in names else str(each)
            )
        metafunc.parametrize("call", list(names), ids=list(names.values()))


def test_methods(scene: Scene, call: Call) -> None:
    """The methods get what the table says."""
    scene.settle()
    call(scene)


def test_no_public_method_is_missing_from_the_table() -> None:
    """A new method of the library must be looked at."""
    known = {(each.owner, each.name) for each in CASES}
    assert public_methods() == known
    assert len(CASES) == len(known)


def test_the_table_of_the_documentation_is_this_one() -> None:
    """docs/radios.md holds what is tested here, word for word."""
    pages = [path.read_text("utf-8") for path in sorted((repository() / "docs").glob("radios.md"))]
    assert any(table() in page for page in pages), (
        "expected the table in docs/radios.md; print it with: "
        "python -m tests.sim.meshtastic.library_table"
    )


def printed(call: Callable[[], Any]) -> str:
    """Return what a method prints: several tell their answer only so."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        call()
    return out.getvalue()


# -- MeshInterface: what came with the handshake ---------------------------------------------------
@case("MeshInterface", "waitForConfig", "my info, own node, channels of the handshake")
def _(scene: Scene) -> None:
    scene.iface.waitForConfig()


@case("MeshInterface", "getMyNodeInfo", "own node of the handshake")
def _(scene: Scene) -> None:
    assert scene.iface.getMyNodeInfo()["num"] == scene.radio.number


@case("MeshInterface", "getMyUser", "own user of the handshake")
def _(scene: Scene) -> None:
    assert scene.iface.getMyUser()["id"] == "!7e1e0001"


@case("MeshInterface", "getLongName", "own name of the handshake")
def _(scene: Scene) -> None:
    assert scene.iface.getLongName() == "telerig"


@case("MeshInterface", "getShortName", "own short name of the handshake")
def _(scene: Scene) -> None:
    assert scene.iface.getShortName() == "tele"


@case("MeshInterface", "getPublicKey", "own public key of the handshake")
def _(scene: Scene) -> None:
    assert len(scene.iface.getPublicKey()) == 44  # 32 bytes in base 64


@case("MeshInterface", "showInfo", "owner, my info, metadata, nodes of the handshake")
def _(scene: Scene) -> None:
    assert '"firmwareVersion": "2.7.15' in printed(scene.iface.showInfo)


@case("MeshInterface", "showNodes", "node list of the handshake, kept up to date by packets")
def _(scene: Scene) -> None:
    assert "!7e1e1001" in printed(scene.iface.showNodes)


# -- MeshInterface: sending ------------------------------------------------------------------------
@case("MeshInterface", "sendData", "queue status; ROUTING acknowledgement where it is wanted")
def _(scene: Scene) -> None:
    packet = scene.iface.sendData(b"x" * 200, scene.other.number, wantAck=True)
    assert scene.error(packet) == "NONE"
    too_large = scene.iface.sendData(b"x" * 232)
    assert scene.error(too_large) == "TOO_LARGE"


@case("MeshInterface", "sendText", "queue status; implicit acknowledgement by a relay")
def _(scene: Scene) -> None:
    packet = scene.iface.sendText("hello", wantAck=True)
    assert scene.error(packet) == "NONE"


@case("MeshInterface", "sendAlert", "queue status; the other radios get it")
def _(scene: Scene) -> None:
    before = scene.other.counters["received"]
    scene.iface.sendAlert("fire")
    until(lambda: scene.other.counters["received"] > before)


@case("MeshInterface", "sendHeartbeat", "queue status")
def _(scene: Scene) -> None:
    scene.iface.queueStatus = None
    scene.iface.sendHeartbeat()
    assert until(lambda: scene.iface.queueStatus).maxlen == 16


@case(
    "MeshInterface",
    "sendMqttClientProxyMessage",
    "nothing: MQTT over the client is off, the message is ignored",
    outcome=REFUSED,
)
def _(scene: Scene) -> None:
    before = scene.radio.counters["ignored"]
    scene.iface.sendMqttClientProxyMessage("msh/EU_868", b"x")
    until(lambda: scene.radio.counters["ignored"] > before)


@case("MeshInterface", "sendPosition", "queue status; with `wantResponse` the other's position")
def _(scene: Scene) -> None:
    text = printed(
        lambda: scene.iface.sendPosition(
            50.0, 7.0, 100, destinationId=scene.third.number, wantResponse=True
        )
    )
    assert "Position received" in text


@case("MeshInterface", "onResponsePosition", "called with the POSITION packet that answers")
@case("MeshInterface", "waitForPosition", "ends when that packet has come")
def _(scene: Scene) -> None:
    scene.live.pause(10.5)  # the firmware takes one in ten seconds
    packet = scene.iface.sendData(
        b"",
        scene.other.number,
        portNum=Port.POSITION_APP,
        wantResponse=True,
        onResponse=scene.iface.onResponsePosition,
    )
    scene.iface.waitForPosition()
    assert scene.reply(packet)["portnum"] == "POSITION_APP"


@case("MeshInterface", "sendTelemetry", "queue status; with `wantResponse` the other's metrics")
def _(scene: Scene) -> None:
    text = printed(lambda: scene.iface.sendTelemetry(scene.other.number, wantResponse=True))
    assert "Battery level: 101.00%" in text


@case("MeshInterface", "onResponseTelemetry", "called with the TELEMETRY packet that answers")
@case("MeshInterface", "waitForTelemetry", "ends when that packet has come")
def _(scene: Scene) -> None:
    scene.live.pause(10.5)
    text = printed(
        lambda: scene.iface.sendTelemetry(
            scene.other.number, wantResponse=True, telemetryType="local_stats"
        )
    )
    assert "numTotalNodes" in text


@case("MeshInterface", "sendTraceRoute", "queue status; the route there and back")
def _(scene: Scene) -> None:
    text = printed(lambda: scene.iface.sendTraceRoute(scene.other.number, 3))
    assert "!7e1e0001 --> !7e1e0002" in text
    assert "!7e1e0002 --> !7e1e0001" in text


@case("MeshInterface", "onResponseTraceRoute", "called with the TRACEROUTE packet that answers")
@case("MeshInterface", "waitForTraceRoute", "ends when that packet has come")
def _(scene: Scene) -> None:
    scene.live.pause(30.5)  # the firmware takes one in thirty seconds
    printed(lambda: scene.iface.sendTraceRoute(scene.third.number, 3))


@case("MeshInterface", "sendWaypoint", "queue status, acknowledgement; the others get it")
def _(scene: Scene) -> None:
    packet = scene.iface.sendWaypoint("camp", "", 0, 2**31, 5, 50.0, 7.0)
    assert scene.error(packet) == "NONE"


@case("MeshInterface", "deleteWaypoint", "queue status, acknowledgement; the others get it")
def _(scene: Scene) -> None:
    scene.live.pause(10.5)
    assert scene.error(scene.iface.deleteWaypoint(5)) == "NONE"


@case(
    "MeshInterface",
    "waitForWaypoint",
    "NO_RESPONSE to `wantResponse`: no module answers on that port",
    outcome=REFUSED,
)
@case(
    "MeshInterface",
    "onResponseWaypoint",
    "called with that NO_RESPONSE; the library then exits",
    outcome=REFUSED,
)
def _(scene: Scene) -> None:
    scene.live.pause(10.5)
    refused = threading.Event()

    def on_response(packet: dict[str, Any]) -> None:
        with pytest.raises(SystemExit), contextlib.redirect_stdout(io.StringIO()):
            scene.iface.onResponseWaypoint(packet)
        refused.set()

    scene.iface.sendData(
        b"",
        scene.other.number,
        portNum=Port.WAYPOINT_APP,
        wantResponse=True,
        onResponse=on_response,
    )
    assert refused.wait(TIMEOUT_S)
    scene.iface._acknowledgment.receivedWaypoint = True
    scene.iface.waitForWaypoint()


@case("MeshInterface", "waitForAckNak", "ends with the acknowledgement or refusal")
def _(scene: Scene) -> None:
    def send_and_wait() -> None:
        on_response = scene.node.onAckNak
        scene.iface.sendData(b"x", scene.other.number, wantAck=True, onResponse=on_response)
        scene.iface.waitForAckNak()

    assert "Received an ACK" in printed(send_and_wait)


@case("MeshInterface", "getNode", "eight channels of the other radio, by admin messages")
def _(scene: Scene) -> None:
    nodes: list[Node] = []
    printed(lambda: nodes.append(scene.iface.getNode("!7e1e0002", timeout=TIMEOUT_S)))
    assert len(nodes[0].channels) == 8


@case("MeshInterface", "getCannedMessage", "the text")
def _(scene: Scene) -> None:
    scene.node.cannedPluginMessage = None
    scene.live.do(lambda: setattr(scene.radio.settings, "canned_messages", "hi|bye"))
    assert scene.iface.getCannedMessage() == "hi|bye"


@case("MeshInterface", "getRingtone", "the ringtone")
def _(scene: Scene) -> None:
    scene.node.ringtone = None
    assert scene.iface.getRingtone().startswith("24:d=32")


@case("MeshInterface", "close", "`disconnect` is taken; packets wait for the next client")
def _(scene: Scene) -> None:
    iface = SerialInterface(scene.live.serial[1])
    assert scene.other.has_client
    MeshInterface.close(iface)
    until(lambda: not scene.other.has_client)
    iface.close()


# -- SerialInterface, TCPInterface -----------------------------------------------------------------
@case("SerialInterface", "connect", "the handshake, at 115200 baud")
@case("SerialInterface", "close", "`disconnect` is taken")
def _(scene: Scene) -> None:
    iface = SerialInterface(scene.live.serial[1], connectNow=False)
    iface.connect()
    iface.waitForConfig()
    assert iface.getLongName() == "telerig 2"
    iface.close()
    until(lambda: not scene.other.has_client)


@case("TCPInterface", "connect", "the handshake; a client that was connected is sent away")
@case("TCPInterface", "myConnect", "the connection is taken")
@case("TCPInterface", "close", "everything said before is done")
def _(scene: Scene) -> None:
    scene.iface.close()
    scene.iface = TCPInterface("127.0.0.1", portNumber=scene.live.tcp, connectNow=False)
    scene.iface.connect()
    scene.iface.waitForConfig()
    scene.remote = Node(scene.iface, scene.other.number, timeout=TIMEOUT_S)


# -- Node: reading ---------------------------------------------------------------------------------
@case("Node", "waitForConfig", "configuration and channels of the handshake")
def _(scene: Scene) -> None:
    assert scene.node.waitForConfig()


@case("Node", "showInfo", "configuration, modules and channels of the handshake")
def _(scene: Scene) -> None:
    assert '"modemPreset": "SHORT_TURBO"' in printed(scene.node.showInfo)


@case("Node", "showChannels", "channels of the handshake")
def _(scene: Scene) -> None:
    assert "PRIMARY psk=default" in printed(scene.node.showChannels)


@case("Node", "getChannelByChannelIndex", "a channel of the handshake")
def _(scene: Scene) -> None:
    assert scene.node.getChannelByChannelIndex(0).role == channel_pb2.Channel.Role.PRIMARY


@case("Node", "getChannelByName", "a channel of the handshake")
def _(scene: Scene) -> None:
    assert scene.node.getChannelByName("") is not None


@case("Node", "getDisabledChannel", "a channel of the handshake")
def _(scene: Scene) -> None:
    assert scene.node.getDisabledChannel().index == 1


@case("Node", "get_channels_with_hash", "channels of the handshake; the hash is the library's")
def _(scene: Scene) -> None:
    assert len(scene.node.get_channels_with_hash()) == 8


@case("Node", "getURL", "LoRa configuration and channels of the handshake")
def _(scene: Scene) -> None:
    assert scene.node.getURL().startswith("https://meshtastic.org/e/#")


@case("Node", "getContactURL", "a user of the handshake")
def _(scene: Scene) -> None:
    assert scene.node.getContactURL("!7e1e1001").startswith("https://meshtastic.org/v/#")


@case("Node", "module_available", "metadata of the handshake: no module is left out")
def _(scene: Scene) -> None:
    assert scene.node.module_available(1)


@case("Node", "position_flags_list", "computed from the configuration of the handshake")
def _(scene: Scene) -> None:
    flags = scene.node.localConfig.position.position_flags
    assert "ALTITUDE" in Node.position_flags_list(flags)


@case("Node", "excluded_modules_list", "computed from the metadata of the handshake: none")
def _(scene: Scene) -> None:
    assert Node.excluded_modules_list(scene.iface.metadata.excluded_modules) == []


@case("Node", "requestChannels", "eight `get_channel_response`")
@case("Node", "onResponseRequestChannel", "called with each `get_channel_response`")
def _(scene: Scene) -> None:
    scene.node.requestChannels()
    assert scene.node.waitForConfig()
    assert len(scene.node.channels) == 8


@case("Node", "requestConfig", "`get_config_response` or `get_module_config_response`")
@case("Node", "onResponseRequestSettings", "called with that answer")
def _(scene: Scene) -> None:
    for configuration in (scene.remote.localConfig, scene.remote.moduleConfig):
        for field in configuration.DESCRIPTOR.fields:
            if field.name in ("lora", "telemetry"):
                text = printed(lambda field=field: scene.remote.requestConfig(field))
                assert f"{field.name}:" in text
    assert scene.remote.localConfig.lora.hop_limit == 3


@case("Node", "getMetadata", "`get_device_metadata_response`")
@case("Node", "onRequestGetMetadata", "called with that answer")
def _(scene: Scene) -> None:
    assert "firmware_version: 2.7.15" in printed(scene.node.getMetadata)


@case("Node", "ensureSessionKey", "`get_config_response` with the session's passkey")
def _(scene: Scene) -> None:
    scene.remote.ensureSessionKey()
    until(lambda: "adminSessionPassKey" in scene.iface._getOrCreateByNum(scene.other.number))


@case("Node", "get_canned_message", "the text")
@case("Node", "onResponseRequestCannedMessagePluginMessageMessages", "called with the text")
def _(scene: Scene) -> None:
    scene.node.cannedPluginMessage = None
    assert scene.node.get_canned_message() == scene.radio.settings.canned_messages


@case("Node", "get_ringtone", "the ringtone")
@case("Node", "onResponseRequestRingtone", "called with the ringtone")
def _(scene: Scene) -> None:
    scene.node.ringtone = None
    assert scene.node.get_ringtone() == scene.radio.settings.ringtone


# -- Node: changing --------------------------------------------------------------------------------
@case("Node", "onAckNak", "called with the acknowledgement of a remote radio")
def _(scene: Scene) -> None:
    printed(lambda: scene.remote.setOwner("far radio", "FAR"))
    until(lambda: scene.other.settings.owner.short_name == "FAR")
    scene.restore()


@case("Node", "setOwner", "acknowledgement; NodeInfo to all, reboot in 7 s")
def _(scene: Scene) -> None:
    scene.takes(scene.node.setOwner("New name", "NEW"))
    assert scene.radio.settings.owner.long_name == "New name"
    scene.restore()


@case("Node", "writeConfig", "acknowledgement; a reboot in 7 s where the section needs one")
def _(scene: Scene) -> None:
    scene.node.localConfig.lora.hop_limit = 5
    scene.node.writeConfig("lora")
    until(lambda: scene.radio.settings.hop_limit == 5)
    scene.node.beginSettingsTransaction()  # or each would begin a reboot
    for section in ("device", "position", "power", "network", "display", "bluetooth", "security"):
        scene.node.writeConfig(section)
    for field in scene.node.moduleConfig.DESCRIPTOR.fields:
        if field.name not in ("version", "statusmessage", "tak"):  # the library cannot write these
            scene.node.writeConfig(field.name)
    scene.takes(scene.node.setTime(1))  # all before it is done
    scene.restore()


@case("Node", "writeChannel", "acknowledgement; in force at once")
def _(scene: Scene) -> None:
    scene.node.channels[1].role = channel_pb2.Channel.Role.SECONDARY
    scene.node.channels[1].settings.name = "fleet"
    scene.node.writeChannel(1)
    until(lambda: scene.radio.settings.channels.name(1) == "fleet")


@case("Node", "deleteChannel", "acknowledgement of every channel that moved up")
def _(scene: Scene) -> None:
    scene.node.deleteChannel(1)
    until(lambda: scene.radio.settings.channels.hash(1) is None)


@case("Node", "setChannels", "nothing is sent: it sets the library's own copy")
def _(scene: Scene) -> None:
    scene.node.setChannels(list(scene.node.channels))


@case("Node", "turnOffEncryptionOnPrimaryChannel", "acknowledgement; in force at once")
def _(scene: Scene) -> None:
    printed(scene.node.turnOffEncryptionOnPrimaryChannel)
    until(lambda: scene.radio.settings.channels.key(0) == b"")
    scene.node.channels[0].settings.psk = b"\1"
    scene.restore()


@case("Node", "setURL", "acknowledgement of channels and LoRa configuration")
def _(scene: Scene) -> None:
    url = scene.node.getURL()
    frames = scene.radio.counters["frames"]
    scene.node.setURL(url)
    until(lambda: scene.radio.counters["frames"] >= frames + 2)


@case("Node", "addContactURL", "acknowledgement; the node is known, and a favourite")
def _(scene: Scene) -> None:
    url = scene.node.getContactURL("!7e1e1001")
    scene.live.do(lambda: scene.radio.nodes.remove(scene.third.number))
    scene.takes(scene.node.addContactURL(url))
    assert scene.radio.nodes.get(scene.third.number).is_favorite


@case("Node", "beginSettingsTransaction", "acknowledgement; nothing is saved until the commit")
def _(scene: Scene) -> None:
    scene.takes(scene.node.beginSettingsTransaction())


@case("Node", "commitSettingsTransaction", "acknowledgement; saved, reboot in 7 s")
def _(scene: Scene) -> None:
    scene.takes(scene.node.commitSettingsTransaction())


@case("Node", "set_canned_message", "acknowledgement; kept")
def _(scene: Scene) -> None:
    scene.takes(scene.node.set_canned_message("one|two"))
    assert scene.radio.settings.canned_messages == "one|two"


@case("Node", "set_ringtone", "acknowledgement; kept")
def _(scene: Scene) -> None:
    scene.takes(scene.node.set_ringtone("24:d=16"))
    assert scene.radio.settings.ringtone == "24:d=16"
    scene.restore()


@case("Node", "setFavorite", "acknowledgement; kept")
def _(scene: Scene) -> None:
    scene.takes(scene.node.setFavorite("!7e1e0002"))
    assert scene.radio.nodes.get(scene.other.number).is_favorite


@case("Node", "removeFavorite", "acknowledgement; kept")
def _(scene: Scene) -> None:
    scene.takes(scene.node.removeFavorite("!7e1e0002"))
    assert not scene.radio.nodes.get(scene.other.number).is_favorite


@case("Node", "setIgnored", "acknowledgement; nothing is taken from that node")
def _(scene: Scene) -> None:
    scene.takes(scene.node.setIgnored("!7e1e1001"))
    assert scene.radio.nodes.get(scene.third.number).is_ignored


@case("Node", "removeIgnored", "acknowledgement; kept")
def _(scene: Scene) -> None:
    scene.takes(scene.node.removeIgnored("!7e1e1001"))
    assert not scene.radio.nodes.get(scene.third.number).is_ignored


@case("Node", "removeNode", "acknowledgement; the node is forgotten")
def _(scene: Scene) -> None:
    scene.live.do(lambda: scene.third.power(False))  # else it may be heard, and known, again
    scene.takes(scene.node.removeNode("!7e1e1001"))
    assert scene.radio.nodes.get(scene.third.number) is None
    scene.live.do(lambda: scene.third.power(True))


@case("Node", "setFixedPosition", "acknowledgement; told to all")
def _(scene: Scene) -> None:
    scene.takes(scene.node.setFixedPosition(50.1, 7.1, 100))
    assert scene.radio.settings.config.position.fixed_position


@case("Node", "removeFixedPosition", "acknowledgement")
def _(scene: Scene) -> None:
    scene.takes(scene.node.removeFixedPosition())
    assert not scene.radio.settings.config.position.fixed_position


@case("Node", "setTime", "acknowledgement; a radio with a receiver keeps its own time")
def _(scene: Scene) -> None:
    scene.takes(scene.node.setTime(1))


@case(
    "Node", "enterDFUMode", "acknowledgement, and nothing: only nRF52 has that mode",
    outcome=REFUSED,
)  # fmt: skip
def _(scene: Scene) -> None:
    scene.takes(scene.node.enterDFUMode())


@case(
    "Node", "exitSimulator", "acknowledgement, and nothing: this is no simulator to itself",
    outcome=REFUSED,
)  # fmt: skip
def _(scene: Scene) -> None:
    scene.takes(scene.node.exitSimulator())
    assert scene.radio.running


@case("Node", "reboot", "acknowledgement; on TCP the connection ends, on serial `rebooted` comes")
def _(scene: Scene) -> None:
    reboots = scene.radio.settings.reboots
    scene.takes(scene.node.reboot(1))
    until(lambda: scene.radio.settings.reboots > reboots)


@case("Node", "rebootOTA", "acknowledgement; a reboot: there is no loader to boot into")
def _(scene: Scene) -> None:
    scene.takes(scene.node.rebootOTA(100))


@case(
    "Node", "startOTA", "acknowledgement, a notice that there is no loader, reboot in 1 s",
    outcome=REFUSED,
)  # fmt: skip
def _(scene: Scene) -> None:
    notices: list[str] = []
    reboots = scene.radio.settings.reboots

    def on_notice(notification: Any, interface: MeshInterface) -> None:
        notices.append(notification.message)

    pub.subscribe(on_notice, "meshtastic.clientNotification")
    scene.node.startOTA(admin_pb2.OTAMode.OTA_WIFI, bytes(32))
    assert "Cannot find OTA Loader" in until(lambda: notices)[0]
    pub.unsubscribe(on_notice, "meshtastic.clientNotification")
    until(lambda: scene.radio.settings.reboots > reboots)


@case("Node", "resetNodeDb", "acknowledgement; every other node is forgotten, reboot in 7 s")
def _(scene: Scene) -> None:
    scene.takes(scene.node.resetNodeDb())
    assert len(scene.radio.nodes) == 1
    scene.restore()


@case("Node", "factoryReset", "acknowledgement; factory settings without a region, reboot in 7 s")
def _(scene: Scene) -> None:
    scene.takes(scene.node.factoryReset())
    assert scene.radio.settings.region == "UNSET"
    scene.restore()


@case("Node", "shutdown", "acknowledgement; then the radio is off")
def _(scene: Scene) -> None:
    scene.takes(scene.node.shutdown(1))
    until(lambda: not scene.radio.running)
    scene.live.do(lambda: scene.radio.power(True))
    until(lambda: scene.radio.running)
