"""Our client's session with a board, without a network between them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from server.provisioning import protocomm_pb2 as pb
from server.provisioning.errors import RequestRefused
from server.provisioning.session import SecureSession
from tests.firmware.provisioning.board import Rig

USER, PASSWORD = "wifiprov", "abcd1234"


class DirectTransport:
    """Hands requests to a board and brings its answers; `change` may alter either on the way."""

    networks_per_answer = 50

    def __init__(
        self, rig: Rig, change: Callable[[int, str, bytes], bytes] = lambda step, way, data: data
    ) -> None:
        self.rig, self.change = rig, change
        self.cookie = b""
        self.step = 0
        self.sent: list[tuple[str, bytes]] = []

    def exchange(self, endpoint: str, body: bytes) -> bytes:
        """Send a request and give the answer."""
        self.step += 1
        self.sent.append((endpoint, body))
        reply = self.rig.post(endpoint, self.change(self.step, "there", body), self.cookie)
        self.cookie = reply.headers.get("Set-Cookie", self.cookie.decode()).encode()
        if reply.status != 200:
            after = reply.headers.get("Retry-After")
            raise RequestRefused(
                endpoint, reply.status, reply.body.decode(), int(after) if after else None
            )
        return self.change(self.step, "back", reply.body)

    def close(self) -> None:
        """There is nothing to close."""


def session(rig: Rig, password: str = PASSWORD, user: str = USER) -> SecureSession:
    """Make a session that is not open yet; waiting lets the board's time go on.

    Its random numbers are always the same: one real session in 128 shakes hands twice after a
    refusal, and tests that count must not see that.
    """
    return SecureSession(
        DirectTransport(rig),
        user,
        password,
        random=Random(1).randbytes,
        sleep=lambda s: rig.poll(int(s * 1000)),
    )


def opened(rig: Rig) -> SecureSession:
    """Make an open session."""
    made = session(rig)
    made.open()
    return made


def config(made: SecureSession, request: pb.Config) -> pb.Config:
    """Ask prov-config."""
    return pb.Config.FromString(made.request("prov-config", request.SerializeToString()))


def scan(made: SecureSession, request: pb.Scan) -> pb.Scan:
    """Ask prov-scan."""
    return pb.Scan.FromString(made.request("prov-scan", request.SerializeToString()))


def set_network(made: SecureSession, ssid: bytes, passphrase: bytes, bssid: bytes = b"") -> int:
    """Send a network; give the status."""
    request = pb.Config(type=pb.Config.SET_NETWORK)
    request.set_network.ssid, request.set_network.passphrase = ssid, passphrase
    request.set_network.bssid = bssid
    return config(made, request).network_set.status


def apply(made: SecureSession) -> int:
    """Let the board join; give the status."""
    return config(made, pb.Config(type=pb.Config.APPLY)).applied.status


def wifi(made: SecureSession) -> pb.WifiStatus:
    """Ask for the state of Wi-Fi."""
    return config(made, pb.Config(type=pb.Config.GET_STATUS)).status
