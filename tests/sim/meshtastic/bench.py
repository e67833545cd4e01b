"""Radios in virtual time, and a client that speaks their API in bytes of its own making."""

from __future__ import annotations

from typing import Any

import simpy

from sim.meshtastic.group import GroupSetup, RadioGroup
from sim.meshtastic.phone import Port
from sim.meshtastic.protobufs import BROADCAST, admin_pb2, mesh_pb2
from sim.meshtastic.radio import Radio
from sim.serial_line import SerialLine
from sim.streams import RandomStreams

EPOCH_NS = 1_800_000_000 * 1_000_000_000
PRIVATE = Port.PRIVATE_APP
Error = mesh_pb2.Routing.Error


class Client:
    """The other end of a radio's line."""

    def __init__(self, env: simpy.Environment, line: SerialLine) -> None:
        self.env = env
        self.line = line
        self.text = bytearray()
        self.messages: list[tuple[float, Any]] = []
        self._bytes = bytearray()
        self._id = 1000
        line.attach_host(self._receive)

    # -- to the radio ----------------------------------------------------------------------------
    def write(self, message: Any) -> None:
        """Send a `ToRadio`."""
        data = message.SerializeToString()
        self.line.feed(b"\x94\xc3" + len(data).to_bytes(2, "big") + data)

    def connect(self, nonce: int = 7, *, wait_s: float = 2.0) -> list[Any]:
        """Ask for the configuration; returns what came."""
        before = len(self.messages)
        self.line.feed(b"\xc3" * 32)
        self.write(mesh_pb2.ToRadio(want_config_id=nonce))
        self.run(wait_s)
        return [message for _, message in self.messages[before:]]

    def packet(self, payload: bytes = b"", **fields: Any) -> Any:
        """Make a packet; `to` is everybody, `port` PRIVATE_APP unless they are given."""
        self._id += 1
        packet = mesh_pb2.MeshPacket(
            to=fields.pop("to", BROADCAST), id=fields.pop("id", self._id), hop_limit=3
        )
        packet.decoded.portnum = fields.pop("port", PRIVATE)
        packet.decoded.payload = payload
        packet.decoded.want_response = fields.pop("want_response", False)
        for name, value in fields.items():
            setattr(packet, name, value)
        return packet

    def send(self, payload: bytes = b"", *, wait_s: float = 0.0, **fields: Any) -> int:
        """Send a packet, and return its id."""
        packet = self.packet(payload, **fields)
        self.write(mesh_pb2.ToRadio(packet=packet))
        self.run(wait_s)
        return int(packet.id)

    def admin(self, radio: Radio, *, wait_s: float = 0.5, **fields: Any) -> Any:
        """Send an admin message to the own radio; returns its answer, or a routing error."""
        request = admin_pb2.AdminMessage(**fields)
        packet_id = self.send(
            request.SerializeToString(),
            to=radio.number,
            port=Port.ADMIN_APP,
            want_response=True,
            want_ack=True,
            pki_encrypted=True,
            wait_s=wait_s,
        )
        return self.answer(packet_id)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        if seconds:
            self.env.run(until=self.env.now + seconds)

    # -- from the radio --------------------------------------------------------------------------
    def kinds(self, since: int = 0) -> list[str]:
        """Return what kinds of messages came."""
        return [message.WhichOneof("payload_variant") for _, message in self.messages[since:]]

    def packets(self, port: int | None = None) -> list[Any]:
        """Return the packets that came, of one port or all."""
        found = [m.packet for _, m in self.messages if m.HasField("packet")]
        return [p for p in found if port is None or p.decoded.portnum == port]

    def statuses(self, packet_id: int) -> list[Any]:
        """Return the queue statuses for a packet."""
        found = [m.queueStatus for _, m in self.messages if m.HasField("queueStatus")]
        return [status for status in found if status.mesh_packet_id == packet_id]

    def acks(self, packet_id: int) -> list[tuple[int, str]]:
        """Return (from, error) of what was said about a packet."""
        result = []
        for packet in self.packets(Port.ROUTING_APP):
            if packet.decoded.request_id == packet_id:
                routing = mesh_pb2.Routing.FromString(packet.decoded.payload)
                result.append((getattr(packet, "from"), Error.Name(routing.error_reason)))
        return result

    def answer(self, packet_id: int) -> Any:
        """Return the answer to a request: an admin message, a payload, an error's name, or None.

        An acknowledgement is the answer only where nothing else came.
        """
        found: Any = None
        for packet in self.packets():
            if packet.decoded.request_id != packet_id:
                continue
            if packet.decoded.portnum == Port.ADMIN_APP:
                return admin_pb2.AdminMessage.FromString(packet.decoded.payload)
            if packet.decoded.portnum != Port.ROUTING_APP:
                return bytes(packet.decoded.payload)
            routing = mesh_pb2.Routing.FromString(packet.decoded.payload)
            if found in (None, "NONE"):
                found = Error.Name(routing.error_reason)
        return found

    def notices(self) -> list[str]:
        """Return the notices for the person at the client."""
        return [
            m.clientNotification.message
            for _, m in self.messages
            if m.HasField("clientNotification")
        ]

    def _receive(self, data: bytes) -> None:
        self._bytes += data
        while self._bytes:
            start = self._bytes.find(b"\x94\xc3")
            if start < 0:
                self.text += self._bytes
                self._bytes.clear()
                return
            self.text += self._bytes[:start]
            del self._bytes[:start]
            if len(self._bytes) < 4:
                return
            length = int.from_bytes(self._bytes[2:4], "big")
            if len(self._bytes) < 4 + length:
                return
            message = mesh_pb2.FromRadio.FromString(bytes(self._bytes[4 : 4 + length]))
            del self._bytes[: 4 + length]
            self.messages.append((self.env.now, message))


class Bench:
    """A group of radios with a client at each port; ask for more with keywords of GroupSetup."""

    def __init__(self, **setup: Any) -> None:
        self.env = simpy.Environment()
        setup = {"preset": "SHORT_FAST", "log_text": False} | setup
        self.flashes: dict[str, Any] = {}
        self.events: list[tuple[float, str, dict[str, Any]]] = []
        self.group = RadioGroup(
            self.env,
            GroupSetup(**setup),
            RandomStreams(5),
            EPOCH_NS,
            flashes=self.flashes,
            on_event=lambda _radio, *event: self.events.append(event),
        )
        self.radios = self.group.radios
        self.nodes = self.group.nodes
        self.clients = [
            Client(self.env, radio.line) for radio in self.radios if radio.line is not None
        ]

    @property
    def radio(self) -> Radio:
        """The first radio."""
        return self.radios[0]

    @property
    def client(self) -> Client:
        """Its client."""
        return self.clients[0]

    def connect_all(self) -> None:
        """Connect every client."""
        for client in self.clients:
            client.connect()

    def kinds_of_events(self) -> list[str]:
        """Return what happened to the radios."""
        return [kind for _, kind, _ in self.events]
